"""`modem-agent decode`: what a module's answer means, for a technician with a log and no module at hand.

Needs no daemon, no configuration and no port. One object a reply with --jsonl, else lines to read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import BinaryIO

import click

from agent.at import decode
from agent.at.standard.error_codes import meaning
from agent.cli import screen

_SPACES = "  "


@click.command("decode")
@click.argument("at_command", metavar="[COMMAND]", required=False)
@click.argument("source", metavar="[FILE]", required=False, type=click.File("rb"))
@click.option("--jsonl", is_flag=True, help='Read {"command": …, "reply": …} lines, write one object for each.')
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead of lines to read.")
def command(at_command: str | None, source: BinaryIO | None, jsonl: bool, as_json: bool) -> None:
    """Tell what a modem's answer means.

    COMMAND is what was asked, FILE holds the answer; - or nothing is standard input.

    \b
    modem-agent decode 'AT+QENG="servingcell"' answer.txt
    modem-agent decode AT+CSQ -
    modem-agent decode --jsonl < captures.jsonl
    """
    if jsonl:
        _stream(_only_source(at_command, source))
        return
    if not at_command:
        raise click.UsageError("which command was asked? (modem-agent decode COMMAND FILE, or --jsonl)")
    found = decode(at_command, (source or sys.stdin.buffer).read())
    if as_json:
        click.echo(json.dumps({"v": 1, "command": at_command, **found}))
    elif not _nonsense(found):
        click.echo("\n".join(screen.clean(line) for line in _lines(found)))
    if _nonsense(found):
        click.echo(f"{at_command}: nothing in this answer could be read", err=True)
        sys.exit(1)


def _nonsense(found: dict[str, object]) -> bool:
    """No reading, and neither an error code nor news that would explain why."""
    if found["reading"] is not None:
        return False
    return not found["unsolicited"] if found["final"] is None else found["final"] == "OK" and bool(found["stray"])


def _only_source(first: str | None, second: BinaryIO | None) -> BinaryIO:
    """With --jsonl the one argument is the file."""
    if second is not None:
        return second
    if first and first != "-":
        try:
            return open(first, "rb")  # read to its end, then the process ends
        except OSError as error:
            raise click.UsageError(f"{first}: {error.strerror}") from error
    return sys.stdin.buffer


def _stream(lines: Iterable[bytes]) -> None:
    """One object a line, whatever the line holds: nonsense reads as null and never ends the stream."""
    for raw in lines:
        if not raw.strip():
            continue
        asked, reply = _row(raw)
        click.echo(json.dumps(decode(asked, reply)))


def _row(raw: bytes) -> tuple[str, str]:
    try:
        row = json.loads(raw)
    except ValueError:
        return "", ""
    if not isinstance(row, dict):
        return "", ""
    asked, reply = row.get("command"), row.get("reply")
    return (asked if isinstance(asked, str) else "", reply if isinstance(reply, str) else "")


# -- for reading ---------------------------------------------------------------------------------------------------


def _lines(found: dict[str, object]) -> list[str]:
    result = [f"{'result':<22} {_final(found)}"]
    reading = found["reading"]
    if isinstance(reading, dict):
        result += _fields(reading)
    for key in ("unsolicited", "stray"):
        listed = found[key]
        if isinstance(listed, list):
            result += [f"{key:<22} {line!r}" for line in listed]
    return result


def _final(found: dict[str, object]) -> str:
    name, code = found["final"], found["code"]
    if name is None:
        return "none: the answer was cut, or firmware left it out"
    if name == "OK" or code is None:
        return str(name)
    return f"{name} {code}: {meaning(str(name), code if isinstance(code, (int, str)) else None)}"


def _fields(reading: dict[str, object], indent: str = "") -> list[str]:
    """Known fields one a line, lists of cells or contexts indented; what is unknown is left out."""
    result: list[str] = []
    for key, value in reading.items():
        if key == "networks" and value == []:
            result.append(f"{indent}{key:<22} none found")
        if value is None or value == []:
            continue
        if isinstance(value, dict):
            result += [f"{indent}{key}", *_fields(value, indent + _SPACES)]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, item in enumerate(value, 1):
                result += [f"{indent}{key} {number}", *_fields(item, indent + _SPACES)]
        else:
            result.append(f"{indent}{key:<22} {value}")
    return result
