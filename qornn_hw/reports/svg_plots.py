"""Plots as SVG text: lines over categories, bars, and a histogram.

A report needs only these three kinds. matplotlib takes 95 MB with its dependencies, so `qornn-hw` does not
use it. Every text has a place of its own: a column of names, a column of values, a legend beside the axes. A
text that is too long for its place ends in "...". So labels do not overlap; the tests check the bounding
boxes of all texts.

All text from outside is escaped (:func:`xml_text`), such as names of files.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["Bar", "bars", "histogram", "lines", "text_width", "xml_text"]

WIDTH = 640
FONT = 12
_CHARACTER = 0.6  # upper limit of the average width of a character, relative to the font size
_COLOURS = ("#1f6feb", "#d9730d", "#1a7f4b", "#8250df", "#b3261e", "#5a6472")
_GRID = "#d8dee4"
_INK = "#1f2328"


def xml_text(value: object) -> str:
    """Return a value as XML text: markup is escaped, unprintable characters are shown by their codes."""
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in str(value))
    return escape(text, {'"': "&quot;", "'": "&#39;"})


def text_width(text: str, size: float = FONT) -> float:
    """Return an upper limit of a text's width in pixels; the fonts of browsers differ."""
    return len(text) * size * _CHARACTER


def _fitted(text: str, width: float, size: float = FONT) -> str:
    """Return a text of at most ``width`` pixels; a longer one is cut and ends in "..."."""
    if text_width(text, size) <= width:
        return text
    return text[: max(int(width / (size * _CHARACTER)) - 3, 0)] + "..."


class _Drawing:
    """The elements of one SVG."""

    def __init__(self, title: str, height: float) -> None:
        self.title, self.height = title, height
        self.elements: list[str] = []
        self.text(0, 16, _fitted(title, WIDTH, 14), size=14, weight="bold")

    def text(
        self, x: float, y: float, text: str, anchor: str = "start", size: float = FONT, weight: str = "normal"
    ) -> None:
        """Add a text; y is its base line."""
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" '
            f'font-weight="{weight}" fill="{_INK}">{xml_text(text)}</text>'
        )

    def rectangle(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self.elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
            f'fill="{colour}"/>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = _GRID) -> None:
        self.elements.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
        )

    def path(self, points: Sequence[tuple[float, float]], colour: str, width: float) -> None:
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.elements.append(
            f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'
        )
        for x, y in points:
            self.elements.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 1.5:g}" fill="{colour}"/>')

    def svg(self) -> str:
        title = xml_text(self.title)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height:g}" '
            f'width="{WIDTH}" height="{self.height:g}" role="img" aria-label="{title}" '
            'font-family="Helvetica, Arial, sans-serif">'
            f'<title>{title}</title><rect width="100%" height="100%" fill="white"/>'
            + "".join(self.elements)
            + "</svg>\n"
        )


def _ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers that cover the range from ``low`` to ``high``."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        span = abs(low) or 1.0
        low, high = low - span / 2, low + span / 2
    raw = span / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [k * step for k in range(first, last + 1)]


