"""The OpenWrt package's dependencies against what the agent imports: a router has only the parts that are named."""

from __future__ import annotations

import ast
import gettext
import io
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import program

from .conftest import OPENWRT, PROJECT

# The feed takes these out of python3-light into packages of their own (feeds/packages, lang/python/python3/files).
SPLIT = {
    "asyncio": "asyncio", "ctypes": "ctypes", "curses": "ncurses", "dbm": "dbm", "decimal": "decimal",
    "distutils": "distutils", "email": "email", "http": "email", "logging": "logging", "lzma": "lzma",
    "multiprocessing": "multiprocessing", "pydoc": "pydoc", "readline": "readline", "sqlite3": "sqlite3",
    "ssl": "openssl", "unicodedata": "codecs", "unittest": "unittest", "urllib": "urllib", "uuid": "uuid",
    "webbrowser": "webbrowser", "xml": "xml",
}  # fmt: skip
BROUGHT = {"email": "urllib"}  # python3-urllib depends on python3-email
LIBRARIES = {"click": "click", "paho": "paho-mqtt", "pyroute2": "pyroute2", "serial": "pyserial"}
KERNEL = ("kmod-ifb", "kmod-sched-core", "kmod-sched-cake")
# By whose driver the kernel has a maker's AT ports: drivers/usb/serial/{option,qcserial,sierra}.c and
# drivers/usb/class/cdc-acm.c of Linux 6.12; package names of OpenWrt's package/kernel/linux/modules/usb.mk.
DRIVERS = {
    "quectel": "kmod-usb-serial-option", "simcom": "kmod-usb-serial-option", "telit": "kmod-usb-serial-option",
    "zte": "kmod-usb-serial-option", "huawei": "kmod-usb-serial-option", "fibocom": "kmod-usb-serial-option",
    "quectel-ec200": "kmod-usb-serial-option", "meig": "kmod-usb-serial-option", "gosuncn": "kmod-usb-serial-option",
    "others": "kmod-usb-serial-option", "cinterion": "kmod-usb-acm",
    "sierra": "kmod-usb-serial-qualcomm", "ublox": "kmod-usb-acm", "generic": "kmod-usb-acm",
}  # fmt: skip


def imported() -> set[str]:
    found: set[str] = set()
    for path in (PROJECT / "agent").rglob("*.py"):
        if path.is_relative_to(PROJECT / "agent" / "support"):  # the package leaves the operator's side out
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found - {"agent"}


def depends() -> set[str]:
    makefile = (OPENWRT.parent / "Makefile").read_text()
    said = re.search(r"^  DEPENDS:=((?:.*\\\n)*.*)\n", makefile, re.MULTILINE)
    assert said is not None
    return set(re.findall(r"\+(\S+)", said[1]))


def test_every_part_of_python_that_the_agent_imports_is_depended_on() -> None:
    wanted = {SPLIT[name] for name in imported() if name in SPLIT}
    wanted = {f"python3-{BROUGHT.get(part, part)}" for part in wanted}
    assert wanted <= depends()


def test_every_library_and_kernel_module_is_depended_on() -> None:
    foreign = {name for name in imported() if name not in sys.stdlib_module_names} - {"tomli", "tomllib"}
    assert foreign == set(LIBRARIES) - {"pyroute2"}, (
        "pyroute2 is imported by its name in agent/traffic/netlink/route.py"
    )
    assert {f"python3-{name}" for name in LIBRARIES.values()} <= depends()
    assert set(KERNEL) <= depends()


@pytest.mark.parametrize("name", sorted(path.name for path in OPENWRT.iterdir()))
def test_every_file_is_installed(name: str) -> None:
    assert f"./files/{name} $(1)/" in (OPENWRT.parent / "Makefile").read_text()


def test_every_makers_serial_driver_is_depended_on() -> None:
    makers = {path.stem for path in (PROJECT / "agent/modem/profiles").glob("*.toml")}
    assert makers == set(DRIVERS)
    assert set(DRIVERS.values()) <= depends()


def test_one_build_is_for_every_architecture_and_sees_the_agents_changes() -> None:
    """Without PKG_FILE_DEPENDS the build looks at the package's own folder alone (OpenWrt, include/package.mk)."""
    makefile = (OPENWRT.parent / "Makefile").read_text()
    assert "  PKGARCH:=all\n" in makefile
    assert re.search(r"^PKG_FILE_DEPENDS := .*\$\(AGENT_SOURCE\)/agent( |$)", makefile, re.MULTILINE)
    assert re.search(r"^PKG_MAINTAINER:=.+<.+@.+>$", makefile, re.MULTILINE)


def test_version_is_the_projects() -> None:
    versions = [
        re.search(pattern, path.read_text(), re.MULTILINE)
        for path, pattern in (
            (PROJECT / "pyproject.toml", r'^version = "(.+)"$'),
            (OPENWRT.parent / "Makefile", r"^PKG_VERSION:=(.+)$"),
        )
    ]
    assert versions[0] is not None
    assert versions[1] is not None
    assert versions[0][1] == versions[1][1]


def test_the_feed_compiles_the_screens_languages_as_babel_does(tmp_path: Path) -> None:
    """Build/Compile as make gives it to the shell, with the msgfmt of this system for that of OpenWrt's build."""
    msgfmt = program("msgfmt", "gettext")
    makefile = (OPENWRT.parent / "Makefile").read_text()
    assert "PKG_BUILD_DEPENDS:=gettext-full/host\n" in makefile
    recipe = re.search(r"^define Build/Compile\n(.*?)^endef", makefile, re.DOTALL | re.MULTILINE)
    assert recipe is not None
    shutil.copytree(PROJECT / "agent/cli/locale", tmp_path / "agent/cli/locale", ignore=shutil.ignore_patterns("*.mo"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/msgfmt").symlink_to(msgfmt)
    script = recipe[1].replace("$(PKG_BUILD_DIR)", str(tmp_path)).replace("$(STAGING_DIR_HOSTPKG)", str(tmp_path))
    subprocess.run(["sh", "-ec", script.replace("$$$$", "$")], check=True)
    made = {path.relative_to(tmp_path / "agent/cli/locale"): path for path in tmp_path.rglob("agent/**/*.*")}
    wanted = runpy.run_path(str(PROJECT / "firmware-config/catalogues.py"))["compiled"]()
    assert {str(place) for place in made} == set(wanted)
    for place, path in made.items():
        ours = gettext.GNUTranslations(io.BytesIO(wanted[str(place)]))
        theirs = gettext.GNUTranslations(io.BytesIO(path.read_bytes()))
        for text in ("Nothing is wrong.", "What to do: {advice}", "the SIM wants its PIN"):
            assert ours.gettext(text) == theirs.gettext(text) != text
        attempts = ("{count} attempt left", "{count} attempts left")
        assert [ours.ngettext(*attempts, n) for n in range(3)] == [theirs.ngettext(*attempts, n) for n in range(3)]
