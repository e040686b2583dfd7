"""Fine-tuning: quantization-aware training that starts from the weights of a float network.

The float weights are trained further and rounded in every forward pass, first with real states, then with
states on the hardware's grid. The integers of the network at the start and of the best network of the
training are compared on validation sequences, and the better network is returned.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from qornn_hw.cells.activations.registry import BOUNDED
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.errors import DataError, FormatError
from qornn_hw.evaluation.evaluate import Answer, AnyCheckpoint, evaluate_on
from qornn_hw.files.checkpoint import Checkpoint, load_any
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.importers.any_stack import imported_stack
from qornn_hw.importers.torch_import import export_torch_rnn
from qornn_hw.importers.torch_tracing import export_torch_module
from qornn_hw.quantization.float_model import RealNetwork, run_real
from qornn_hw.quantization.quality import Quality, quality_of, real_reference, reference_of
from qornn_hw.tasks import ArraysTask, Examples
from qornn_hw.tasks.array_files import checked
from qornn_hw.tasks.input_grids import input_grid_of
from qornn_hw.terminal.text import say
from qornn_hw.training.command_line import option_words
from qornn_hw.training.finetune_data import (
    arrays_of,
    integer_answers,
    is_worse,
    measured,
    typical_inputs,
    validated,
    worse_warning,
)
from qornn_hw.training.finetune_stack import FinetuneStackConfig, finetune_stack
from qornn_hw.training.initialization import make_cell
from qornn_hw.training.loop import one_thread
from qornn_hw.training.stages import run_stages
from qornn_hw.training.task_configs import ArraysConfig
from qornn_hw.training.trained_checkpoint import trained_checkpoint
from qornn_hw.training.trainer import Trainer
from qornn_hw.training.warm_start import inherited

__all__ = ["FinetuneConfig", "finetune"]


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(ArraysConfig):
    """Fine-tuning of a network on your own arrays.

    Attributes:
        epochs: passes over the training sequences with quantized weights; by default about 1200 optimizer
            steps, at least 6 passes.
        finetune_epochs: further passes with rounded states; by default about 600 steps, at least 3 passes.
    """

    command: ClassVar[str] = "finetune"

    task_file: str = ""
    float_epochs: int | None = 0
    learning_rate_recurrent: float = 1e-3
    learning_rate_input: float = 1e-3
    learning_rate_output: float = 1e-3
    quantized_rate: float = 1.0
    finetune_rate: float = 0.5


@one_thread()
def finetune(
    model: Any,
    data: Any,
    *,
    bits: int = 4,
    output_bits: int = 8,
    state_bits: int | None = None,
    input_bits: int | None = None,
    quiet: bool = True,
    **options: Any,
) -> AnyCheckpoint:
    """Return a network with quantized weights and states, trained further from a float network's weights.

    On the validation sequences the result is at least as good as the network with rounded weights, and as
    the checkpoint's own integers if they have the requested bits: if training finds nothing better, the best
    of these is returned. ``provenance["kept"]`` names it.

    Args:
        model: a checkpoint or its path; a pair of torch modules as for :func:`qornn_hw.quantize`, a
            ``torch.nn.RNN`` and its ``torch.nn.Linear`` readout; or whatever else :func:`qornn_hw.quantize`
            takes: one module, gated and several layers, an ``.onnx``, ``.keras`` or ``.safetensors`` file.
        data: the .npz file, or the arrays by name, of the arrays task (docs/tasks.md); or ``(inputs,
            targets)`` or ``(inputs, targets, lengths)``, also as a file or by name, of which one tenth is
            for validation and one for the test. Real inputs are in the units of the float network.
        bits: bits of W and U, 1 to 8.
        output_bits: bits of V, 1 to 8.
        state_bits: bits of the states, 4 to 16; by default the checkpoint's, 8 for a module.
        input_bits: bits of an entry of a vector, 1 to 16; by default the checkpoint's, for a module those
            that :func:`qornn_hw.quantize` finds best for states of that width. A checkpoint's scales and
            offsets of the input are kept if its bits are kept.
        quiet: print no progress.
        options: further fields of :class:`FinetuneConfig`: epochs, finetune_epochs, batch, seed, per_row (by
            default set except for tanh and hardtanh, which do not allow it), learning_rate_recurrent and so
            on; the default of other options is the network's. For gated and several layers fields of
            :class:`qornn_hw.training.finetune_stack.FinetuneStackConfig`.

    Returns:
        A checkpoint with the metrics of :func:`qornn_hw.evaluation.evaluate.evaluate` on the test sequences,
        and of two more networks: ``start``, the given network (its integers if it has no float network), and
        ``rounded``, its integers without training. ``quality`` compares the result with the given network on
        the test sequences (docs/quality.md).

    Raises:
        FormatError: an option is out of range, or the module is not supported.
        DataError: the data are malformed, or do not fit the network.
        TrainingError: the loss is not finite.
    """
    arrays = arrays_of(data)
    model = _loaded(model)
    stack = None if isinstance(model, Checkpoint) else imported_stack(model, typical_inputs(arrays))
    if stack is not None:
        given = {"state_bits": state_bits, "input_bits": input_bits}
        chosen = {name: value for name, value in given.items() if value is not None}
        wanted = {"bits": bits, "output_bits": output_bits, **chosen, **options}
        return finetune_stack(stack, arrays, wanted, quiet)
    before = _checkpoint(model, arrays, state_bits or 8, input_bits)
    net = before.network
    if input_bits is None:
        input_bits = net.input_format.bits if net.vector_input else 8
    task = _task(net, arrays, input_bits)
    wanted = {"bits": bits, "output_bits": output_bits, "input_bits": input_bits, **options}
    if state_bits is not None:
        wanted["state_bits"] = state_bits
    config = _config(before, wanted)
    task.load()
    if not quiet:
        say("\n".join([f"finetune: {task.summary()}", *task.clipped_text()]), file=sys.stderr, flush=True)
    rounded, tuned = _tuned(config, task, before, quiet)
    same = _same_formats(net, rounded.network)
    found = {"rounded": rounded} | ({"given": before} if same else {}) | {"tuned": tuned}
    # ``max`` over the reversed names prefers the last of equally good networks.
    kept = max(reversed(found), key=lambda name: validated(found[name].network, task))
    provenance = (
        found[kept].provenance
        | ({} if kept == "given" else {"float_weights": _KIND[kept]})
        | {
            "command": _command(wanted),
            "kept": kept,
            "finetuned_from": {k: v for k, v in before.provenance.items() if k != "curve"},
        }
    )
    made = replace(found[kept], task=task.description(), provenance=provenance, metrics={})
    return replace(made, metrics=_metrics(made, before, rounded, task, arrays))


def _tuned(
    config: FinetuneConfig, task: ArraysTask, before: Checkpoint, quiet: bool
) -> tuple[Checkpoint, Checkpoint]:
    """Return the network with rounded weights before training, and the trained network."""
    torch.manual_seed(config.seed)
    cell = make_cell(config, task, before)
    trainer = Trainer(cell, task, config, quiet, None)
    cell.round_weights = False
    rounded = trained_checkpoint(cell, config, task, trainer)
    cell.round_weights = True
    return rounded, run_stages(config, task, cell, trainer)


def _metrics(
    made: Checkpoint, before: Checkpoint, rounded: Checkpoint, task: ArraysTask, arrays: dict[str, Any]
) -> dict[str, Any]:
    """Return the metrics of the result, the given and the rounded network, and the quality report."""
    test, net = task.test(), before.network
    # The user's own numbers: the given network gets unrounded inputs, and clipped entries are counted.
    inputs = checked(arrays, "")["test"].inputs
    given = replace(test, inputs=inputs.astype(np.float64) if net.vector_input else inputs)
    metrics = evaluate_on(made, task) | {
        "start": measured(task, given, _start_answers(before, task), net.hidden_size),
        "rounded": measured(task, test, integer_answers(rounded.network), net.hidden_size),
    }
    return metrics | {"quality": _report(_quality(made.network, before, given), metrics, task)}


_KIND = {"rounded": "fitted", "tuned": "latent"}


def _config(before: Checkpoint, wanted: dict[str, Any]) -> FinetuneConfig:
    """Return the configuration: the requested options, and the network's own for the others."""
    known = {f.name for f in fields(FinetuneConfig)} - {"task_file", "warm_start", "one_output"}
    for name in wanted:
        if name in {f.name for f in fields(FinetuneStackConfig)} - known:
            raise FormatError(f"{name} must be left out for one Elman layer, which has no such option")
        if name not in known:
            raise FormatError(f"finetune has no option {name!r}; it has {', '.join(sorted(known))}")
    options = inherited(FinetuneConfig, before, wanted)
    if options["activation"] not in BOUNDED:
        # These states are not bounded: with few bits, one step a row preserves W better than keeping its
        # norm does.
        if "per_row" not in wanted:
            options["per_row"] = True
        options.setdefault("norm_preserving", False)
    return FinetuneConfig(**options)


