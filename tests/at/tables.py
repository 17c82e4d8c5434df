"""The tables of agent/at/README.md, made of the rows and scales: `python -m tests.at.tables` writes them anew."""

from __future__ import annotations

import sys
from pathlib import Path

import agent.at
from agent.at import COMMANDS, Row
from agent.at.standard.scale import PLAIN, SCALES, Scale
from simulator.modem.signal import SOURCES

README = Path(agent.at.__file__).parent / "README.md"
COMMANDS_HEAD, SCALES_HEAD = "| command | fields |", "| command | field | index |"
ENDS = {COMMANDS_HEAD: "<!-- end of the table -->", SCALES_HEAD: "<!-- end of the scales -->"}
_ENDING = {"read": "?", "test": "=?", "set": "=…", "execute": ""}


def line(row: Row) -> str:
    forms = " ".join(f"`AT{row.name}{_ENDING[kind]}`" for kind in row.kinds)
    return f"| {forms} | {row.fields} | {row.clause} |"


def table() -> str:
    return "\n".join(sorted({line(row) for row in COMMANDS if row.fields}, key=str.lower))


def scale_line(scale: Scale) -> str:
    value = f"{scale.step:g} × index {'-' if scale.offset < 0 else '+'} {abs(scale.offset):g}"
    simulator = SOURCES.get((scale.command, scale.field), "")
    return f"| `{scale.command}` | {scale.field} | {scale.low}…{scale.high} | {value} | {scale.source} | {simulator} |"


def scales() -> str:
    lines = [*map(scale_line, SCALES), *(f"| `{names}` | | | | {source} | |" for names, source in PLAIN.items())]
    return "\n".join(sorted(lines, key=str.lower))


def shown(text: str, head: str) -> tuple[int, int]:
    """Where the lines below this head stand in the text."""
    begin = text.index("\n", text.index("\n", text.index(head)) + 1) + 1
    return begin, text.index(ENDS[head], begin)


def main() -> int:
    text = README.read_text("utf-8")
    for head, made in ((COMMANDS_HEAD, table()), (SCALES_HEAD, scales())):
        begin, end = shown(text, head)
        text = f"{text[:begin]}{made}\n\n{text[end:]}"
    README.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
