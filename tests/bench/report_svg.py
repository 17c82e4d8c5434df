"""Plots as SVG text, for a page that loads nothing: lines over an axis, and lying bars.

Called by the report. Knows nothing of what it draws. A plot is drawn twice, wide for a screen and paper, narrow for a
phone: text keeps its size in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]
COLOURS = ("#1f6fb4", "#c8581b", "#3a8f4d", "#7a4fa3")
HEIGHT = 300
RIGHT, TOP, BOTTOM = 20, 34, 42
LEGEND = 16  # the height of one of its lines


@dataclass(frozen=True, slots=True)
class Frame:
    """The place of one plot."""

    width: int
    left: int
    top: int = TOP

    @property
    def end(self) -> int:
        return self.width - RIGHT


def frame(narrow: bool, labels: int) -> Frame:
    """On a phone the legend has a line for each label."""
    return Frame(400, 66, TOP + LEGEND * (labels - 1)) if narrow else Frame(900, 70)


def both(draw: Callable[[bool], str]) -> str:
    """The wide and the narrow plot; the page's style shows one of them."""
    return f'<div class="wide">{draw(False)}</div><div class="narrow">{draw(True)}</div>'


class Scale:
    """From a value to a place on the page, linear or logarithmic (then from `floor` on)."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log_floor: float = 0.0) -> None:
        self.low, self.high, self.start, self.end, self.log_floor = low, max(high, low + 1e-9), start, end, log_floor

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.log_floor:
            low, high, at = (math.log10(max(self.log_floor, v)) for v in (self.log_floor, self.high, value))
        share = min(1.0, max(0.0, (at - low) / (high - low)))
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.log_floor:
            first, last = math.floor(math.log10(self.log_floor)), math.floor(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1) if 10.0**power >= self.log_floor]
        step = _round_step((self.high - self.low) / 5)
        first_tick = math.ceil(self.low / step) * step
        return [first_tick + n * step for n in range(int((self.high - first_tick) / step + 1e-9) + 1)]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next((power * step for step in (1, 2, 2.5, 5) if power * step >= rough), power * 10)


def number(value: float) -> str:
    """As short as it may be."""
    if value and abs(value) < 1:
        return f"{value:g}"
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 else f"{value:,.1f}"


def text(x: float, y: float, words: str, anchor: str = "start", *, kind: str = "small", upright: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if upright else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{turn}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def box(x: float, y: float, width: float, height: float, *, kind: str = "", fill: str = "") -> str:
    paint = f'fill="{fill}"' if fill else f'class="{kind}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {paint}/>'


def lines(
    series: Mapping[str, Sequence[Point]],
    *,
    x_title: str,
    y_title: str,
    name: str,
    marks: Sequence[tuple[float, str]] = (),
    level: tuple[float, str] | None = None,
    narrow: bool = False,
) -> str:
    """Lines over time, with upright marks for what happened and one level line for a target."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points] + ([level[0]] if level else [])
    place = frame(narrow, len(series))
    across = Scale(min(xs), max(xs), place.left, place.end)
    up = Scale(0, max(ys) * 1.08, HEIGHT - BOTTOM, place.top)
    parts = [_grid(across, up, place), _titles(x_title, y_title, place)]
    for number_, (at, words) in enumerate(marks, start=1):
        x = across(at)
        parts.append(line(x, place.top, x, HEIGHT - BOTTOM, "mark"))
        parts.append(
            text(x, place.top + 10, str(number_), "middle") if narrow
            else text(x - 4, place.top + 4, words, "end", upright=True)
        )  # fmt: skip
    for points, colour in zip(series.values(), COLOURS, strict=False):
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    if level:
        y = up(level[0])
        parts.append(line(place.left, y, place.end, y, "level"))
        parts.append(text(place.end, y - 4, level[1], "end"))
    return _svg(name, place.width, HEIGHT, [*parts, _legend(list(series), place, narrow)], narrow)


def bars(
    rows: Sequence[tuple[str, float, str]],
    *,
    name: str,
    unit: str,
    level: tuple[float, str] | None = None,
    log_floor: float = 0.0,
    narrow: bool = False,
) -> str:
    """Lying bars: (label, value, class of the bar or nothing). On a phone the label stands above its bar."""
    width, left, row_height = (400, 4, 38) if narrow else (900, 330, 22)
    height = 40 + row_height * len(rows)
    top = max([value for _, value, _ in rows] + ([level[0]] if level else []))
    across = Scale(0, top * 1.15, left, width - 100, log_floor=log_floor)
    parts = []
    for index, (label, value, kind) in enumerate(rows):
        y, end = 28 + index * row_height + (16 if narrow else 0), across(value)
        at, anchor = (left, "start") if narrow else (left - 8, "end")
        parts.append(text(at, y - 4 if narrow else y + 12, label, anchor, kind="label"))
        parts.append(box(left, y, max(1.0, end - left), 15, kind=f"bar {kind}".strip()))
        parts.append(text(end + 6, y + 12, f"{number(value)} {unit}", kind="label"))
    if level:
        parts.append(line(across(level[0]), 22, across(level[0]), height - 8, "level"))
        parts.append(text(across(level[0]), 16, level[1], "middle"))
    return _svg(name, width, height, parts, narrow)


def _grid(across: Scale, up: Scale, place: Frame) -> str:
    parts = []
    for tick in up.ticks():
        y = up(tick)
        parts += [line(place.left, y, place.end, y, "grid"), text(place.left - 6, y + 4, number(tick), "end")]
    parts += [text(across(tick), HEIGHT - BOTTOM + 16, number(tick), "middle") for tick in across.ticks()]
    return "".join(parts)


def _titles(x_title: str, y_title: str, place: Frame) -> str:
    across = text((place.left + place.end) / 2, HEIGHT - 6, x_title, "middle")
    return across + text(14, (place.top + HEIGHT - BOTTOM) / 2, y_title, "middle", upright=True)


def _legend(labels: list[str], place: Frame, narrow: bool) -> str:
    parts, x, y = [], float(place.left), 10
    for label, colour in zip(labels, COLOURS, strict=False):
        parts += [box(x, y, 14, 4, fill=colour), text(x + 19, y + 6, label)]
        x, y = (x, y + LEGEND) if narrow else (x + 34 + 6.6 * len(label), y)
    return "".join(parts)


def _svg(name: str, width: int, height: int, parts: list[str], narrow: bool) -> str:
    own = f"{name}-narrow" if narrow else name
    head = f'<svg id="{own}" class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{name}">'
    return head + "".join(parts) + "</svg>"
