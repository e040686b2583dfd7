"""The command `qornn-hw compare`: float, 4, 6 and 8 bits of one network side by side on the user's data."""

import re
from pathlib import Path
from typing import Annotated

import typer

from qornn_hw.cli.options import HtmlOption, JsonOption, ModelArgument
from qornn_hw.cli.output import print_json
from qornn_hw.counts import check_limit
from qornn_hw.errors import FormatError
from qornn_hw.terminal.text import say

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("compare")(compare)


def _widths(name: str, text: str) -> list[int]:
    """Return the numbers of a text like 4,6,8."""
    if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", text):
        raise FormatError(f"{name} must be numbers of bits with commas between them, as 4,6,8, not {text!r}")
    return [int(part) for part in text.split(",")]


def compare(
    model: ModelArgument,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Sequences, .npy, or .npz with inputs and, if known, targets; lengths if padded. "
            "Floating-point numbers are real inputs, integers those of the network's format.",
        ),
    ],
    weight_bits: Annotated[
        str, typer.Option("--bits", metavar="K,K", help="Bits of the weights to try.")
    ] = "4,6,8",
    state_bits: Annotated[str, typer.Option(metavar="A,A", help="Bits of the state to try.")] = "8,12",
    limit: Annotated[int | None, typer.Option(metavar="N", help="Use only the first N sequences.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write agreement against bits as an SVG.")
    ] = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a network's float weights with its integers of several widths on your own data."""
    from qornn_hw.evaluation.bit_comparison import check_widths, compare_bits
    from qornn_hw.evaluation.own_data import read_data
    from qornn_hw.files.checkpoint import load_checkpoint
    from qornn_hw.reports.html_report import comparison_page, comparison_plot, write_page

    widths, states = check_widths(_widths("weight_bits", weight_bits), _widths("state_bits", state_bits))
    check_limit(limit)
    checkpoint = load_checkpoint(model)
    found = read_data(checkpoint, data, limit)
    comparison = compare_bits(
        checkpoint, found.sequences, targets=found.targets, weight_bits=widths, state_bits=states
    )
    written = []
    if plot is not None:
        write_page(plot, comparison_plot(comparison))
        written.append(plot)
    if html is not None:
        write_page(html, comparison_page(f"{model.name} at several widths", comparison))
        written.append(html)
    if as_json:
        print_json({"model": str(model), "data": str(data), **comparison.to_json()})
        return
    say(comparison.table())
    for path in written:
        say(f"wrote {path}")
