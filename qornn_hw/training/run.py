"""One training run, from a configuration to a checkpoint."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from qornn_hw.errors import FormatError, QornnError, ToolError, TrainingError
from qornn_hw.evaluation.evaluate import AnyCheckpoint, evaluate
from qornn_hw.files.checkpoint import load_checkpoint
from qornn_hw.tasks import ArraysTask, Task
from qornn_hw.terminal.text import say
from qornn_hw.training.config import CommonConfig, RunConfig, check_answer
from qornn_hw.training.initialization import make_cell
from qornn_hw.training.loop import one_thread
from qornn_hw.training.run_file import RunFile
from qornn_hw.training.stack_configs import StackConfig
from qornn_hw.training.stack_stages import make_stack, run_stack_stages, trained_network
from qornn_hw.training.stages import run_stages
from qornn_hw.training.trained_checkpoint import trained_checkpoint
from qornn_hw.training.trainer import Trainer
from qornn_hw.training.warm_start import changes

__all__ = ["run_file_of", "train"]


def run_file_of(out: Path) -> Path:
    """Return the path of the saved run for the checkpoint ``out``: ``model.run`` for ``model.pt``."""
    return out.with_suffix(".run")


@one_thread()
def train(
    config: CommonConfig,
    out: Path | None = None,
    resume: bool = False,
    quiet: bool = False,
    device: str = "cpu",
) -> AnyCheckpoint:
    """Train a network, and return its checkpoint with the measured metrics.

    The same configuration gives the same network on the same machine, also if the run was interrupted and
    resumed.

    Args:
        config: all hyper-parameters.
        out: path of the future checkpoint. The run is saved next to it from time to time
            (:func:`run_file_of`), and not deleted at the end. None for no saving.
        resume: continue the run that is saved next to ``out``.
        quiet: print no progress.
        device: "cpu" or "cuda", torch's default GPU. A GPU adds in another order, so its network differs from
            the processor's.

    Raises:
        ToolError: the device does not exist.
        DataError: the task's data do not exist.
        TrainingError: the loss is not finite; the error has the best network up to then.
        CheckpointError: there is no saved run, or it belongs to another configuration.
        OutputError: the run cannot be saved.
    """
    place = _device(device)
    task = config.task()
    # Load the data first, so that missing data are reported before the training.
    task.load()
    check_answer(config, task)
    torch.manual_seed(config.seed)
    training = _training(config, task, place)
    run_file = None
    if out is not None:
        run_file = RunFile(run_file_of(out), config.checkpoint_minutes)
        if config.checkpoint_minutes:
            run_file.check()
    trainer = Trainer(training.module, task, config, quiet, run_file)
    if resume and run_file is not None:
        trainer.resume(run_file.load(config))
    if not quiet:
        _say_what_is_trained(config, task)
    try:
        checkpoint = training.run(trainer)
    except TrainingError as error:
        # If the best network cannot be exported, the training error is raised without a checkpoint.
        with suppress(QornnError):
            error.checkpoint = _measured(training.network(trainer), config)
        raise
    return _measured(checkpoint, config)


@dataclass(frozen=True)
class _Training:
    """What is trained.

    Attributes:
        module: the network.
        run: runs all stages, and returns the network without its metrics.
        network: returns the network so far.
    """

    module: nn.Module
    run: Callable[[Trainer], AnyCheckpoint]
    network: Callable[[Trainer], AnyCheckpoint]


def _training(config: CommonConfig, task: Task, device: torch.device) -> _Training:
    if isinstance(config, StackConfig):
        if device.type != "cpu":
            raise ToolError(f"device must be cpu for cell {config.cell}, not {device.type}")
        stack = make_stack(config, task)
        return _Training(
            stack,
            lambda trainer: run_stack_stages(config, task, stack, trainer),
            lambda trainer: trained_network(config, task, stack, trainer),
        )
    assert isinstance(config, RunConfig)
    cell = make_cell(config, task).to(device)
    if isinstance(cell.held_step, torch.Tensor):
        # The held step of a warm start is not a parameter and must be moved separately.
        cell.held_step = cell.held_step.to(device)
    return _Training(
        cell,
        lambda trainer: run_stages(config, task, cell, trainer),
        lambda trainer: trained_checkpoint(cell, config, task, trainer),
    )


def _say_what_is_trained(config: CommonConfig, task: Task) -> None:
    """Print a summary of the arrays, of clipped values, and of the options that a warm start changes."""
    lines = []
    if isinstance(task, ArraysTask):
        lines.append(f"{config.command}: {task.summary()}")
        lines += task.clipped_text()
    if isinstance(config, RunConfig) and config.warm_start:
        path = Path(config.warm_start)
        found = changes(config, load_checkpoint(path))
        lines.append(f"warm start from {path}: {'; '.join(found) if found else 'all its options are kept'}")
    for line in lines:
        say(line, file=sys.stderr, flush=True)


def _device(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise FormatError(f"device must be cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ToolError(
            "device cuda must be a GPU that torch can use, but torch finds none; check its driver and the "
            "build of torch, or leave device out"
        )
    return torch.device(name)


def _measured(checkpoint: AnyCheckpoint, config: CommonConfig) -> AnyCheckpoint:
    return replace(checkpoint, metrics=evaluate(checkpoint, config.data_dir))
