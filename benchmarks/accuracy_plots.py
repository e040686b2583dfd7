"""The plots of docs/results.md; the same bytes of the same rows."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from accuracy_hardware import hardware_of
from accuracy_published import PUBLISHED
from accuracy_rows import METRICS, Found, curve_of, metric_of
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter
from plot_labels import label_points, overlaps

matplotlib.use("Agg")
matplotlib.rcParams |= {"svg.hashsalt": "qornn-hw", "svg.fonttype": "none", "font.size": 9}

from matplotlib import pyplot as plt  # noqa: E402  (after the backend is chosen)

__all__ = ["draw"]

RUNGS = (("fake_quantized", "float states"), ("12", "12-bit states"), ("8", "8-bit states"))
TASKS = {"copy": "copy task, T0 = 200, 128 units", "rows": "MNIST by rows, 64 units"}


def _group(found: Sequence[Found], name: str) -> list[Found]:
    return [f for f in found if f.entry.group == name and f.rows]


def _panels(titles: Sequence[str], height: float = 3.4) -> tuple[Any, list[Any]]:
    fig, axes = plt.subplots(1, len(titles), figsize=(4.2 * len(titles), height), squeeze=False)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
        ax.grid(alpha=0.3)
    return fig, list(axes[0])


def _label(ax: Any, metric: str) -> None:
    ax.set_ylabel(METRICS[metric])
    if metric in ("cross_entropy", "mse"):
        ax.set_yscale("log")


def _medians(ax: Any, x: Sequence[float], values: Sequence[Sequence[float]], label: str) -> None:
    """Draw the median of the values at each x, with bars from the smallest to the largest."""
    middle = [statistics.median(v) for v in values]
    low = [m - min(v) for m, v in zip(middle, values, strict=True)]
    high = [max(v) - m for m, v in zip(middle, values, strict=True)]
    ax.errorbar(x, middle, yerr=[low, high], marker="o", capsize=3, label=label)


def _bits(found: Sequence[Found]) -> Any:
    group = _group(found, "bits")
    tasks = [task for task in TASKS if any(f.entry.title.startswith(task) for f in group)]
    if not tasks:
        return None
    fig, axes = _panels([TASKS[task] for task in tasks])
    for ax, task in zip(axes, tasks, strict=True):
        its = [f for f in group if f.entry.title.startswith(task)]
        _label(ax, metric_of(its[0]))
        for shift, (rung, label) in zip((-0.07, 0, 0.07), RUNGS, strict=True):
            points = [(f.entry.jobs[0].config.bits, f.values(rung)) for f in its if f.entry.rung != "float"]
            points = [(bits, values) for bits, values in points if values]
            if points:
                _medians(ax, [bits + shift for bits, _ in points], [v for _, v in points], label)
        for f in its:
            values = f.values("float") if f.entry.rung == "float" else []
            if values:
                ax.axhline(statistics.median(values), color="gray", ls="--", label="float")
        ax.set_xlabel("bits of W and U")
        if ax.get_legend_handles_labels()[0]:
            ax.legend()
    return fig


def _kilobytes(found: Sequence[Found]) -> Any:
    panels = {"copy": "copy task, T0 = 1000", "rows": "MNIST by rows", "pixels": "MNIST by pixels"}
    groups = {}
    for name in panels:
        group = [f for f in _group(found, name) if f.of("kilobytes") and f.values(f.entry.rung)]
        group = [f for f in group if f.entry.rung == "integer" or f.entry.jobs[0].baseline is not None]
        if name == "copy":
            group = [f for f in group if f.entry.title.startswith("T0 = 1000")]
        if group:
            groups[name] = group
    if not groups:
        return None
    fig, axes = _panels([panels[name] for name in groups], 4.4)
    later: list[tuple[Any, list[tuple[str, float, float]]]] = []
    for ax, (name, group) in zip(axes, groups.items(), strict=True):
        _label(ax, metric_of(group[0]))
        names: list[tuple[str, float, float]] = []
        for rung, label, marker in (("integer", "here, integers", "o"), ("float", "here, float", "s")):
            chosen = [f for f in group if f.entry.rung == rung]
            x = [statistics.median(f.of("kilobytes")) for f in chosen]
            y = [statistics.median(f.values(rung)) for f in chosen]
            if chosen:
                ax.plot(x, y, marker, label=label)
            names += [(_short(f), *at) for f, at in zip(chosen, zip(x, y, strict=True), strict=True)]
        published = [p for p in PUBLISHED if p.group == name and p.size is not None and p.value is not None]
        if published:
            ax.plot(
                [p.size for p in published],
                [p.value for p in published],
                "x",
                label="published [FG], in order",
            )
        names += [(p.what.partition(",")[0], float(p.size), float(p.value)) for p in published]
        _kilobyte_axis(ax, [x for _, x, _ in names])
        ax.margins(y=0.15)
        _legend_below(ax)
        later.append((ax, names))
    fig.tight_layout()
    for ax, names in later:
        label_points(ax, names)
    return fig


def _kilobyte_axis(ax: Any, sizes: Sequence[float]) -> None:
    """Make x logarithmic where the sizes differ much, with plain numbers at the ticks and room for names."""
    ax.set_xlabel("kB")
    low, high = min(sizes), max(sizes)
    if high < 3 * low:
        room = 0.3 * ((high - low) or high)
        ax.set_xlim(low - room, high + room)
        return
    ax.set_xscale("log")
    ax.set_xlim(low / (high / low) ** 0.25, high * (high / low) ** 0.25)
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _legend_below(ax: Any, columns: int = 2) -> None:
    ax.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncol=columns, frameon=False)


def _short(found: Found) -> str:
    title = found.entry.title.replace(" units", "").replace("-bit states", "-bit").replace("T0 = 1000, ", "")
    # The page tells networks with one step per row apart; here only the machine of a run may differ.
    title = title.replace(", one step per row", "").replace(", on a GPU", " (GPU)")
    return title.removesuffix(", float")


def _curves(found: Sequence[Found]) -> Any:
    panels = {"copy": "copy task", "pixels": "MNIST by pixels", "rows": "MNIST by rows"}
    groups = {}
    for name in panels:
        group = [f for f in _group(found, name) if len(curve_of(f.rows[0])[0]) > 1]
        if group:
            groups[name] = group
    if not groups:
        return None
    fig, axes = _panels([panels[name] for name in groups], 4.4)
    for ax, group in zip(axes, groups.values(), strict=True):
        for i, f in enumerate(group):
            steps, losses = curve_of(f.rows[0])
            # The colours begin again after ten.
            ax.plot(steps, losses, "-" if i < 10 else "--", lw=1, label=_short(f))
        ax.set_yscale("log")
        ax.set_xlabel("updates")
        ax.set_ylabel("loss")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        _legend_below(ax)
    return fig


def _singular(found: Sequence[Found]) -> Any:
    group = [f for f in _group(found, "bits") if f.entry.rung != "float" and "singular_values" in f.rows[0]]
    tasks = [task for task in TASKS if any(f.entry.title.startswith(task) for f in group)]
    if not tasks:
        return None
    fig, axes = _panels([TASKS[task] for task in tasks])
    for ax, task in zip(axes, tasks, strict=True):
        for f in group:
            if f.entry.title.startswith(task):
                values = f.rows[0]["singular_values"]
                x = [i / (len(values) - 1) for i in range(len(values))]
                ax.plot(x, values, lw=1.2, label=f"k = {f.entry.jobs[0].config.bits}")
        ax.set_xlabel("part of the singular values")
        ax.set_ylabel("singular value")
        ax.legend(fontsize=7)
    return fig


def _widening(found: Sequence[Found]) -> Any:
    group = _group(found, "widening")
    names = {"copy": "copy task, T0 = 200", "rows": "MNIST by rows"}
    tasks = [task for task in names if any(f.entry.title.startswith(task) for f in group)]
    if not tasks:
        return None
    fig, axes = _panels([names[task] for task in tasks])
    for ax, task in zip(axes, tasks, strict=True):
        its = [f for f in group if f.entry.title.startswith(task)]
        _label(ax, metric_of(its[0]))
        bits = [f.entry.jobs[0].config.bits for f in its]
        _medians(ax, bits, [f.values("integer") for f in its], "integers")
        ax.set_xticks(bits, [f"{f.entry.jobs[0].config.hidden}\n{b}" for f, b in zip(its, bits, strict=True)])
        ax.set_xlabel("units, bits of W and U")
        other = ax.twinx()
        cycles = [hardware_of(f.entry.jobs[0].config).cycles for f in its]
        other.plot(bits, cycles, "s--", color="gray", label="cycles a step")
        other.set_ylabel("cycles a step, iCEBreaker")
        other.set_ylim(bottom=0)
        handles = [*ax.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
        ax.legend(handles, ["integers", "cycles a step"], fontsize=7)
    return fig


DRAWN: dict[str, Callable[[Sequence[Found]], Any]] = {
    "results_bits.svg": _bits,
    "results_kilobytes.svg": _kilobytes,
    "results_curves.svg": _curves,
    "results_singular.svg": _singular,
    "results_widening.svg": _widening,
}


def draw(found: Sequence[Found], folder: Path) -> list[str]:
    """Draw the plots that there is data for into a folder and return their names."""
    names = []
    for name, make in DRAWN.items():
        fig = make(found)
        if fig is None:
            continue
        if name != "results_kilobytes.svg":  # its names have their places already
            fig.tight_layout()
        if over := overlaps(fig):
            raise RuntimeError(f"the texts of {name} must be apart, and {over[0]} are not")
        fig.savefig(folder / name, metadata={"Date": None})
        plt.close(fig)
        names.append(name)
    return names
