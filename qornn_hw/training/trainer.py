"""The training loop of all tasks: stages, validation, the best network, saving and resuming a run."""

import copy
import math
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from qornn_hw.errors import CheckpointError, FormatError, TrainingError
from qornn_hw.tasks import Examples, Task
from qornn_hw.training.cells import QORNN
from qornn_hw.training.config import CommonConfig
from qornn_hw.training.loop import Best, Reporter, cosine
from qornn_hw.training.objectives import Objective, device_of, real_inputs, score
from qornn_hw.training.run_file import RunFile, comparable

__all__ = ["Stage", "Trainer"]

_VALIDATIONS = 20
_EPOCHS_VALIDATED = 200
# Number of sequences that the checksum of the data covers at a time.
_FINGERPRINT_SEQUENCES = 1000
# Upper limit for the epochs, or generated batches, of a stage.
_STAGE = 100_000_000
# Number of points of the training curve that a checkpoint keeps for each stage.
_CURVE = 60


@dataclass(frozen=True)
class Stage:
    """A part of a run with its own objective.

    Attributes:
        title: name for the progress display.
        iterations: number of optimizer steps.
        objective: the loss of a batch; its state is None unless batches continue the sequences before.
        optimizers: the optimizers. Each parameter group has "rate", the peak learning rate, and "hold", the
            fraction of the stage after which the group is frozen.
        keep_start: the network at the start of the stage competes for the best one.
    """

    title: str
    iterations: int
    objective: Objective
    optimizers: list[Optimizer]
    keep_start: bool = False


def _parameters(stage: Stage) -> list[Tensor]:
    return [p for optimizer in stage.optimizers for g in optimizer.param_groups for p in g["params"]]


def _validation_interval(stage: Stage, epoch: int | None) -> int:
    """Return the number of iterations between two validations; ``epoch`` is the iterations of an epoch."""
    if epoch is None:
        return math.ceil(stage.iterations / _VALIDATIONS)
    # Validate after each epoch; with very many epochs, after several.
    return epoch * math.ceil(stage.iterations / epoch / _EPOCHS_VALIDATED)


