"""The billing state of one household, as a value: what was counted, in which period, and what the operator granted.

Called by the daemon, which hands in samples and moments and keeps the newest Ledger. Nothing here reads a clock or a
file; every change gives a new Ledger. What is counted while the clock cannot be trusted waits in `pending` with its
boot time (it counts against the period under way) until `settle` can tell on which side of a boundary it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from agent.errors import PlanError
from agent.plan.counters import Last
from agent.plan.model import Moment, Plan
from agent.plan.period import BillingPeriod, plan_period

REMEMBERED_IDS = 64
MARKS_KEPT = 40  # of a period
HOURS_TOGETHER = 12  # packed with so many the row still fits a page of the database


@dataclass(frozen=True, slots=True)
class TopUp:
    """Bytes that the operator adds. Without `expires` they end with the billing period in which they were granted."""

    id: str
    amount_bytes: int
    expires: datetime | None
    by: str
    granted: datetime
    boot_id: str = ""  # and by boot time, since the wall clock of that moment may have been wrong
    boot_s: float = 0.0
    unsure: bool = False  # granted on a clock that was not trusted
    charged_bytes: int = 0  # what the period had used by then, by the own count


@dataclass(frozen=True, slots=True)
class Override:
    """The operator's word over the plan's. Nothing of it ever cuts the line.

    lift: full speed whatever was used; without `expires` it ends with the billing period.
    force: the slowest step whatever was used. suspend: the plan is suspended, counting goes on and nothing is shaped.
    Both last until they expire or are taken back.
    """

    mode: str  # lift, force or suspend
    reason: str
    by: str
    expires: datetime | None = None
    granted: datetime | None = None
    boot_id: str = ""  # as of a top-up
    boot_s: float = 0.0
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes that passed between two instants of boot time, the wall time of which is not yet known."""

    boot_id: str
    start_s: float
    end_s: float
    received_bytes: int
    sent_bytes: int
    foreign: bool = False  # a card that is not the contract's was in the module


@dataclass(frozen=True, slots=True)
class HourBytes:
    """Bytes on their way into the history: an hour (UTC), the local day and the billing period it falls in."""

    hour: datetime
    day: str
    period: str
    received_bytes: int
    sent_bytes: int
    foreign_received_bytes: int = 0  # of it over a card that is not the contract's
    foreign_sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OperatorCount:
    """What the operator's meter had counted of a period by one instant, and what was counted here by then."""

    source: str  # which of the operator's meters
    as_of: datetime
    used_bytes: int
    follow: bool  # the difference corrects what is used; else it is shown beside it
    own_bytes: int | None = None  # None: not known before the clock is trusted
    unfinished: bool = False  # the hour of `as_of` was not over: the own count is made exact when it is
    apart: int = 0  # so many counts in a row were far from the own one
    period: str = ""  # of one that waits for the clock
    unlimited: bool = False  # an admin's, of one that waits

    @property
    def difference_bytes(self) -> int:
        """What the operator counted more; negative where he counted less."""
        return 0 if self.own_bytes is None else self.used_bytes - self.own_bytes


def newest(counts: tuple[OperatorCount, ...]) -> OperatorCount | None:
    return max(counts, key=lambda count: (count.as_of, count.source, count.follow), default=None)


def correction_bytes(counts: tuple[OperatorCount, ...]) -> int:
    """What the newest count that is to be followed adds to what is used, or takes off it."""
    followed = newest(tuple(count for count in counts if count.follow))
    return followed.difference_bytes if followed else 0


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that the household was told, and when by a clock that was trusted: a line of its statement."""

    kind: str  # warning, throttled or restored
    percent: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Gap:
    """What of a period could not be counted, at most."""

    cause: str  # restart: what was not yet written; refused: more than the line can carry
    number: int
    at_most_bytes: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The period before this one, kept so that a roll on a wrong clock can be undone to the byte."""

    period: BillingPeriod
    received_bytes: int
    sent_bytes: int
    management_received_bytes: int
    management_sent_bytes: int
    forgiven_bytes: int
    topups: tuple[TopUp, ...]
    warned: tuple[int, ...]
    advance_bytes: int = 0
    short_end: datetime | None = None
    foreign_received_bytes: int = 0
    foreign_sent_bytes: int = 0
    operator_counts: tuple[OperatorCount, ...] = ()
    marks: tuple[Mark, ...] = ()
    gaps: tuple[Gap, ...] = ()
    before: Closed | None = None  # and the one before it: a clock may be wrong by more than one


@dataclass(frozen=True, slots=True)
class Anchor:
    """A trusted pair of wall and boot time; `since_s` is when trusted time began to agree with itself."""

    boot_id: str
    boot_s: float
    wall: datetime
    since_s: float


