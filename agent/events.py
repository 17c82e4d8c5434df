"""What the parts of the running agent report to one another: each kind a frozen value, all in this file.

A part is handed `emit` when it is made, and knows nobody who acts on what it emits. `agent.daemon.app` says in one
`match` who does. What is emitted before that stands waits in `Events`, in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, Union

if TYPE_CHECKING:
    from agent.household.metered import Announced
    from agent.modem.reading import Reading
    from agent.mqtt.session_state import SessionState
    from agent.plan import Decision, Notice
    from agent.traffic.model import Link, LinkEvent, ShaperState
    from agent.traffic.proof import Verdict
    from agent.traffic.uplink import Mismatch


@dataclass(frozen=True, slots=True)
class Progressed:
    """A task has made progress, and will again within so many seconds."""

    task: str
    within_s: float


# -- counting and plan


@dataclass(frozen=True, slots=True)
class LedgerChanged:
    """By a command: a top-up, a reset. What is counted changes it without a word."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A change reached the disk or was refused by it: what the store says of the disk may be another."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """The plan has something to say to household and operator."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class Decided:
    """The plan's state, its rates or the period are others."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The plan was held against the ledger: after each reading of the counters, and after a command."""


@dataclass(frozen=True, slots=True)
class SpeedJudged:
    """The line became faster than plan.max_bps says, or with None ceased to be."""

    details: Mapping[str, str | int] | None


@dataclass(frozen=True, slots=True)
class Charged:
    """So much of what the line carries was the device's own traffic."""

    received_bytes: int
    sent_bytes: int


# -- links and shaping


@dataclass(frozen=True, slots=True)
class Shaped:
    """The links or what shapes them are others."""

    links: tuple[Link, ...]
    state: ShaperState


@dataclass(frozen=True, slots=True)
class ShapingJudged:
    """The counters have shown whether the shaping bites."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class UplinkJudged:
    """The links that count are not those that carry the traffic; with None they are again."""

    mismatch: Mismatch | None


# -- module and line


@dataclass(frozen=True, slots=True)
class UnsolicitedLine:
    """The module said something unasked."""

    text: str


@dataclass(frozen=True, slots=True)
class PortLost:
    """The module's port left the bus."""


@dataclass(frozen=True, slots=True)
class ModemRead:
    """The module was polled."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class ModemChanged:
    """The module came, went, or says something that is worth a report of its own."""


@dataclass(frozen=True, slots=True)
class LineJudged:
    """What is wrong with the line is another thing: a name of agent.modem.cause."""

    cause: str


@dataclass(frozen=True, slots=True)
class PinRefused:
    """Why the configured PIN is not tried, or what came of it; empty when all is well again."""

    reason: str


# -- operator


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """The session with the broker looks another way."""

    state: SessionState


@dataclass(frozen=True, slots=True)
class NonceUsedUp:
    """It has let in as many commands as the journal can know again."""


@dataclass(frozen=True, slots=True)
class RetainedLost:
    """The broker has nothing of what was retained there."""


@dataclass(frozen=True, slots=True)
class AlarmsChanged:
    """Other alarms are raised; their names."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignalsAnnounced:
    """What the devices of the house are told of the line's cost, and what is in the way of it."""

    announced: Announced


@dataclass(frozen=True, slots=True)
class RebirthAsked:
    """The operator wants everything reported anew."""


Occurrence: TypeAlias = Union[
    "Progressed",
    "LedgerChanged",
    "Saved",
    "Noticed",
    "Decided",
    "Reviewed",
    "SpeedJudged",
    "Charged",
    "LinkEvent",
    "Shaped",
    "ShapingJudged",
    "UplinkJudged",
    "UnsolicitedLine",
    "PortLost",
    "ModemRead",
    "ModemChanged",
    "LineJudged",
    "PinRefused",
    "SessionChanged",
    "NonceUsedUp",
    "RetainedLost",
    "AlarmsChanged",
    "SignalsAnnounced",
    "RebirthAsked",
]
Emit = Callable[[Occurrence], None]


def unheard(event: Occurrence) -> None:
    """The `emit` of a part that runs alone."""


class Events:
    """Where everything that is emitted passes; it waits until `dispatch_to` names who acts on it."""

    def __init__(self) -> None:
        self._waiting: list[Occurrence] = []
        self._dispatch: Emit = self._waiting.append

    def emit(self, event: Occurrence) -> None:
        self._dispatch(event)

    def dispatch_to(self, dispatch: Emit) -> None:
        """From now on, and what has waited first."""
        self._dispatch = dispatch
        for event in self._waiting:
            dispatch(event)
        self._waiting.clear()
