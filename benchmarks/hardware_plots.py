"""The picture of docs/benchmarks.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from plot_labels import label_points, overlaps

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
    axes.axvline(cells, color="grey", linestyle=":", linewidth=1)
    axes.text(
        cells, 0.98, "iCE40UP5K ", transform=axes.get_xaxis_transform(), va="top", ha="right", fontsize=7
    )
    axes.scatter([], [], marker="_", s=120, color="grey", label="bound: memory bits or multipliers per cycle")
    axes.set(
        yscale="log", xlim=(0, cells * 1.12), xlabel="logic cells of the whole design", ylabel="us per step"
    )
    axes.legend(loc="lower left", fontsize=8)
    axes.grid(True, which="both", alpha=0.25)
    label_points(axes, [(point.title, point.cells, point.step_us) for point in points], size=7)
    if over := overlaps(figure):
        raise RuntimeError(f"the texts of the plot must be apart, and {over[0]} are not")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
