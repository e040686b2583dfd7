"""What every training run shares: the learning-rate schedule, the best state, and the progress display."""

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

__all__ = ["Best", "Reporter", "cosine", "one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: the matrices here are small, more threads would wait for each other.

    A run then also repeats itself whatever the number of cores. Denormal numbers, in which gradients that
    vanish over hundreds of steps end up, are flushed to zero: a processor takes ten times as long for them.
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
    """Return the factor of the learning rate: a linear rise, then half a cosine to 0 at ``total``."""
    rise = min(1.0, (iteration + 1) / warmup)
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, iteration / max(1, total))))


class Best:
    """Keeps the weights of a module at the best value of a score, larger is better.

    Attributes:
        score: the best so far, minus infinity before the first.
        weights: the module's state then.
    """

    def __init__(self, score: float = -math.inf, weights: dict[str, Any] | None = None) -> None:
        self.score = score
        self.weights = weights

    def offer(self, score: float, module: nn.Module) -> bool:
        """Remember the weights if ``score`` is the best so far, and return whether it is; NaN never is."""
        if not score > self.score:
            return False
        self.score = score
        self.weights = copy.deepcopy(module.state_dict())
        return True

    def restore(self, module: nn.Module) -> None:
        """Put the best weights back."""
        if self.weights is not None:
            module.load_state_dict(self.weights)


class Reporter:
    """A progress bar on a terminal, a plain line every few seconds elsewhere; both on stderr.

    Args:
        title: what goes on.
        total: how much there is to do.
        quiet: show nothing.
        seconds: between two lines.
        done: how much was done before.
    """

    def __init__(
        self, title: str, total: int, quiet: bool = False, seconds: float = 10.0, done: int = 0
    ) -> None:
        self.title, self.total, self.quiet, self.seconds = title, total, quiet, seconds
        self.first = done
        self.started = self._printed = time.monotonic()
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.fields[values]}"),
                TimeRemainingColumn(),
            )
            self._progress = Progress(*columns, console=Console(stderr=True))
            self._task = self._progress.add_task(
                self.title, total=self.total, completed=self.first, values=""
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, done: int, **values: float | None) -> None:
        """Show that ``done`` of the total are done, with the latest loss and metrics; None: not known."""
        text = ", ".join(f"{name} {'-' if v is None else f'{v:.4g}'}" for name, v in values.items())
        if self._progress is not None:
            self._progress.update(self._task, completed=done, values=text)
            return
        now = time.monotonic()
        if not self.quiet and (now - self._printed >= self.seconds or done >= self.total):
            self._printed = now
            left = (now - self.started) / max(done - self.first, 1) * (self.total - done)
            text = f"{text}, {left:.0f} s left" if text else f"{left:.0f} s left"
            print(f"{self.title} {done}/{self.total} {text}", file=sys.stderr, flush=True)
