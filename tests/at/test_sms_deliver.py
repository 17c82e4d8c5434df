"""Messages as PDUs, read: what `pdu` writes comes back, and what is damaged gives nothing rather than half a text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.at.engine.charset import EXTENSION, GSM7
from agent.at.standard.sms_deliver import read_pdu
from agent.at.standard.sms_submit import submit

_NUMBERS = st.from_regex(r"\+?[0-9]{3,20}", fullmatch=True)
_SIGNS = st.sampled_from([sign for sign in GSM7 if sign != "\x1b"] + list(EXTENSION.values()))
_TEXTS = st.text(_SIGNS, min_size=1, max_size=300) | st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xD7FF), min_size=1, max_size=130
)


@given(_NUMBERS, _TEXTS)
def test_a_message_that_was_written_is_read_back(number: str, text: str) -> None:
    parts = submit(number, text, reference=7)
    found = [read_pdu(part.pdu) or {} for part in parts]
    assert "".join(str(part["text"]) for part in found) == text
    assert {part["to"] for part in found} == {number}
    if len(parts) > 1:
        assert [(part["part"], part["parts"]) for part in found] == [(i + 1, len(parts)) for i in range(len(parts))]


@given(_NUMBERS, _TEXTS, st.integers(0, 400))
def test_a_message_cut_short_gives_no_text(number: str, text: str, kept: int) -> None:
    whole = submit(number, text)[0].pdu
    cut = whole[: min(kept, len(whole) - 2)]
    assert (read_pdu(cut) or {}).get("text") is None


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise(data: bytes) -> None:
    reading = read_pdu(data.hex())
    assert reading is None or reading["kind"] in ("deliver", "submit", "status-report")
