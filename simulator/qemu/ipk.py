"""An OpenWrt package (.ipk) of the agent as it stands here, for a guest whose image has opkg.

What goes where, the dependencies and the kept files are read from the feed's own Makefile, so that there is one list.
A release package comes from OpenWrt's SDK, which also compiles the byte code for the image's Python; this one carries
the sources. An .ipk is a compressed tar of debian-binary, control.tar.gz and data.tar.gz.
"""

from __future__ import annotations

import io
import re
import runpy
import tarfile
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FEED = PROJECT / "firmware-config/openwrt/modem-agent"
_MODES = {"INSTALL_DATA": 0o644, "INSTALL_BIN": 0o755, "INSTALL_CONF": 0o600}
_INSTALLED = re.compile(r"^\t\$\((INSTALL_\w+)\) \./files/(\S+) \$\(1\)/(\S+)$", re.MULTILINE)


def build(folder: Path) -> Path:
    """Write modem-agent_VERSION_all.ipk into `folder`."""
    makefile = (FEED / "Makefile").read_text()
    version = f"{_value(makefile, 'PKG_VERSION')}-{_value(makefile, 'PKG_RELEASE')}"
    parts = {
        "./debian-binary": b"2.0\n",
        "./control.tar.gz": _tar(_control(makefile, version)),
        "./data.tar.gz": _tar(_files(makefile)),
    }
    package = folder / f"modem-agent_{version}_all.ipk"
    package.write_bytes(_tar({name: (content, 0o644) for name, content in parts.items()}))
    return package


def _files(makefile: str) -> dict[str, tuple[bytes, int]]:
    files = {
        f"./{place}": ((FEED / "files" / name).read_bytes(), _MODES[kind])
        for kind, name, place in _INSTALLED.findall(makefile)
    }
    for source in sorted((PROJECT / "agent").rglob("*")):
        left_out = {"__pycache__", "support"} & set(source.relative_to(PROJECT).parts)
        if source.is_file() and not left_out and source.suffix not in (".po", ".mo"):
            files[f"./usr/lib/modem-agent/{source.relative_to(PROJECT)}"] = (source.read_bytes(), 0o644)
    for place, content in runpy.run_path(str(PROJECT / "firmware-config/catalogues.py"))["compiled"]().items():
        files[f"./usr/lib/modem-agent/agent/cli/locale/{place}"] = (content, 0o644)
    return files


def _control(makefile: str, version: str) -> dict[str, tuple[bytes, int]]:
    depends = re.search(r"^  DEPENDS:=((?:.*\\\n)*.*)", makefile, re.MULTILINE)
    needed = ", ".join(re.findall(r"\+(\S+)", depends[1] if depends else ""))
    control = f"Package: modem-agent\nVersion: {version}\nDepends: {needed}\nArchitecture: all\nSection: net\n"
    control += f"Maintainer: {_value(makefile, 'PKG_MAINTAINER')}\nDescription: Cellular modem agent\n"
    # As the SDK has it (OpenWrt, include/package-pack.mk): a script that calls base-files' function, which looks for
    # the package's own under the name with -pkg; postrm is the package's itself.
    script = "#!/bin/sh\n[ -s $IPKG_INSTROOT/lib/functions.sh ] || exit 0\n. $IPKG_INSTROOT/lib/functions.sh\n"
    return {
        "./control": (control.encode(), 0o644),
        "./conffiles": (_section(makefile, "conffiles").encode(), 0o644),
        "./postinst": (f"{script}default_postinst $0 $@\n".encode(), 0o755),
        "./postinst-pkg": (_section(makefile, "postinst").encode(), 0o755),
        "./prerm": (f"{script}default_prerm $0 $@\n".encode(), 0o755),
        "./prerm-pkg": (_section(makefile, "prerm").encode(), 0o755),
        "./postrm": (_section(makefile, "postrm").encode(), 0o755),
    }


def _section(makefile: str, name: str) -> str:
    """What make writes of `define Package/modem-agent/NAME`."""
    found = re.search(rf"^define Package/modem-agent/{name}\n(.*?)^endef", makefile, re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"{FEED / 'Makefile'}: no {name}")
    return found[1].replace("$$", "$")


def _value(makefile: str, name: str) -> str:
    found = re.search(rf"^{name}:=(.+)", makefile, re.MULTILINE)
    if found is None:
        raise ValueError(f"{FEED / 'Makefile'}: no {name}")
    return found[1]


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A compressed tar, with the folders that its files need."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        made: set[str] = {"."}
        for name, (content, mode) in files.items():
            for parent in reversed(Path(name).parents):
                if str(parent) not in made and str(parent) != ".":
                    made.add(str(parent))
                    entry = tarfile.TarInfo(f"./{parent}")
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()
