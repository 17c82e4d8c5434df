"""Final result codes (V.250 clause 5.7.1, 27.007 clause 9, 27.005 clause 3.2.5) and what vendors use in their place.

Matched on whole lines only: an operator called OKTEL, an SMS that says ERROR or +QIND: PB DONE ends nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.at.standard.error_codes import cme_number, cms_number


@dataclass(frozen=True, slots=True)
class Final:
    """A final result code: its name, its number (or the text in its place), and whether it means success."""

    name: str  # OK, ERROR, CME, CMS, EXT, NO CARRIER, …
    code: int | str | None = None
    text: str = ""  # as received

    @property
    def ok(self) -> bool:
        return self.name in ("OK", "CONNECT")

    @property
    def unsupported(self) -> bool:
        """Errors that say `I do not know this command` (27.007 9.2: 3, 4, 50, 100), unlike those of a missing SIM."""
        return self.name in ("ERROR", "COMMAND NOT SUPPORT", "TOO MANY PARAMETERS") or self.code in (3, 4, 50, 100)


_PLAIN = {
    word: Final(name, text=word)
    for word, name in {
        "OK": "OK",
        "ERROR": "ERROR",
        "COMMAND NOT SUPPORT": "COMMAND NOT SUPPORT",  # Huawei E1752, E1550
        "TOO MANY PARAMETERS": "TOO MANY PARAMETERS",  # Huawei
        "NA": "NA",  # Samsung Z810
        "NO CARRIER": "NO CARRIER",
        "NO ANSWER": "NO ANSWER",
        "NO DIALTONE": "NO DIALTONE",
        "NO DIAL TONE": "NO DIALTONE",
        "BUSY": "BUSY",
    }.items()
}
_NUMERIC = {"0": "OK", "3": "NO CARRIER", "4": "ERROR"}  # V.250 ATV0, left behind by somebody else
_CALL = frozenset({"NO CARRIER", "NO ANSWER", "NO DIALTONE", "BUSY", "CONNECT"})
# A colon with nothing behind it is not final, a single space behind it is: ModemManager's tests, taken from the field.
_ERROR = re.compile(r"\+(CME|CMS|EXT) ERROR ?:(.+)", re.DOTALL | re.IGNORECASE)
_MODEM_ERROR = re.compile(r"MODEM ERROR: ?([0-9]{1,6})", re.ASCII)  # Motorola EZX; digits only
_CONNECT = re.compile(r"CONNECT(?: .*)?")
_GLUED = re.compile(r"(OK|ERROR)(?=[+^#%*!$][A-Z0-9]+:|AT[+^#%*!$&][A-Z])")


def final_of(line: str) -> Final | None:
    """The final result code that the whole line is, or None. Trailing spaces must still be there."""
    found = _PLAIN.get(line.rstrip())
    if found is not None:
        return found
    first = line[:1]
    if first == "+":
        match = _ERROR.fullmatch(line)
        return _numbered(match[1].upper(), match[2].strip(), line) if match else None
    if first == "M":
        match = _MODEM_ERROR.fullmatch(line.rstrip())
        return Final("MODEM ERROR", int(match[1]), line) if match else None
    if first == "C" and _CONNECT.fullmatch(line.rstrip()):
        return Final("CONNECT", None, line)
    return None


def _numbered(family: str, text: str, line: str) -> Final:
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return Final(family, int(text), line)
    lookup = {"CME": cme_number, "CMS": cms_number}.get(family)
    code = lookup(text) if lookup else None
    return Final(family, code if code is not None else text or None, line)


def numeric_final(line: str) -> Final | None:
    """A V0 code; only believed where the pending command cannot mean such a line."""
    name = _NUMERIC.get(line.strip())
    return Final(name, text=line) if name else None


def call_result(final: Final) -> bool:
    """Whether the code ends a call: from any other command's point of view it is unsolicited."""
    return final.name in _CALL


def unglue(line: str) -> tuple[str, str] | None:
    """`OK+CMTI: …` as two lines, None when nothing is glued."""
    match = _GLUED.match(line)
    return (match[1], line[match.end() :]) if match else None
