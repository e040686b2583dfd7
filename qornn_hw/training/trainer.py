"""One loop for every task: stages, validation, the best network kept, a run that can be taken up again."""

import copy
import math
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from qornn_hw.errors import CheckpointError, FormatError, OutputError, TrainingError
from qornn_hw.network import OutputMode
from qornn_hw.training.cells import QORNN
from qornn_hw.training.config import RunConfig
from qornn_hw.training.loop import Best, Reporter, cosine
from qornn_hw.training.tasks import CopyTask, Examples, Task
from qornn_hw.training.tasks.copy import RECALL

__all__ = ["Objective", "RunFile", "Stage", "Trainer", "answers_loss", "check_run_file", "last_only", "score"]

# States that a validation may hold at once, in numbers.
_HELD = 40_000_000
_VALIDATIONS = 20
# Of the run file; another one cannot be resumed.
_RUN_VERSION = 2
_RUN_KEYS = {
    "config", "data", "stage", "iteration", "cell", "optimizers", "random", "state", "best", "best_score",
    "unchanged", "curve", "seconds",
}  # fmt: skip
# That are looked at at once, for the checksum of the data.
_FINGERPRINT_SEQUENCES = 1000
# Epochs, or generated batches, of a stage at most.
_STAGE = 100_000_000
# Points of the training curve that a checkpoint keeps for each stage.
_CURVE = 60

# Of (network, inputs, targets, state): the loss, what is shown beside it, and the last state.
Objective = Callable[[Any, Tensor, Tensor, Any], tuple[Tensor, dict[str, float], Any]]


@dataclass(frozen=True)
class Stage:
    """A part of a run with its own objective.

    Attributes:
        title: shown with the progress.
        iterations: steps of the optimizers.
        objective: the loss of a batch; the state is None where the task's batches do not continue.
        optimizers: whose parameter groups have "rate", the learning rate at its height, and "hold", the part
            of the stage after which the group stays as it is.
        keep_start: whether the network that the stage begins with may be the best one.
    """

    title: str
    iterations: int
    objective: Objective
    optimizers: list[Optimizer]
    keep_start: bool = False