def lines(
    title: str,
    x_name: str,
    y_name: str,
    x: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    percent: bool = False,
) -> str:
    """Return a line plot over categories: each series has one value at each category.

    Args:
        title: title above the plot.
        x_name: label under the categories.
        y_name: label above the values.
        x: names of the categories.
        series: values by series name, one for each category; values that are not finite are left out.
        percent: the values are shares, and are shown in percent.
    """
    legend = 170
    left, right, top, bottom = 70, WIDTH - legend - 20, 64, 260
    d = _Drawing(title, bottom + 54)
    d.text(0, 44, _fitted(y_name, right))
    values = [v for row in series.values() for v in row if math.isfinite(v)] or [0.0, 1.0]
    ticks = _ticks(min(values), max(values))
    if percent and ticks[-1] > 1 >= max(values):
        ticks = [t for t in ticks if t <= 1 + 1e-9]
    low, high = ticks[0], max(ticks[-1], max(values))
    digits = max(0, -math.floor(math.log10((ticks[1] - ticks[0]) * (100 if percent else 1)) + 1e-9))

    def height(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    for tick in ticks:
        text = f"{100 * tick:.{digits}f} %" if percent else f"{tick:.{digits}f}"
        d.line(left, height(tick), right, height(tick))
        d.text(left - 8, height(tick) + 4, _fitted(text, left - 8), "end")
    gap = (right - left) / len(x)
    places = [left + gap * (i + 0.5) for i in range(len(x))]
    for place, name in zip(places, x, strict=True):
        d.text(place, bottom + 20, _fitted(name, gap - 6), "middle")
    d.text((left + right) / 2, bottom + 42, _fitted(x_name, right - left), "middle")
    for i, (name, row) in enumerate(series.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        shown = [(p, height(v)) for p, v in zip(places, row, strict=True) if math.isfinite(v)]
        # The first lines are wider, so that lines on top of each other stay visible.
        d.path(shown, colour, max(5.0 - 1.5 * i, 1.5))
        y = top + 8 + 20 * i
        d.rectangle(right + 20, y - 6, 14, 4, colour)
        d.text(right + 40, y, _fitted(name, legend - 20))
    d.height = max(d.height, top + 20 * len(series) + 20)
    return d.svg()


@dataclass(frozen=True)
class Bar:
    """One bar of a bar chart.

    Attributes:
        name: label at the left.
        value: length of the bar, 0 or more.
        text: label at the right.
        limit: position of a mark for the maximum; None for no mark.
    """

    name: str
    value: float
    text: str
    limit: float | None = None


def bars(title: str, rows: Sequence[Bar]) -> str:
    """Return horizontal bars, one a row, with names at the left and texts at the right."""
    names, texts = 170, 170
    left, right, top, pitch = names + 10, WIDTH - texts - 10, 34, 24
    d = _Drawing(title, top + pitch * max(len(rows), 1) + 6)
    if not rows:
        d.text(0, top + 14, "nothing to show")
    most = max([max(row.value, row.limit or 0.0) for row in rows] or [0.0]) or 1.0
    scale = (right - left) / most
    for i, row in enumerate(rows):
        y = top + pitch * i
        over = row.limit is not None and row.value > row.limit
        d.text(names, y + 15, _fitted(row.name, names), "end")
        d.rectangle(left, y + 4, right - left, pitch - 8, "#f0f3f6")
        d.rectangle(left, y + 4, row.value * scale, pitch - 8, _COLOURS[4 if over else 0])
        if row.limit is not None:
            d.rectangle(left + row.limit * scale - 1, y + 2, 2, pitch - 4, _INK)
        d.text(right + 10, y + 15, _fitted(row.text, texts))
    return d.svg()


def histogram(title: str, x_name: str, counts: Sequence[int], low: float, high: float) -> str:
    """Return a histogram: shares of equal parts of the range from ``low`` to ``high``.

    Args:
        title: title above the plot.
        x_name: label under the axis.
        counts: count of each part.
        low: start of the first part.
        high: end of the last part.
    """
    left, right, top, bottom = 70, WIDTH - 20, 44, 220
    d = _Drawing(title, bottom + 54)
    total = sum(counts) or 1
    shares = [count / total for count in counts]
    ticks = _ticks(0.0, max(shares) or 1.0)
    digits = max(0, -math.floor(math.log10(100 * (ticks[1] - ticks[0])) + 1e-9))
    for tick in ticks:
        y = bottom - tick / ticks[-1] * (bottom - top)
        d.line(left, y, right, y)
        d.text(left - 8, y + 4, f"{100 * tick:.{digits}f} %", "end")
    width = (right - left) / len(counts)
    for i, share in enumerate(shares):
        tall = share / ticks[-1] * (bottom - top)
        d.rectangle(left + i * width + 0.5, bottom - tall, width - 1, tall, _COLOURS[0])
    places = ((left, low, "start"), ((left + right) / 2, (low + high) / 2, "middle"), (right, high, "end"))
    for x, value, anchor in places:
        d.text(x, bottom + 20, f"{value:.4g}", anchor)
    d.text((left + right) / 2, bottom + 42, _fitted(x_name, right - left), "middle")
    return d.svg()
