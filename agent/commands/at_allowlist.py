"""Which AT commands are harmless: they only read, and tell nothing that names a person or a secret. Pure.

Used by `modem.at` and by the CLI without an agent. No IMSI, ICCID, IMEI, number, message or phone book, no password.
A list of what is allowed, never of what is forbidden: vendors have thousands of commands, and some of them write the
module's calibration.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

# Execute form (AT+X), as the standards and vendors name what only tells.
_EXECUTE = frozenset({
    "+CSQ", "+CESQ", "+CGMI", "+CGMM", "+CGMR", "+GMI", "+GMM", "+GMR",
    "+CPAS", "+CEER", "+CLAC", "+CGPADDR", "+CGCONTRDP", "+QCSQ", "+QNWINFO",
    "+QCAINFO", "+QTEMP", "+QSPN", "+QGMR", "+CPSI", "+CPMUTEMP", "+XCESQ", "+XMCI", "+UCGED", "+CREG",
    "+CGREG", "+CEREG", "^HCSQ", "^SYSINFOEX", "^MONSC", "^LTERSRP", "^HFREQINFO", "^CHIPTEMP",
    "#RFSTS", "#MONI", "#SERVINFO", "!GSTATUS",
})  # fmt: skip
# Set form whose first parameter only selects what is told.
_SELECT = {
    "+QENG": r'"(servingcell|neighbourcell)"',
    "+QLTS": r"[0-2]",
    "+CGPADDR": r"\d{1,2}(,\d{1,2})*",
    "+CGCONTRDP": r"\d{0,2}",
    "+UCGED": r"\?",
}
# Their read form tells a password or a person.
_NEVER_READ = re.compile(
    r"\+CGAUTH|\+QICSGP|\^AUTHDATA|#PDPAUTH|\+UAUTHREQ|.(CIMI|CNUM|Q?CCID|ICCID|CGSN|GSN|CRSM|CSIM|CMG|CPB|CUSD|CLCK|CPWD)"
)
_NEVER_TEST = frozenset({"+COPS"})  # minutes of searching, the data connection dropped

_FORM = re.compile(r"AT([+^#!$%*&][A-Z0-9_]+)(\?|=\?|=(.+))?", re.IGNORECASE)


def allowed(line: str, more: Sequence[str] = ()) -> bool:
    """Whether a command line may be sent without further ado. `more` are patterns of commands.at_allow."""
    if not line.isascii() or not line.isprintable() or ";" in line:
        return False  # chained commands would hide one behind another
    text = line.strip()
    if any(fnmatch.fnmatchcase(text.upper(), pattern.upper()) for pattern in more):
        return True
    if re.fullmatch(r"AT(I\d{0,2})?", text, re.IGNORECASE):
        return True
    form = _FORM.fullmatch(text)
    return form is not None and _harmless(form[1].upper(), form[2] or "", form[3] or "")


def _harmless(name: str, tail: str, parameters: str) -> bool:
    if tail == "":
        return name in _EXECUTE
    if tail == "?":
        return _NEVER_READ.match(name) is None
    if tail == "=?":
        return name not in _NEVER_TEST
    pattern = _SELECT.get(name)
    return pattern is not None and re.fullmatch(pattern, parameters, re.IGNORECASE) is not None
