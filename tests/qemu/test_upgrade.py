"""Upgrades on a slowed line under load: the shaping stays, every byte is counted.."""

from __future__ import annotations

import pytest

from simulator.qemu import GuestUnavailable
from tests.bench.update_upgrades import measure

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(1500)]


def test_the_line_stays_slow_and_every_byte_is_counted() -> None:
    try:
        done = measure(2)
    except GuestUnavailable as reason:
        pytest.skip(f"mmdebstrap: {reason}")
    assert [upgrade.version for upgrade in done] == ["0.1.0+1", "0.1.0+2"]
    assert [upgrade for upgrade in done if not upgrade.kept] == []
