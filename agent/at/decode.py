"""What a pasted answer means: the decoder behind `modem-agent decode`, and the way every test reads a capture.

Pure: bytes and the command they answer in, one JSON object out. Whatever comes in, an object comes out.
"""

from __future__ import annotations

from agent.at.engine.engine import Engine, Response, Stray, Urc
from agent.at.engine.final_codes import Final, call_result, final_of
from agent.at.engine.grammar import Reading, prefix_of
from agent.at.table import find
from agent.at.urc_readings import read_news


def decode(command: str, reply: bytes | str) -> dict[str, object]:
    """Read one reply. `final` is null when no final result code came; `reading` when nothing was understood.

    Without a command (or with none that begins with AT) the first unsolicited line that means something is read.
    """
    engine = Engine(find)
    engine.submit(_one_line(command))
    engine.receive(_bytes(reply))
    engine.flush()
    engine.expire(float("inf"))
    response, unsolicited, stray = _sort(engine)
    final = response.result if response else None
    if final is None and unsolicited and (ended := final_of(unsolicited[-1])) is not None and call_result(ended):
        final = ended  # NO CARRIER with nothing behind it did end the command
        unsolicited.pop()
    # A line of commands ends at the first that fails: what came before it stands.
    stands = final is None or final.ok or (response is not None and response.row.name == "chain")
    reading = read(response) if response and stands else None
    if response is not None and reading is None and response.result is not None and response.result.ok:
        reading = _later(response, unsolicited)
    if response is not None and response.row.clause == "" and final is None and _bare(response):
        reading, stray = None, [*response.lines, *stray]  # nobody declared these lines, and no OK vouches for them
    if reading is None and response is not None and not response.command.name:
        reading = next((found for line in unsolicited if (found := read_news(line)) is not None), None)
    return _object(final, reading, unsolicited, stray)


def read(response: Response) -> Reading | None:
    """The reading of a response by its row; a parser sees only lines the row declared."""
    if response.row.parse is None:
        return None
    if not response.lines:
        return dict(response.row.nothing) if response.row.nothing is not None and response.ok else None
    reading = response.row.parse(response.lines, response.command)
    if reading is None and len(response.lines) > 1:  # one line that cannot be read costs only itself
        each = (response.row.parse([line], response.command) for line in reversed(response.lines))
        reading = next((found for found in each if found is not None), None)
    return reading


def _later(response: Response, unsolicited: list[str]) -> Reading | None:
    """What a command asked for and the network said later, as news behind OK: the text of +CUSD (27.007 7.15)."""
    row = response.row
    if row.parse is None or not row.later or response.lines:
        return None
    own = next((line for line in unsolicited if prefix_of(line) == row.name), None)
    return row.parse([own], response.command) if own is not None else None


def _bare(response: Response) -> bool:
    return not any(prefix_of(line) for line in response.lines)


def _object(
    final: Final | None, reading: Reading | None, unsolicited: list[str], stray: list[str]
) -> dict[str, object]:
    return {
        "final": final.name if final else None,
        "code": final.code if final else None,
        "reading": reading,
        "unsolicited": unsolicited,
        "stray": stray,
    }


def _sort(engine: Engine) -> tuple[Response | None, list[str], list[str]]:
    response: Response | None = None
    unsolicited: list[str] = []
    stray: list[str] = []
    while (event := engine.next_event()) is not None:
        if isinstance(event, Response):
            response = event
        elif isinstance(event, Urc):
            unsolicited.append(event.text)
        elif isinstance(event, Stray):
            stray.append(event.text)
    return response, unsolicited, stray


def _one_line(command: str) -> str:
    return " ".join(str(command).split("\n"))[:1000]


def _bytes(reply: bytes | str) -> bytes:
    """Text stands for bytes: a character up to 255 is that byte, as a log reader gives it; others go as UTF-8."""
    if isinstance(reply, bytes):
        return reply
    for codec, errors in (("latin-1", "strict"), ("utf-8", "surrogateescape")):
        try:
            return reply.encode(codec, errors)
        except UnicodeEncodeError:
            continue
    return reply.encode("utf-8", "replace")
