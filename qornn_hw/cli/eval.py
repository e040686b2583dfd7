"""The command `qornn-hw eval`: a checkpoint on the test set of its task, or on the user's own sequences."""

from pathlib import Path
from typing import Annotated, Any

import typer

from qornn_hw.cli.options import HtmlOption, JsonOption, ModelArgument
from qornn_hw.cli.output import print_json, print_table, stage
from qornn_hw.counts import check_limit
from qornn_hw.errors import DataError, FormatError
from qornn_hw.terminal.text import say

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("eval")(evaluate_command)


def evaluate_command(
    model: ModelArgument,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR|FILE",
            help="Folder or file with the data of the task; or your own sequences, .npy, or .npz with "
            "inputs and, if known, targets. Floating-point numbers are real inputs, integers those of "
            "the network's format.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", help="Use only the first N sequences.")] = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a checkpoint on its task's test set or on your data: float, quantized weights, integers."""
    from qornn_hw.evaluation.own_data import is_own_data
    from qornn_hw.files.checkpoint import load_any

    check_limit(limit)
    checkpoint = load_any(model)
    with stage(f"evaluating {model}", as_json):
        if data is not None and is_own_data(data, checkpoint.task.get("name")):
            value, lines = _own(checkpoint, model, data, limit, html)
        else:
            value, lines = _task(checkpoint, model, data, limit, html)
    if as_json:
        print_json(value)
        return
    quality = value.pop("quality", None)
    print_table(str(model), value)
    for line in lines if quality is None else [*_quality(quality), *lines]:
        say(line)


def _quality(metrics: dict[str, Any]) -> list[str]:
    from qornn_hw.quantization.quality import quality_text

    return [quality_text(metrics)]


def _refuse_page(html: Path | None) -> None:
    """Refuse a page on the quality of a network whose float network is not known."""
    if html is not None:
        raise FormatError(
            "`html` must come with a network of one Elman layer: its page compares it with a float network, "
            "which a file of other networks does not hold"
        )


def _own(
    checkpoint: Any, model: Path, data: Path, limit: int | None, html: Path | None
) -> tuple[dict[str, Any], list[str]]:
    from qornn_hw.evaluation.own_data import evaluate_data, evaluate_integers, read_data
    from qornn_hw.files.network_checkpoint import NetworkCheckpoint
    from qornn_hw.reports.html_report import quality_page, table, write_page

    if isinstance(checkpoint, NetworkCheckpoint):
        _refuse_page(html)
        return evaluate_integers(checkpoint, read_data(checkpoint, data, limit)), []
    value, quality = evaluate_data(checkpoint, read_data(checkpoint, data, limit))
    if html is None:
        return value, []
    rows = [(rung, next(iter(found.items()))) for rung, found in value.items() if isinstance(found, dict)]
    scores = [(rung, f"{name} {score:.6g}") for rung, (name, score) in rows if rung != "quality"]
    write_page(html, quality_page(f"{model.name} on {data.name}", quality, [table((), scores)]))
    return value, [f"wrote {html}"]


def _task(
    checkpoint: Any, model: Path, data: Path | None, limit: int | None, html: Path | None
) -> tuple[dict[str, Any], list[str]]:
    from qornn_hw.evaluation.evaluate import evaluate
    from qornn_hw.evaluation.own_data import require_task, task_quality
    from qornn_hw.files.network_checkpoint import NetworkCheckpoint
    from qornn_hw.reports.html_report import quality_page, table, write_page

    if data is not None and not checkpoint.task and not data.exists():
        raise DataError(f"data must be a file or folder that exists, not {data}")
    require_task(checkpoint)
    if isinstance(checkpoint, NetworkCheckpoint):
        _refuse_page(html)
    value = evaluate(checkpoint, data, limit)
    if html is None:
        return value, []
    rungs = [(rung, found) for rung, found in value.items() if isinstance(found, dict)]
    scores = [(rung, ", ".join(f"{k} {v:.6g}" for k, v in found.items())) for rung, found in rungs]
    quality = task_quality(checkpoint, data, limit)
    title = f"{model.name} on the test set of {value['task']}"
    write_page(html, quality_page(title, quality, [table((), scores)]))
    return value | {"quality": quality.to_metrics()}, [f"wrote {html}"]
