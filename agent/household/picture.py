"""The page's pictures: inline SVG of a few shapes, each for one thing. Pure; used by page.py and sheet.py.

A text beside each says the same, so that they are hidden from screen readers; the QR code alone has a name.
Colour alone carries nothing: a part that is gone is empty, fast and slow have other shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.household.markup import escaped

# Contrast to white, WCAG 2.2, 1.4.3 and 1.4.11: green 5.4, amber 6.0, red 6.5, grey 7.0 (tests/household/test_page.py)
COLOURS = {"good": "#1a7a38", "little": "#8a5700", "none": "#b3261e", "ink": "#1a1a1a", "line": "#595959"}

CELLS, CELL, GAP = 10, 26, 4

_LINE = 'fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"'
_ICONS = {
    "fast": '<path d="M6 12l12 12L6 36M24 12l12 12-12 12"/>',
    "slow": '<path d="M4 38h34c6 0 7-6 5-12l-1-8M42 18l-4-6M42 18l5-5"/>'
    '<path d="M10 38a13 13 0 1 1 24-9M34 29a9 9 0 1 0-9 8M28 28a4 4 0 1 0-3 5"/>',
    "broken": '<path d="M6 18a27 27 0 0 1 36 0M13 26a17 17 0 0 1 22 0M20 34a7 7 0 0 1 8 0M8 42L40 6"/>',
    "free": '<circle cx="24" cy="24" r="19"/><path d="M31 16a10 10 0 1 0 0 16M13 22h12M13 27h12M9 39L39 9"/>',
    "phone": '<path d="M12 5l7 1 3 10-5 4a24 24 0 0 0 11 11l4-5 10 3 1 7c0 4-3 6-7 6C20 42 6 28 6 12c0-4 2-7 6-7z"/>',
    "calendar": '<path d="M6 10h36v32H6zM6 19h36M15 5v9M33 5v9"/>',
    "day": '<circle cx="24" cy="24" r="9"/><path d="M24 4v6M24 38v6M4 24h6M38 24h6M10 10l4 4M34 34l4 4M38 10l-4 4M14 34'
    'l-4 4"/>',
    "message": '<path d="M5 11h38v26H5zM5 12l19 15 19-15"/>',
    "form": '<path d="M10 4h20l8 8v32H10zM16 20h16M16 28h16M16 36h9"/>',
    "call": '<path d="M5 24a19 19 0 0 1 38 0v10h-7V24M5 24v10h7V24"/>',
    "film": '<path d="M5 9h38v30H5zM20 17l10 7-10 7zM8 44L40 4"/>',
    "place": '<path d="M24 45C12 30 9 24 9 18a15 15 0 0 1 30 0c0 6-3 12-15 27z"/><circle cx="24" cy="18" r="5"/>',
    "device": '<path d="M14 4h20v40H14zM21 38h6"/>',
}


def icon(name: str) -> str:
    """A sign beside a sentence that says the same."""
    return f'<svg class="icon" viewBox="0 0 48 48" aria-hidden="true" {_LINE}>{_ICONS[name]}</svg>'


def battery(share: float, level: str) -> str:
    """What is left, as on every telephone: ten cells, filled from the start of the line."""
    width = CELLS * (CELL + GAP) + GAP
    filled = share * CELLS
    cells = []
    for number in range(CELLS):
        x = GAP + 8 + number * (CELL + GAP)
        part = min(1.0, max(0.0, filled - number))
        if part:
            cells.append(f'<rect x="{x}" y="12" width="{part * CELL:.1f}" height="56" fill="{COLOURS[level]}"/>')
        cells.append(f'<rect x="{x}" y="12" width="{CELL}" height="56" fill="none" stroke="#999"/>')
    ink = COLOURS["ink"]
    frame = f'<rect x="6" y="6" width="{width + 4}" height="68" rx="8" fill="none" stroke="{ink}" stroke-width="4"/>'
    knob = f'<rect x="{width + 12}" y="26" width="10" height="28" fill="{ink}"/>'
    return f'<svg class="battery" aria-hidden="true" viewBox="0 0 {width + 24} 80">{frame}{knob}{"".join(cells)}</svg>'


def squares(rows: Sequence[str], label: str) -> str:
    """A QR code from its rows of # and dots, with the four empty modules around it that ISO/IEC 18004 asks for."""
    size = len(rows) + 8
    dark = "".join(
        f"M{x + 4} {y + 4}h1v1h-1z" for y, row in enumerate(rows) for x, sign in enumerate(row) if sign == "#"
    )
    return (
        f'<svg class="code" role="img" aria-label="{escaped(label)}" viewBox="0 0 {size} {size}" '
        f'shape-rendering="crispEdges"><rect width="{size}" height="{size}" fill="#fff"/>'
        f'<path d="{dark}" fill="#000"/></svg>'
    )
