"""Identifiers made unreadable for logs and bundles: IMEI, IMSI, ICCID and phone numbers (design, rule 7)."""

from __future__ import annotations

import re

# 14 to 20 digits: IMEI, IMSI, ICCID; a + and 8 to 15 digits: a phone number. The first six digits name the maker or
# operator and stay, the last two tell one device from another on a desk.
_LONG = re.compile(r"(?<![0-9A-Za-z.])([0-9]{6})([0-9A-Fa-f]{6,12})([0-9A-Fa-f]{2})(?![0-9A-Za-z.])")
_PHONE = re.compile(r"(\+[0-9]{2})([0-9]{4,11})([0-9]{2})(?![0-9])")
_AUTH = re.compile(  # user and password of a context, in whatever order the maker wants them
    r"([+^#$](?:CGAUTH|AUTHDATA|QCPDPP|PDPAUTH|UAUTHREQ|ZGPCOAUTH|QICSGP)\s*=\s*[0-9]+,)(.+)", re.IGNORECASE
)
_PIN = re.compile(r"(\+CPIN\s*=\s*|\+CLCK\s*=\s*\"SC\",[0-9],|\+CPWD\s*=\s*\"SC\",)(.+)", re.IGNORECASE)


def masked(text: str) -> str:
    """The text with every identifier's middle, and every PIN and password, replaced by stars."""
    text = _AUTH.sub(lambda m: m[1] + "***", _PIN.sub(lambda m: m[1] + "***", text))
    text = _LONG.sub(lambda m: m[1] + "*" * len(m[2]) + m[3], text)
    return _PHONE.sub(lambda m: m[1] + "*" * len(m[2]) + m[3], text)
