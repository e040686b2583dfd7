"""The text of docs/results.md: tables of medians over seeds, and of published figures."""

import math
import re
import statistics
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from accuracy_hardware import hardware_of
from accuracy_published import PUBLISHED, SOURCES
from accuracy_rows import METRICS, Entry, Found, find, metric_of
from accuracy_texts import CLAIMS, CLAIMS_TEXT, COMMANDS, HEAD, TEXTS, WAYS_TEXT
from accuracy_ways import ways_table

from qornn_hw.training.result_rows import Row

__all__ = ["PLOTS", "page"]

NOT_RUN = "not run"


# -- cells -------------------------------------------------------------------------------------------


def figure(value: float, metric: str) -> str:
    """Return a metric as the tables have it."""
    if metric.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    if metric == "bits_per_character":
        return f"{value:.3f}"
    if value == 0:
        return "0"
    if 0.01 <= abs(value) < 1000:
        return f"{value:.3g}"
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    return f"{value / 10.0**exponent:.1f}e{exponent}"


def spread(values: Sequence[float], show: Callable[[float], str]) -> str:
    """Return the median of some values, with the smallest and the largest if they differ."""
    if not values:
        return "-"
    middle, low, high = (show(f(values)) for f in (statistics.median, min, max))
    return middle if low == high else f"{middle} ({low} to {high})"


def duration(seconds: float) -> str:
    """Return a time, in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def cell(found: Found, rung: str, metric: str | None = None) -> str:
    """Return a metric of an entry: median and range, or why there is none."""
    if not found.rows:
        return "failed" if found.failed else NOT_RUN
    name = metric or metric_of(found)
    return spread(found.values(rung, name), lambda v: figure(v, name))


def seeds(found: Found) -> str:
    """Return how many of an entry's seeds have a row."""
    text = f"{len(found.rows)} of {len(found.entry.jobs)}"
    return text + (f", {found.failed} failed" if found.failed else "")


def goal(found: Found) -> str:
    """Return an entry's goal, and whether the median of its runs reaches it."""
    wanted = found.entry.goal
    if wanted is None:
        return "-"
    metric = metric_of(found)
    larger = metric == "accuracy"
    text = f"{'>=' if larger else '<='} {figure(wanted, metric)}"
    values = found.values(found.entry.rung, metric)
    if not values:
        return text
    middle = statistics.median(values)
    return f"{text}: {'reached' if (middle >= wanted if larger else middle <= wanted) else 'not reached'}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def size(found: Found) -> str:
    """Return the kB of an entry."""
    return spread(found.of("kilobytes"), lambda v: f"{v:.1f}")


def time_of(found: Found) -> str:
    """Return the median wall time of an entry."""
    values = found.of("seconds")
    return duration(statistics.median(values)) if values else "-"


# -- tables ------------------------------------------------------------------------------------------


def results_table(group: Sequence[Found]) -> str:
    """Return the table of a task."""
    metric = metric_of(group[0])
    floats = any(f.entry.rung == "float" for f in group)
    recall = metric == "cross_entropy"
    measured = [*(["float weights"] if floats else []), "quantized weights", "integers"]
    measured[0] = f"{METRICS[metric]}: {measured[0]}"
    head = ["network", "kB", *measured, *(["correct symbols"] if recall else [])]
    rows = []
    for f in group:
        floating = f.entry.rung == "float"
        cells = [f.entry.title, "-" if floating and f.entry.jobs[0].baseline is None else size(f)]
        if floats:
            cells.append(cell(f, "float") if floating else "-")
        cells += ["-", "-"] if floating else [cell(f, "fake_quantized"), cell(f, "integer")]
        if recall:
            cells.append(cell(f, f.entry.rung, "recall_accuracy"))
        rows.append([*cells, goal(f), seeds(f), time_of(f)])
    return table([*head, "goal", "seeds", "time per run"], rows)