@dataclass(frozen=True, slots=True)
class Witness:
    """The module's counters and the ledger's totals at the same moment."""

    boot_id: str
    received_bytes: int
    sent_bytes: int
    ledger_received_bytes: int
    ledger_sent_bytes: int
    drift_bytes: int = 0
    seen_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """When the agent last looked at all links, and the highest number that one had."""

    boot_id: str
    boot_s: float
    newest_ifindex: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What was used in the billing period under way, and all that must be known to go on from there."""

    period: BillingPeriod
    rule: str = ""  # billing day, zone and start of contract that the period was made by
    received_bytes: int = 0  # of this period, settled
    sent_bytes: int = 0
    management_received_bytes: int = 0  # of it the agent's own traffic
    management_sent_bytes: int = 0
    foreign_received_bytes: int = 0  # of it what a card carried that is not the contract's
    foreign_sent_bytes: int = 0
    forgiven_bytes: int = 0  # used beyond the limit before a top-up came, which the top-up need not pay for
    advance_bytes: int = 0  # of this allowance, used in a short period before (settling.py)
    short_end: datetime | None = None  # when the last short period ended that was given a whole allowance
    total_received_bytes: int = 0  # since the installation; only ever grows
    total_sent_bytes: int = 0
    refused_bytes: int = 0
    refused_readings: int = 0
    resets: int = 0
    recovered_bytes: int = 0  # from the module's counters, after power cuts
    witness: Witness | None = None
    provisional: bool = False  # no trusted moment was ever seen: the period is a guess
    fresh: bool = False  # a fresh installation: a link that already runs gives a baseline
    started_boot_id: str = ""
    started_s: float = 0.0
    latest: datetime | None = None  # the newest trusted wall time: the clock's floor
    links: tuple[Last, ...] = ()  # those that count, and those lately deleted
    watch: Watch | None = None
    pending: tuple[Span, ...] = ()
    hours: tuple[HourBytes, ...] = ()  # not yet in the history
    topups: tuple[TopUp, ...] = ()
    lapsed: tuple[TopUp, ...] = ()  # the last that expired, should the clock prove wrong by which they did
    topup_ids: tuple[str, ...] = ()
    override: Override | None = None
    operator_counts: tuple[OperatorCount, ...] = ()  # of this period, the newest of each source and mode
    waiting_counts: tuple[OperatorCount, ...] = ()  # of an instant that is not yet placed
    previous: Closed | None = None
    anchor: Anchor | None = None
    foreign: bool = False  # the card in the module is not the contract's
    sim: str = ""  # the card that was read last, and the one before it (agent.plan.sim.label)
    sim_before: str = ""
    sim_since: datetime | None = None  # when it took the other's place
    warned: tuple[int, ...] = ()  # percentages already told in this period
    marks: tuple[Mark, ...] = ()  # and when, with what slowed the line and gave it back
    gaps: tuple[Gap, ...] = ()  # of this period
    told_period: str = ""
    told_state: str = ""
    told_since: datetime | None = None  # when the line came to that state, by a trusted clock

    @staticmethod
    def new(plan: Plan, moment: Moment) -> Ledger:
        """A fresh installation: what an interface carried before it is nobody's business."""
        return Ledger(
            period=plan_period(plan, moment.wall),
            rule=rule_of(plan),
            provisional=not moment.trusted,
            fresh=True,
            started_boot_id=moment.boot_id,
            started_s=moment.boot_s,
        )

    @property
    def counted_bytes(self) -> int:
        """All bytes of this period in both directions, those not yet placed included."""
        return sum(self.counted())

    def to_dict(self) -> dict[str, object]:
        from agent.plan.ledger_record import to_dict

        return to_dict(self)

    @staticmethod
    def from_dict(data: dict[str, object]) -> Ledger:
        from agent.plan.ledger_record import from_dict

        return from_dict(data)

    @property
    def foreign_bytes(self) -> tuple[int, int]:
        """Received and sent over a card that is not the contract's."""
        waiting = [span for span in self.pending if span.foreign]
        received = self.foreign_received_bytes + sum(span.received_bytes for span in waiting)
        return received, self.foreign_sent_bytes + sum(span.sent_bytes for span in waiting)

    def counted(self) -> tuple[int, int]:
        received = self.received_bytes + sum(s.received_bytes for s in self.pending)
        return received, self.sent_bytes + sum(s.sent_bytes for s in self.pending)


def with_gap(gaps: tuple[Gap, ...], *more: Gap) -> tuple[Gap, ...]:
    """Those of one cause together."""
    by_cause = {gap.cause: gap for gap in gaps}
    for gap in more:
        old = by_cause.get(gap.cause, Gap(gap.cause, 0, 0))
        by_cause[gap.cause] = Gap(gap.cause, old.number + gap.number, old.at_most_bytes + gap.at_most_bytes)
    return tuple(by_cause.values())


def rule_of(plan: Plan) -> str:
    return f"{plan.billing_day} {plan.timezone} {plan.contract_start or ''}".strip()


def charge_management(ledger: Ledger, received_bytes: int, sent_bytes: int) -> Ledger:
    """Note how much of what was counted was the agent's own traffic; the plan says whether it is charged. What went
    over a foreign card is counted apart already."""
    if ledger.foreign:
        return ledger
    return replace(
        ledger,
        management_received_bytes=ledger.management_received_bytes + max(0, received_bytes),
        management_sent_bytes=ledger.management_sent_bytes + max(0, sent_bytes),
    )