class RunFile:
    """Where a run is saved so that it can be taken up again.

    Args:
        path: the file.
        minutes: how often, at most; 0: never.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self.path = path
        self.seconds = 60 * minutes
        self._saved = time.monotonic()
        self._warned = False

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self.seconds > 0 and time.monotonic() - self._saved >= self.seconds

    def save(self, state: dict[str, Any]) -> None:
        """Write the file, whole or not at all; a disk that is full ends no training, it is only said."""
        self._saved = time.monotonic()
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(
                dir=self.path.parent, prefix=f".{self.path.name}.", delete=False
            ) as file:
                temporary = Path(file.name)
                torch.save({"version": _RUN_VERSION, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except (OSError, RuntimeError) as error:
            if not self._warned:
                reason = getattr(error, "strerror", None) or error
                print(
                    f"{self.path}: the run cannot be saved for --resume: {reason}; training goes on",
                    file=sys.stderr,
                )
            self._warned = True
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def load(self, config: RunConfig) -> dict[str, Any]:
        """Return what was saved of a run with this configuration.

        Raises:
            CheckpointError: there is no such file, or it is of another run.
        """
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            found, version = state["config"], state["version"]
        except FileNotFoundError:
            raise CheckpointError(
                f"{self.path}: no run was saved there to resume; leave out --resume to begin one"
            ) from None
        except Exception as error:  # whatever torch makes of a damaged file
            reason = " ".join(str(error).split())[:120]
            raise CheckpointError(
                f"{self.path}: must be a run that qornn-hw train saved: {reason}; begin anew without --resume"
            ) from None
        if version != _RUN_VERSION:
            raise CheckpointError(
                f"{self.path}: must be a run of this release, format {_RUN_VERSION}, not {version!r}; "
                "begin anew without --resume"
            )
        if not isinstance(found, dict) or not set(state) >= _RUN_KEYS:
            raise CheckpointError(
                f"{self.path}: must be a run that qornn-hw train saved, it lacks some of its parts; begin "
                "anew without --resume"
            )
        wanted = comparable(config)
        for name in wanted:
            if found.get(name) != wanted[name]:
                raise CheckpointError(
                    f"{self.path}: --{name.replace('_', '-')} must be as in the run that is resumed, "
                    f"{found.get(name)!r}, not {wanted[name]!r}"
                )
        return state


def comparable(config: RunConfig) -> dict[str, Any]:
    """Return the command and all options that change the result of a run; where its data lie does not."""
    options = asdict(config) | {"command": config.command}
    for name in ("data", "task_file", "checkpoint_minutes"):
        options.pop(name, None)
    options["warm_start"] = Path(config.warm_start).name
    return options


def last_only(task: Task) -> bool:
    """Return whether only the answer after the last step counts."""
    return task.output_mode is OutputMode.LAST_STEP


def answers_loss(task: Task) -> Objective:
    """Return the mean loss over all answers of a batch: cross-entropy in nats, or square error.

    That of the copy task is multiplied by (blank + 20) / 10, so that a symbol's share does not fall with the
    number of blanks.
    """
    last = last_only(task)
    scale = (task.blank + 2 * RECALL) / RECALL if isinstance(task, CopyTask) else 1.0

    def objective(
        cell: nn.Module, x: Tensor, targets: Tensor, state: Any
    ) -> tuple[Tensor, dict[str, float], Any]:
        logits, state = cell(x, state, last_only=last)
        if targets.is_floating_point():
            return functional.mse_loss(logits, targets.float()), {}, state
        loss = functional.cross_entropy(logits.flatten(0, -2), targets.flatten()) * scale
        return loss, {}, state

    return objective


def score(cell: nn.Module, task: Task, examples: Examples, hidden: int) -> float:
    """Return the task's metric of a network with the weights and states as they are, in float32.

    Args:
        cell: the network.
        task: its task.
        examples: on what.
        hidden: n, by which the sequences that are run at once are chosen.
    """
    count, steps = examples.inputs.shape[:2]
    chunk = max(1, min(count, _HELD // (hidden * (4 if last_only(task) else steps))))
    total = 0.0
    device = device_of(cell)
    cell.eval()
    with torch.no_grad():
        for start in range(0, count, chunk):
            x = real_inputs(task, examples.inputs[start : start + chunk]).to(device)
            logits, _ = cell(x, last_only=last_only(task))
            answers = (logits[:, None] if last_only(task) else logits).double().cpu().numpy()
            with np.errstate(all="ignore"):
                total += task.totals(answers, examples.targets[start : start + chunk])[task.metric]
    cell.train()
    return float(total / count)


def real_inputs(task: Task, inputs: np.ndarray[Any, Any]) -> Tensor:
    """Return integer inputs as what a network is trained with: indices, or real vectors."""
    x = torch.from_numpy(np.ascontiguousarray(inputs))
    return x if x.ndim == 2 else x.float() * task.input_scale


def device_of(cell: nn.Module) -> torch.device:
    """Return where a network's weights are."""
    return next(cell.parameters()).device


def _parameters(stage: Stage) -> list[Tensor]:
    return [p for optimizer in stage.optimizers for g in optimizer.param_groups for p in g["params"]]


