"""Two kinds of drawing, as SVG: bars, and lines over a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

WIDTH = 720
MARGIN = 16
INK, FAINT, OURS, THEIRS = "#333", "#ddd", "#0a7d4f", "#9aa5ad"
COLOURS = (OURS, "#c2571a", "#3465a4", "#75507b")
BAR, GAP, LABEL = 18, 8, 210
TOP, BOTTOM, LEFT, RIGHT, TALL = 58, 52, 64, 150, 300
LEAST = 0.001  # a logarithm has no zero
Line = Sequence[tuple[float, float]]


def bars(title: str, rows: Sequence[tuple[str, float, bool]]) -> str:
    """A bar for each (name, value, whether it is ours); the numbers stand behind the bars."""
    most = max(value for _, value, _ in rows)
    scale = (WIDTH - LABEL - 90) / max(most, LEAST)
    parts = [_text(MARGIN, 26, title, bold=True)]
    for number, (name, value, ours) in enumerate(rows):
        y = TOP + number * (BAR + GAP)
        width = max(1.0, value * scale)
        colour = OURS if ours else THEIRS
        parts.append(_text(LABEL - 8, y + BAR - 4, name, anchor="end"))
        parts.append(f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(_text(LABEL + width + 6, y + BAR - 4, _short(value)))
    return _page(parts, TOP + len(rows) * (BAR + GAP) + MARGIN)


def lines(title: str, x_title: str, y_title: str, series: Mapping[str, Line]) -> str:
    """A line for each name; both axes logarithmic, so that what grows in proportion is straight."""
    drawn = {name: [(x, max(y, LEAST)) for x, y in line] for name, line in series.items()}
    points = [point for line in drawn.values() for point in line]
    x_at = _axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    y_at = _axis([y for _, y in points], TOP + TALL, TOP, whole=True)
    titles = ((MARGIN, TOP - 8, y_title), (LEFT, TOP + TALL + 40, x_title))
    parts = [_text(MARGIN, 26, title, bold=True), *(_text(*each) for each in titles)]
    for x in sorted({x for x, _ in points}):
        parts.append(_rule(x_at(x), TOP, x_at(x), TOP + TALL))
        parts.append(_text(x_at(x), TOP + TALL + 18, _short(x), anchor="middle"))
    for y in _decades([y for _, y in points]):
        parts.append(_rule(LEFT, y_at(y), WIDTH - RIGHT, y_at(y)))
        parts.append(_text(LEFT - 8, y_at(y) + 4, _short(y), anchor="end"))
    for colour, (name, line) in zip(COLOURS, drawn.items(), strict=False):
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        parts.append(_text(WIDTH - RIGHT + 8, y_at(line[-1][1]) + 4, name, colour=colour))
    return _page(parts, TOP + TALL + BOTTOM)


class _Axis:
    """Where a value stands, logarithmically."""

    def __init__(self, low: float, high: float, start: float, stop: float) -> None:
        self._low = math.log(low)
        self._scale = (stop - start) / ((math.log(high) - self._low) or 1)
        self._start = start

    def __call__(self, value: float) -> float:
        return self._start + (math.log(value) - self._low) * self._scale


def _axis(values: list[float], start: float, stop: float, *, whole: bool = False) -> _Axis:
    low, high = min(values), max(values)
    if whole:
        marks = _decades(values)
        low, high = min(low, marks[0]), max(high, marks[-1])
    return _Axis(low, high, start, stop)


def _decades(values: list[float]) -> list[float]:
    """1, 2, 5, 10, 20 … around the values."""
    low, high = min(values), max(values)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    marks = [step * 10.0**power for power in range(first, last + 1) for step in (1, 2, 5)]
    below = max((mark for mark in marks if mark <= low), default=marks[0])
    above = min((mark for mark in marks if mark >= high), default=marks[-1])
    return [mark for mark in marks if below <= mark <= above]


def _rule(x: float, y: float, to_x: float, to_y: float) -> str:
    return f'<path d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}" stroke="{FAINT}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _page(parts: Iterable[str], height: float) -> str:
    style = 'font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" {style}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>", ""])
