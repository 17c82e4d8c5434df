"""Result messages: what the operator reads on `cmd/{type}/{id}/res`. Pure.

`n` rises with each message of one command; exactly one message is final.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.command_schema import Result

ACCEPTED, RUNNING = "accepted", "running"
SUCCEEDED, FAILED, REJECTED = "succeeded", "failed", "rejected"
EXPIRED, CANCELLED, TIMED_OUT = "expired", "cancelled", "timed-out"
FINAL = frozenset({SUCCEEDED, FAILED, REJECTED, EXPIRED, CANCELLED, TIMED_OUT})

# USP error codes (TR-369, "Error Codes"); 7800 to 7999 are the vendor's.
OK = 0
MESSAGE_NOT_SUPPORTED = 7001
REQUEST_DENIED = 7002
INTERNAL_ERROR = 7003
INVALID_ARGUMENTS = 7004
RESOURCES_EXCEEDED = 7005
PERMISSION_DENIED = 7006
INVALID_VALUE = 7012
COMMAND_FAILURE = 7022
COMMAND_CANCELED = 7023
BAD_ARGUMENTS = 7027
TIME_LIMIT = 7800
NO_MODEM = 7801
TOO_LATE = 7802
NOT_SIGNED = 7803
REPLAYED = 7804

# Codes of a refusal: nothing was done. Any other code of a Rejected is a failure: something was tried.
REFUSALS = frozenset(
    {
        MESSAGE_NOT_SUPPORTED,
        REQUEST_DENIED,
        INVALID_ARGUMENTS,
        RESOURCES_EXCEEDED,
        PERMISSION_DENIED,
        INVALID_VALUE,
        BAD_ARGUMENTS,
        NOT_SIGNED,
        REPLAYED,
    }
)


def failure_state(code: int) -> str:
    """The final state of a command that ended with this code."""
    if code == TIME_LIMIT:
        return TIMED_OUT
    if code == TOO_LATE:
        return EXPIRED
    return REJECTED if code in REFUSALS else FAILED


def answer(
    *,
    id: str,
    type: str,
    n: int,
    state: str,
    code: int = OK,
    reason: str = "",
    progress: int | None = None,
    out: Mapping[str, object] | None = None,
) -> Result:
    """One result message, without the numbering that the outbox adds."""
    body: Result = {"id": id, "type": type, "n": n, "state": state, "code": code}
    if reason:
        body["reason"] = reason[:400]
    if progress is not None:
        body["progress"] = progress
    if out is not None:
        body["out"] = out
    return body
