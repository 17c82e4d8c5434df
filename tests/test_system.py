"""Which system it is, by the files that OpenWrt's base-files and package managers bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.system import DEBIAN, OPENWRT_APK, OPENWRT_OPKG, System, find


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ((), DEBIAN),
        (("lib/apk/db",), DEBIAN),  # Alpine is not OpenWrt
        (("etc/openwrt_release", "usr/lib/opkg"), OPENWRT_OPKG),
        (("etc/openwrt_release", "lib/apk/db"), OPENWRT_APK),
    ],
)
def test_the_system_is_known_by_its_files(tmp_path: Path, there: tuple[str, ...], expected: System) -> None:
    for path in there:
        (tmp_path / path).mkdir(parents=True)
    assert find(tmp_path) == expected
