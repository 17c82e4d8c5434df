"""Words on a screen: a serial console with seven-bit characters, a 40-column window, or a pipe.

Used by every verb. What comes from the modem or the network goes through clean(): an operator's name must not be able
to move a technician's cursor. Nothing here ever asks the daemon anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from agent.cli.language import N_, _, encoding

GREEN, YELLOW, RED, BOLD, DIM = "32", "33", "31", "1", "2"


def print_json(value: object) -> None:
    """One object on one line; ASCII, so that no locale can break it."""
    import json

    print(json.dumps(value, separators=(",", ":"), default=str), flush=True)


def width(stream: TextIO | None = None) -> int:
    """Columns to fill: the terminal's, at least 20; 80 where there is none."""
    if not is_tty(stream):
        return 80
    wanted = os.environ.get("COLUMNS", "")
    try:
        columns = int(wanted) if wanted.isdigit() else os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except OSError:
        columns = 0
    return max(20, columns or 80)  # a serial console tells 0


def height(stream: TextIO | None = None) -> int:
    """Lines of the terminal; 24 where there is none, or where it tells none."""
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).lines or 24
    except (OSError, ValueError):
        return 24


def is_tty(stream: TextIO | None = None) -> bool:
    return (stream or sys.stdout).isatty()


def colours(stream: TextIO | None = None) -> bool:
    """Colour on a terminal that is not dumb, unless NO_COLOR asks for none (no-color.org)."""
    return is_tty(stream) and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


def paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code and colours() else text


def clean(value: object) -> str:
    """Text from outside, fit for a terminal: control characters made visible, and what the terminal cannot show."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))
    shown = encoding()
    return text.encode(shown, "backslashreplace").decode(shown)


_CLINGING = (":", ";", "?", "!")  # have a space before them in French
_GLUE = "\x00"  # stands for a space at which no line ends; clean() leaves none in a text


def wrap(text: str, columns: int, indent: str = "") -> list[str]:
    """Words into lines of at most `columns`, a longer word cut; `indent` before all but the first."""
    lines: list[str] = []
    line = ""
    room = max(8, columns - len(indent))
    whole: list[str] = []
    for word in text.split():
        if word in _CLINGING and whole:
            whole[-1] += _GLUE + word
        else:
            whole.append(word)
    words = [word[i : i + room] for word in whole for i in range(0, len(word), room)]
    for word in words:
        if line.strip() and len(line) + 1 + len(word) > columns:
            lines.append(line)
            line = indent + word
        else:
            line = f"{line} {word}" if line.strip() else line + word
    return [each.replace(_GLUE, " ") for each in ([*lines, line] if line else lines)]


def note(text: str, stream: TextIO | None = None) -> None:
    """A sentence for the person, on standard error or `stream`: folded on a terminal, else a line for grep."""
    stream = stream or sys.stderr
    lines = wrap(clean(text), width(stream)) if is_tty(stream) else [clean(text)]
    print("\n".join(lines), file=stream)


def asked(question: str, *, hidden: bool = False) -> str:
    """A person's answer to a question that is folded to the screen; empty for Enter alone. Raises click.Abort."""
    import click

    *above, last = wrap(clean(question), width(sys.stderr) - 1)
    for line in above:
        print(line, file=sys.stderr)
    answer = click.prompt(last, default="", show_default=False, prompt_suffix=" ", hide_input=hidden, err=True)
    return str(answer).strip()


def pairs(rows: Iterable[tuple[str, object]], *, indent: int = 0) -> list[str]:
    """`name  value` lines, values folded under themselves; unknown (None) rows are left out."""
    known = [(name, clean(value)) for name, value in rows if value is not None]
    left = max((len(name) for name, shown in known), default=0) + 2
    margin = " " * indent
    lines: list[str] = []
    for name, value in known:
        folded = wrap(value, max(10, width() - indent - left)) or [""]
        lines.append(margin + name.ljust(left) + folded[0])
        lines += [margin + " " * left + rest for rest in folded[1:]]
    return lines


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Columns aligned by their widest cell; `right` are the numbers of columns set flush right."""
    cells = [list(head), *[[clean("-" if v is None else v) for v in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return [
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        .rstrip()
        for row in cells
    ]  # fmt: skip


def bar(share: float, columns: int) -> str:
    """A gauge such as [#####.....]; more than the whole fills it."""
    inner = max(3, columns - 2)
    full = round(min(1.0, max(0.0, share)) * inner)
    return "[" + "#" * full + "." * (inner - full) + "]"


# -- units ---------------------------------------------------------------------------------------------------------


_SIZES = (N_("{value:.0f} B"), N_("{value:.1f} kB"), N_("{value:.1f} MB"), N_("{value:.2f} GB"))


def size(count: int | float | None) -> str | None:
    """Bytes in decimal units, as the plan counts: 40 GB is 40 000 000 000."""
    if count is None:
        return None
    value = float(count)
    for form in _SIZES:
        if abs(value) < 999.95 or form == _SIZES[-1]:
            break
        value /= 1000
    return _(form, value=value)


def rate(bps: int | float | None) -> str:
    """Bits a second; None is a direction that is not shaped."""
    if bps is None:
        return _("unlimited")
    if bps < 1_000_000:
        return _("{value:g} kbit/s", value=bps / 1000)
    return _("{value:g} Mbit/s", value=bps / 1_000_000)


_LENGTHS = ((N_("{number} d"), 86_400), (N_("{number} h"), 3_600), (N_("{number} min"), 60), (N_("{number} s"), 1))


def age(seconds: float | None) -> str | None:
    """A length of time in its two largest units: 3 d 4 h, 12 min, 5 s."""
    if seconds is None:
        return None
    left = int(max(0.0, seconds))
    words: list[str] = []
    for form, length in _LENGTHS:
        if left >= length or (length == 1 and not words):
            words.append(_(form, number=left // length))
            left %= length
    return " ".join(words[:2])


def version_note(agent_version: str) -> None:
    """One line on stderr when the agent that runs is not of this tool's version."""
    from agent import __version__

    if agent_version != __version__:
        words = _("note: the agent that runs is {agent}, this tool is {tool}", agent=agent_version, tool=__version__)
        print(clean(words), file=sys.stderr)
