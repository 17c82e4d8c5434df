"""What the session with the broker looks like from outside; shown by `status` and judged by the supervisor."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from agent.status_schema import Session


@dataclass(frozen=True, slots=True)
class SessionState:
    """One look at the session. Boot times are seconds of CLOCK_BOOTTIME."""

    connected: bool = False
    since_boot_s: float | None = None  # when `connected` last changed
    proved: bool = False  # in this session the broker took the subscription and a report on the device's own topic
    session: int = 0  # number of the present or last session, as in the `status` topic
    broker: str = ""  # host:port
    peer: tuple[str, int] | None = None  # address and port that this name led to, kept over a broken connection
    protocol: str = ""  # 5 or 3.1.1
    heard_boot_s: float | None = None  # when bytes of the broker last came in
    last_error: str = ""  # why the last session ended or the last attempt failed
    attempts: int = 0  # failed attempts since the last success
    agent_bytes: int = 0  # on the wire today, both directions, TLS, TCP and IP headers included
    budget_bytes: int = 0  # what a day may cost
    beat_s: float = 0.0  # the beat as the budget allows it now
    keepalive_s: int = 0  # as adapted or as the broker asked
    certificate_ends: str | None = None  # of this device's own, RFC 3339; none: it has none, or it cannot be read

    @property
    def standing(self) -> tuple[object, ...]:
        """What is worth a look at once; the rest are figures that move all day."""
        return self.connected, self.proved, self.session, self.peer, self.last_error

    def to_dict(self) -> Session:
        return cast("Session", asdict(self))
