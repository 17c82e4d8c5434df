"""What the journal and the audit trail keep of a command, field by field, for the type checker: nothing imports this at
run time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from agent.status_schema import Event, Stored


class Result(TypedDict, total=False):
    """A result message (agent/commands/results.py), without the outbox's numbering; empty before the first."""

    id: str
    type: str
    n: int
    state: str
    code: int
    reason: str
    progress: int
    out: Mapping[str, object]


class AuditEntry(TypedDict):
    """Who asked for what, and what came of it (agent/commands/audit.py), without the chain that the store adds."""

    up: int
    boot: str
    time: str
    clk: str
    what: str
    type: str
    id: str
    issuer: str
    role: str
    code: int
    reason: str


class ChainedEntry(AuditEntry):
    n: int
    before: str
    hash: str


class Log(TypedDict, total=False):
    """The answer of `log.get`, or what the store holds of it."""

    v: int
    events: list[Event]
    audit: list[ChainedEntry]
    broken: int | None
    stored: Stored


class Request(TypedDict, total=False):
    """A command on its way to a device (agent/commands/envelope.py)."""

    v: int
    id: str
    type: str
    args: Mapping[str, object]
    ttl: int
    iat: int
    exp: int
    iss: str
    aud: str
    nonce: str


class Rule(TypedDict, total=False):
    """The schema of one argument: the subset of JSON Schema that agent/commands/arguments.py knows, and `required`."""

    type: str
    enum: Sequence[str]
    minimum: float
    maximum: float
    minLength: int
    maxLength: int
    pattern: str
    default: object
    required: bool
    help: str
