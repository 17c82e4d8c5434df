"""Whatever a modem sends, the engine and every parser go on: properties over random and damaged input."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.at import COMMANDS, Engine, Response, decode, find
from agent.at.engine.charset import name
from agent.at.standard.network_time import stamp
from agent.at.standard.packet_data import addresses
from agent.at.standard.sim import iccid
from agent.at.standard.sms_submit import submit
from tests.at.corpus import rows

ROWS = rows()
COMMAND_TEXTS = sorted({row["command"] for row in ROWS} | {f"AT{row.name}?" for row in COMMANDS})
REPLIES = [row["reply"].encode() for row in ROWS]
commands = st.sampled_from(COMMAND_TEXTS) | st.text(max_size=30)
# Bytes that matter to the grammar come more often than chance would have them.
shapes = st.binary(max_size=200) | st.text('+^#:,"()\r\nOKERCME 0123456789ABCDEF-. \0\xff', max_size=200).map(
    lambda text: text.encode("latin-1")
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A recorded reply with bytes cut out, put in or changed."""
    reply: bytes = draw(st.sampled_from(REPLIES))
    start = draw(st.integers(0, len(reply)))
    end = draw(st.integers(start, min(len(reply), start + 12)))
    return reply[:start] + draw(st.binary(max_size=12)) + reply[end:]


@settings(max_examples=400, deadline=None)
@given(commands, shapes | damaged())
def test_decode_never_raises_and_always_gives_json(command: str, reply: bytes) -> None:
    found = decode(command, reply)
    assert set(found) == {"final", "code", "reading", "unsolicited", "stray"}
    json.dumps(found)


@settings(max_examples=200, deadline=None)
@given(commands, shapes | damaged(), st.lists(st.integers(0, 200), max_size=6))
def test_where_the_bytes_are_split_changes_nothing(command: str, reply: bytes, cuts: list[int]) -> None:
    def run(chunks: list[bytes]) -> list[object]:
        engine = Engine(find)
        engine.submit(command.replace("\n", " "))
        for chunk in chunks:
            engine.receive(chunk)
        engine.flush()
        engine.expire(float("inf"))
        found: list[object] = []
        while (event := engine.next_event()) is not None:
            found.append((event.result, event.lines) if isinstance(event, Response) else event)
        return found

    edges = sorted({0, len(reply), *(cut for cut in cuts if cut < len(reply))})
    chunks = [reply[begin:end] for begin, end in pairwise(edges)]
    assert run(chunks) == run([reply])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(COMMAND_TEXTS), shapes)
def test_a_level_is_never_beyond_what_radio_can_be(command: str, reply: bytes) -> None:
    reading = decode(command, reply)["reading"]
    if not isinstance(reading, dict):
        return
    for key, low, high in (("rssi_dbm", -200, 50), ("rsrp_dbm", -200, 50), ("rsrq_db", -60, 60), ("sinr_db", -60, 60)):
        value = reading.get(key)
        assert value is None or low <= value <= high, (key, value)


@given(st.text(max_size=80))
def test_field_readers_never_raise(text: str) -> None:
    raw = text.encode("latin-1", "replace").decode("latin-1")
    name(raw)
    stamp(raw)
    addresses(raw)
    iccid(raw)


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_a_text_message_is_made_of_parts_that_fit(text: str) -> None:
    try:
        parts = submit("+32470000000", text, 7)
    except ValueError:
        return
    for part in parts:
        assert len(part.pdu) == 2 * (part.length + 1)
        assert part.length <= 164  # 23.040: at most 140 octets of user data behind the header


def test_a_known_message_makes_the_known_pdu() -> None:
    """Checked by hand against 23.040: hello to +32470123456, GSM 7-bit."""
    [part] = submit("+32470123456", "hello")
    assert part.pdu == "0011000B912374103254F60000A705E8329BFD06"
    assert part.length == 19


def test_accents_beyond_the_alphabet_go_as_ucs2_in_parts() -> None:
    parts = submit("0470123456", "ê" * 71, 9)
    assert len(parts) == 2
    assert "0500030902" in parts[0].pdu
