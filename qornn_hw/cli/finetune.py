"""The command `qornn-hw finetune`: few bits for a network that is there, by training on from its weights."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from qornn_hw.cli.options import JsonOption, ModelArgument
from qornn_hw.cli.train import needs_torch
from qornn_hw.reports.metrics_table import metrics_table
from qornn_hw.terminal.text import say
from qornn_hw.terminal.verbosity import Verbosity, verbosity

__all__ = ["add_to", "finetune"]

# A sentence on the training, by the kind of its result.
_KEPT = {
    "rounded": "training found nothing better on the validation sequences: the rounded network is kept",
    "given": "training found nothing better on the validation sequences: the network stays as it was",
}


DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="FILE",
        help="The .npz file: inputs_train, targets_train, inputs_test and targets_test, as for `qornn-hw "
        "train arrays`; or inputs and targets, of which a tenth validates and a tenth tests.",
    ),
]
StateBitsOption = Annotated[int | None, typer.Option(help="Bits of the state, 4 to 16; else the model's.")]
InputBitsOption = Annotated[
    int | None, typer.Option(help="Bits of an entry of a vector, 1 to 16; else the model's.")
]
PerRowOption = Annotated[
    bool | None,
    typer.Option(
        help="A step for each row of W; costs a memory of n multipliers; set but for tanh and hardtanh."
    ),
]
GateBitsOption = Annotated[
    int | None, typer.Option(help="Gated and several layers: bits of sigmoid and tanh, 2 to 17.")
]
IndexBitsOption = Annotated[
    int | None, typer.Option(help="Gated and several layers: bits of the index of their table, 3 to 14.")
]
ValueBitsOption = Annotated[
    int | None, typer.Option(help="Gated and several layers: bits of products and sums, 2 to 32.")
]
EpochsOption = Annotated[
    int | None, typer.Option(help="Passes with quantized weights; else about 1200 steps, at least 6.")
]
FinetuneEpochsOption = Annotated[
    int | None, typer.Option(help="Further passes, with rounded states, too; else about 600 steps.")
]


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command("finetune")(finetune)


def finetune(
    model: ModelArgument,
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the checkpoint.")] = Path(
        "finetuned.pt"
    ),
    bits: Annotated[int, typer.Option(help="Bits of W and U, 1 to 8.")] = 4,
    output_bits: Annotated[int, typer.Option(help="Bits of V, 1 to 8.")] = 8,
    state_bits: StateBitsOption = None,
    input_bits: InputBitsOption = None,
    per_row: PerRowOption = None,
    gate_bits: GateBitsOption = None,
    index_bits: IndexBitsOption = None,
    value_bits: ValueBitsOption = None,
    epochs: EpochsOption = None,
    finetune_epochs: FinetuneEpochsOption = None,
    batch: Annotated[int, typer.Option(help="Sequences a step of the optimizer.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Adam's rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Seed of the order of the sequences.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Train a network on with few bits, from its own weights (needs the extra `train`)."""
    from qornn_hw.files.checkpoint import check_writable, save_any

    check_writable(out)
    from qornn_hw.quantization.quality import quality_text

    with needs_torch():
        from qornn_hw.training.finetune import finetune as run_finetune
    given: dict[str, Any] = {
        "state_bits": state_bits,
        "input_bits": input_bits,
        "per_row": per_row,
        "gate_bits": gate_bits,
        "index_bits": index_bits,
        "value_bits": value_bits,
        "epochs": epochs,
        "finetune_epochs": finetune_epochs,
    }
    options = {name: value for name, value in given.items() if value is not None}
    options |= _rates(model, learning_rate)
    quiet = as_json or verbosity() is Verbosity.QUIET
    made = run_finetune(
        model, data, bits=bits, output_bits=output_bits, quiet=quiet, batch=batch, seed=seed, **options
    )
    save_any(out, made)
    if as_json:
        print(
            json.dumps({"model": str(model), "out": str(out), "kept": made.provenance["kept"]} | made.metrics)
        )
        return
    say(metrics_table(made.metrics))
    say(quality_text(made.metrics["quality"]))
    if made.provenance["kept"] in _KEPT:
        say(_KEPT[made.provenance["kept"]])
    say(f"wrote {out}")


def _rates(model: Path, rate: float) -> dict[str, float]:
    """Return the learning rate by its options; layers of other programs' files are trained as a stack."""
    from qornn_hw.importers.any_stack import READERS

    if model.suffix.lower() in (*READERS, ".safetensors"):
        return {"learning_rate": rate}
    return {f"learning_rate_{weights}": rate for weights in ("recurrent", "input", "output")}
