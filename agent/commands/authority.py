"""Who may ask for what: the role that an envelope is granted, or Rejected.

Without a keys file the broker's ACL is the authority, and whatever reaches the topic may run (role `admin`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.commands.envelope import Envelope
from agent.plan.model import Moment


@dataclass(frozen=True, slots=True)
class Grant:
    """What the checks found: who asks, in which role, and the counter to remember so that a replay fails."""

    issuer: str
    role: str
    counter: int | None = None


class Authority(Protocol):
    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, last_counter: int) -> Grant:
        """Raises Rejected when the envelope is not to be believed."""
        ...


class BrokerAuthority:
    """The broker's ACL alone decides."""

    def grant(self, envelope: Envelope, moment: Moment, *, nonce: str, last_counter: int) -> Grant:
        return Grant(envelope.issuer, "admin")