def published_table(group: str) -> str:
    """Return the published figures of a task; empty if there are none."""
    rows = [
        [p.what, p.figure, "-" if p.size is None else f"{p.size:g}", f"[{p.tag}]", p.convention]
        for p in PUBLISHED
        if p.group == group
    ]
    if not rows:
        return ""
    return "Published:\n\n" + table(["network", "figure", "kB", "source", "convention"], rows) + "\n"


TASKS = {
    "copy": "copy", "smnist": "MNIST by pixels", "pmnist": "MNIST by pixels", "mnist": "MNIST by rows"
}  # fmt: skip
NAMES = {
    "bjorck": "STE-Björck", "projunn": "STE-projUNN", "penalty": "penalty", "free": "free W",
    "ptq": "quantized after training", "orthogonal": "float, orthogonal", "lstm": "LSTM, float",
    "fastrnn": "FastRNN, float",
}  # fmt: skip


def _by_title(group: Sequence[Found]) -> dict[str, Found]:
    return {f.entry.title: f for f in group}


def methods_table(group: Sequence[Found]) -> str:
    """Return the methods side by side on two tasks."""
    found = _by_title(group)
    head = ["method", "copy: quantized weights or float", "integers", "error of W", "kB"]
    head += [
        "MNIST rows: quantized weights or float",
        "integers",
        "error of W",
        "kB",
        "seeds",
        "time per run",
    ]
    rows = []
    for method, name in NAMES.items():
        cells = [name]
        pair = [found[f"copy/{method}"], found[f"rows/{method}"]]
        for f in pair:
            floating = f.entry.rung == "float"
            cells.append(cell(f, "float" if floating else "fake_quantized"))
            cells.append("-" if floating else cell(f, "integer"))
            errors = [] if floating else [row["orthogonality"]["error"] for row in f.rows]
            cells.append(spread(errors, lambda v: f"{v:.2g}"))
            cells.append("-" if method == "orthogonal" else size(f))
        cells += [" / ".join(seeds(f) for f in pair), " / ".join(time_of(f) for f in pair)]
        rows.append(cells)
    return table(head, rows)


def bits_table(group: Sequence[Found], task: str) -> str:
    """Return one task at all numbers of bits."""
    found = {title.partition("/")[2]: f for title, f in _by_title(group).items() if title.startswith(task)}
    rows = []
    for bits, f in found.items():
        if bits == "float":
            cells = ["float", "-", cell(f, "float"), "-", "-", "-"]
        else:
            cells = [bits, size(f), cell(f, "fake_quantized"), cell(f, "12"), cell(f, "8")]
            cells.append(spread([row["orthogonality"]["error"] for row in f.rows], lambda v: f"{v:.2g}"))
        rows.append([*cells, seeds(f), time_of(f)])
    head = [
        "k",
        "kB",
        "float states",
        "12-bit states",
        "8-bit states",
        "error of W",
        "seeds",
        "time per run",
    ]
    return table(head, rows)


def widening_table(group: Sequence[Found], task: str) -> str:
    """Return one task with as many bits of W in networks of many and of few units, and their hardware."""
    rows = []
    for f in group:
        if f.entry.title.startswith(task):
            config = f.entry.jobs[0].config
            planned = hardware_of(config)
            rows.append(
                [
                    str(config.hidden),
                    str(config.bits),
                    size(f),
                    cell(f, "integer"),
                    str(planned.lanes),
                    str(planned.cycles),
                    str(planned.cells),
                    str(planned.block_rams),
                    seeds(f),
                    time_of(f),
                ]
            )
    head = ["units", "k", "kB", "integers", "lanes", "cycles a step", "logic cells", "block RAMs", "seeds"]
    return table([*head, "time per run"], rows)


def claims_table(found: Sequence[Found]) -> str:
    """Return the claims of the paper, each with the networks that answer it."""
    by_name = {(f.entry.group, f.entry.title): f for f in found}
    rows = []
    for claim, tag, answers in CLAIMS:
        for number, (group, title, rung) in enumerate(answers):
            f = by_name[group, title]
            task = TASKS[f.entry.jobs[0].config.command]
            name = NAMES.get(title.partition("/")[2], title)
            text = cell(f, rung) + (" (float)" if rung == "float" and f.rows else "")
            rows.append(["" if number else f"{claim} [{tag}]", f"{task}: {name}", text, size(f)])
    return table(["claim", "ours", METRICS["accuracy"] + " or cross-entropy", "kB"], rows)