def _each(change: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Apply a function to each tensor of a state (a tensor, a tuple of tensors, or None)."""
    if isinstance(state, tuple):
        return tuple(_each(change, part) for part in state)
    return None if state is None else change(state)


class Trainer:
    """Runs the stages of one training.

    Args:
        cell: the network.
        task: its task.
        config: the run's configuration.
        quiet: print no progress.
        run_file: the file in which the run is saved; None for no saving.

    Attributes:
        curve: points of the training curve, for each stage: title, iteration, loss, and at validations the
            metric, ``residual`` (the spectral norm of ``W W^T - I`` before quantization), and the extreme
            singular values after quantization.
    """

    def __init__(
        self, cell: nn.Module, task: Task, config: CommonConfig, quiet: bool, run_file: RunFile | None
    ) -> None:
        self.cell, self.task, self.config, self.quiet = cell, task, config, quiet
        self.run_file = run_file
        self.device = device_of(cell)
        self.curve: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._stage = -1
        self._resumed: dict[str, Any] | None = None
        self._validation: Examples | None = None

    def resume(self, state: dict[str, Any]) -> None:
        """Restore a saved run.

        Raises:
            CheckpointError: the run was trained on other data.
        """
        if state["data"] != self._fingerprint:
            raise CheckpointError("the run that is resumed must have the data of its start, not other data")
        self._resumed = state
        self.curve, self.seconds = state["curve"], state["seconds"]
        self.cell.load_state_dict(state["cell"])

    @cached_property
    def _fingerprint(self) -> int:
        """Return a checksum of the validation data and of training data (one epoch, or one batch)."""
        task, seed = self.task, self.config.seed
        count = self.config.batch
        if (most := task.most_sequences()) is not None:
            # Equal parts with the smallest remainder.
            count = most // -(-most // _FINGERPRINT_SEQUENCES)
        batches = task.batches_per_epoch(count) or 1
        checksum = 0
        # One part at a time: an epoch may exceed the memory.
        parts = (task.training_batch(i, count, seed) for i in range(batches))
        for examples in chain((task.validation(),), parts):
            parts_of = () if examples is None else (examples.inputs, examples.targets, examples.lengths)
            for part in parts_of:
                checksum = checksum if part is None else zlib.crc32(part.tobytes(), checksum)
        return checksum

    def run(self, stage: Stage, prepare: Callable[[], None] | None = None) -> None:
        """Run a stage, or the rest of a resumed one; the network then has its best weights.

        Args:
            stage: the stage.
            prepare: prepares the network at the start of the stage; not called for a resumed stage, because
                the saved network is prepared.

        Raises:
            TrainingError: the loss or the gradient is not finite. The network then has the best weights so
                far: those of this stage or, before its first validation, those of its start.
        """
        self._stage += 1
        resumed, best, first = self._resumed, Best(), 0
        if resumed is not None:
            if self._stage < resumed["stage"]:
                return
            first = resumed["iteration"]
            best = Best(resumed["best_score"], resumed["best"])
            for optimizer, state in zip(stage.optimizers, resumed["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            torch.set_rng_state(resumed["random"])
            if "cuda_random" in resumed and self.device.type == "cuda":
                torch.cuda.set_rng_state(resumed["cuda_random"], self.device)
            self._resumed = None
        else:
            if prepare is not None:
                prepare()
            best.weights = copy.deepcopy(self.cell.state_dict())
        started = time.monotonic() - self.seconds
        try:
            self._iterate(stage, best, first, resumed, started)
        finally:
            self.seconds = time.monotonic() - started
            for parameter in _parameters(stage):
                parameter.requires_grad_(True)
            best.restore(self.cell)

    @contextmanager
    def _weights_in(self, stage: Stage, iteration: int) -> Iterator[None]:
        """Raise a TrainingError with the iteration if a step fails because weights are not finite."""
        try:
            yield
        except FormatError as error:
            # The squares, too, because a step needs the norm.
            if all(bool(p.detach().square().sum().isfinite()) for p in self.cell.parameters()):
                raise
            raise TrainingError(
                f"the weights must be finite, but are not in iteration {iteration + 1} of {stage.title!r}; "
                "lower the learning rates"
            ) from error

    def _iterate(
        self, stage: Stage, best: Best, first: int, resumed: dict[str, Any] | None, started: float
    ) -> None:
        """Run the iterations of a stage from ``first`` on."""
        task, config, cell = self.task, self.config, self.cell
        epoch = task.batches_per_epoch(config.batch)
        interval = _validation_interval(stage, epoch)
        state = None if resumed is None else _each(lambda part: part.to(self.device), resumed["state"])
        unchanged = 0 if resumed is None else resumed["unchanged"]
        metric: float | None = None
        every = max(1, stage.iterations // _CURVE)
        # Each stage uses batches of its own.
        offset = self._stage * _STAGE * (epoch or 1)
        if stage.keep_start and first == 0:
            at_first = self._validate()
            if at_first is not None:
                best.offer(self._signed(at_first), cell)
        cell.train()
        with Reporter(stage.title, stage.iterations, self.quiet, done=first, epoch=epoch) as reporter:
            for i in range(first, stage.iterations):
                if self.run_file is not None and self.run_file.due:
                    self._save(stage, i, state, best, unchanged, started)
                self._set_rates(stage, i)
                examples = task.training_batch(offset + i, config.batch, config.seed)
                value, shown, state = self._update(stage, i, examples, state)
                done = i + 1
                measured: dict[str, float] = {}
                if done % interval == 0 or done == stage.iterations:
                    with self._weights_in(stage, i):
                        metric = self._validate()
                    better = metric is None or best.offer(self._signed(metric), cell)
                    unchanged = 0 if better else unchanged + 1
                    if metric is None:
                        best.weights = None
                    else:
                        measured = {task.metric: metric}
                    measured |= self._matrix()
                if done % every == 0 or done == stage.iterations or measured:
                    point = {"stage": stage.title, "iteration": done, "loss": value}
                    self.curve.append(point | shown | measured)
                reporter.update(done, loss=value, **(shown | {task.metric: metric}))
                if config.patience and unchanged >= config.patience:
                    break

    def _update(
        self, stage: Stage, iteration: int, examples: Examples, state: Any
    ) -> tuple[float, dict[str, float], Any]:
        """Update the weights with one batch; return the loss, values to show, and the detached last state.

        Raises:
            TrainingError: the loss or the gradient is not finite.
        """
        if not examples.continues:
            state = None
        x = real_inputs(self.task, examples.inputs).to(self.device)
        targets = torch.from_numpy(np.ascontiguousarray(examples.targets)).to(self.device)
        lengths = None
        if examples.lengths is not None:
            lengths = torch.from_numpy(examples.lengths).to(self.device)
        for optimizer in stage.optimizers:
            optimizer.zero_grad()
        with self._weights_in(stage, iteration):
            loss, shown, state = stage.objective(self.cell, x, targets, state, lengths)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss must be finite, but is {value} in iteration {iteration + 1} of {stage.title!r}; "
                "lower the learning rates"
            )
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        self._clip(stage, iteration)
        for optimizer in stage.optimizers:
            optimizer.step()
        return value, shown, _each(Tensor.detach, state)

    @staticmethod
    def _clip(stage: Stage, iteration: int) -> None:
        """Clip the gradient norm of each group to 1, before any weight is updated."""
        for optimizer in stage.optimizers:
            for group in optimizer.param_groups:
                norm = float(torch.nn.utils.clip_grad_norm_(group["params"], 1.0))
                if not math.isfinite(norm):
                    raise TrainingError(
                        f"the gradient must be finite, but is {norm} in iteration {iteration + 1} of "
                        f"{stage.title!r}; lower the learning rates"
                    )

    def _set_rates(self, stage: Stage, iteration: int) -> None:
        for optimizer in stage.optimizers:
            for group in optimizer.param_groups:
                end = group["hold"] * stage.iterations
                group["lr"] = group["rate"] * cosine(iteration, math.ceil(end))
                for parameter in group["params"]:
                    # A frozen parameter needs no gradient; that saves time.
                    parameter.requires_grad_(iteration < end)

    def _validate(self) -> float | None:
        """Return the metric on the validation set; None if the task has no validation set."""
        if self._validation is None:
            self._validation = self.task.validation()
            if self._validation is None:
                return None
        return score(self.cell, self.task, self._validation, self.config.hidden)

    def _matrix(self) -> dict[str, float]:
        """Return the orthogonality residual of W before quantization, and the singular values after it."""
        if not isinstance(self.cell, QORNN):
            return {}
        self.cell.eval()
        with torch.no_grad():
            q = self.cell.quantized()
            plain = torch.linalg.svdvals(q.plain)
            singular = torch.linalg.svdvals(q.recurrent)
        self.cell.train()
        return {
            "residual": float((plain.square() - 1).abs().max()),
            "singular_min": float(singular.min()),
            "singular_max": float(singular.max()),
        }

    def _signed(self, metric: float) -> float:
        """Return a score of which a larger value is better."""
        return metric if self.task.larger_is_better else -metric

    def _device_random(self) -> dict[str, Tensor]:
        if self.device.type != "cuda":
            return {}
        return {"cuda_random": torch.cuda.get_rng_state(self.device)}

    def _save(
        self, stage: Stage, iteration: int, state: Any, best: Best, unchanged: int, started: float
    ) -> None:
        assert self.run_file is not None
        self.run_file.save(
            {
                "config": comparable(self.config),
                "data": self._fingerprint,
                "stage": self._stage,
                "iteration": iteration,
                "cell": self.cell.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in stage.optimizers],
                "random": torch.get_rng_state(),
                **self._device_random(),
                "state": state,
                "best": best.weights,
                "best_score": best.score,
                "unchanged": unchanged,
                "curve": self.curve,
                "seconds": time.monotonic() - started,
            }
        )
