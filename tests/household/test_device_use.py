"""Use by device: sums of a period, bounds, what is shown to whom; and that nothing of it leaves the home."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.household.device_use import MOST_ADDRESSES, MOST_DEVICES, DeviceUse
from agent.traffic import DeviceBytes

GB = 10**9
ANNA, BART = "02:00:00:00:00:01", "02:00:00:00:00:02"
FIRST = DeviceBytes(
    {(ANNA, "192.168.8.11"): GB // 10, (ANNA, "fd00::11"): GB // 10, (BART, "192.168.8.12"): GB},
    {"192.168.8.11": 2 * GB, "fd00::11": GB, "192.168.8.12": 4 * GB, "192.168.8.99": GB},
)
ROOM = Path(__file__).parents[2] / "agent"


def used(*readings: DeviceBytes, charge: str = "sum", period: str = "2026-11-01") -> DeviceUse:
    use = DeviceUse()
    for more in readings:
        use.take(more, period, charge)
    return use


def test_a_device_s_addresses_are_one_device() -> None:
    use = DeviceUse()
    assert use.take(FIRST, "2026-11-01", "sum") == 8_200_000_000
    assert use.used_bytes == {ANNA: 3_200_000_000, BART: 5 * GB}
    assert use.take(DeviceBytes(received={"fd00::11": GB}), "2026-11-01", "sum") == GB
    assert use.used_bytes[ANNA] == 4_200_000_000


@pytest.mark.parametrize(("charge", "anna"), [("sum", 3_200_000_000), ("received", 3 * GB), ("sent", GB // 5)])
def test_what_counts_is_what_the_plan_charges(charge: str, anna: int) -> None:
    assert used(FIRST, charge=charge).used_bytes[ANNA] == anna


def test_a_new_period_begins_with_nothing_and_knows_who_is_who() -> None:
    use = used(FIRST)
    use.take(DeviceBytes(received={"192.168.8.11": GB}), "2026-12-01", "sum")
    assert use.used_bytes == {ANNA: GB}


def test_each_reader_sees_its_own_and_all_others_together() -> None:
    shares = dict(used(FIRST).shares(8_200_000_000))
    assert shares["-"] == (0, 82, 0)
    assert shares["192.168.8.11"] == shares["fd00::11"] == (32, 50, 0)
    assert shares["192.168.8.12"] == (50, 32, 0)
    assert dict(used(FIRST).shares(9_200_000_000))["192.168.8.12"] == (50, 32, 10)
    assert dict(used(FIRST).shares(8_280_000_000))["-"][2] == 0  # within the rounding


def test_the_list_has_addresses_and_no_crumbs() -> None:
    crumbs = DeviceBytes({("02:00:00:00:00:03", "192.168.8.13"): 49_000_000, ("02:00:00:00:00:04", "fd00::4"): GB})
    assert used(FIRST, crumbs).listed() == [("192.168.8.12", 50), ("192.168.8.11", 32), ("02:00:00:00:00:04", 10)]


def test_a_house_full_of_addresses_is_bounded() -> None:
    use = DeviceUse()
    for number in range(3_000):
        mac = f"02:00:00:00:{number // 256:02x}:{number % 256:02x}"
        use.take(DeviceBytes({(mac, f"fd00::{number:x}"): 1_000}, {f"fd00::{number:x}": 1_000}), "p", "sum")
    assert len(use.used_bytes) == MOST_DEVICES
    assert len(use.shares(0)) <= MOST_ADDRESSES + 1
    assert len(use.saved()) < 10_000
    before = sum(use.used_bytes.values())
    use.take(DeviceBytes({("02:00:00:00:00:01", "fd00::1"): 5_000}), "p", "sum")  # who is known is counted on
    assert sum(use.used_bytes.values()) == before + 5_000


def test_two_hundred_devices_all_have_their_share() -> None:
    use = DeviceUse()
    sent = {(f"02:00:00:00:00:{number:02x}", f"192.168.8.{number}"): GB for number in range(1, 201)}
    assert use.take(DeviceBytes(sent), "p", "sum") == 200 * GB
    assert len(use.shares(200 * GB)) == 201


def test_it_survives_a_restart_and_a_spoilt_store() -> None:
    use = used(FIRST)
    again = DeviceUse.restored(use.saved())
    assert (again.period, again.used_bytes) == (use.period, use.used_bytes)
    for text in (None, "", "{}", "[]", "null", '{"period": 1, "used_bytes": 3}', "no json"):
        assert DeviceUse.restored(text).used_bytes == {}


def test_reports_bundles_and_the_control_socket_know_nothing_of_it() -> None:
    """Who imports it: the page's task alone."""
    readers = {
        str(path.relative_to(ROOM))
        for path in ROOM.rglob("*.py")
        if "household.device_use" in path.read_text() or "household.use" in path.read_text()
    }
    assert readers == {"daemon/tasks/page.py"}
