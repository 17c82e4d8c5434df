"""A command as a row: what may answer it, how long that may take, how it is read, and by which clause.

The rows themselves stand beside their parsers (registration, signal, packet, …); `table` gathers them. A command
nobody wrote a row for still works: its own prefix or bare lines answer it, and it is read as plain fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from agent.at.engine.grammar import (
    Reading,
    bracketed,
    number,
    number_lists,
    payload,
    plain,
    prefix_of,
    quoted,
    real,
    split,
    unquote,
)

_NO_AT = re.compile(r"[+^#%*!$_&@][A-Z][A-Z0-9_]*(?:\s*(?:=.*|\?))?(?:;.*)?", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"AT([+^#%*!$_&@][A-Z0-9_]*|[A-Z0-9]*)", re.IGNORECASE)
_BASIC = re.compile(r"AT([A-Z&])([0-9]*)(\?|=.*)?", re.IGNORECASE)
_NOTE = re.compile(r"\s+[(/].*$", re.DOTALL)  # `AT+CSIM=… (PIN retries)`: a remark behind a pasted command


@dataclass(frozen=True, slots=True)
class Command:
    """A command line split into name, kind (`execute`, `read`, `test`, `set`) and arguments."""

    text: str
    name: str = ""
    kind: str = "execute"
    arguments: str = ""


@lru_cache(maxsize=512)
def parse_command(raw: str) -> Command:
    """Understand a command as a technician types it: any case, with or without AT and the remark that came with it."""
    text = raw.strip()
    if text[:2].upper() == "AT":
        text = text[:2] + _NOTE.sub("", text[2:].lstrip())
    elif _NO_AT.fullmatch(text):
        text = "AT" + text
    match = _NAME.match(text)
    if not match:
        return Command(text)
    name, rest = match[1].upper(), text[match.end() :].strip()
    if name[:1].isalpha() or name[:1] == "&":
        return _basic(text, name)
    if rest.startswith("=?"):
        return Command(text, name, "test")
    if rest.startswith("?"):
        return Command(text, name, "read")
    if rest.startswith("="):
        return Command(text, name, "set", rest[1:])
    return Command(text, name, "execute", rest)


def _basic(text: str, name: str) -> Command:
    """V.250 basic syntax: ATI, ATI9, ATE0, AT&F; ATD takes the rest of the line."""
    if name.startswith("D"):
        return Command(text, "D", "execute", text[3:])
    match = _BASIC.match(text)
    if not match:
        return Command(text, name)
    kind = "read" if match[3] == "?" else "set" if match[3] else "execute"
    return Command(text, match[1].upper(), kind, match[2] or (match[3] or "").lstrip("=?"))


Parser = Callable[[Sequence[str], Command], "Reading | None"]
Form = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One command in the forms given by `kinds`.

    prefixes   of the lines that answer it; empty: its own name
    bare       shape of a line without prefix that answers it too
    form       tells an answer from an unsolicited line with the same prefix
    siblings   prefixes that answer in its place on odd firmware, believed only when nothing better came
    later      the answer may come as news behind OK: the network gives it
    nothing    the reading that OK alone means, where it means one
    empty_ok   whether OK alone is an answer; if not, such an OK may belong to an earlier command
    ends       the answering line ends the wait: some firmware never sends the OK behind it
    dials      NO CARRIER and its like are its own result, not news
    body       lines behind the answering line belong to it (SMS text, !GSTATUS columns)
    """

    name: str
    kinds: tuple[str, ...]
    parse: Parser | None
    clause: str
    fields: str = ""
    timeout_s: float = 3.0
    prefixes: tuple[str, ...] = ()
    bare: re.Pattern[str] | None = None
    form: Form | None = None
    siblings: tuple[str, ...] = ()
    empty_ok: bool = True
    ends: bool = False
    dials: bool = False
    body: bool = False
    prompts: bool = False
    later: bool = False
    nothing: Reading | None = None
    accepted: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "accepted", frozenset(p.upper() for p in (self.prefixes or (self.name,))))


NUMBER_LISTS = re.compile(r"\([0-9, -]+\)(?: ?, ?\([0-9, -]+\))*", re.ASCII)  # the test form of plain settings
ANY_LINE = re.compile(r".+", re.DOTALL)
_ANY_BUT_NUMERIC = re.compile(r"(?![034]$).+", re.DOTALL)  # a lone 0, 3 or 4 is a final result code of ATV0
READ, SET, TEST, EXECUTE = "read", "set", "test", "execute"


def more_fields_than(count: int) -> Form:
    """An answer leads with the setting <n> and so has one field more than the unsolicited line."""

    def form(body: str) -> bool:
        return len(split(body)) > count

    return form


def generic_parse(lines: Sequence[str], command: Command) -> Reading | None:
    """What a command without a row answered, field by field; what bears no prefix is given as it stands."""
    own = [payload(line) for line in lines if command.name and prefix_of(line) == command.name]
    rows = [[_plain_field(f) for f in (bracketed(body) if "(" in body else split(body))] for body in own if body]
    rest = [line.strip() for line in lines if prefix_of(line) != command.name]
    if rows and not rest:
        reading: Reading = {"fields": rows[0]} if len(rows) == 1 else {"fields": rows[0], "lines": rows}
        ranges = command.kind == TEST and len(rows) == 1 and NUMBER_LISTS.fullmatch(own[0])
        lists = number_lists(own[0]) if ranges else []
        return {**reading, "values": lists} if lists else reading
    texts = [*own, *rest]
    found: list[object] = [text for text in texts if text]
    return {**({"fields": rows[0]} if rows else {}), "lines": found} if found else None


def _plain_field(raw: str) -> object:
    """Numbers as numbers, unless they are written with zeros in front: then they are codes (01 is not 1)."""
    if quoted(raw):
        return unquote(raw)
    if raw[:2] in ("0x", "0X"):
        try:
            return int(raw, 16) if len(raw) <= 34 else raw
        except ValueError:
            return raw
    if re.match(r"[+-]?0[0-9]", raw):
        return raw
    value = number(raw)
    return value if value is not None else plain(real(raw)) if real(raw) is not None else (raw or None)


@lru_cache(maxsize=128)
def fallback_row(command: Command) -> Row:
    """For a command without a row: its own prefix, else any line that is nothing else."""
    name = command.name if command.name[:1] in tuple("+^#%*!$_&@") and len(command.name) > 1 else ""
    return Row(
        name=name,
        kinds=(command.kind,),
        parse=generic_parse,
        clause="",
        timeout_s=30.0 if name else 10.0,
        prefixes=(name,) if name else ("",),
        bare=_ANY_BUT_NUMERIC if command.name else None,
        body=name.startswith("!"),  # Sierra heads its tables with the prefix and leaves it out below
        dials=command.name in ("D", "A", "O", "") or not command.name,
    )
