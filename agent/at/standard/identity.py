"""Who the module is: +CGMI, +CGMM, +CGMR, +CGSN (27.007 clauses 5.1 to 5.4), their V.250 twins and ATI."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.engine.grammar import Reading, payload, prefix_of, quoted, split, unquote
from agent.at.engine.row import ANY_LINE, EXECUTE, READ, SET, Command, Row

_IMEI = re.compile(r"(?<![0-9A-Za-z])([0-9]{14,17})(?![0-9A-Za-z])", re.ASCII)
_LABELS = {"manufacturer": "manufacturer", "model": "model", "revision": "revision", "svn": "svn", "imei": "imei"}


def imei(raw: str) -> str | None:
    """15 digits; 14 without check digit and 16 with software version (IMEISV) are given as they are, 17 cut to 15."""
    value = unquote(raw)
    if not value.isascii() or not value.isdigit() or not 14 <= len(value) <= 17:
        return None
    return value[:15] if len(value) == 17 else value


def read_imei(lines: Sequence[str], command: Command) -> Reading | None:
    """Some write it in groups, 861075-02-999999-9. +CGSN=0 asks for the serial number, =3 for the software version."""
    bodies = [unquote(payload(line)) for line in lines]
    for body in bodies:
        found = _IMEI.search(re.sub(r"(?<=[0-9])-(?=[0-9])", "", body))
        if found and (value := imei(found[1])):
            return {"imei": value}
    key = {"0": "serial_number", "3": "software_version"}.get(command.arguments.strip())
    return {key: bodies[0]} if key and bodies and bodies[0] else None


def _text(key: str) -> Row:
    names = {"manufacturer": "MI", "model": "MM", "revision": "MR"}
    clause = {"manufacturer": "27.007 5.1", "model": "27.007 5.2", "revision": "27.007 5.3"}[key]

    def parse(lines: Sequence[str], command: Command) -> Reading | None:
        bodies = (payload(line) for line in lines)
        texts = (unquote(split(body)[0] if quoted(body) else body) for body in bodies)  # `"FM150-AE","FM150-AE"`
        found = [label_free for line in texts if (label_free := _unlabelled(line, key))]
        return {key: found[0] if key == "revision" else " ".join(found[:1]), "lines": found} if found else None

    name = f"+CG{names[key]}"
    twin = f"+G{names[key]}"
    return Row(name, (EXECUTE, READ), parse, clause, key, prefixes=(name, twin), bare=ANY_LINE, empty_ok=False)


def _unlabelled(line: str, key: str) -> str:
    """Some firmware answers `Manufacturer: X` or `Revision: Y` even here."""
    label, colon, rest = line.partition(":")
    return unquote(rest) if colon and label.strip().lower() == key else line.strip()


def read_information(lines: Sequence[str], command: Command) -> Reading | None:
    """ATI: labelled lines, or manufacturer, model and revision in that order (Quectel, SIMCom)."""
    reading: Reading = {"manufacturer": None, "model": None, "revision": None, "imei": None}
    plain: list[str] = []
    for line in lines:
        label, colon, rest = line.partition(":")
        key = _LABELS.get(label.strip().lower())
        if colon and key:
            reading[key] = unquote(rest)
        elif prefix_of(line) == "+GCAP":
            reading["capabilities"] = payload(line)
        elif imei(line):
            reading["imei"] = imei(line)
        elif not colon:
            plain.append(line.strip())
    if len(plain) > 1 or reading["revision"]:  # one line alone may be any of them, or a number of the maker's own
        for key, value in zip(("manufacturer", "model", "revision"), plain, strict=False):
            reading[key] = reading[key] or value
    return {**reading, "lines": list(lines)} if lines else None


def read_package(lines: Sequence[str], command: Command) -> Reading | None:
    """Telit #SWPKGV: the package version stands in the first line."""
    first = unquote(payload(lines[0])) if lines else ""
    return {"revision": first, "lines": [line.strip() for line in lines]} if first else None


_INFORMATION = "manufacturer model revision imei"
_MANUFACTURER, _MODEL, _REVISION = _text("manufacturer"), _text("model"), _text("revision")
_DIGITS = re.compile(r'\s*(?:IMEI: ?|ESN: ?)?"?(?:[0-9]{14,17}|[0-9]{6}-[0-9]{2}-[0-9]{6}-?[0-9]{0,2})"?(?:,.*)?')
_SERIAL = re.compile(rf'{_DIGITS.pattern}|"?[0-9A-Z]{{6,24}}"?')
_PREFIXES = ("+CGSN", "+GSN", "^IMEI", "#CGSN", "!IMEI", "+EGMR", "+QGSN", "+SIMEI", "$IMEI", "^IMEISV")


def _twin(row: Row, name: str) -> Row:
    return Row(
        name, row.kinds, row.parse, row.clause, row.fields, prefixes=tuple(row.accepted), bare=row.bare, empty_ok=False
    )


def _imei_row(name: str, clause: str, kinds: tuple[str, ...] = (EXECUTE, READ)) -> Row:
    return Row(name, kinds, read_imei, clause, "imei", prefixes=_PREFIXES, bare=_DIGITS, empty_ok=False)


_A_COMMAND = re.compile(r"(?:AT)?(?:[&+^#%*!$_@\\]\S+|[A-Z][0-9]{0,2})", re.ASCII | re.IGNORECASE)


def read_commands(lines: Sequence[str], command: Command) -> Reading | None:
    """+CLAC: a command a line, with AT or without, the first behind the prefix or not."""
    found = [body for line in lines if (body := (payload(line) if prefix_of(line) == "+CLAC" else line).strip())]
    return {"commands": found} if found else None


ROWS = (
    Row("+CLAC", (EXECUTE,), read_commands, "27.007 8.37", "commands", 20.0, bare=_A_COMMAND),
    _MANUFACTURER,
    _MODEL,
    _REVISION,
    *(
        _twin(row, name)
        for row, names in (
            (_MANUFACTURER, ("+GMI", "#CGMI")),
            (_MODEL, ("+GMM", "#CGMM")),
            (_REVISION, ("+GMR", "#CGMR", "+QGMR")),
        )
        for name in names
    ),
    _imei_row("+CGSN", "27.007 5.4"),
    Row(
        "+CGSN",
        (SET,),
        read_imei,
        "27.007 5.4",
        "imei serial_number software_version",
        prefixes=_PREFIXES,
        bare=_SERIAL,
        empty_ok=False,
    ),
    _imei_row("+GSN", "V.250 6.1.7", (EXECUTE, READ, SET)),
    _imei_row("#CGSN", "Telit", (EXECUTE, READ, SET)),
    _imei_row("+EGMR", "Quectel, MediaTek", (SET,)),
    *(_imei_row(name, "vendors") for name in ("+QGSN", "+SIMEI", "^IMEI", "^IMEISV", "!IMEI", "$IMEI")),
    *(
        Row(name, (EXECUTE,), read_information, clause, _INFORMATION, prefixes=("+GCAP",), bare=ANY_LINE)
        for name, clause in (("I", "V.250 6.1.3"), ("+SIMCOMATI", "SIMCom"))
    ),
    Row("#SWPKGV", (EXECUTE, READ), read_package, "Telit", "revision", prefixes=("#SWPKGV",), bare=ANY_LINE),
)
