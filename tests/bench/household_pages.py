"""PURE. Three frozen pages as a household meets them: their parts by kind, number and bytes, and the files of them.

The weights are those of a public form, of a news page (HTTP Archive's Web Almanac 2024, page weight: 2.65 MB and 71
requests at the median of desktop home pages) and of a school's portal. The bytes are drawn from a seed, in hexadecimal
and so in what each kind takes as a comment; they are sent as they are, so a weight is what crosses the line.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """`count` files of one kind, `total_bytes` together."""

    kind: str  # css, js, svg
    count: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    """The document and what it names."""

    document_bytes: int
    parts: tuple[Part, ...]

    @property
    def total_bytes(self) -> int:
        return self.document_bytes + sum(part.total_bytes for part in self.parts)


PAGES = {
    "form": Page(20_000, (Part("css", 2, 30_000), Part("js", 3, 80_000), Part("svg", 4, 20_000))),
    "news": Page(80_000, (Part("css", 5, 120_000), Part("js", 25, 900_000), Part("svg", 40, 1_400_000))),
    "school": Page(30_000, (Part("css", 3, 100_000), Part("js", 8, 600_000), Part("svg", 12, 270_000))),
}
_NAMED = {"css": '<link rel="stylesheet" href="%s">', "js": '<script defer src="%s"></script>', "svg": '<img src="%s">'}
_AROUND = {
    "html": ("<!--", "-->"),
    "css": ("/*", "*/"),
    "js": ("/*", "*/"),
    "svg": ('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><!--', "--></svg>"),
}
# Once all is loaded, the page itself says how long it took. The number after `?` is that of the try.
_REPORT = """<script>addEventListener('load', () => setTimeout(() => {
  const [all] = performance.getEntriesByType('navigation');
  const [paint] = performance.getEntriesByName('first-contentful-paint');
  const parts = performance.getEntriesByType('resource');
  fetch('/loaded' + location.search.slice(1), {method: 'POST', body: JSON.stringify({load_s: all.loadEventEnd / 1000,
    paint_s: (paint ? paint.startTime : NaN) / 1000, protocol: all.nextHopProtocol,
    octets: parts.reduce((sum, part) => sum + part.encodedBodySize, all.encodedBodySize)})});
}, 0))</script>"""


def files(name: str) -> Iterator[tuple[str, bytes]]:
    """Every file of a page, by its name; the document's is `<name>.html`. The same bytes each time."""
    page, draw, named = PAGES[name], random.Random(name), ""
    for part in page.parts:
        for number in range(part.count):
            file = f"{name}{number}.{part.kind}"
            length = part.total_bytes // part.count + (part.total_bytes % part.count if number == 0 else 0)
            named += _NAMED[part.kind] % file
            yield file, _filled(part.kind, length, draw)
    head = f"<!DOCTYPE html><html><head><meta charset=utf-8><title>{name}</title></head><body><p>{name}</p>"
    body = f"{head}{named}{_REPORT}"
    yield f"{name}.html", body.encode() + _filled("html", page.document_bytes - len(body), draw)


def _filled(kind: str, length: int, draw: random.Random) -> bytes:
    before, after = _AROUND[kind]
    left = length - len(before) - len(after)
    return f"{before}{draw.randbytes(left // 2 + 1).hex()[:left]}{after}".encode()
