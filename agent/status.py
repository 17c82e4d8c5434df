"""One consistent look at the whole agent: what `status` prints, what the reports are drawn from.

The daemon builds it on the loop, in one go, so that no two fields are of different moments. `to_dict()` is THE status
schema: the control socket, `--json` and the MQTT command `status` all carry it. A value that is unknown is None,
never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, cast

from agent.household.metered import Announced
from agent.mqtt.session_state import SessionState

if TYPE_CHECKING:
    from agent import status_schema as schema
    from agent.modem.reading import Reading
    from agent.plan import BillingPeriod, Decision, Moment, OperatorCount, Rates, Usage
    from agent.traffic.model import Link, ShaperState
    from agent.traffic.uplink import Mismatch
    from agent.update.verdict import Verdict

VERSION = 1  # of the status schema; a field may be added under it, never renamed or given a new meaning


def timestamp(when: datetime | None) -> str | None:
    """RFC 3339 in UTC, whole seconds: nothing that is reported needs finer."""
    return None if when is None else when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class SimHistory:
    """The card in the module against the contract and against the one before it; numbers masked."""

    foreign: bool = False  # it is not the contract's (plan.sim): what it carries is counted apart
    now: str = ""
    before: str = ""  # another card, in whose place it came
    since: datetime | None = None

    def to_dict(self) -> schema.SimHistory:
        return {"foreign": self.foreign, "now": self.now, "before": self.before, "since": timestamp(self.since)}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The agent at one moment, in the rooms' own values."""

    moment: Moment
    device: str
    version: str
    started_boot_s: float
    usage: Usage
    period: BillingPeriod
    decision: Decision
    modem_state: str = "absent"  # ready, absent, busy or hung
    cause: str = "none"  # what is wrong with the line: a name of agent.modem.cause.CAUSES
    modem_reason: str = ""  # why it is not ready, for a technician
    modem_tried: Sequence[str] = ()  # what the last opening found on each port that it asked
    pin_refusal: str = ""  # why the configured PIN is not tried, or what came of it
    sim: SimHistory = field(default_factory=SimHistory)
    reading: Reading | None = None  # None when nothing was ever read
    links: Sequence[Link] = ()
    operator_count: OperatorCount | None = None  # the newest of this period
    shaper: ShaperState | None = None
    session: SessionState = field(default_factory=SessionState)
    outbox_rows: int = 0  # reports not yet acknowledged by the broker
    outbox_dropped: int = 0  # measurements given up since the start of the agent
    faults: Mapping[str, int] = field(default_factory=dict)
    store_state: str = "ok"  # ok, read-only, full or damaged
    alarms: Sequence[str] = ()  # names of the alarms that are raised
    mismatch: Mismatch | None = None  # the links that count are not those that carry the traffic
    announced: Announced = field(default_factory=Announced)
    config_refused: str = ""  # why a newer configuration is not in force
    update: Verdict | None = None  # what became of the last update of the agent

    def to_dict(self) -> schema.Status:
        moment = self.moment
        return {
            "v": VERSION,
            "time": timestamp(moment.wall),
            "clk": moment.trust.value,
            "up": round(moment.boot_s),
            "boot": moment.boot_id,
            "device": self.device,
            "version": self.version,
            "agent_up_s": round(moment.boot_s - self.started_boot_s),
            "modem": self.modem(),
            "links": [_link(link) for link in self.links],
            "usage": usage_dict(self.usage),
            "period": _period(self.period),
            "plan": _decision(self.decision),
            "operator_count": operator_count_dict(self.operator_count),
            "shaper": _shaper(self.shaper),
            "session": self.session.to_dict(),
            "outbox": {"rows": self.outbox_rows, "dropped": self.outbox_dropped},
            "faults": dict(self.faults),
            "alarms": list(self.alarms),
            "store": self.store_state,
            "uplink": self.mismatch.to_dict() if self.mismatch else None,
            "announced": self.announced.to_dict(),
            "config_refused": self.config_refused or None,
            "update": self.update.to_dict() if self.update else None,
        }

    def modem(self) -> schema.Modem:
        """The module's part of it."""
        return {
            "state": self.modem_state,
            "reason": self.modem_reason,
            "cause": self.cause,
            "tried": list(self.modem_tried),
            "pin": self.pin_refusal,
            "sim": self.sim.to_dict(),
            "reading": self.reading.to_dict() if self.reading else None,
        }


def _link(link: Link) -> schema.Link:
    return {"ifname": link.ifname, "ifindex": link.ifindex, "kind": link.kind, "up": link.up, "mtu": link.mtu}


_USAGE = (
    "received_bytes",
    "sent_bytes",
    "charged_bytes",
    "management_bytes",
    "foreign_bytes",
    "allowance_bytes",
    "topup_bytes",
    "limit_bytes",
    "remaining_bytes",
    "correction_bytes",
    "percent",
)


def usage_dict(usage: Usage) -> schema.Usage:
    return cast("schema.Usage", {name: getattr(usage, name) for name in _USAGE})


def usage_of(status: schema.Status) -> schema.UsageAnswer:
    """The part that `usage` answers, from the agent or without one."""
    return {
        "v": status["v"],
        "time": status["time"],
        "clk": status["clk"],
        "usage": status["usage"],
        "period": status["period"],
        "plan": status["plan"],
        "operator_count": status["operator_count"],
    }


def operator_count_dict(count: OperatorCount | None) -> schema.OperatorCount | None:
    """`difference_bytes` is what the operator counted more; unknown while the clock here is not trusted."""
    if count is None:
        return None
    return {
        "source": count.source,
        "as_of": timestamp(count.as_of),
        "mode": "follow" if count.follow else "tell",
        "used_bytes": count.used_bytes,
        "own_bytes": count.own_bytes,
        "difference_bytes": None if count.own_bytes is None else count.difference_bytes,
    }


def _period(period: BillingPeriod) -> schema.Period:
    return {"label": period.label, "start": timestamp(period.start), "end": timestamp(period.end)}


def _rates(rates: Rates) -> schema.Rates:
    return {"down_bps": rates.down_bps, "up_bps": rates.up_bps}


def _decision(decision: Decision) -> schema.Decision:
    return {
        "state": str(decision.state),
        "reason": decision.reason,
        "since": timestamp(decision.since),
        "rates": _rates(decision.rates),
    }


def _shaper(shaper: ShaperState | None) -> schema.Shaper | None:
    if shaper is None:
        return None
    return {
        "state": str(shaper.state),
        "qdisc": shaper.qdisc,
        "rates": _rates(shaper.rates),
        "reason": shaper.reason,
        "advice": shaper.advice,
    }
