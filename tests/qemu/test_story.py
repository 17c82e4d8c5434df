"""A household at the month end: 40 GB crossed, throttled by cake, a command, an unplug, a power cut, December.

Two power-ons of one device on one disk, with a board clock that says 1970 each time. The module is a true USB device,
the broker a real one, the agent the real process.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.qemu import Guest
from simulator.qemu.events import LAB_MODULES, events, wait_event
from tests.qemu.waiting import PATIENCE_S, wait_for

pytestmark = [pytest.mark.qemu, pytest.mark.usefixtures("qemu"), pytest.mark.timeout(1500)]
CARRIED_BYTES = 1_000_000  # before the cut
NO_CLOCK = "1970-01-01T00:00:00"


def lab(stage: str, disk: Path) -> Guest:
    command = [sys.executable, "-m", "simulator.qemu.inside.story", stage]
    return Guest(command, modules=LAB_MODULES, disks=[disk], rtc=NO_CLOCK, cpus=2)


def by_name(guest: Guest) -> dict[str, dict[str, Any]]:
    return {event["event"]: event for event in events(guest.output)}


def truth(guest: Guest) -> int:
    """What the kernel in the guest had counted at the last look; it outlives the power on the host."""
    return int((guest.share / "truth").read_text())


def test_a_month_end_with_a_power_cut_in_it(tmp_path: Path) -> None:
    disk = tmp_path / "state.img"
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    with lab("first", disk) as guest:
        wait_event(guest, "carrying", PATIENCE_S)
        told = by_name(guest)
        # The agent went by the network's time; the board's own still says 1970.
        assert told["ready"]["year"] == 1970
        assert told["ready"]["time"].startswith("2026-11-30T22:3")
        assert told["ready"]["rates"] == {"down_bps": None, "up_bps": None}
        assert told["reported"]["topic"].startswith("modem-agent/v1/imei::")
        # At most 4.7 MB too late at 150 Mbit/s; here it is 8.
        assert 0 <= told["throttled"]["charged_bytes"] - 40_000_000_000 < 4_700_000
        assert "cake 1fa0:" in told["shaped"]["qdisc"]
        assert "512Kbit" in told["shaped"]["qdisc"]
        assert told["commanded"]["states"][-1] == "succeeded"
        assert told["replugged"]["ifindexes"][0] != told["replugged"]["ifindexes"][1]
        assert 0 <= told["replugged"]["added_bytes"] < 200_000, "phantom bytes"
        assert "cake 1fa0:" in told["replugged"]["qdisc"]
        wait_for("traffic", lambda: truth(guest) > told["carrying"]["truth_bytes"] + CARRIED_BYTES)
        guest.machine.power_cut()
        truth_bytes = truth(guest)
    with lab("second", disk) as guest:
        assert guest.wait(PATIENCE_S).exit_code == 0, guest.output
        told = by_name(guest)
    # Before anybody has told the time: the old month, throttled, nothing lost beyond what a commit may cost.
    assert told["found"]["store"] == "ok"
    assert told["found"]["state"] == "throttled"
    assert told["found"]["clk"] not in ("nitz", "sync")
    assert told["found"]["period"] == "2026-11-01"
    assert truth_bytes - 40_000_000 <= told["found"]["counted_bytes"] <= truth_bytes + 100_000
    # With the network's time: a new month, empty and free.
    assert told["new-month"]["period"] == "2026-12-01"
    assert told["new-month"]["counted_bytes"] < 1_000_000
    assert "1fa0" not in told["free"]["qdisc"]
