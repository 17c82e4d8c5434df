"""How long to wait before the next attempt to reach the broker. Pure but for the dice, which are handed in.

Full jitter: a uniform share of a doubling ceiling, so that twelve thousand devices that lost the broker in the same
second come back spread out. What the broker itself asked for is obeyed first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from random import Random

from agent.backoff import Backoff

# MQTT 5 reason codes, section 2.4 of the standard.
UNSUPPORTED_PROTOCOL = 0x84
BAD_CREDENTIALS = 0x86
NOT_AUTHORIZED = 0x87
SERVER_BUSY = 0x89
BANNED = 0x8A
BAD_METHOD = 0x8C
SESSION_TAKEN_OVER = 0x8E
QUOTA_EXCEEDED = 0x97
USE_ANOTHER_SERVER = 0x9C
SERVER_MOVED = 0x9D
RATE_EXCEEDED = 0x9F

OVERLOADED = frozenset({SERVER_BUSY, QUOTA_EXCEEDED, RATE_EXCEEDED})
REFUSED = frozenset({BAD_CREDENTIALS, NOT_AUTHORIZED, BANNED, BAD_METHOD})
ELSEWHERE = frozenset({USE_ANOTHER_SERVER, SERVER_MOVED})


class End(str, Enum):
    """How an attempt or a session ended."""

    UNREACHABLE = "unreachable"  # no TCP, no TLS, or no CONNACK
    REFUSED = "refused"  # CONNACK with a failure code
    LOST = "lost"  # was connected; the network or the broker ended it
    SILENT = "silent"  # was connected; the broker no longer answered
    STOPPED = "stopped"  # we ended it


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one attempt."""

    end: End
    code: int = 0  # MQTT reason code, 0 when there was none
    reason: str = ""
    lasted_s: float = 0.0  # from CONNACK to the end
    server: str = ""  # MQTT 5 Server Reference


class Reconnection:
    """Delays between attempts, growing from `base_s` to `cap_s`."""

    STABLE_S = 30.0  # a session that lived this long was a success
    TAKEOVERS = 3  # so many short sessions in a row are two clients with one id fighting

    def __init__(self, *, base_s: float = 1.0, cap_s: float = 900.0, refused_s: float = 3600.0, dice: Random) -> None:
        self.base_s, self.cap_s, self.refused_s = base_s, cap_s, refused_s
        self._dice, self._ceiling = dice, Backoff(base_s, cap_s)
        self.short_sessions = 0

    @property
    def attempts(self) -> int:
        """Failures since the last stable session."""
        return self._ceiling.attempts

    def after(self, outcome: Outcome) -> float:
        """Seconds until the next attempt."""
        stable = outcome.end in (End.LOST, End.SILENT) and outcome.lasted_s >= self.STABLE_S
        if stable:
            self.short_sessions = 0
            self._ceiling.reset()
        elif outcome.lasted_s > 0:
            self.short_sessions += 1
        if outcome.code in ELSEWHERE and outcome.server:
            return self._dice.uniform(0, self.base_s)
        if outcome.code in OVERLOADED:
            return self._dice.uniform(self.cap_s / 2, self.cap_s)
        if outcome.code in REFUSED:
            return self._dice.uniform(self.refused_s / 2, self.refused_s)
        if outcome.code == SESSION_TAKEN_OVER and self.short_sessions >= self.TAKEOVERS:
            return self._dice.uniform(self.cap_s / 2, self.cap_s)
        return self._dice.uniform(0, self._ceiling.next_s())
