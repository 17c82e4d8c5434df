"""A sheet for the kitchen: the page's address and its QR code, in all languages, to be printed. Pure.

Made by `modem-agent page --sheet`. The address is the same in every home, so the code is a constant, made once by an
encoder (segno 1.6.6, QR code 1-M, mask 7) and read back by tests/household/test_sheet.py: no device carries an encoder
for one picture. A scheme and a host in capitals mean the same (RFC 3986, 6.2.2.1) and fit into the smallest code.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.household.markup import escaped
from agent.household.page_texts import LANGUAGES, texts
from agent.household.picture import squares

NAME = "internet.box"
ADDRESS = f"http://{NAME}/"

CODE = (
    "#######..#.#..#######",
    "#.....#..#....#.....#",
    "#.###.#..#.##.#.###.#",
    "#.###.#....#..#.###.#",
    "#.###.#...#.#.#.###.#",
    "#.....#.##....#.....#",
    "#######.#.#.#.#######",
    ".........###.........",
    "#..#.##.##.###.#.....",
    "...#...#....##...####",
    ".##.########.#.#...#.",
    "##.###....######.#..#",
    "....#.#.#.#..#......#",
    "........###.#..#...##",
    "#######...#.#...#.#..",
    "#.....#.##.#...#..###",
    "#.###.#..##.##.###.#.",
    "#.###.#.#.#.#.##..###",
    "#.###.#..##.....###.#",
    "#.....#..#....#.#.#.#",
    "#######.#..##.##.....",
)

STYLE = """
@page{size:A4;margin:15mm}
body{font:14pt/1.4 system-ui,sans-serif;color:#000;background:#fff;max-width:180mm;margin:0 auto}
.code{display:block;width:70mm;height:70mm;margin:0 auto}.address{font-size:26pt;text-align:center;font-weight:700}
section{border-top:1px solid #595959;padding:2mm 0}h1,h2{font-size:16pt;margin:0}p{margin:0}
"""


def sheet(addresses: Sequence[str] = (), language: str = "fr") -> str:
    """The document; `addresses` are the router's own, for a telephone whose name server is another. The chosen language
    stands first."""
    order = (language, *(other for other in LANGUAGES if other != language))
    also = "".join(f"<p>{escaped(ADDRESS[:7] + address)}/</p>" for address in addresses)
    lines = [
        "<!DOCTYPE html>",
        f'<html lang="{language}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escaped(texts(language).title)}</title><style>{STYLE}</style></head><body><main>",
        squares(CODE, ADDRESS),
        f'<p class="address" dir="ltr">{ADDRESS}</p>',
        f'<div style="text-align:center" dir="ltr">{also}</div>' if also else "",
        *(_section(name, first=name == language) for name in order),
        "</main></body></html>",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _section(language: str, *, first: bool) -> str:
    words, head = texts(language), "h1" if first else "h2"
    return (
        f'<section lang="{language}" dir="{words.direction}"><{head}>{escaped(words.sheet)}</{head}>'
        f"<p>{escaped(words.sheet_scan)}</p><p>{escaped(words.sheet_type)} <bdi>{ADDRESS}</bdi></p>"
        f"<p>{escaped(words.free)}</p></section>"
    )
