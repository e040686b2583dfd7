"""The metrics of a checkpoint as a plain-text table: one network a row, one metric a column."""

from collections.abc import Mapping
from typing import Any

__all__ = ["metrics_table"]

# Row labels by the key of the metrics, in the order of the pipeline.
_ROWS = {
    "float": "float",
    "start": "before",
    "rounded": "before, rounded to integers",
    "fake_quantized": "quantized weights, real states",
    "integer": "integers, as the hardware computes",
}


def metrics_table(metrics: Mapping[str, Any]) -> str:
    """Return the metrics of :func:`qornn_hw.evaluation.evaluate.evaluate` as lines of text.

    Args:
        metrics: ``{"task", "sequences", "blind_...", "float", "fake_quantized", "integer"}``; fine-tuning
            adds ``rounded``, the integer network at its start.
    """
    rows = {label: metrics[key] for key, label in _ROWS.items() if isinstance(metrics.get(key), Mapping)}
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    width = max((len(label) for label in rows), default=0)
    columns = [max(len(name), 10) for name in names]
    blind = [f"{k.removeprefix('blind_')} {v:.6g}" for k, v in metrics.items() if k.startswith("blind_")]
    title = f"test of {metrics.get('task', 'the network')}: {metrics.get('sequences', 0)} sequences"
    lines = [title + (f"; without any input: {', '.join(blind)}" if blind else "")]
    lines.append("  ".join(["".ljust(width), *(n.rjust(w) for n, w in zip(names, columns, strict=True))]))
    for label, row in rows.items():
        cells = [_number(row.get(n)).rjust(w) for n, w in zip(names, columns, strict=True)]
        lines.append("  ".join([label.ljust(width), *cells]))
    if clipped := metrics.get("clipped_inputs"):
        lines.append(f"{clipped} input entries of the test lie outside the input's format and were clipped")
    return "\n".join(line.rstrip() for line in lines)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else "-"