def charged_bytes(ledger: Ledger, plan: Plan) -> int:
    """What uses up the allowance: the own count, corrected by the operator's where that is followed."""
    return max(0, own_charged_bytes(ledger, plan) + correction_bytes(ledger.operator_counts))


def own_charged_bytes(ledger: Ledger, plan: Plan) -> int:
    """What of the bytes counted here uses up the allowance."""
    received, sent = (all_ - foreign for all_, foreign in zip(ledger.counted(), ledger.foreign_bytes, strict=True))
    if not plan.charge_management:
        received -= ledger.management_received_bytes
        sent -= ledger.management_sent_bytes
    return max(0, by_direction(received, sent, plan))


def by_direction(received_bytes: int, sent_bytes: int, plan: Plan) -> int:
    return {"sum": received_bytes + sent_bytes, "received": received_bytes, "sent": sent_bytes}[plan.charge]


def limit_bytes(ledger: Ledger, plan: Plan) -> int:
    """The allowance with all that was added to it, and less what a short period has used of it."""
    return _own_bytes(ledger, plan) + sum(t.amount_bytes for t in ledger.topups)


def beyond_bytes(ledger: Ledger, plan: Plan) -> int:
    """What was used of the top-ups, or past everything."""
    return max(0, charged_bytes(ledger, plan) - _own_bytes(ledger, plan))


def _own_bytes(ledger: Ledger, plan: Plan) -> int:
    """The period's limit without top-ups. An allowance that was made smaller in the meantime still leaves one byte."""
    return max(1, plan.allowance_bytes - ledger.advance_bytes) + ledger.forgiven_bytes


def top_up(ledger: Ledger, topup: TopUp, plan: Plan) -> Ledger:
    """Grant a top-up; it counts from now, whatever was used at the slow rate before. Raises PlanError."""
    allowed = 10 * plan.allowance_bytes
    if not topup.id:
        raise PlanError("a top-up needs an id")
    if topup.id in ledger.topup_ids:
        raise PlanError(f"top-up {topup.id} was granted before")
    if isinstance(topup.amount_bytes, bool) or not 0 < topup.amount_bytes <= allowed:
        raise PlanError(f"top-up of {topup.amount_bytes} bytes: allowed are 1 to {allowed}")
    if sum(t.amount_bytes for t in ledger.topups) + topup.amount_bytes > 2 * allowed:
        raise PlanError(f"top-up of {topup.amount_bytes} bytes: with those before it passes {2 * allowed} bytes")
    if topup.expires is not None and topup.expires <= topup.granted:
        raise PlanError(f"top-up {topup.id} would end ({topup.expires:%Y-%m-%d %H:%M}) before it begins")
    beyond = max(0, charged_bytes(ledger, plan) - limit_bytes(ledger, plan))
    return replace(
        ledger,
        topups=(*ledger.topups, replace(topup, charged_bytes=own_charged_bytes(ledger, plan))),
        topup_ids=(*ledger.topup_ids, topup.id)[-REMEMBERED_IDS:],
        forgiven_bytes=ledger.forgiven_bytes + beyond,
    )


def override(ledger: Ledger, wanted: Override | None, now: datetime | None = None) -> Ledger:
    """Put the operator's word above the plan's, or take it back (None). Raises PlanError."""
    if wanted is not None and wanted.mode not in ("lift", "force", "suspend"):
        raise PlanError(f"override {wanted.mode!r}: allowed are lift, force, suspend")
    if wanted is not None and wanted.expires is not None and now is not None and wanted.expires <= now:
        raise PlanError(f"override {wanted.mode} would end ({wanted.expires:%Y-%m-%d %H:%M}) before it begins")
    return replace(ledger, override=wanted)


def closed_hours(ledger: Ledger) -> tuple[HourBytes, ...]:
    """Hours that go to the history with the next commit: none until HOURS_TOGETHER are closed, for three tables change
    when they do. The newest stays: its row alone is written while it fills."""
    newest = max((h.hour for h in ledger.hours), default=None)
    closed = tuple(h for h in ledger.hours if h.hour != newest)
    return closed if len(closed) >= HOURS_TOGETHER else ()


def added(old: HourBytes, new: HourBytes, sign: int = 1) -> HourBytes:
    """Two counts of one hour together, or with -1 what the first has more."""
    return replace(
        old,
        received_bytes=old.received_bytes + sign * new.received_bytes,
        sent_bytes=old.sent_bytes + sign * new.sent_bytes,
        foreign_received_bytes=old.foreign_received_bytes + sign * new.foreign_received_bytes,
        foreign_sent_bytes=old.foreign_sent_bytes + sign * new.foreign_sent_bytes,
    )


def committed(ledger: Ledger, written: Ledger) -> Ledger:
    """The ledger after `written` reached the disk: its closed hours are in the history now, later bytes of them not."""
    gone = {(h.hour, h.day, h.period): h for h in closed_hours(written)}
    left = []
    for hour in ledger.hours:
        old = gone.get((hour.hour, hour.day, hour.period))
        rest = added(hour, old, -1) if old else hour
        if rest.received_bytes or rest.sent_bytes:
            left.append(rest)
    return replace(ledger, hours=tuple(left))
