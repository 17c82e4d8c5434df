"""The billing period: local midnight of the billing day, in a named zone or a POSIX TZ string."""

from __future__ import annotations


def zone_problem(name: str) -> str | None:
    """Why a zone cannot be used, or None if it can."""
    return None if name else "empty"
