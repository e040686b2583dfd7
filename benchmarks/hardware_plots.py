"""The picture of docs/benchmarks.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams |= {"svg.hashsalt": "qornn-hw", "svg.fonttype": "none", "font.size": 9}

from matplotlib import pyplot as plt  # noqa: E402  (after the backend is chosen)

__all__ = ["Point", "draw_roofline"]

MARKERS = {"lut": "o", "dsp": "s"}
COLOURS = {"lut": "tab:blue", "dsp": "tab:orange"}


@dataclass(frozen=True)
class Point:
    """A design on an iCE40UP5K.

    Attributes:
        title: of the network.
        engine: what multiplies.
        cells: logic cells of the whole design.
        step_us: time of a step.
        bound_us: the least that the engine's memories and multipliers leave at the same clock.
    """

    title: str
    engine: str
    cells: int
    step_us: float
    bound_us: float


def draw_roofline(points: Sequence[Point], cells: int, path: Path) -> None:
    """Draw time of a step against logic cells, each design with a line down to its bound.

    Args:
        points: the designs.
        cells: logic cells of the device.
        path: the SVG that is written.
    """
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    for engine in MARKERS:
        chosen = [point for point in points if point.engine == engine]
        x = [point.cells for point in chosen]
        axes.vlines(
            x,
            [p.bound_us for p in chosen],
            [p.step_us for p in chosen],
            COLOURS[engine],
            linewidth=1,
            alpha=0.5,
        )
        axes.scatter(x, [p.bound_us for p in chosen], marker="_", s=120, color=COLOURS[engine])
        axes.scatter(
            x,
            [p.step_us for p in chosen],
            marker=MARKERS[engine],
            color=COLOURS[engine],
            label=f"{engine} engine",
        )
        for point in chosen:
            axes.annotate(
                point.title,
                (point.cells, point.step_us),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=7,
            )
    axes.axvline(cells, color="grey", linestyle=":", linewidth=1)
    axes.text(
        cells, 0.98, "iCE40UP5K ", transform=axes.get_xaxis_transform(), va="top", ha="right", fontsize=7
    )
    axes.scatter([], [], marker="_", s=120, color="grey", label="bound: memory bits or multipliers a cycle")
    axes.set(yscale="log", xlim=(0, cells * 1.12), xlabel="logic cells, all included", ylabel="us a step")
    axes.legend(loc="lower left", fontsize=8)
    axes.grid(True, which="both", alpha=0.25)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
