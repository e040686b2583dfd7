"""Reports as self-contained HTML pages, without scripts, fonts, external files or addresses.

The content security policy of a page allows nothing but its own style, and all text from files is escaped
(:func:`qornn_hw.reports.svg_plots.xml_text`), so a page about an untrusted model is safe.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from qornn_hw.compiler.family import RESOURCE_NAMES
from qornn_hw.errors import OutputError
from qornn_hw.evaluation.bit_comparison import BitComparison
from qornn_hw.quantization.quality import Quality, percent, quality_lines
from qornn_hw.reports.svg_plots import Bar, bars, histogram, lines, xml_text

__all__ = [
    "build_page",
    "comparison_page",
    "comparison_plot",
    "page",
    "quality_page",
    "quality_section",
    "score_plot",
    "table",
    "write_page",
]

_WORST = 16
_STYLE = (
    "body{font:15px/1.5 Helvetica,Arial,sans-serif;color:#1f2328;max-width:660px;margin:32px auto;"
    "padding:0 16px}h1{font-size:22px}h2{font-size:18px;margin-top:32px}"
    "svg{max-width:100%;height:auto;margin:12px 0}table{border-collapse:collapse;margin:12px 0}"
    "td,th{border-bottom:1px solid #d8dee4;padding:4px 14px 4px 0;text-align:left;vertical-align:top;"
    "font-variant-numeric:tabular-nums;overflow-wrap:anywhere}"
    ".warning{border-left:4px solid #b3261e;padding:4px 12px;background:#fdf3f2}"
)


def page(title: str, sections: Sequence[str]) -> str:
    """Return an HTML page from a title, which is escaped, and sections, which are HTML."""
    name = xml_text(title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\"/>"
        f"<title>{name}</title><style>{_STYLE}</style></head>\n<body><h1>{name}</h1>\n"
        + "\n".join(sections)
        + "\n</body></html>\n"
    )


def table(heads: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Return an HTML table with escaped cells; without heads it has no head row."""
    top = "".join(f"<th>{xml_text(head)}</th>" for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{xml_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{top}</tr>' if heads else ''}{body}</table>"


def write_page(path: Path, text: str) -> None:
    """Write a page atomically.

    Raises:
        OutputError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; choose another path"
        ) from None


def quality_section(quality: Quality) -> str:
    """Return table, warnings and plots of a quality report: states, and saturation by unit and by time."""
    metrics = quality.to_metrics()
    rows = [(name, text) for name, text in quality_lines(metrics) if name != "warning"]
    warnings = "".join(f'<p class="warning">{xml_text(text)}</p>' for text in metrics["warnings"])
    form, scale = quality.network.state_format, quality.network.scales.state
    states = histogram(
        "States of all units",
        f"state, in units of the float network ({quality.network.state_bits} bits)",
        [int(count) for count in quality.histogram],
        form.min * scale,
        form.max * scale,
    )
    worst = sorted(range(len(quality.ends_by_unit)), key=lambda u: -quality.ends_by_unit[u])[:_WORST]
    name = "Saturated states" if quality.saturating else "States at full scale"
    units = [
        Bar(f"unit {u}", float(quality.ends_by_unit[u]), percent(float(quality.ends_by_unit[u])))
        for u in worst
        if quality.ends_by_unit[u] > 0
    ]
    parts = len(quality.ends_by_time)
    when = lines(
        f"{name} in the course of a sequence",
        f"part of the sequence, of {parts}",
        "share",
        [str(i + 1) for i in range(parts)],
        {"all units": [float(share) for share in quality.ends_by_time]},
        percent=True,
    )
    by_unit = bars(f"{name} by unit, the worst first", units)
    return table((), rows) + warnings + states + by_unit + when


def quality_page(title: str, quality: Quality, sections: Sequence[str] = ()) -> str:
    """Return the quality page of one integer network; ``sections`` come before the report."""
    return page(title, [*sections, "<h2>Quality</h2>", quality_section(quality)])


def comparison_page(title: str, comparison: BitComparison) -> str:
    """Return the page of a comparison: table, agreement against bits, and the report of each width."""
    heads, rows = comparison.cells()
    sections = [
        f"<p>{xml_text(comparison.shapes)}</p>",
        table(heads, rows),
        comparison_plot(comparison),
        score_plot(comparison),
    ]
    for row in comparison.rows:
        if row.quality is not None:
            sections += [f"<h2>{xml_text(row.name)}</h2>", quality_section(row.quality)]
    return page(title, sections)


def _widths(comparison: BitComparison) -> tuple[list[int], list[int], dict[Any, Any]]:
    """Return the tried bits of weights and of states, and the rows by both."""
    rows = [row for row in comparison.rows if row.quality is not None and row.name != "as given"]
    bits = sorted({row.weight_bits for row in rows if row.weight_bits is not None})
    states = sorted({row.state_bits for row in rows if row.state_bits is not None})
    return bits, states, {(row.weight_bits, row.state_bits): row for row in rows}


def comparison_plot(comparison: BitComparison) -> str:
    """Return the plot of agreement against weight bits, with one line for each state width."""
    bits, states, rows = _widths(comparison)
    return lines(
        "Agreement with the float network",
        "bits of the weights",
        "share of the answers",
        [str(k) for k in bits],
        {f"{a}-bit states": [rows[k, a].agreement for k in bits] for a in states},
        percent=True,
    )


def score_plot(comparison: BitComparison) -> str:
    """Return the plot of accuracy or error against weight bits; an empty string without targets."""
    if comparison.score_name is None:
        return ""
    bits, states, rows = _widths(comparison)
    series = {f"{a}-bit states": [rows[k, a].score for k in bits] for a in states}
    accuracy = comparison.score_name == "accuracy"
    return lines(
        "Accuracy" if accuracy else "Mean squared error",
        "bits of the weights",
        "share of the targets" if accuracy else "mean squared error",
        [str(k) for k in bits],
        series | {"float": [comparison.rows[0].score] * len(bits)},
        percent=accuracy,
    )


def build_page(
    title: str, report: Mapping[str, Any], cycles: Mapping[str, int], link: Mapping[str, float]
) -> str:
    """Return the page of a build: resource use of the device, and the time of a step by part.

    Args:
        title: title of the page.
        report: contents of report.json from `qornn-hw build`.
        cycles: planned cycles of each part of a step (:func:`qornn_hw.link.step_parts.step_cycles`).
        link: microseconds on the link (:func:`qornn_hw.link.step_parts.link_microseconds`).
    """
    used, available = report["resources"], report["available"]
    resources = [
        Bar(
            RESOURCE_NAMES.get(key, key),
            used[key] / available[key],
            f"{used[key]} of {available[key]} ({used[key] / available[key]:.0%})",
            1.0,
        )
        for key in used
        if available.get(key)
    ]
    counted = report.get("cycles_per_step") or 0.0
    parts = {name: float(count) for name, count in cycles.items()}
    if counted > sum(parts.values()):
        parts["counted beyond the plan"] = counted - sum(parts.values())
    times = [
        Bar(name, count, f"{count:g} cycles, {count / report['clock_mhz']:.3g} us")
        for name, count in parts.items()
    ]
    frames = [Bar(name, us, f"{us:.4g} us") for name, us in link.items()]
    rows: list[tuple[str, object]] = [
        ("board", f"{report['board']} ({report['family']})"),
        ("engine", f"{report['engine']}, {report['lanes']} lanes"),
        ("clock", f"{report['clock_mhz']:g} MHz; the placed design reaches {report['fmax_mhz']:g} MHz"),
        ("step", _step_text(report)),
        ("last input to answer", _latency_text(report)),
        ("design", report.get("design_digest", "")),
        *((key.replace("_", " "), _shown(v)) for key, v in report["model"].items() if v is not None),
    ]
    seconds = [Bar(stage, s, f"{s:.1f} s") for stage, s in report["seconds"].items()]
    files = [(kind, name) for kind, name in report["files"].items()]
    tools = list(report["tools"].items())
    sections = [
        table((), rows),
        bars("Resources of the device", resources),
        bars("Time of a step in the core by part", times),
        bars("Time on the link", frames),
        bars("Time of the build by stage", seconds),
        "<h2>Files</h2>",
        table(("file", "name"), files),
        "<h2>Tools</h2>",
        table(("tool", "version"), tools),
    ]
    return page(title, sections)


def _shown(value: Any) -> Any:
    """Return a fact of a model for people: the states of a network as text."""
    if not isinstance(value, Mapping):
        return value
    return ", ".join(f"{name}: {state['units']} of {state['bits']} bits" for name, state in value.items())


def _step_text(report: Mapping[str, Any]) -> str:
    if not report.get("cycles_per_step"):
        return "not counted"
    return f"{report['cycles_per_step']:g} cycles, {report['step_us']:g} us"


def _latency_text(report: Mapping[str, Any]) -> str:
    if report.get("answer_latency_us") is None:
        return "not counted"
    core = f"{report['answer_latency_cycles']} cycles, {report['answer_latency_us']:g} us"
    link = report.get("link_latency_us")
    return core if link is None else f"{core}; over the link {link:g} us at {report['baud']} baud"
