"""All rows, gathered: what the agent can ask any module, found by name and kind.

A row is data beside its parser; adding a command means adding a row, and the README's table is made from these rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from agent.at.engine.grammar import Reading, payload, prefix_of
from agent.at.engine.row import ANY_LINE, Command, Row, fallback_row, parse_command
from agent.at.merge import merged
from agent.at.standard import (
    calls,
    functionality,
    identity,
    network_time,
    operator_names,
    packet_data,
    registration,
    signal,
    sim,
    sms,
)
from agent.at.vendor import (
    asr,
    fibocom,
    foxconn,
    huawei,
    huawei_carriers,
    intel,
    meig,
    nordic,
    others,
    quectel,
    quectel_qeng,
    sierra,
    simcom,
    technology,
    telit,
    telit_bands,
    ublox,
    zte,
)

_EXTENDED = tuple("+^#%*!$_&@")
_ELEMENT = re.compile(r'((?:"[^"]*"|[^;"])+)')
# E0, &F, E0V1 before an extended command or alone; a D takes the rest of the line as a number
_BASIC = re.compile(r"[A-CE-Z&][A-Z0-9&]*(?=\s*(?:[+^#%*!$_@]|$))", re.IGNORECASE)
_CHAINED = re.compile(r"(?:[^\"]|\"[^\"]*\")*;|AT[A-CE-Z&][A-Z0-9]*\s*[+^#%*!$_@]", re.IGNORECASE)

COMMANDS: tuple[Row, ...] = (
    *identity.ROWS,
    *sim.ROWS,
    *registration.ROWS,
    *operator_names.ROWS,
    *signal.ROWS,
    *packet_data.ROWS,
    *network_time.ROWS,
    *quectel_qeng.ROWS,
    *quectel.ROWS,
    *sms.ROWS,
    *functionality.ROWS,
    *technology.ROWS,
    *calls.ROWS,
    *huawei.ROWS,
    *huawei_carriers.ROWS,
    *nordic.ROWS,
    *simcom.ROWS,
    *telit.ROWS,
    *telit_bands.ROWS,
    *sierra.ROWS,
    *ublox.ROWS,
    *intel.ROWS,
    *fibocom.ROWS,
    *zte.ROWS,
    *asr.ROWS,
    *foxconn.ROWS,
    *meig.ROWS,
    *others.ROWS,
)
_BY_KEY: dict[tuple[str, str], Row] = {(row.name, kind): row for row in COMMANDS for kind in row.kinds}


def find(command: Command) -> Row | None:
    """The row of a command in the form it is used, None when there is none; a chain gets one of its own."""
    chain = _chain(command.text) if command.name != "D" and _CHAINED.match(command.text) else None
    return chain or _BY_KEY.get((command.name, command.kind))


@lru_cache(maxsize=64)
def _chain(text: str) -> Row | None:
    """`AT+CSQ;+COPS?`, `ATE0+CSQ`: several commands on one line (V.250 5.2). The agent sends none, others do."""
    pairs: list[tuple[Command, Row]] = []
    for part in _ELEMENT.findall(text[2:]):
        basic = _BASIC.match(part)
        for element in (basic[0], part[basic.end() :].strip()) if basic else (part,):
            command = parse_command("AT" + element)
            row = _BY_KEY.get((command.name, command.kind)) if command.name else None
            if row is not None or (command.name[:1] in _EXTENDED and len(command.name) > 1):
                pairs.append((command, row or fallback_row(command)))
    if len(pairs) < 1 or (len(pairs) == 1 and pairs[0][0].text == text):
        return None

    def parse(lines: Sequence[str], command: Command) -> Reading | None:
        parts: list[tuple[str, Reading]] = []
        for (element, row), own in zip(pairs, _shares(pairs, lines), strict=True):
            found = row.parse(own, element) if row.parse is not None and own else None
            parts += [(element.name, found)] if found else []
        return merged(parts)

    prefixes = tuple(sorted({p for _, row in pairs if row.parse is not None for p in row.accepted if p}))
    shapes = [row.bare for _, row in pairs if row.bare is not None and row.clause]
    bare = (
        ANY_LINE if ANY_LINE in shapes else re.compile("|".join(f"(?:{s.pattern})" for s in shapes)) if shapes else None
    )
    limit_s = max(row.timeout_s for _, row in pairs)
    return Row("chain", ("set",), parse, "V.250 5.2.1", timeout_s=limit_s, prefixes=prefixes or ("",), bare=bare)


def _shares(pairs: Sequence[tuple[Command, Row]], lines: Sequence[str]) -> list[list[str]]:
    """Which lines each command of a chain gets: by prefix, and one without prefix by its shape, in their order."""
    shares: list[list[str]] = [[] for _ in pairs]
    reached = 0
    section: int | None = None  # whose heading, a prefix with nothing behind it, stands above
    for line in lines:
        prefix = prefix_of(line)
        fits = [index for index, (_, row) in enumerate(pairs) if _takes(row, line, prefix)]
        if not fits:
            continue
        if prefix:  # a set command bears its prefix too, but answers with OK alone
            fits.sort(key=lambda index: (bool(shares[index]), pairs[index][1].clause == ""))
            first = fits[0]
            section = None if payload(line) else first
        elif section in fits:
            first = section
        else:
            first = next((index for index in fits if index >= reached and not shares[index]), reached)
            reached = first
        shares[first].append(line)
    return shares


def _takes(row: Row, line: str, prefix: str) -> bool:
    if prefix:
        return prefix in row.accepted and row.parse is not None
    return row.bare is not None and row.bare.fullmatch(line) is not None
