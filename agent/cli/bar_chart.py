"""Traffic as a picture: an SVG of lying bars, one a row, with the limit as a line. Pure: rows in, document out.

Used by `usage --svg`. Black on white with the figures beside the bars, so that it can be printed and read aloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from agent.cli import screen
from agent.cli.language import _

WIDE, LEFT, RIGHT, ROW, TOP = 720, 110, 90, 24, 48


def svg(title: str, rows: Sequence[tuple[str, int]], *, limit: int | None) -> str:
    """`limit` in bytes is drawn across all bars; None where each bar has no limit of its own."""
    high = TOP + ROW * len(rows) + 28
    room = WIDE - LEFT - RIGHT
    top = max([limit or 0, *(value for name, value in rows)]) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}" font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="8" y="24" font-size="16">{escape(title)}</text>',
    ]
    for number, (name, value) in enumerate(rows):
        y, wide = TOP + ROW * number, value / top * room
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y + 3}" width="{wide:.1f}" height="{ROW - 6}" fill="#246"/>',
            f'<text x="{WIDE - 8}" y="{y + 15}" text-anchor="end">{escape(str(screen.size(value)))}</text>',
        ]
    if limit is not None:
        x, foot = LEFT + limit / top * room, TOP + ROW * len(rows)
        words = escape(_("allowance {size}", size=screen.size(limit)))
        parts += [
            f'<path d="M{x:.1f} {TOP - 4}V{foot + 4}" stroke="#b00" stroke-width="2" stroke-dasharray="5 3"/>',
            f'<text x="{x:.1f}" y="{foot + 19}" text-anchor="end" fill="#b00">{words}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
