"""One training from a configuration to a checkpoint.

Up to three stages: real weights; quantized weights; quantized weights with rounded states. Before the last
one the network so far is exported once, which chooses the states' grid, so that the weights learn to live
with it. A linear network on the copy task needs no loop over the blanks (:mod:`matrix_power`); what rounding
adds up to over them is then put on as noise.
"""

import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from qornn_hw.checkpoint import Checkpoint, load_checkpoint
from qornn_hw.errors import CheckpointError, FormatError, QornnError, ToolError, TrainingError
from qornn_hw.evaluate import evaluate
from qornn_hw.exporting import export
from qornn_hw.fixed import Rounding
from qornn_hw.network import Activation, InputKind, IntegerNetwork, WeightBits
from qornn_hw.requantize import calibration_inputs
from qornn_hw.training.cells import QORNN, ratio
from qornn_hw.training.config import Method, RunConfig, command_line
from qornn_hw.training.loop import one_thread
from qornn_hw.training.matrix_power import copy_logits
from qornn_hw.training.penalty import orthogonality_penalty
from qornn_hw.training.projunn import ProjUNN
from qornn_hw.training.rounding import steps_of
from qornn_hw.training.tasks import CopyTask, Task
from qornn_hw.training.tasks import copy as copy_task
from qornn_hw.training.trainer import Objective, RunFile, Stage, Trainer, answers_loss, check_run_file

__all__ = ["run_file_of", "train"]

# Sequences of a batch of the copy task whose blank outputs are part of the loss; the blanks of all are alike.
_BLANK_BATCH = 16


def run_file_of(out: Path) -> Path:
    """Return where a run whose checkpoint will be ``out`` is saved: ``model.pt`` is ``model.run``."""
    return out.with_suffix(".run")


@one_thread()
def train(
    config: RunConfig,
    out: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    device: str = "cpu",
) -> Checkpoint:
    """Train a network and return its checkpoint with the measured metrics.

    The same configuration gives the same network on the same machine, also when the run was interrupted and
    taken up again.

    Args:
        config: all hyper-parameters.
        out: where the checkpoint will be; the run is saved beside it now and then, in
            :func:`run_file_of`, and stays there: delete it when the checkpoint is safe. None: nowhere.
        resume: go on with the run saved beside ``out``.
        quiet: print no progress.
        device: cpu, or cuda, the GPU that torch takes first. Its sums are others than the processor's, so
            that the network is another one.

    Raises:
        ToolError: there is no such device.
        DataError: the task's data are absent.
        TrainingError: the loss is not finite; it carries the best network until then.
        CheckpointError: there is nothing to resume, or it is another run's.
        OutputError: the run cannot be saved.
    """
    place = _device(device)
    task = config.task()
    # Fail now, not after the training, if the data are missing.
    task.load()
    torch.manual_seed(config.seed)
    cell = _cell(config, task).to(place)
    if isinstance(cell.held_step, torch.Tensor):
        # What a warm start holds is no parameter, which would go there by itself.
        cell.held_step = cell.held_step.to(place)
    run_file = None
    if out is not None:
        run_file = RunFile(run_file_of(out), config.checkpoint_minutes)
        if config.checkpoint_minutes:
            check_run_file(run_file.path)
    trainer = Trainer(cell, task, config, quiet, run_file)
    if resume and run_file is not None:
        trainer.resume(run_file.load(config))
    try:
        checkpoint = _stages(config, task, cell, trainer)
    except TrainingError as error:
        # If what is left cannot even be exported, the error itself is still what is to be said.
        with suppress(QornnError):
            error.checkpoint = _measured(_exported(cell, config, task, trainer), config)
        raise
    return _measured(checkpoint, config)