def failures(group: Iterable[Found]) -> str:
    """Return what the runs of a group said that failed, each once; nothing where none did."""
    said = {f"- {f.entry.title}: {error}": None for f in group for error in f.errors}
    return "Messages of failed runs:\n\n" + "\n".join(said) + "\n" if said else ""


def commands(found: Iterable[Found]) -> str:
    """Return the command of each entry with its first seed."""
    lines = []
    for f in found:
        first = f.entry.jobs[0]
        if first.baseline is None:
            lines.append(f"- {f.entry.group}, {f.entry.title}: `{first.command}`")
    return "\n".join(lines)


# -- the page ----------------------------------------------------------------------------------------

PLOTS = {
    "results_bits.svg": ("bits", "The metric against the bits of W and U"),
    "results_kilobytes.svg": ("rows", "The metric against the size of the network, with published networks"),
    "results_curves.svg": ("copy", "The loss while training, first seed, all stages in a row"),
    "results_singular.svg": ("bits", "Singular values of the quantized W, sorted"),
    "results_widening.svg": ("widening", "The metric and the cycles of a step, at as many bits of W"),
}


def wrapped(text: str) -> str:
    """Return paragraphs and list items, each filled to lines of at most 118 characters."""
    # A list item begins a line with a dash; a paragraph begins behind an empty line.
    parts = re.split(r"(\n\n|\n(?=- ))", text.strip("\n"))
    fill = partial(textwrap.fill, width=118, break_long_words=False, break_on_hyphens=False)
    filled = [
        part if not part.strip() else fill(part, subsequent_indent="  " * part.startswith("- "))
        for part in parts
    ]
    return "".join(filled) + "\n"


def page(entries: Sequence[Entry], rows: Sequence[Row], plots: Sequence[str] = ()) -> str:
    """Return the page.

    Args:
        entries: the plan.
        rows: all rows of the file.
        plots: names of the plots that were drawn.
    """
    found = find(entries, rows)
    done = sum(len(f.rows) for f in found)
    planned = sum(len(f.entry.jobs) for f in found)
    count = f"{done} of {planned} planned runs have a row."
    parts = ["# Results of training\n", wrapped(HEAD.format(count=count))]
    for name, (heading, text) in TEXTS.items():
        group = [f for f in found if f.entry.group == name]
        parts += [f"## {heading}\n", wrapped(text)]
        if name == "methods":
            parts.append(methods_table(group) + "\n")
        elif name == "bits":
            parts.append(
                "Copy task, T0 = 200, 128 units; cross-entropy:\n\n" + bits_table(group, "copy") + "\n"
            )
            parts.append("MNIST by rows, 64 units; accuracy:\n\n" + bits_table(group, "rows") + "\n")
        elif name == "widening":
            parts.append("Copy task, T0 = 200; cross-entropy:\n\n" + widening_table(group, "copy") + "\n")
            parts.append("MNIST by rows; accuracy:\n\n" + widening_table(group, "rows") + "\n")
        else:
            parts.append(results_table(group) + "\n")
            parts.append(published_table(name))
        parts.append(failures(group))
        parts += [
            f"![{about}]({plot})\n" for plot, (at, about) in PLOTS.items() if at == name and plot in plots
        ]
    parts += ["## Ways to few bits\n", wrapped(WAYS_TEXT), table(*ways_table()) + "\n"]
    parts += ["## The paper's claims\n", wrapped(CLAIMS_TEXT), claims_table(found) + "\n"]
    parts.append("## Sources of published figures\n")
    parts.append("\n".join(f"- [{tag}] {what}" for tag, what in SOURCES.items()) + "\n")
    parts += ["## Commands\n", wrapped(COMMANDS)]
    parts.append(commands(found) + "\n")
    return "\n".join(part for part in parts if part)
