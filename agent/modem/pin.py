"""Whether the SIM's PIN may be tried: at most once per value and card, never with the last attempt. Pure.

Three wrong PINs block a SIM, and a technician must drive out with the PUK. What was tried is remembered as a keyed
hash before it is tried, so that neither a crash nor a power cut repeats it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

KEEP = 16  # remembered values


def fingerprint(pin: str, iccid: str | None) -> str:
    """What is remembered instead of the PIN; the card's number keeps one device's list apart from another's."""
    return hashlib.blake2b(pin.encode(), key=(iccid or "unknown").encode()[:64], digest_size=8).hexdigest()


def is_pin(value: str) -> bool:
    """4 to 8 decimal digits (3GPP TS 11.11, 9.3)."""
    return value.isascii() and value.isdigit() and 4 <= len(value) <= 8


def refusal(lock: str | None, pin: str, attempts: int | None, iccid: str | None, tried: Sequence[str]) -> str:
    """Why the PIN must not be tried now; "" when it may."""
    if lock != "sim-pin":
        return f"the SIM asks for {lock or 'nothing known'}, not for its PIN"
    if not is_pin(pin):
        return "the PIN file holds no PIN of 4 to 8 digits"
    if fingerprint(pin, iccid) in tried:
        return "this PIN was tried before and is not tried again"
    if attempts is None:
        return "the module does not say how many attempts are left"
    return "" if attempts >= 2 else f"only {attempts} attempt left, which is kept for a person"


def remembered(tried: Sequence[str], pin: str, iccid: str | None) -> list[str]:
    """The list with this value added."""
    return [*tried, fingerprint(pin, iccid)][-KEEP:]
