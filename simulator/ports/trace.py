r"""What went over a module's ports, and what was done to it, in order: kept in memory, and in a file on request.

One line an event: seconds since the start, the port's interface number, a sign, a quoted text with Python's escapes.

    0.201337 2 > "AT+CSQ\r"
    0.201905 2 < "\r\n+CSQ: 24,99\r\n\r\nOK\r\n"
    3.500000 - * "set rsrp -115"

`>` is what the host wrote, `<` what the module wrote, `*` what was done from outside. `#` begins a comment.
"""

from __future__ import annotations

import ast
import re
import shlex
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from simulator.errors import DataError
from simulator.ports.actions import whole_number

_SHOWN = 50
HOST, MODULE, ACTION = ">", "<", "*"
_KEPT = 2_000  # events that `log` and commands() look back on: half a megabyte a module at most
_ESCAPED = [repr(bytes([value]))[2:-1].replace('"', r"\"") for value in range(256)]
_LINE = re.compile(r'(?P<at>\d+(?:\.\d+)?) (?P<port>\d+|-) (?P<sign>[<>*]) (?P<text>"(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class Event:
    at_s: float
    interface: int | None  # None: not on a port
    sign: str
    data: bytes

    def __str__(self) -> str:
        port = "-" if self.interface is None else str(self.interface)
        return f"{self.at_s:.6f} {port} {self.sign} {quoted(self.data)}"


def quoted(data: bytes) -> str:
    """As a Python string in double quotes; every byte that is not printable ASCII as an escape."""
    return '"' + "".join(_ESCAPED[value] for value in data) + '"'


class Trace:
    """Listens at the ports of one module. May be told from any thread."""

    def __init__(self, clock: Callable[[], float], file: TextIO | None = None, about: str = "") -> None:
        self._clock, self._file = clock, file
        self._began = clock()
        self._events: deque[Event] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()
        if file is not None:
            file.write(f"# modem-sim trace: {about}\n")

    def note(self, interface: int | None, sign: str, data: bytes) -> None:
        event = Event(self._clock() - self._began, interface, sign, data)
        with self._lock:
            self._events.append(event)
            if self._file is not None:
                self._file.write(f"{event}\n")
                self._file.flush()

    def action(self, *words: str) -> None:
        self.note(None, ACTION, shlex.join(words).encode())

    def events(self) -> list[Event]:
        with self._lock:
            return list(self._events)

    def log(self, args: list[str]) -> list[str]:
        """The action `log [COUNT]`: the last events as lines."""
        count = whole_number("log", args[0]) if args else _SHOWN
        return [str(event) for event in self.events()[-count:]] if count else []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def commands(events: Iterable[Event], interface: int | None = None) -> list[str]:
    """The lines that the host wrote, without line ends; of one port, or of all in the order they were complete."""
    open_lines: dict[int | None, bytes] = {}
    found: list[str] = []
    for event in events:
        if event.sign != HOST or (interface is not None and event.interface != interface):
            continue
        # A text after a prompt ends with Ctrl-Z, a command with CR (V.250 5.2.1; 27.005 3.5.1).
        *whole, rest = re.split(rb"[\r\x1a]", open_lines.get(event.interface, b"") + event.data)
        found += [line.strip(b"\n\0").decode("latin-1") for line in whole if line.strip(b"\n\0")]
        open_lines[event.interface] = rest
    return found


def read(path: Path) -> list[Event]:
    """The events of a trace file. DataError with the line for one that is none."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(str(path), None, f"cannot be read: {error}") from error
    events = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise DataError(str(path), number, f'{line!r} is not SECONDS PORT SIGN "TEXT"')
        port = None if parts["port"] == "-" else int(parts["port"])
        try:
            data = ast.literal_eval("b" + parts["text"])
        except (SyntaxError, ValueError) as error:
            raise DataError(str(path), number, f"{parts['text']}: {error}") from error
        events.append(Event(float(parts["at"]), port, parts["sign"], data))
    return events
