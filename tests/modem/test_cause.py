"""One named cause from each broken link of the chain."""

from __future__ import annotations

import pytest

from agent.modem.cause import CAUSES, Evidence, cause_of, evidence_of
from agent.modem.reading import Reading, Registration, Signal, Sim

WELL = Evidence(
    present=True, busy=False, answers=True, sim_lock="none", stat=1, level_dbm=-95, attached=True, address=True,
    gateway=True, name_server=True, hosts=(True, True),
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({}, "none"),
        ({"present": False}, "usb-gone"),
        ({"busy": True}, "port-stolen"),
        ({"answers": False}, "modem-hung"),
        ({"sim_lock": "not-inserted"}, "sim-missing"),
        ({"sim_lock": "sim-pin"}, "sim-locked"),
        ({"sim_lock": "sim-puk"}, "sim-locked"),
        ({"sim_lock": "ph-net-pin"}, "sim-locked"),
        ({"sim_lock": "sim-pin2"}, "none"),
        ({"stat": 3}, "registration-denied"),
        ({"stat": 2, "reject_cause": 8, "hosts": (False, False), "name_server": False}, "registration-denied"),
        ({"stat": 2, "hosts": (False, False), "name_server": False}, "no-coverage"),
        ({"stat": 0, "hosts": (), "name_server": None}, "no-coverage"),
        ({"stat": 6}, "none"),  # SMS only by one domain's word, and data all the same
        ({"address": False, "hosts": (), "name_server": None}, "apn"),
        ({"attached": False, "hosts": (False, False), "name_server": False}, "apn"),
        ({"hosts": (False, False), "name_server": False}, "operator-outage"),
        ({"hosts": (False, False), "name_server": False, "gateway": True, "throttled": True}, "throttled"),
        ({"hosts": (False, True), "name_server": False}, "none"),
        ({"hosts": (), "name_server": None, "gateway": None}, "none"),  # nobody looked
    ],
)
def test_the_first_broken_link_is_the_cause(change: dict[str, object], cause: str) -> None:
    values = {name: getattr(WELL, name) for name in WELL.__dataclass_fields__}
    assert cause_of(Evidence(**{**values, **change})) == cause
    assert cause in CAUSES


def test_evidence_from_the_daemons_word_and_a_reading() -> None:
    assert cause_of(evidence_of("absent", None)) == "usb-gone"
    assert cause_of(evidence_of("busy", None)) == "port-stolen"
    assert cause_of(evidence_of("hung", None)) == "modem-hung"
    reading = Reading(
        at_boot_s=1.0,
        sim=Sim(state="READY", lock="none"),
        registration=Registration(stat=1),
        signal=Signal(rsrp_dbm=-95),
        contexts=({"cid": 1, "address": None},),
    )
    assert cause_of(evidence_of("ready", reading)) == "apn"
    assert cause_of(evidence_of("ready", reading, hosts=(True, False))) == "none"
