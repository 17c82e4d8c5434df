"""Lines that modems send unasked, and errors told in words: one of each a row, as the vendors' manuals have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.at import decode

_DATA = Path(__file__).parent / "data"
NEWS = (_DATA / "news.txt").read_text("utf-8").splitlines()
ERRORS = [row.split("\t") for row in (_DATA / "errors.tsv").read_text("utf-8").splitlines()]
# A prefixed answer, a bare one, and one whose value is a text.
ASKED = {
    "AT+CSQ": "+CSQ: 18,99",
    "AT+CGMR": "EC25EFAR06A03M4G",
    "AT+CCLK?": '+CCLK: "26/11/22,08:00:00+04"',
}


@pytest.mark.parametrize("line", NEWS)
def test_news_beside_an_answer_is_told_apart_from_it(line: str) -> None:
    for command, answer in ASKED.items():
        wanted = decode(command, f"\r\n{answer}\r\n\r\nOK\r\n")["reading"]
        for first, second in ((line, answer), (answer, line)):
            found = decode(command, f"\r\n{first}\r\n\r\n{second}\r\n\r\nOK\r\n")
            assert (found["reading"], found["unsolicited"], found["stray"]) == (wanted, [line], []), command


@pytest.mark.parametrize(("kind", "number", "text"), ERRORS)
def test_an_error_in_words_has_the_number_of_the_standard(kind: str, number: str, text: str) -> None:
    found = decode("AT+CMGS=1" if kind == "CMS" else "AT+CPIN?", f"\r\n+{kind} ERROR: {text}\r\n")
    assert (found["final"], found["code"], found["reading"]) == (kind, int(number), None)
