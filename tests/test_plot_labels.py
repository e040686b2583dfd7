"""Names beside points meet nothing, and what overlaps is found."""

import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from matplotlib import pyplot as plt

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from plot_labels import label_points, overlaps

sys.path.pop(0)


@pytest.fixture
def ax():
    """Axes of a figure that is closed afterwards."""
    figure, axes = plt.subplots(figsize=(4, 3))
    yield axes
    plt.close(figure)


@pytest.mark.parametrize("seed", range(3))
def test_names_are_apart(ax, seed):
    """Names of crowded points do not overlap each other, the legend or the ticks."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0.3, 0.7, 8), rng.uniform(0.3, 0.7, 8)
    ax.plot(x, y, "o", label="points")
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="x", ylabel="y", title="title")
    ax.legend(loc="lower left")
    written = label_points(ax, [(f"name {i}", x[i], y[i]) for i in range(8)])
    assert [text.get_text() for text in written] == [f"name {i}" for i in range(8)]
    assert overlaps(ax.figure) == []


def test_overlaps_are_found(ax):
    """Two texts at one place, and a text over a tick's label, are named."""
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.text(0.5, 0.5, "one")
    ax.text(0.5, 0.51, "two")
    assert ("one", "two") in overlaps(ax.figure)


def test_no_place(ax):
    """A name that cannot stand anywhere in the axes is an error, not a name outside of them."""
    ax.set(xlim=(0, 1), ylim=(0, 1))
    with pytest.raises(RuntimeError, match="must have a place beside its point, and there is none"):
        label_points(ax, [("a name that is much longer than the axes are wide " * 3, 0.5, 0.5)])
