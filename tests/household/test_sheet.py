"""The sheet for the kitchen: its code is read back, module by module, as ISO/IEC 18004 lays it out."""

from __future__ import annotations

import re

import pytest

from agent.household.page_texts import LANGUAGES, texts
from agent.household.picture import squares
from agent.household.sheet import ADDRESS, CODE, sheet

from .test_page import Outline

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"  # table 5: the alphanumeric set
DATA_CODEWORDS = 16  # version 1 at level M, table 7


def format_bits(mask: int) -> int:
    """Level M is 00; BCH(15,5) with the generator 10100110111, and the mask 101010000010010 (7.9)."""
    value = mask << 10
    for shift in range(4, -1, -1):
        if value >> (shift + 10) & 1:
            value ^= 0b10100110111 << shift
    return (mask << 10 | value) ^ 0b101010000010010


MASKS = (
    lambda i, j: (i + j) % 2 == 0,
    lambda i, j: i % 2 == 0,
    lambda i, j: j % 3 == 0,
    lambda i, j: (i + j) % 3 == 0,
    lambda i, j: (i // 2 + j // 3) % 2 == 0,
    lambda i, j: i * j % 2 + i * j % 3 == 0,
    lambda i, j: (i * j % 2 + i * j % 3) % 2 == 0,
    lambda i, j: ((i + j) % 2 + i * j % 3) % 2 == 0,
)


def read_back(rows: tuple[str, ...]) -> str:
    """The text of a version 1 code at level M without damage."""
    dark = [[sign == "#" for sign in row] for row in rows]
    size = len(rows)
    assert size == 21
    assert all(len(row) == size for row in rows)
    place = [(8, j) for j in (0, 1, 2, 3, 4, 5, 7, 8)] + [(i, 8) for i in (7, 5, 4, 3, 2, 1, 0)]
    word = 0
    for i, j in place:
        word = word << 1 | dark[i][j]
    mask = next(number for number in range(8) if format_bits(number) == word)

    def free(i: int, j: int) -> bool:
        finder = (i < 9 and j < 9) or (i < 9 and j >= size - 8) or (i >= size - 8 and j < 9)
        return not finder and i != 6 and j != 6

    bits: list[bool] = []
    upward = True
    for right in (20, 18, 16, 14, 12, 10, 8, 5, 3, 1):
        for i in range(size - 1, -1, -1) if upward else range(size):
            bits += [dark[i][j] ^ MASKS[mask](i, j) for j in (right, right - 1) if free(i, j)]
        upward = not upward
    stream = "".join("1" if bit else "0" for bit in bits[: DATA_CODEWORDS * 8])
    assert stream[:4] == "0010"  # alphanumeric
    count, stream = int(stream[4:13], 2), stream[13:]
    text = ""
    while count >= 2:
        pair, stream, count = int(stream[:11], 2), stream[11:], count - 2
        text += LETTERS[pair // 45] + LETTERS[pair % 45]
    return text + (LETTERS[int(stream[:6], 2)] if count else "")


def test_the_code_is_the_address() -> None:
    assert read_back(CODE) == ADDRESS.upper() == "HTTP://INTERNET.BOX/"


def test_the_picture_has_every_module_and_its_margin() -> None:
    drawn = re.findall(r"M(\d+) (\d+)h1v1h-1z", squares(CODE, "x"))
    assert {(int(y) - 4, int(x) - 4) for x, y in drawn} == {
        (i, j) for i, row in enumerate(CODE) for j, sign in enumerate(row) if sign == "#"
    }
    assert 'viewBox="0 0 29 29"' in squares(CODE, "x")


@pytest.mark.parametrize("first", LANGUAGES)
def test_the_sheet_speaks_all_languages_and_the_chosen_one_first(first: str) -> None:
    outline = Outline(sheet(["192.168.8.1"], first))
    sections = [attributes["lang"] for tag, attributes in outline.tags if tag == "section"]
    assert sections[0] == first
    assert sorted(map(str, sections)) == sorted(LANGUAGES)
    assert all(texts(language).free in outline.text for language in LANGUAGES)
    assert ADDRESS in outline.text
    assert "http://192.168.8.1/" in outline.text
    assert "script" not in {tag for tag, _ in outline.tags}