def _loaded(model: Any) -> Any:
    """Return the checkpoint of a model file, and every other model as it is.

    Raises:
        FormatError: the file or checkpoint has no float network.
    """
    if isinstance(model, (str, Path)) and Path(model).suffix.lower() in (".pt", ".npz"):
        model = load_any(Path(model))
    if isinstance(model, NetworkCheckpoint):
        raise FormatError(
            "model must hold the float network to train on from, but this file of version 2 holds integers "
            "only; give the module or file that it was quantized from"
        )
    return model


def _checkpoint(model: Any, arrays: dict[str, Any], state_bits: int, input_bits: int | None) -> Checkpoint:
    """Return the initial network; the input grid of a module's network is chosen by its states' width."""
    if isinstance(model, Checkpoint):
        return model
    inputs, task = typical_inputs(arrays), ArraysTask(None, 16, arrays=arrays)
    parts = model if isinstance(model, (tuple, list)) else (model,)
    options: dict[str, Any] = {"weight_bits": 8, "state_bits": state_bits, "input_bits": input_bits}
    # The quality is measured at the end, on the result, so no report here.
    convert: Any = export_torch_rnn if len(parts) == 2 else export_torch_module
    made: Checkpoint = convert(*parts, inputs, output_mode=str(task.output_mode), quality=False, **options)
    return made


