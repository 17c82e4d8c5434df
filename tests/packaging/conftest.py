"""Where the files that go onto a device stand, and busybox, whose shell and awk are OpenWrt's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
OPENWRT = PROJECT / "firmware-config/openwrt/modem-agent/files"


@pytest.fixture(scope="session")
def busybox() -> str:
    found = shutil.which("busybox")
    if found is None:
        pytest.skip("busybox: not installed")
    return found


@pytest.fixture(scope="session")
def shellcheck() -> str:
    found = shutil.which("shellcheck")
    if found is None:
        pytest.skip("shellcheck: not installed")
    return found
