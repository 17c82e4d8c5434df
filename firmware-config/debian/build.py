"""Builds the Debian package with dpkg-deb alone: `python3 firmware-config/debian/build.py [FOLDER]`.

Called by `make deb` and by the device guest. Pure Python, architecture all: one file for bookworm, trixie and Raspberry
Pi OS. The same source gives the same bytes (SOURCE_DATE_EPOCH, or the last commit's time).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
SYSTEMD = PROJECT / "systemd"
PAGE = PROJECT / "firmware-config/openwrt/modem-agent/files/modem-agent.page"  # the same script on both systems

# What of systemd/ goes where. The unit folder is bookworm's; a merged /usr makes it trixie's as well.
PLACES = {
    "modem-agent.service": "lib/systemd/system/modem-agent.service",
    "modem-agent-page.service": "lib/systemd/system/modem-agent-page.service",
    "modem-agent-reboot.path": "lib/systemd/system/modem-agent-reboot.path",
    "modem-agent-reboot.service": "lib/systemd/system/modem-agent-reboot.service",
    "modem-agent-dnsmasq.path": "lib/systemd/system/modem-agent-dnsmasq.path",
    "modem-agent-dnsmasq.service": "lib/systemd/system/modem-agent-dnsmasq.service",
    "modem-agent-update.path": "lib/systemd/system/modem-agent-update.path",
    "modem-agent-update.service": "lib/systemd/system/modem-agent-update.service",
    "modem-agent.udev": "lib/udev/rules.d/70-modem-agent.rules",
    "modem-agent.polkit": "usr/share/polkit-1/rules.d/modem-agent.rules",
    "modem-agent.sysusers": "usr/lib/sysusers.d/modem-agent.conf",
    "modem-agent.tmpfiles": "usr/lib/tmpfiles.d/modem-agent.conf",
    "modem-agent.modules-load": "usr/lib/modules-load.d/modem-agent.conf",
    "modem-agent.modprobe": "usr/lib/modprobe.d/modem-agent.conf",
}
LAUNCHERS = {"modem-agent": "agent.cli", "modem-support": "agent.support.cli"}


def version() -> str:
    found = re.search(r'^version = "([^"]+)"', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("pyproject.toml names no version")
    return found[1]


def epoch() -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    asked = subprocess.run(["git", "-C", str(PROJECT), "log", "-1", "--format=%ct"], capture_output=True, text=True)
    return int(asked.stdout or time.time())


def maintainer() -> str:
    """Who builds the package: an operator sets DEBFULLNAME and DEBEMAIL, as for any Debian tool."""
    name, mail = os.environ.get("DEBFULLNAME", "modem-agent developers"), os.environ.get("DEBEMAIL")
    return f"{name} <{mail or 'modem-agent@example.org'}>"


def filled(name: str, **values: str) -> str:
    text = (HERE / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def put(root: Path, place: str, content: bytes, mode: int = 0o644) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def lay_out(root: Path, number: str, when: int) -> None:
    """The files as they will be on the device."""
    shutil.copytree(
        PROJECT / "agent",
        root / "usr/lib/modem-agent/agent",
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.po", "*.mo*"),
    )
    for place, content in catalogues().items():
        put(root, f"usr/lib/modem-agent/agent/cli/locale/{place}", content)
    for name, place in PLACES.items():
        put(root, place, (SYSTEMD / name).read_bytes())
    for name, module in LAUNCHERS.items():
        put(root, f"usr/bin/{name}", filled("launcher", MODULE=module).encode(), 0o755)
    for place, content in documents().items():
        put(root, place, content)
    put(root, "usr/lib/modem-agent/unshape", (HERE / "unshape").read_bytes(), 0o755)
    put(root, "usr/lib/modem-agent/www/cgi-bin/index.cgi", PAGE.read_bytes(), 0o755)
    put(root, "usr/share/modem-agent/config.toml", (HERE / "config.toml").read_bytes())
    folder = "usr/share/doc/modem-agent"
    changes = filled("changelog", VERSION=number, DATE=formatdate(when), MAINTAINER=maintainer())
    put(root, f"{folder}/changelog.gz", packed(changes.encode()))
    put(root, f"{folder}/copyright", (HERE / "copyright").read_bytes())
    put(root, f"{folder}/CHANGELOG.md.gz", packed((PROJECT / "CHANGELOG.md").read_bytes()))


def packed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def catalogues() -> dict[str, bytes]:
    """Of the screens' languages; catalogues.py needs Babel."""
    try:
        return dict(runpy.run_path(str(PROJECT / "firmware-config/catalogues.py"))["compiled"]())
    except ModuleNotFoundError as error:
        raise SystemExit(f"the catalogues cannot be compiled: {error}") from error


def documents() -> dict[str, bytes]:
    """documents.py needs the agent and its click beside it."""
    sys.path.insert(0, str(PROJECT))
    try:
        return dict(runpy.run_path(str(HERE / "documents.py"))["documents"]())
    except ModuleNotFoundError as error:
        raise SystemExit(f"the manual pages cannot be made: {error}") from error
    finally:
        sys.path.remove(str(PROJECT))


def control(root: Path, number: str) -> None:
    """The package's own description, checksums and scripts."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files)
    text = filled("control", VERSION=number, SIZE=str(size), MAINTAINER=maintainer())
    put(root, "DEBIAN/control", text.encode())
    put(root, "DEBIAN/md5sums", sums.encode())
    for script in ("postinst", "prerm", "postrm"):
        put(root, f"DEBIAN/{script}", (HERE / script).read_bytes(), 0o755)


def build(folder: Path, number: str | None = None) -> Path:
    """The package in `folder`; `number` is another version than the project's, for tests of upgrades."""
    number = number or version()
    when = epoch()
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"modem-agent_{number}_all.deb"
    with tempfile.TemporaryDirectory() as side:
        root = Path(side) / "root"
        root.mkdir(mode=0o755)
        lay_out(root, number, when)
        control(root, number)
        for path in (root, *root.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
            elif not path.parts[-1].startswith("post") and not os.access(path, os.X_OK):
                path.chmod(0o644)
            os.utime(path, (when, when))
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(root), str(package)]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return package


if __name__ == "__main__":
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "dist"))