def _each(change: Callable[[Tensor], Tensor], state: Any) -> Any:
    """Return a state, a tensor or some of them or none, with each one changed."""
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
        run_file: where the run is saved now and then; None: nowhere.

    Attributes:
        curve: of the training so far, some points of each stage: title, iteration, loss, and where it was
            validated the metric, ``residual``, the spectral norm of ``W W^T - I`` before quantization, and
            the extreme singular values after it.
    """

    def __init__(
        self, cell: nn.Module, task: Task, config: RunConfig, quiet: bool, run_file: RunFile | None
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
        """Take up a run that was saved.

        Raises:
            CheckpointError: it was of other data.
        """
        if state["data"] != self._fingerprint:
            raise CheckpointError("the run that is resumed must have the data that it began with, not others")
        self._resumed = state
        self.curve, self.seconds = state["curve"], state["seconds"]
        self.cell.load_state_dict(state["cell"])

    @cached_property
    def _fingerprint(self) -> int:
        """A checksum of the data: validation, an epoch of a fixed set, a batch where they are generated."""
        task, seed = self.task, self.config.seed
        count = self.config.batch
        if (most := task.most_sequences()) is not None:
            # As equal parts as leave the fewest over.
            count = most // -(-most // _FINGERPRINT_SEQUENCES)
        batches = task.batches_per_epoch(count) or 1
        checksum = 0
        # One at a time: an epoch may be more than fits memory.
        parts = (task.training_batch(i, count, seed) for i in range(batches))
        for examples in chain((task.validation(),), parts):
            for part in () if examples is None else (examples.inputs, examples.targets):
                checksum = zlib.crc32(part.tobytes(), checksum)
        return checksum

    def run(self, stage: Stage, prepare: Callable[[], None] | None = None) -> None:
        """Run a stage, or the rest of it; the network then has its best weights.

        Args:
            stage: the stage.
            prepare: what makes the network ready when the stage begins; not called in a run taken up, whose
                network was ready when it was saved.

        Raises:
            TrainingError: the loss or the gradient is not finite. The network has the best weights so far,
                of this stage or, before its first validation, those that it began with.
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
        """Say where it was that weights that are not finite have no step."""
        try:
            yield
        except FormatError as error:
            # Their squares, too: what has no norm has no step.
            if all(bool(p.detach().square().sum().isfinite()) for p in self.cell.parameters()):
                raise
            raise TrainingError(
                f"the weights must be finite, but are not in iteration {iteration + 1} of {stage.title!r}; "
                "lower the learning rates"
            ) from error

    def _iterate(
        self, stage: Stage, best: Best, first: int, resumed: dict[str, Any] | None, started: float
    ) -> None:
        task, config, cell = self.task, self.config, self.cell
        epoch = task.batches_per_epoch(config.batch)
        interval = epoch or math.ceil(stage.iterations / _VALIDATIONS)
        state = None if resumed is None else _each(lambda part: part.to(self.device), resumed["state"])
        unchanged = 0 if resumed is None else resumed["unchanged"]
        metric: float | None = None
        every = max(1, stage.iterations // _CURVE)
        # Each stage has batches of its own.
        offset = self._stage * _STAGE * (epoch or 1)
        if stage.keep_start and first == 0:
            at_first = self._validate()
            if at_first is not None:
                best.offer(self._signed(at_first), cell)
        cell.train()
        with Reporter(stage.title, stage.iterations, self.quiet, done=first) as reporter:
            for i in range(first, stage.iterations):
                if self.run_file is not None and self.run_file.due:
                    self._save(stage, i, state, best, unchanged, started)
                self._set_rates(stage, i)
                examples = task.training_batch(offset + i, config.batch, config.seed)
                if not examples.continues:
                    state = None
                x = real_inputs(task, examples.inputs).to(self.device)
                targets = torch.from_numpy(np.ascontiguousarray(examples.targets)).to(self.device)
                for optimizer in stage.optimizers:
                    optimizer.zero_grad()
                with self._weights_in(stage, i):
                    loss, shown, state = stage.objective(cell, x, targets, state)
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise TrainingError(
                        f"the loss must be finite, but is {value} in iteration {i + 1} of {stage.title!r}; "
                        "lower the learning rates"
                    )
                loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
                self._clip(stage, i)
                for optimizer in stage.optimizers:
                    optimizer.step()
                state = _each(Tensor.detach, state)
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

    @staticmethod
    def _clip(stage: Stage, iteration: int) -> None:
        """Bring the gradients of each group to norm 1 at most, before any weight is touched."""
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
                    # What stays as it is needs no gradient; that saves time.
                    parameter.requires_grad_(iteration < end)

    def _validate(self) -> float | None:
        """Return the metric on the validation set, None where the task has none."""
        if self._validation is None:
            self._validation = self.task.validation()
            if self._validation is None:
                return None
        return score(self.cell, self.task, self._validation, self.config.hidden)

    def _matrix(self) -> dict[str, float]:
        """Return how far W is from orthogonal before quantization, and the singular values after it."""
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
        """Return a score of which more is better."""
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


def check_run_file(path: Path) -> None:
    """Raise an OutputError unless the run can be saved at ``path``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(
            f"{path} must be a file that can be written: {error.strerror}; free some space, choose another "
            "place with -o, or set --checkpoint-minutes 0"
        ) from error
