"""What the guest tests share: the reason to skip when this machine cannot run a guest."""

from __future__ import annotations

import pytest

from simulator.qemu import unavailable


@pytest.fixture(scope="session")
def qemu() -> None:
    """QEMU, a kernel and a busybox are there (fetched now if need be)."""
    if problem := unavailable():
        pytest.skip(f"qemu: {problem}")
