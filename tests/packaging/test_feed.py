"""The OpenWrt package's dependencies against what the agent imports: a router has only the parts that are named."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
KERNEL = ("kmod-ifb", "kmod-sched-core", "kmod-sched-cake", "kmod-usb-serial-option")


def imported() -> set[str]:
    found: set[str] = set()
    for path in (PROJECT / "agent").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found - {"agent"}


def depends() -> set[str]:
    makefile = (OPENWRT.parent / "Makefile").read_text()
    said = re.search(r"DEPENDS:=((?:.*\\\n)*.*)\n", makefile)
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


@pytest.mark.parametrize(("word", "acts"), [("remove", True), ("", True), ("upgrade", False), ("pre-upgrade", False)])
def test_a_removal_stops_the_agent_and_an_upgrade_does_not(busybox: str, tmp_path: Path, word: str, acts: bool) -> None:
    """The script as make would write it, under busybox ash, with the device's own paths in a folder of the test's."""
    found = re.search(
        r"define Package/modem-agent/prerm\n(.*?)endef", (OPENWRT.parent / "Makefile").read_text(), re.DOTALL
    )
    assert found is not None
    told = tmp_path / "told"
    for name in ("etc/init.d/modem-agent", "bin/python3"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >>{told}\n')
        (tmp_path / name).chmod(0o755)
    (tmp_path / "usr/lib/modem-agent").mkdir(parents=True)
    text = found[1].replace("$$", "$").replace("/etc/", f"{tmp_path}/etc/").replace("/usr/", f"{tmp_path}/usr/")
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    subprocess.run([busybox, "ash", "-c", text, "prerm", word], env=environment, check=True)
    expected = ["etc/init.d/modem-agent stop", "bin/python3 -m agent.daemon.unshape"] if acts else []
    assert (told.read_text().splitlines() if told.exists() else []) == expected


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
