"""From evidence to one named cause: why the line is down, or that it is not. Pure.

The chain is looked at in the order in which one link hangs on another; the first that is broken is the cause. What
nobody could tell is None and breaks nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.at.standard.registration import PERMANENT_CAUSES, REGISTERED
from agent.modem.reading import Reading

CAUSES = (
    "usb-gone",
    "port-stolen",
    "modem-hung",
    "sim-missing",
    "sim-locked",
    "registration-denied",
    "no-coverage",
    "apn",
    "throttled",
    "operator-outage",
    "none",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of each link of the chain. None: nobody could tell."""

    present: bool | None = None  # the port is on the bus
    busy: bool | None = None  # another process holds it
    answers: bool | None = None  # AT gets its OK
    sim_lock: str | None = None  # none, sim-pin, sim-puk, not-inserted, …
    sim_state: str | None = None
    stat: int | None = None  # registration of the domain that serves data
    reject_cause: int | None = None
    level_dbm: float | None = None  # RSRP, RSCP or RSSI: whether a cell is heard at all
    attached: bool | None = None
    address: bool | None = None  # the network gave an IP address
    gateway: bool | None = None
    name_server: bool | None = None
    hosts: tuple[bool, ...] = ()  # independent hosts that answered or not
    throttled: bool = False  # the plan slows the line: slow answers are meant

    @property
    def online(self) -> bool | None:
        """Whether anything beyond the module answers."""
        if any(self.hosts) or self.name_server:
            return True
        return False if self.hosts or self.name_server is False else None


def evidence_of(
    state: str, reading: Reading | None, *, hosts: tuple[bool, ...] = (), name_server: bool | None = None,
    gateway: bool | None = None, address: bool | None = None, throttled: bool = False,
) -> Evidence:  # fmt: skip
    """From the daemon's word for the module (ready, absent, busy, hung), its last reading, and what probes found."""
    if state != "ready" or reading is None:
        return Evidence(
            present=state != "absent",
            busy=state == "busy",
            answers=False if state == "hung" else None,
            address=address,
            gateway=gateway,
            name_server=name_server,
            hosts=hosts,
            throttled=throttled,
        )
    signal = reading.signal
    level = next((v for v in (signal.rsrp_dbm, signal.rscp_dbm, signal.rssi_dbm) if v is not None), None)
    known = bool(reading.contexts)
    return Evidence(
        present=True,
        busy=False,
        answers=True,
        sim_lock=reading.sim.lock,
        sim_state=reading.sim.state,
        stat=reading.registration.stat,
        reject_cause=reading.registration.reject_cause,
        level_dbm=level,
        attached=reading.attached,
        address=reading.address is not None if address is None and known else address,
        gateway=gateway,
        name_server=name_server,
        hosts=hosts,
        throttled=throttled,
    )


def cause_of(evidence: Evidence) -> str:
    """One name of CAUSES."""
    return _port(evidence) or _card(evidence) or _radio(evidence) or _line(evidence) or "none"


def _port(evidence: Evidence) -> str | None:
    if evidence.busy:
        return "port-stolen"
    if evidence.present is False:
        return "usb-gone"
    return "modem-hung" if evidence.answers is False else None


def _card(evidence: Evidence) -> str | None:
    if evidence.sim_lock == "not-inserted" or evidence.sim_state in ("not-inserted", "NOT INSERTED"):
        return "sim-missing"
    if evidence.sim_lock in (None, "none", "sim-pin2", "sim-puk2", "not-ready"):
        return None
    return "sim-locked"


def _radio(evidence: Evidence) -> str | None:
    if evidence.stat is None or evidence.stat in REGISTERED:
        return None
    if evidence.stat == 3 or evidence.reject_cause in PERMANENT_CAUSES:
        return "registration-denied"
    if evidence.online:
        return None  # SMS-only in one domain and data all the same
    return "no-coverage"


def _line(evidence: Evidence) -> str | None:
    if evidence.online:
        return None
    if evidence.address is False or evidence.attached is False:
        return "apn"
    if evidence.online is False:
        return "throttled" if evidence.throttled and (evidence.gateway or evidence.name_server) else "operator-outage"
    return None