def _task(net: IntegerNetwork, arrays: dict[str, Any], input_bits: int) -> ArraysTask:
    """Return the task of the data, with the network's sizes and, for equal bits, its input grid."""
    task = ArraysTask(
        None,
        input_bits,
        inputs=net.input_size,
        outputs=net.output_size,
        offsets=not net.activation.shape.unit_bias,
        grid=input_grid_of(net, input_bits),
        arrays=arrays,
    )
    if task.input_kind is not net.input_kind:
        raise DataError(f"inputs must be {net.input_kind}, as the network's, not {task.input_kind}")
    return task


def _same_formats(one: IntegerNetwork, other: IntegerNetwork) -> bool:
    """Return whether two networks answer at the same steps with integers of the same formats."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("weight_bits", "state_bits", "input_format", "output_mode")
    ) and np.array_equal(one.scales.input_steps(one.input_size), other.scales.input_steps(one.input_size))


def _start_answers(before: Checkpoint, task: ArraysTask) -> Answer:
    """Return the given network's answers to user inputs: of its float network, or else its integers."""
    network = replace(before.network, output_mode=task.output_mode)
    real = RealNetwork.trained(before)
    if real is None:
        answers = integer_answers(network)
        return lambda x: answers(quantize_inputs(network, x).integers)
    float_network = replace(real, output_mode=task.output_mode)
    return lambda x: run_real(float_network, x)[1]


def _quality(network: IntegerNetwork, before: Checkpoint, test: Examples) -> Quality:
    """Return the quality report of the result against the given network on user inputs."""
    reference, name = reference_of(before)
    return quality_of(
        network,
        test.inputs,
        real_reference(replace(reference, output_mode=network.output_mode)),
        lengths=test.lengths,
        reference_name=name,
    )


def _report(quality: Quality, metrics: dict[str, Any], task: ArraysTask) -> dict[str, Any]:
    """Return the report in its stored form.

    A fine-tuned network can answer well and still differ from the given one. So a difference is a warning
    only if the task's metric on the test sequences became worse.
    """
    worse = is_worse(metrics, task)
    report = replace(quality, judged=worse).to_metrics()
    if worse:
        report["warnings"].append(worse_warning(metrics, task))
    return report


def _command(wanted: Mapping[str, Any]) -> str:
    """Return the command line with these options, with placeholders for the paths of model and data."""
    words = [word for name, value in sorted(wanted.items()) for word in option_words(name, value)]
    return " ".join(["qornn-hw finetune MODEL --data FILE", *words])
