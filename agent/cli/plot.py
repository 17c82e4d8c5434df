"""Plots of traffic in plain characters, for a serial console of 80 columns. Pure: rows in, lines out.

Used by `usage` alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.cli import screen

HEIGHT = 8
LEFT = 9  # columns before the axis: "12.34 GB "


def columns(values: Sequence[int | None], labels: Sequence[str], *, pace: float, room: int) -> list[str]:
    """Upright bars, one a value, with a dashed line at the even pace; None is a day yet to come.

    Bars are as wide as the room allows, two columns and a gap at the most.
    """
    wide = 3 if len(values) * 3 + LEFT + 1 <= room else 2 if len(values) * 2 + LEFT + 1 <= room else 1
    top = max([pace, *(v for v in values if v is not None)], default=0.0) or 1.0
    pace_row = round(pace / top * HEIGHT)
    lines = []
    for row in range(HEIGHT, 0, -1):
        name = screen.size(top) if row == HEIGHT else screen.size(pace) if row == pace_row else ""
        cells = "".join(_cell(value, row, top, pace_row, wide) for value in values)
        lines.append(f"{name or '':>{LEFT - 1}} |{cells}".rstrip())
    lines.append(" " * LEFT + "+" + "-" * (len(values) * wide))
    lines.append(" " * (LEFT + 1) + _ruler(labels, wide))
    return lines


def _cell(value: int | None, row: int, top: float, pace_row: int, wide: int) -> str:
    bar, gap = max(1, wide - 1), min(1, wide - 1)
    # A day on which anything passed shows at least one mark.
    height = 0 if value is None else max(round(value / top * HEIGHT), int(value > 0))
    empty = "-" if row == pace_row else " "
    return ("#" if height >= row else empty) * bar + empty * gap


def _ruler(labels: Sequence[str], wide: int) -> str:
    """Labels under their bars, as many as do not touch."""
    line = ""
    for index, label in enumerate(labels):
        place = index * wide
        fits = place + len(label) <= len(labels) * wide
        if label and fits and (place > len(line) or not line):
            line = line.ljust(place) + label
    return line.rstrip()


def bars(rows: Sequence[tuple[str, int]], *, limit: int, room: int) -> list[str]:
    """Lying bars, one a row, the limit marked by `|` in each that leaves it free."""
    if not rows:
        return []
    left = max(len(name) for name, _ in rows) + 1
    space = max(10, room - left - LEFT - 2)
    top = max(limit, *(value for _, value in rows)) or 1
    mark = min(space - 1, round(limit / top * space))
    lines = []
    for name, value in rows:
        full = max(round(value / top * space), int(value > 0))
        cells = list("#" * full + " " * (space - full))
        if cells[mark] == " ":
            cells[mark] = "|"
        lines.append(f"{name:<{left}}{''.join(cells)} {screen.size(value):>{LEFT}}")
    return lines
