"""Names beside the points of a plot that overlap neither each other, points or legend, nor leave the axes."""

from collections.abc import Sequence
from typing import Any

from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

__all__ = ["label_points", "overlaps"]

# The candidate places of a name, nearest first: offset of its anchor from the point in points, alignment.
_PLACES = [
    (dx, dy, "left" if dx > 0 else "right" if dx < 0 else "center", "bottom" if dy > 0 else "top")
    for distance in (4, 9, 14, 20, *range(28, 140, 10))
    for dx, dy in (
        (4, distance), (4, -distance), (-4, distance), (-4, -distance), (0, distance), (0, -distance)
    )
]  # fmt: skip
# Room around a point's marker, and around a text, in pixels of the figure.
_MARKER, _ROOM = 4, 1
# A name farther from its point than this gets a line to it, in points.
_CLOSE = 9


def _boxes(figure: Any, artists: Sequence[Any]) -> list[Any]:
    renderer = figure.canvas.get_renderer()
    return [artist.get_window_extent(renderer).padded(_ROOM) for artist in artists]


def label_points(ax: Any, names: Sequence[tuple[str, float, float]], size: float = 6) -> list[Any]:
    """Write a name beside each point, each at the first of several places where it overlaps nothing.

    The limits, scales and the legend of the axes must be final. A name that is not next to its point gets a
    thin line to it.

    Args:
        ax: the axes.
        names: name, x and y of each point.
        size: font size.

    Returns:
        The texts.

    Raises:
        RuntimeError: a name fits in none of its places.
    """
    figure = ax.figure
    figure.canvas.draw()
    inside = ax.get_window_extent()
    points = [ax.transData.transform((x, y)) for _, x, y in names]
    legend = [] if ax.get_legend() is None else [ax.get_legend()]
    taken = [*_boxes(figure, legend), *_boxes(figure, ax.texts)]
    written = []
    for (name, x, y), point in zip(names, points, strict=True):
        text = ax.annotate(name, (x, y), xytext=(0, 0), textcoords="offset points", fontsize=size)
        extent = _text_box(text)
        for place in _PLACES:
            box = _box_at(point, place, extent.width, extent.height, figure.dpi / 72)
            free = not any(box.overlaps(other) for other in taken)
            if free and _within(box, inside) and not any(_near(box, other) for other in points):
                break
        else:
            raise RuntimeError(f"the name {name!r} must have a place beside its point, and there is none")
        text.remove()
        dx, dy, ha, va = place
        arrow = {"arrowstyle": "-", "lw": 0.4, "color": "grey"} if abs(dy) > _CLOSE else None
        written.append(
            ax.annotate(
                name,
                (x, y),
                xytext=(dx, dy),
                textcoords="offset points",
                fontsize=size,
                ha=ha,
                va=va,
                arrowprops=arrow,
            )
        )
        taken.append(box)
    return written


def _box_at(point: Any, place: tuple[int, int, str, str], width: float, height: float, scale: float) -> Bbox:
    """Return the box of a text of this size at a place beside a point, with a margin."""
    dx, dy, ha, va = place
    x = point[0] + dx * scale - {"left": 0.0, "center": width / 2, "right": width}[ha]
    y = point[1] + dy * scale - {"bottom": 0.0, "top": height}[va]
    return Bbox([[x, y], [x + width, y + height]]).padded(_ROOM)


def _within(box: Any, other: Any) -> bool:
    return bool(other.x0 <= box.x0 and box.x1 <= other.x1 and other.y0 <= box.y0 and box.y1 <= other.y1)


def _near(box: Any, point: Any) -> bool:
    x, y = point
    return bool(box.x0 - _MARKER < x < box.x1 + _MARKER and box.y0 - _MARKER < y < box.y1 + _MARKER)


def overlaps(figure: Any) -> list[tuple[str, str]]:
    """Return pairs of texts of a figure that overlap: labels, ticks, titles and legends."""
    figure.canvas.draw()
    texts: list[Any] = []
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            texts += [t.label1 for t in ticks if t.label1.get_visible() and low <= t.get_loc() <= high]
        if ax.get_legend() is not None:
            texts += ax.get_legend().get_texts()
    found = [(text.get_text(), text) for text in texts if text.get_text().strip()]
    boxes = [(name, _text_box(text)) for name, text in found]
    return [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[i + 1 :] if one.overlaps(other)]


def _text_box(text: Any) -> Any:
    """Return the box of a text without the line of an annotation."""
    renderer = text.figure.canvas.get_renderer()
    if isinstance(text, Annotation):
        text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)
