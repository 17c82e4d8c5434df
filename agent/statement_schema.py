"""A month's statement as JSON, field by field, for the type checker: nothing imports this at run time.

`agent.household.statement` composes it, the store seals it, statement_page.py prints it.
"""

from __future__ import annotations

from typing import TypedDict

from agent.status_schema import OperatorCount, Period


class StatementPeriod(Period):
    timezone: str


class TopUp(TypedDict):
    bytes: int
    granted: str | None


class DayBytes(TypedDict):
    day: str
    bytes: int


class Mark(TypedDict):
    kind: str
    percent: int
    at: str | None


class Gap(TypedDict):
    cause: str
    number: int
    at_most_bytes: int


class _Chained(TypedDict, total=False):
    before: str  # the hash of the statement before, once it is sealed


class Statement(_Chained):
    v: int
    device: str
    version: str
    final: bool
    period: StatementPeriod
    allowance_bytes: int
    topups: list[TopUp]
    limit_bytes: int
    forgiven_bytes: int
    received_bytes: int
    sent_bytes: int
    own_bytes: int
    exempt_bytes: int
    correction_bytes: int
    used_bytes: int
    operator: OperatorCount | None
    days: list[DayBytes]
    marks: list[Mark]
    gaps: list[Gap]
    billed: int


class _Version(TypedDict, total=False):
    v: int


class Answer(_Version):
    """Of `usage.statement`; `n` and `hash` are None for a month that is not sealed."""

    n: int | None
    hash: str | None
    statement: Statement
