"""A small painter: filled polygons with smooth edges, written out as PNG with nothing but zlib.

It draws the photos of the demo, so that the repository holds no image.
"""

import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import ceil, cos, floor, hypot, pi, sin

Point = tuple[float, float]
Colour = tuple[int, int, int]

_SUBLINES = 4
"""Scan lines for each row of pixels: edges get this many steps downwards, and exact cover sideways."""


def colour(text: str) -> Colour:
    """Read "#e0c9a6"."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


class Canvas:
    """A picture of RGB rows, painted back to front."""

    def __init__(self, width: int, height: int, top: str, bottom: str) -> None:
        self.width, self.height = width, height
        shades = (_between(colour(top), colour(bottom), y / height) for y in range(height))
        self._rows = [bytearray(bytes(shade) * width) for shade in shades]

    def polygon(self, points: Sequence[Point], top: str, bottom: str | None = None, *, alpha: float = 1.0) -> None:
        """Fill a polygon, from its top colour to its bottom colour."""
        ys = [y for _, y in points]
        low, high = min(ys), max(ys)
        first, last = colour(top), colour(bottom or top)
        edges = _edges(points)
        for y in range(max(0, floor(low)), min(self.height, ceil(high))):
            shade = _between(first, last, (y - low) / max(1.0, high - low))
            for start, stop, cover in _cover(edges, y, self.width):
                self._blend(y, start, stop, shade, cover * alpha)

    def _blend(self, y: int, start: int, stop: int, shade: Colour, alpha: float) -> None:
        level = round(alpha * 255)
        row = self._rows[y]
        if level >= 255:
            row[3 * start : 3 * stop] = bytes(shade) * (stop - start)
            return
        for channel, value in enumerate(shade):
            part = slice(3 * start + channel, 3 * stop, 3)
            row[part] = row[part].translate(_mixer(value, level))

    def ellipse(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        top: str,
        bottom: str | None = None,
        *,
        alpha: float = 1,
    ) -> None:
        """Fill an ellipse around (x, y)."""
        self.polygon(arc(x, y, rx, ry), top, bottom, alpha=alpha)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        radius: float,
        top: str,
        bottom: str | None = None,
        *,
        alpha: float = 1.0,
    ) -> None:
        """Fill a box with round corners; (x, y) is its upper left."""
        left, right, over, under = x + radius, x + width - radius, y + radius, y + height - radius
        corners = ((right, over, -0.25), (right, under, 0.0), (left, under, 0.25), (left, over, 0.5))
        points = [p for cx, cy, turn in corners for p in arc(cx, cy, radius, radius, turn, turn + 0.25, 8)]
        self.polygon(points, top, bottom, alpha=alpha)

    def line(self, points: Sequence[Point], width: float, top: str, alpha: float = 1.0) -> None:
        """Draw a line of this width with round ends and joints."""
        for (x0, y0), (x1, y1) in pairwise(points):
            length = hypot(x1 - x0, y1 - y0) or 1.0
            dx, dy = (y1 - y0) / length * width / 2, (x0 - x1) / length * width / 2
            sides = [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy), (x1 - dx, y1 - dy), (x0 - dx, y0 - dy)]
            self.polygon(sides, top, alpha=alpha)
        for x, y in points:
            self.ellipse(x, y, width / 2, width / 2, top, alpha=alpha)

    def shadow(self, x: float, y: float, rx: float, ry: float) -> None:
        """A soft shadow on the ground."""
        for part in (1.0, 0.86, 0.72, 0.58, 0.44):
            self.ellipse(x, y, rx * part, ry * part, "#1a1206", alpha=0.085)

    def png(self) -> bytes:
        """The picture as a PNG file: header, one stream of unfiltered rows, end (PNG specification, 5.6)."""
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        rows = b"".join(b"\0" + row for row in self._rows)
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def arc(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, stop: float = 1.0, steps: int = 56
) -> list[Point]:
    """Points on an ellipse, clockwise from `start` to `stop` in turns; 0 is to the right."""
    turns = (start + (stop - start) * step / steps for step in range(steps + 1))
    return [(x + rx * cos(2 * pi * turn), y + ry * sin(2 * pi * turn)) for turn in turns]


_Edge = tuple[float, float, float, float]


def _edges(points: Sequence[Point]) -> list[_Edge]:
    """Each side that is not level as (upper y, lower y, x at the upper end, x for each y)."""
    edges = []
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        if y0 < y1:
            edges.append((y0, y1, x0, (x1 - x0) / (y1 - y0)))
    return edges


def _cover(edges: list[_Edge], y: int, width: int) -> list[tuple[int, int, float]]:
    """Runs of pixels in row `y` and how much of each pixel the polygon covers (even-odd rule)."""
    steps: dict[int, float] = {}
    for subline in range(_SUBLINES):
        at = y + (subline + 0.5) / _SUBLINES
        crossed = (edge for edge in edges if edge[0] <= at < edge[1])
        crossings = sorted(x + (at - upper) * slope for upper, _lower, x, slope in crossed)
        for left, right in zip(crossings[::2], crossings[1::2], strict=False):
            _add_span(steps, min(max(left, 0.0), width), min(max(right, 0.0), width))
    runs, cover, places = [], 0.0, sorted(steps)
    for start, stop in pairwise(places):
        cover += steps[start]
        if cover > 0.002 and start < width:
            runs.append((start, min(stop, width), min(1.0, cover)))
    return runs


def _add_span(steps: dict[int, float], left: float, right: float) -> None:
    """Add one subline's span as changes of cover: the pixel at each end is covered in part."""
    for x, sign in ((left, 1.0), (right, -1.0)):
        pixel, part = floor(x), x - floor(x)
        steps[pixel] = steps.get(pixel, 0.0) + sign * (1.0 - part) / _SUBLINES
        steps[pixel + 1] = steps.get(pixel + 1, 0.0) + sign * part / _SUBLINES


@lru_cache(maxsize=4096)
def _mixer(value: int, level: int) -> bytes:
    """The table that mixes a channel's old value with a new one."""
    return bytes((old * (255 - level) + value * level + 127) // 255 for old in range(256))


def _between(first: Colour, last: Colour, part: float) -> Colour:
    part = min(max(part, 0.0), 1.0)
    r, g, b = (round(a + (z - a) * part) for a, z in zip(first, last, strict=True))
    return r, g, b


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
