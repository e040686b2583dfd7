"""Parts that all training runs share: threads, learning-rate schedule, best weights, progress display."""

import copy
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from qornn_hw.terminal.text import PlainConsole, printable, say

__all__ = ["Best", "Reporter", "cosine", "one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: the matrices are small, and several threads would wait for each other.

    This also makes a run reproducible on any number of cores. Denormal numbers are flushed to zero: gradients
    that vanish over hundreds of steps become denormal, and a processor is ten times slower on them.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)


def cosine(iteration: int, total: int, warmup: int = 50) -> float:
    """Return the factor of the learning rate: a linear warm-up, then a half cosine down to 0 at ``total``."""
    rise = min(1.0, (iteration + 1) / warmup)
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, iteration / max(1, total))))


class Best:
    """Keeps the weights of a module at the best value of a score; larger is better.

    Attributes:
        score: the best score so far; minus infinity before the first one.
        weights: the state dictionary of the module at that score.
    """

    def __init__(self, score: float = -math.inf, weights: dict[str, Any] | None = None) -> None:
        self.score = score
        self.weights = weights

    def offer(self, score: float, module: nn.Module) -> bool:
        """Save the weights if ``score`` is the best so far, and return whether it is; NaN never is."""
        if not score > self.score:
            return False
        self.score = score
        self.weights = copy.deepcopy(module.state_dict())
        return True

    def restore(self, module: nn.Module) -> None:
        """Load the best weights into the module."""
        if self.weights is not None:
            module.load_state_dict(self.weights)


class Reporter:
    """A progress bar on a terminal; otherwise one line every few seconds. Both go to stderr.

    Args:
        title: name of the work.
        total: number of units of work.
        quiet: show nothing.
        seconds: interval between two lines.
        done: units that an earlier run has done.
        epoch: units of one epoch; None if there are no epochs.
    """

    def __init__(
        self,
        title: str,
        total: int,
        quiet: bool = False,
        seconds: float = 10.0,
        done: int = 0,
        epoch: int | None = None,
    ) -> None:
        self.title, self.total, self.quiet, self.seconds = title, total, quiet, seconds
        self.first = done
        self.epoch = epoch
        self._unprinted: str | None = None
        self.started = self._printed = time.monotonic()
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[values]}", markup=False),
                TimeRemainingColumn(),
            )
            self._progress = Progress(*columns, console=PlainConsole(stderr=True))
            self._task = self._progress.add_task(
                printable(self.title), total=self.total, completed=self.first, values=""
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
        elif self._unprinted is not None and kind is None and not self.quiet:
            say(f"{self._unprinted}, ended early: no better network", file=sys.stderr, flush=True)

    def update(self, done: int, **values: float | None) -> None:
        """Show that ``done`` of the total are done, with the latest loss and metrics; None means unknown."""
        text = ", ".join(f"{name} {'-' if v is None else f'{v:.4g}'}" for name, v in values.items())
        if self.epoch is not None:
            passes = f"epoch {-(-done // self.epoch)}/{-(-self.total // self.epoch)}"
            text = f"{passes}, {text}" if text else passes
        if self._progress is not None:
            self._progress.update(self._task, completed=done, values=text)
            return
        self._unprinted = f"{self.title} {done}/{self.total} {text}"
        now = time.monotonic()
        if not self.quiet and (now - self._printed >= self.seconds or done >= self.total):
            self._printed = now
            self._unprinted = None
            left = (now - self.started) / max(done - self.first, 1) * (self.total - done)
            text = f"{text}, {left:.0f} s left" if text else f"{left:.0f} s left"
            say(f"{self.title} {done}/{self.total} {text}", file=sys.stderr, flush=True)
