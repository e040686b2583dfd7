"""Sums that the tasks' metrics are made of, and the order in which a fixed set is shown."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError

__all__ = ["EpochOrder", "cross_entropy", "generator", "hits", "rounded", "whole"]


def rounded(value: float) -> float:
    """Return six significant digits, which every machine's exponential agrees on."""
    return float(f"{value:.6g}")


def cross_entropy(logits: NDArray[np.floating[Any]], targets: NDArray[np.int64]) -> NDArray[Any]:
    """Return ``log sum exp(y) - y[target]`` in nats, of the shape of ``targets``.

    Args:
        logits: y, (..., p).
        targets: classes (...).
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    picked = np.take_along_axis(shifted, targets[..., None], axis=-1)[..., 0]
    return np.asarray(np.log(np.exp(shifted).sum(axis=-1)) - picked)


def hits(logits: NDArray[np.floating[Any]], targets: NDArray[np.int64]) -> int:
    """Return how many sequences are right after their last step.

    Args:
        logits: (count, steps, p); the last step's count, and of equal ones the first, as in the hardware.
        targets: classes (count,).
    """
    return int((logits[:, -1].argmax(axis=-1) == targets).sum())


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return ``value`` if it is an integer from ``low`` to ``high``.

    Raises:
        FormatError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise FormatError(f"{name} must be {low} to {high}, not {' '.join(repr(value).split())[:60]}")
    return int(value)


def generator(*words: int) -> np.random.Generator:
    """Return a generator that depends on nothing but its words, each 0 or more.

    Of NumPy's making, zeros at the end of the words count for nothing, and a word of 2**32 or more counts as
    two. Lists of one length whose words but the last one are smaller than that have generators of their own;
    what lists of several lengths, such as the sets of the tasks, are told apart by is their first word.
    """
    return np.random.default_rng(words)


class EpochOrder:
    """Which examples of a fixed set make which batch: all in a new random order in each epoch.

    Args:
        size: examples.
        word: what distinguishes this order from another one with the same seed.
    """

    def __init__(self, size: int, word: int) -> None:
        self._size = size
        self._word = word
        self._key: tuple[int, int] | None = None
        self._order: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def batches(self, count: int) -> int:
        """Return how many whole batches an epoch has.

        Raises:
            FormatError: not even one.
        """
        whole("batch", count, 1, self._size)
        return self._size // count

    def chosen(self, index: int, count: int, seed: int) -> NDArray[np.int64]:
        """Return the examples of the ``index``-th batch, (count,).

        What is left of an epoch after its last whole batch is not shown in it.
        """
        per_epoch = self.batches(count)
        epoch, place = divmod(index, per_epoch)
        if self._key != (seed, epoch):
            self._order = generator(self._word, seed, epoch).permutation(self._size)
            self._key = (seed, epoch)
        return self._order[place * count : (place + 1) * count]
