"""The AT protocol without I/O: bytes go in, answers and news come out.

Called by `agent.modem` with what the port gave, and by `decode` with what a technician pasted. It opens nothing, sleeps
nowhere and reads no clock; time is an argument. It never raises on what a modem sends.

    bytes = engine.submit("AT+CSQ", now)      write them
    engine.receive(data)                      whatever arrived, split anywhere
    while (event := engine.next_event()): …   Response, Urc, Stray, Prompt
    engine.expire(now)                        past `engine.deadline` the command ends without a final result code

A line is an answer only if the pending command declared it (see `row`). Everything else is an unsolicited result code
or a stray line. After a command that ran out of time its late answer is still on the way: from then on the engine is
`suspect`, and an OK that comes without the information the command must bring is taken for the late one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.at.engine.final_codes import Final, call_result, final_of, numeric_final, unglue
from agent.at.engine.grammar import prefix_of
from agent.at.engine.row import ANY_LINE, Command, Row, fallback_row, parse_command
from agent.at.engine.urc import changes, glued, has_body, unsolicited

LINE_CAP = 16_384  # the longest real line seen is a COPS=? list of 5 kB; beyond this it is noise
LINES_CAP = 512  # lines of one response
_BREAK = re.compile(r"[\r\n]+")
_NOISE = "\0\xff \t"  # re-enumeration and wrong baud rate leave these before a line


@dataclass(frozen=True, slots=True)
class Response:
    """The end of a command. `result` None: no final result code came in time; `lines` holds what did."""

    command: Command
    row: Row
    result: Final | None
    lines: tuple[str, ...]

    @property
    def final(self) -> str | None:
        """OK, ERROR, CME, CMS, …; None when the modem left it out or was too late."""
        return self.result.name if self.result else None

    @property
    def code(self) -> int | str | None:
        """The number of an error, or its text when the text has no known number."""
        return self.result.code if self.result else None

    @property
    def ok(self) -> bool:
        """Done: success, or an answer whose OK some firmware never sends."""
        return self.result.ok if self.result else bool(self.row.ends and self.lines)


@dataclass(frozen=True, slots=True)
class Urc:
    """An unsolicited result code."""

    text: str

    @property
    def matters(self) -> bool:
        """Whether it tells of a change that is worth a poll of its own: registration, SIM, bearer, restart."""
        return changes(self.text)


@dataclass(frozen=True, slots=True)
class Stray:
    """A line that answers nothing pending and is no known news: a late answer, another process's echo, noise."""

    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The modem waits for text (`> `, 27.005 clause 3.5.1)."""


Event = Response | Urc | Stray | Prompt


@dataclass(slots=True)
class _Pending:
    command: Command
    row: Row
    deadline: float | None
    echo: str
    lines: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)  # lines with a sibling's prefix
    open: bool = False  # the last line is visibly unfinished
    prompted: bool = False  # the modem asked for text; what it echoes of it is no answer


class Engine:
    """One command line at a time. `find_row` maps a command to its row; None means the fall-back."""

    def __init__(self, find_row: Callable[[Command], Row | None]) -> None:
        self._find_row = find_row
        self._tail = ""  # what stands without a line end
        self._events: deque[Event] = deque()
        self._pending: _Pending | None = None
        self._body_of: str | None = None  # a +CMT header that waits for its text
        self._prompt_due = False  # a command was given up before the prompt came: it may still come
        self.suspect = False
        self.overlong = 0  # lines given up for their length

    @property
    def pending(self) -> Command | None:
        return self._pending.command if self._pending else None

    @property
    def prompting(self) -> bool:
        """Whether the pending command asks for text."""
        return self._pending is not None and self._pending.row.prompts

    @property
    def deadline(self) -> float | None:
        return self._pending.deadline if self._pending else None

    def submit(self, text: str, now: float = 0.0, timeout_s: float | None = None) -> bytes:
        """Begin a command; the bytes are to be written as they are. One at a time: finish or expire the last first."""
        if self._pending:
            raise ValueError(f"{self._pending.command.text} is still pending")
        command = parse_command(text)
        row = self._find_row(command) or fallback_row(command)
        limit = row.timeout_s if timeout_s is None else timeout_s
        self._prompt_due = self._prompt_due and not row.prompts
        self._pending = _Pending(command, row, now + limit, _folded(command.text))
        return command.text.encode("latin-1", "replace") + b"\r"

    def receive(self, data: bytes) -> None:
        """Take bytes as they came."""
        text = data.decode("latin-1")  # byte by byte; a field that means more is decoded by its own parser
        if "\r" not in text and "\n" not in text:
            self._tail += text
        else:
            lines = _BREAK.split(self._tail + text)
            self._tail = lines.pop()
            for line in lines:
                if line:
                    self._line(line)
        if self._tail:
            self._rest()

    def _rest(self) -> None:
        """A prompt has no line end; noise may never have one."""
        if len(self._tail) > LINE_CAP:
            self.overlong += 1
            self._events.append(Stray(self._tail[:80] + "…"))
            self._tail = ""
        elif self._tail.lstrip(_NOISE).rstrip() == ">":
            if self._pending and self._pending.row.prompts:
                self._tail = ""
                self._prompt(self._pending)
            elif self._prompt_due:
                self._tail, self._prompt_due = "", False
                self._events.append(Prompt())

    def _prompt(self, pending: _Pending) -> None:
        if not pending.prompted:
            self._events.append(Prompt())
        pending.prompted = True

    def flush(self) -> None:
        """The stream has ended: what stands without a line end is a line."""
        self.receive(b"\r\n")
        self._flush_body()

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def expire(self, now: float) -> None:
        """End a command whose time is over."""
        pending = self._pending
        if pending and pending.deadline is not None and now >= pending.deadline:
            self.suspect, self._prompt_due = True, pending.row.prompts and not pending.prompted
            self._finish(None)

    def abandon(self) -> None:
        """Forget everything: the port was closed."""
        self._pending, self._body_of, self.suspect, self._prompt_due = None, None, False, False
        self._tail = ""
        self._events.clear()

    # -- one line -----------------------------------------------------------------------------------------------

    def _line(self, raw: str) -> None:
        line = raw.lstrip(_NOISE) if raw[0] in _NOISE else raw
        if self._body_of is not None:
            self._end_body(line.rstrip())
            return
        pending = self._pending
        final = final_of(line)
        if final is not None:
            if self._take_final(final):
                return
        elif line[:2] in ("OK", "ER") and (halves := unglue(line)):
            self._line(halves[0])
            self._line(halves[1])
            return
        line = line.rstrip()
        if not line:
            return
        line = _past_echo(pending, line) if pending else line
        parts = glued(line, pending.row.accepted if pending else frozenset())
        if len(parts) > 1:
            for part in parts:
                self._line(part)
        elif pending is None or not self._answers(pending, line):
            self._news(line)

    def _take_final(self, final: Final) -> bool:
        pending = self._pending
        if pending is None or (call_result(final) and not pending.row.dials):
            return False
        if self.suspect and final.ok and not pending.row.empty_ok and not pending.lines and not pending.others:
            self._events.append(Stray(final.text))
            return True
        self._finish(final)
        return True

    def _finish(self, final: Final | None) -> None:
        pending = self._pending
        if pending is None:
            return
        self._pending = None
        lines = pending.lines or pending.others
        if pending.lines:
            for line in pending.others:
                self._news(line)
        self._events.append(Response(pending.command, pending.row, final, tuple(lines)))

    def _answers(self, pending: _Pending, line: str) -> bool:
        """Give the line to the pending command if it declared it."""
        if not pending.lines and line[0].casefold() == pending.echo[:1] and _folded(line) == pending.echo:
            return True
        row = pending.row
        if row.prompts and line[0] == ">":
            self._prompt(pending)
            return True
        prefix = prefix_of(line)
        if prefix in row.accepted and prefix and row.parse is not None:
            return self._solicited(pending, line)
        if prefix and prefix in row.siblings and (row.form is None or row.form(line)):
            pending.others.append(line)
            return True
        if pending.open and not prefix and not unsolicited(line) and _continues(pending.lines[-1], line):
            pending.lines[-1] += "\n" + line
            pending.open = _unfinished(pending.lines[-1])
            return True
        if row.body and pending.lines and not unsolicited(line):
            return self._keep(pending, line)
        if self._bare(pending, line, prefix):
            return True
        return pending.prompted and not prefix and not unsolicited(line)

    def _solicited(self, pending: _Pending, line: str) -> bool:
        if pending.row.form is not None and not pending.row.form(line):
            return False
        return self._keep(pending, line)

    def _bare(self, pending: _Pending, line: str, prefix: str) -> bool:
        """A line without prefix: a shape of the row's own is believed even where it looks like news (READY)."""
        bare = pending.row.bare
        if bare is not None and not prefix and bare.fullmatch(line):
            foreign = bare is ANY_LINE or pending.row.clause == ""
            if not foreign or not (unsolicited(line) or line[:3].upper() in ("AT+", "AT^")):
                return self._keep(pending, line)
        numeric = numeric_final(line) if not prefix else None
        return numeric is not None and self._take_final(numeric)

    def _keep(self, pending: _Pending, line: str) -> bool:
        if len(pending.lines) < LINES_CAP:
            pending.lines.append(line)
        pending.open = _unfinished(line)
        return True

    # -- news ---------------------------------------------------------------------------------------------------

    def _news(self, line: str) -> None:
        asked = self._pending is not None and self._pending.command.text[:2].upper() == "AT"
        if not unsolicited(line) and (asked or not prefix_of(line)):
            self._events.append(Stray(line))
        elif has_body(line) or (prefix_of(line) == "+CUSD" and _unfinished(line)):
            self._body_of = line
        else:
            self._events.append(Urc(line))

    def _end_body(self, line: str) -> None:
        header, self._body_of = self._body_of, None
        if final_of(line) is not None or (prefix_of(line) and unsolicited(line)):
            self._events.append(Urc(header or ""))
            self._line(line)
        elif prefix_of(header or "") == "+CUSD" and _unfinished(f"{header}\n{line}") and len(header or "") < 2000:
            self._body_of = f"{header}\n{line}"
        else:
            self._events.append(Urc(f"{header}\n{line}"))

    def _flush_body(self) -> None:
        if self._body_of is not None:
            self._events.append(Urc(self._body_of))
            self._body_of = None


def _past_echo(pending: _Pending, line: str) -> str:
    """The answer behind an echo on the same line, as logs give it that hold a conversation in one line."""
    command = pending.command.text
    if pending.lines or line[: len(command)].casefold() != command.casefold():
        return line
    rest = line[len(command) :].lstrip()
    return rest if prefix_of(rest) in pending.row.accepted - {""} else line


def _folded(text: str) -> str:
    """A command line without spaces and case, which an echo may change."""
    return "".join(text.split()).casefold()


def _continues(line: str, after: str) -> bool:
    """A cut inside quotes or brackets goes on with anything, one behind a comma only with a new field."""
    return not line.endswith(",") or line.count('"') % 2 == 1 or after[0] in '("'


def _unfinished(line: str) -> bool:
    """Whether a line was visibly cut by a line end inside a quoted text or a list (Nokia's COPS=?, +CUSD)."""
    return (
        line[-1] in ",("
        or ('"' in line and line.count('"') % 2 == 1)
        or ("(" in line and line.count("(") > line.count(")"))
    )
