"""The state of a fleet: device messages in, one row a device out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agent.support.messages import Alarm, DeviceMessage, Plan, Presence

# `decision.state` of agent/plan/policy.py as reports.py writes it: the two in which the line is shaped.
SLOW = frozenset({"Throttled", "Forced"})
MOST_ALARMS = 64  # a device has some twenty kinds; one that invents names must not fill this memory


@dataclass(slots=True)
class Member:
    """What is known of one device."""

    device: str
    presence: str = "unknown"
    session: int = 0
    version: str = ""
    nonce: str = ""
    used_bytes: int | None = None
    limit_bytes: int | None = None
    state: str | None = None
    seen: datetime | None = None
    alarms: set[str] = field(default_factory=set)
    problem: str = ""  # why its last bad message was not understood

    def age_s(self, now: datetime) -> float | None:
        """How long ago it wrote its newest message that bears a time."""
        return None if self.seen is None else max(0.0, (now - self.seen).total_seconds())

    def to_dict(self, now: datetime) -> dict[str, object]:
        return {
            "device": self.device,
            "presence": self.presence,
            "session": self.session,
            "version": self.version,
            "used_bytes": self.used_bytes,
            "limit_bytes": self.limit_bytes,
            "state": self.state,
            "seen": self.seen.strftime("%Y-%m-%dT%H:%M:%SZ") if self.seen else "",
            "age_s": None if (age := self.age_s(now)) is None else int(age),
            "alarms": sorted(self.alarms),
            "problem": self.problem,
        }


class Fleet:
    """Presence is believed as agent/mqtt/README.md says: never the late will of an old session."""

    def __init__(self, devices: Iterable[str] = ()) -> None:
        self.members = {device: Member(device) for device in devices}

    def take(self, message: DeviceMessage) -> Member:
        """Note what a message says; returns the device's row."""
        member = self.members.setdefault(message.device, Member(message.device))
        if message.problem:
            member.problem = f"{message.topic}: {message.problem}"
            return member
        if message.time is not None and (member.seen is None or message.time > member.seen):
            member.seen = message.time
        match message.content:
            case Presence(state, session, version, nonce) if session >= member.session:
                member.presence, member.session, member.version, member.nonce = state, session, version, nonce
            case Alarm(_, True) if len(member.alarms) >= MOST_ALARMS:
                member.problem = f"more than {MOST_ALARMS} alarms"
            case Alarm(name, raised):
                (member.alarms.add if raised else member.alarms.discard)(name)
            case Plan(state, used, limit, _):
                member.state = state if state is not None else member.state
                member.used_bytes = used if used is not None else member.used_bytes
                member.limit_bytes = limit if limit is not None else member.limit_bytes
        return member

    def sorted(self) -> list[Member]:
        return [self.members[name] for name in sorted(self.members)]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are wanted; each that is set must hold."""

    lost: bool = False
    slow: bool = False
    alarm: bool = False
    silent_s: float | None = None

    def passes(self, member: Member, now: datetime) -> bool:
        return (
            (not self.lost or member.presence == "lost")
            and (not self.slow or member.state in SLOW)
            and (not self.alarm or bool(member.alarms))
            and (self.silent_s is None or _silent(member, self.silent_s, now))
        )


def _silent(member: Member, limit_s: float, now: datetime) -> bool:
    """Nothing written for so long; a device of unknown age is silent unless the broker holds its session."""
    age_s = member.age_s(now)
    return member.presence != "online" if age_s is None else age_s >= limit_s


_COUNTS: dict[str, Callable[[Member], bool]] = {
    "slow": lambda member: member.state in SLOW,
    "with alarms": lambda member: bool(member.alarms),
    "not understood": lambda member: bool(member.problem),
}


def counts(members: Sequence[Member]) -> dict[str, int]:
    """How many devices there are, of each presence, and of each kind that asks for attention."""
    presences = Counter(member.presence for member in members)
    kinds = {name: sum(map(holds, members)) for name, holds in _COUNTS.items()}
    return {"devices": len(members), **dict(sorted(presences.items())), **kinds}
