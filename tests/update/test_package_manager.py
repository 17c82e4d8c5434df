"""Which package manager is here, and whose order of versions counts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import AgentError
from agent.update import package_manager
from agent.update.package_manager import TABLE


@pytest.mark.parametrize(("mark", "name"), [("var/lib/dpkg", "dpkg"), ("usr/lib/opkg", "opkg"), ("lib/apk/db", "apk")])
def test_it_is_found_by_its_database(tmp_path: Path, mark: str, name: str) -> None:
    (tmp_path / mark).mkdir(parents=True)
    assert package_manager.find(tmp_path).name == name


def test_without_one_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="none of apk, opkg, dpkg"):
        package_manager.find(tmp_path)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg: not installed")
@pytest.mark.parametrize(
    ("new", "old", "newer"),
    [("0.10.0", "0.9.0", True), ("0.9.0", "0.9.0", False), ("1.0~rc1", "1.0", False), ("1.0", "1.0~rc1", True)],
)
def test_dpkg_compares_as_it_does(new: str, old: str, newer: bool) -> None:
    assert package_manager.is_newer(TABLE[-1], new, old) is newer


@pytest.mark.parametrize(("printed", "newer"), [(">", True), ("<", False), ("=", False)])
def test_apk_prints_its_answer(printed: str, newer: bool) -> None:
    """apk-version(8): -t compares two versions and prints <, = or >."""
    row = replace(TABLE[0], newer=("echo", printed))
    assert package_manager.is_newer(row, "2", "1") is newer


def test_one_that_cannot_be_run_is_named() -> None:
    with pytest.raises(AgentError, match="no-such-program"):
        package_manager.is_newer(replace(TABLE[0], newer=("no-such-program",)), "2", "1")
