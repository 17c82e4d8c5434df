"""What a check says about one link of the chain. Made by doctor_*.py, shown by the CLI."""

from __future__ import annotations

from dataclasses import dataclass

OK, UNKNOWN, WARNING, FAULT = "ok", "unknown", "warning", "fault"
LEVELS = (OK, UNKNOWN, WARNING, FAULT)  # rising


@dataclass(frozen=True, slots=True)
class Finding:
    """`text` is what is so, `advice` what to do about it: sentences for a technician, never a code alone."""

    level: str
    text: str
    advice: str = ""
    cause: str = ""  # a name of the recovery ladder, or one of the doctor's own for what the ladder cannot mend
    rank: int = 0  # the lowest of the worst level is the root; among equals the order of the chain decides


def ok(text: str) -> Finding:
    return Finding(OK, text)


def unknown(text: str) -> Finding:
    """Not looked at, because what it hangs on is broken or nobody could tell."""
    return Finding(UNKNOWN, text)


def warning(text: str, advice: str, cause: str, *, rank: int = 0) -> Finding:
    return Finding(WARNING, text, advice, cause, rank)


def fault(text: str, advice: str, cause: str, *, rank: int = 0) -> Finding:
    return Finding(FAULT, text, advice, cause, rank)
