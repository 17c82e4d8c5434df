"""Who the module is: +CGMI, +CGMM, +CGMR, +CGSN (27.007 clauses 5.1 to 5.4), their V.250 twins and ATI."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.at.grammar import Reading, payload, prefix_of, unquote
from agent.at.row import ANY_LINE, EXECUTE, READ, SET, Command, Row

_IMEI = re.compile(r"(?<![0-9A-Za-z])([0-9]{14,17})(?![0-9A-Za-z])", re.ASCII)
_LABELS = {"manufacturer": "manufacturer", "model": "model", "revision": "revision", "svn": "svn", "imei": "imei"}


def imei(raw: str) -> str | None:
    """15 digits; 14 without check digit and 16 with software version (IMEISV) are given as they are, 17 cut to 15."""
    value = unquote(raw)
    if not value.isascii() or not value.isdigit() or not 14 <= len(value) <= 17:
        return None
    return value[:15] if len(value) == 17 else value


def read_imei(lines: Sequence[str], command: Command) -> Reading | None:
    for line in lines:
        found = _IMEI.search(unquote(payload(line)))
        if found and (value := imei(found[1])):
            return {"imei": value}
    return None


def _text(key: str) -> Row:
    names = {"manufacturer": "MI", "model": "MM", "revision": "MR"}
    clause = {"manufacturer": "27.007 5.1", "model": "27.007 5.2", "revision": "27.007 5.3"}[key]

    def parse(lines: Sequence[str], command: Command) -> Reading | None:
        found = [label_free for line in lines if (label_free := _unlabelled(unquote(payload(line)), key))]
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
    for key, value in zip(("manufacturer", "model", "revision"), plain, strict=False):
        reading[key] = reading[key] or value
    return {**reading, "lines": list(lines)} if lines else None


def read_package(lines: Sequence[str], command: Command) -> Reading | None:
    """Telit #SWPKGV: the package version stands in the first line."""
    first = unquote(payload(lines[0])) if lines else ""
    return {"revision": first, "lines": [line.strip() for line in lines]} if first else None


_MANUFACTURER, _MODEL, _REVISION = _text("manufacturer"), _text("model"), _text("revision")
_DIGITS = re.compile(r'\s*(?:IMEI: ?|ESN: ?)?"?[0-9]{14,17}"?(?:,.*)?')
_PREFIXES = ("+CGSN", "+GSN", "^IMEI", "#CGSN", "!IMEI", "+EGMR")


def _twin(row: Row, name: str) -> Row:
    return Row(
        name, row.kinds, row.parse, row.clause, row.fields, prefixes=tuple(row.accepted), bare=row.bare, empty_ok=False
    )


def _imei_row(name: str, clause: str) -> Row:
    kinds = (EXECUTE, READ, SET)
    return Row(name, kinds, read_imei, clause, "imei", prefixes=_PREFIXES, bare=_DIGITS, empty_ok=False)


ROWS = (
    _MANUFACTURER,
    _MODEL,
    _REVISION,
    *(
        _twin(row, name)
        for row, names in (
            (_MANUFACTURER, ("+GMI", "#CGMI")),
            (_MODEL, ("+GMM", "#CGMM")),
            (_REVISION, ("+GMR", "#CGMR")),
        )
        for name in names
    ),
    _imei_row("+CGSN", "27.007 5.4"),
    _imei_row("+GSN", "V.250 6.1.7"),
    _imei_row("#CGSN", "Telit"),
    Row(
        "I",
        (EXECUTE,),
        read_information,
        "V.250 6.1.3",
        "manufacturer model revision imei",
        prefixes=("+GCAP",),
        bare=ANY_LINE,
    ),
    Row("#SWPKGV", (EXECUTE, READ), read_package, "Telit", "revision", prefixes=("#SWPKGV",), bare=ANY_LINE),
)