def _device(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise FormatError(f"device must be cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ToolError(
            "device cuda must be a GPU that torch can use, and it finds none; see its driver and the build "
            "of torch, or leave --device out"
        )
    return torch.device(name)


def _stages(config: RunConfig, task: Task, cell: QORNN, trainer: Trainer) -> Checkpoint:
    real, quantized, rounded = config.stages(task)
    method = Method(config.method)
    if method is Method.PTQ:
        real, quantized, rounded = real + quantized, 0, 0
    if real:

        def unrounded() -> None:
            cell.round_weights = False

        trainer.run(_stage("real weights", real, config, task, cell, 1.0), unrounded)
        cell.round_weights = True
    if quantized:
        stage = _stage(
            "quantized weights",
            quantized,
            config,
            task,
            cell,
            config.quantized_rate,
            recurrent_rate=config.quantized_recurrent_rate,
            hold=config.hold,
        )
        # Steps are held already where a warm start keeps its integers.
        search = config.orthogonal_rounding and cell.held_step is None
        trainer.run(stage, cell.round_orthogonally if search else None)
    if rounded:

        def on_the_grid() -> None:
            network = _exported(cell, config, task, trainer).network
            if _linear(task, cell):
                cell.noise_step = network.scales.state
                return
            # The grid that the export of the network so far chooses is kept.
            cell.input_scale = _input_scale(task)
            cell.state_shift = _state_shift(network, cell)
            cell.state_bits = config.state_bits

        # Products in bfloat16 would round the rounded states again.
        cell.bfloat16_products = False
        stage = _stage("rounded states", rounded, config, task, cell, config.finetune_rate, finetune=True)
        trainer.run(stage, on_the_grid)
    return _exported(cell, config, task, trainer)


def _linear(task: Task, cell: QORNN) -> bool:
    """Return whether a power of W stands for the loop."""
    return isinstance(task, CopyTask) and cell.activation is Activation.IDENTITY


def _input_scale(task: Task) -> float:
    return task.input_scale if task.input_kind is InputKind.VECTOR else 1.0


def _cell(config: RunConfig, task: Task) -> QORNN:
    """Return the network as training begins with it."""
    activation = Activation(config.activation)
    tied = activation in (Activation.TANH, Activation.HARDTANH) and task.input_kind is InputKind.VECTOR
    cell = QORNN(
        task.inputs,
        config.hidden,
        task.outputs,
        activation,
        config.bits,
        config.output_bits,
        method=Method(config.method),
        norm_preserving=config.norm_preserving,
        per_row=config.per_row,
        multiplier_bits=config.multiplier_bits,
        fixed_scales=(config.state_bits, task.input_scale) if tied else None,
        learned_start=config.linear_start > 0,
        rounding=Rounding(config.rounding),
    )
    cell.bfloat16_products = config.bfloat16
    with torch.no_grad():
        if isinstance(task, CopyTask):
            # Starts with "always blank" known, and without a random readout to unlearn.
            cell.output_weight.zero_()
            cell.output_bias.zero_()
            cell.output_bias[0] = 6.0
        if config.first_matrix == "identity":
            nn.init.eye_(cell.recurrent_weight)
        elif config.first_matrix == "rotations":
            _make_rotations(cell, config.hidden)
        elif config.first_matrix == "integrators":
            _make_integrators(cell, config.hidden)
        if config.warm_start:
            _warm_start(cell, Path(config.warm_start), config, task)
        elif config.linear_start:
            cell.initial_state.fill_(config.linear_start)
            cell.bias.copy_(cell.initial_state - cell.quantized().recurrent @ cell.initial_state)
    return cell


def _make_rotations(cell: QORNN, hidden: int) -> None:
    """Let each two units turn in their plane by the angle ``tan(a / 2)``, a uniform in [0, pi / 2).

    That is the exponential of expRNN's block diagonal "Cayley" start (arXiv 1901.08428). A last odd unit
    stays.
    """
    angles = torch.tan(torch.rand(hidden // 2, dtype=torch.float64) * (math.pi / 4))
    even, odd = torch.arange(0, hidden - 1, 2), torch.arange(1, hidden, 2)
    w = torch.eye(hidden, dtype=torch.float64)
    w[even, even] = w[odd, odd] = angles.cos()
    w[even, odd], w[odd, even] = -angles.sin(), angles.sin()
    cell.recurrent_weight.copy_(w)


def _make_integrators(cell: QORNN, hidden: int) -> None:
    """Let the first half of the units notice inputs that come together, the second half add up what they say.

    A unit of the first half, of no memory, begins with positive weights of the input and a bias that takes
    the largest of them back: one input alone, of 0 to 1, never wakes it. What woke it by a hair in each of T
    steps, a weight a level too high, say, would be in the sum T fold. For the same reason no input and no
    bias goes into the second half, ever: a step of the optimizer would be in the sum T fold, too.
    """
    half = hidden // 2
    detectors = hidden - half
    cell.recurrent_weight.zero_()
    for column in (0, detectors):
        cell.recurrent_weight[detectors:, column : column + half] = torch.eye(half)
    cell.input_weight[detectors:] = 0.0
    cell.input_weight[:detectors].abs_()
    trained = torch.zeros(hidden)
    trained[:detectors] = 1.0
    hook: Any = cell.input_weight.register_hook  # torch gives it no types
    hook(lambda gradient: gradient * trained[:, None].to(gradient.device))
    if cell.bias.requires_grad:
        cell.bias[:detectors] = -cell.input_weight[:detectors].amax(dim=1)
        hook = cell.bias.register_hook
        hook(lambda gradient: gradient * trained.to(gradient.device))


def _warm_start(cell: QORNN, path: Path, config: RunConfig, task: Task) -> None:
    """Put a checkpoint's real weights into the network.

    Where W would be rounded to nearly orthogonal rows at once, and the checkpoint has a W of as many bits
    that the method leaves as it is, its integers stay: the search would find others, and what was learned
    since the checkpoint's own search would be lost.
    """
    before = load_checkpoint(path)
    weights = before.float_weights
    if weights is None:
        raise CheckpointError(f"{path}: must hold the real weights of a training to be a warm start")
    for name, values in weights.items():
        parameter = getattr(cell, name)
        if tuple(parameter.shape) != values.shape:
            raise CheckpointError(
                f"{path}: float.{name} must have shape {tuple(parameter.shape)} for a warm start of this "
                f"network, not {values.shape}"
            )
        parameter.copy_(torch.from_numpy(np.array(values)))
    real, _, _ = config.stages(task)
    if config.orthogonal_rounding and not real and before.network.weight_bits.recurrent == config.bits:
        _keep_integers(cell, before.network.recurrent_weight, config)


def _keep_integers(cell: QORNN, wanted: NDArray[np.int64], config: RunConfig) -> None:
    """Hold steps with which W, as the method makes it of its parameter, is rounded to ``wanted``, if any."""
    plain = cell.quantized().plain.double().numpy()
    steps = steps_of(plain, wanted.astype(np.float64), config.bits, config.per_row)
    if steps is None:
        return
    cell.held_step = torch.from_numpy(steps).float() if config.per_row else steps.item()
    q = cell.quantized()
    # What the float32 step makes of it, and Björck once more: by a last digit it may be others.
    if not np.array_equal(np.rint((q.recurrent / q.steps[0]).double().numpy()), wanted):
        cell.held_step = None


def _stage(
    title: str,
    iterations: int,
    config: RunConfig,
    task: Task,
    cell: QORNN,
    rate: float,
    recurrent_rate: float = 1.0,
    hold: float = 1.0,
    finetune: bool = False,
) -> Stage:
    """Return a stage with its optimizers.

    The learning rates are multiplied by ``rate``, that of W by ``recurrent_rate`` besides; W and U stay after
    the part ``hold`` of the stage.
    """
    adam = []
    optimizers: list[Optimizer] = []
    if config.train_recurrent and (config.finetune_recurrent or not finetune):
        recurrent_rate *= rate * config.learning_rate_recurrent
        group = {"params": [cell.recurrent_weight], "rate": recurrent_rate, "hold": hold}
        if config.method == Method.PROJUNN:
            optimizers.append(
                ProjUNN(
                    [group],
                    lr=recurrent_rate,
                    rank=min(config.projunn_rank, config.hidden),
                    projection="D" if config.projunn_projection == "D" else "T",
                    sampler="lsi" if config.projunn_sampler == "lsi" else "column",
                    lr_divider=1.0,
                    seed=config.seed,
                )
            )
        else:
            adam.append(group)
    else:
        cell.recurrent_weight.requires_grad_(False)
    inner = [cell.input_weight, *([cell.bias] if cell.activation is not Activation.IDENTITY else [])]
    if config.linear_start:
        inner.append(cell.initial_state)
    adam.append({"params": inner, "rate": rate * config.learning_rate_input, "hold": hold})
    outer = [cell.output_weight, cell.output_bias]
    adam.append({"params": outer, "rate": rate * config.learning_rate_output, "hold": 1.0})
    optimizers.append(torch.optim.Adam(adam, lr=config.learning_rate_output, betas=(0.9, 0.99)))
    return Stage(
        f"{config.command}, {title}",
        iterations,
        _objective(config, task, cell),
        optimizers,
        # To learn to live with the grid is to do no worse on it than at first.
        keep_start=finetune,
    )


def _objective(config: RunConfig, task: Task, cell: QORNN) -> Objective:
    """Return the loss of a batch, with what is shown beside it and the last state."""
    if _linear(task, cell):
        plain: Objective = _linear_copy
    else:
        plain = answers_loss(task)
    if config.method != Method.PENALTY:
        return plain

    def penalized(
        cell: QORNN, x: Tensor, targets: Tensor, state: Any
    ) -> tuple[Tensor, dict[str, float], Any]:
        loss, shown, state = plain(cell, x, targets, state)
        penalty = orthogonality_penalty(cell.quantized().recurrent)
        return loss + config.penalty * penalty, shown | {"penalty": float(penalty.detach())}, state

    return penalized


def _linear_copy(cell: QORNN, x: Tensor, targets: Tensor, state: Any) -> tuple[Tensor, dict[str, float], Any]:
    """Return what :func:`answers_loss` does for a linear network, without a loop over the blanks."""
    quiet, answers = copy_logits(cell, x, _BLANK_BATCH)
    wanted = targets[:, -copy_task.RECALL :]
    loss = functional.cross_entropy(answers.flatten(0, 1), wanted.flatten())
    silence = torch.zeros(quiet.shape[0] * quiet.shape[1], dtype=torch.long, device=quiet.device)
    blank = functional.cross_entropy(quiet.flatten(0, 1), silence)
    loss = loss + blank * (quiet.shape[1] / copy_task.RECALL)
    right = (answers.detach().argmax(-1) == wanted).float().mean()
    return loss, {"recall": float(right)}, None


def _state_shift(network: IntegerNetwork, cell: QORNN) -> int:
    """Return e of ``s_h = d_U s_x / (d_W 2**e)``, which is a whole number for homogeneous activations.

    Where a vector input would need e < 0, the states saturate instead: the accumulator takes U no finer, and
    training copes with rare saturation better than with a coarser U.
    """
    if network.activation in (Activation.TANH, Activation.HARDTANH):
        return 0
    with torch.no_grad():
        d_w, d_u, _ = cell.quantized().steps
    e = round(math.log2(ratio(d_u, d_w) * cell.input_scale / network.scales.state))
    return max(e, 0) if network.vector_input else e


def _exported(cell: QORNN, config: RunConfig, task: Task, trainer: Trainer) -> Checkpoint:
    cell.eval()
    with torch.no_grad():
        q = cell.quantized().cpu()
    integers = calibration_inputs(task, config.hidden, config.seed)
    vector = task.input_kind is InputKind.VECTOR
    inputs = integers * task.input_scale if vector else integers
    options: dict[str, Any] = {}
    if vector:
        options = {
            "input": "vector",
            "input_bits": task.input_bits,
            "input_signed": task.input_signed,
            "input_scale": task.input_scale,
        }
    else:
        options = {"input": "one_hot"}
    if q.grid is not None:
        # Anything between half the full scale and all of it leads to this step.
        options["state_range"] = 0.75 * q.grid.step * 2.0 ** (config.state_bits - 1)
    # Weights that training has not quantized are quantized by the export.
    options["weight_steps"] = q.steps if cell.round_weights else None
    return export(
        q.recurrent,
        q.input,
        q.output,
        activation=config.activation,
        calibration_inputs=inputs,
        bias=cell.bias,
        output_bias=cell.output_bias,
        initial_state=cell.initial_state if config.linear_start else None,
        weight_bits=WeightBits(config.bits, config.bits, config.output_bits),
        state_bits=config.state_bits,
        output_mode=str(task.output_mode),
        output_kind=config.output_kind,
        rounding=config.rounding,
        multiplier_bits=config.multiplier_bits,
        float_weights={
            "recurrent_weight": q.plain,
            "input_weight": cell.input_weight,
            "output_weight": cell.output_weight,
            "bias": cell.bias,
            "output_bias": cell.output_bias,
            **({"initial_state": cell.initial_state} if config.linear_start else {}),
        },
        task=task.description(),
        provenance={
            "command": command_line(config, trainer.device.type),
            "method": config.method,
            "seed": config.seed,
            "torch": torch.__version__,
            "seconds": round(trainer.seconds, 1),
            "curve": trainer.curve,
            **_started_from(config),
        },
        **options,
    )


def _started_from(config: RunConfig) -> dict[str, Any]:
    """Return how the warm start was made, for the provenance."""
    if not config.warm_start:
        return {}
    before = load_checkpoint(Path(config.warm_start)).provenance
    return {"warm_start": {k: v for k, v in before.items() if k != "curve"}}


def _measured(checkpoint: Checkpoint, config: RunConfig) -> Checkpoint:
    return replace(checkpoint, metrics=evaluate(checkpoint, config.data_dir))
