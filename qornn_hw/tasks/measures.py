"""Parts of the tasks' metrics, seeded generators, and the order of a fixed training set."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError

__all__ = ["EpochOrder", "cross_entropy", "generator", "hits", "rounded", "whole"]


def rounded(value: float) -> float:
    """Return six significant digits, to which the exponential functions of all machines agree."""
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
    """Return the number of sequences whose class after the last step is right.

    Args:
        logits: (count, steps, p). The largest logit of the last step counts, the first among equals, as in
            the hardware.
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
    """Return a generator that depends on its words only, each 0 or more.

    NumPy ignores zeros at the end of the words, and splits a word of 2**32 or more into two. So lists of one
    length give different generators if all their words but the last are below 2**32. Lists of different
    lengths, such as those of training and test, must differ in their first word.
    """
    return np.random.default_rng(words)


class EpochOrder:
    """The order of a fixed set: each epoch shows all examples in a new random order.

    Args:
        size: number of examples.
        word: seed word that distinguishes this order from others with the same seed.
    """

    def __init__(self, size: int, word: int) -> None:
        self._size = size
        self._word = word
        self._key: tuple[int, int] | None = None
        self._order: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def batches(self, count: int) -> int:
        """Return the number of whole batches in an epoch.

        Raises:
            FormatError: ``count`` is larger than the set.
        """
        whole("batch", count, 1, self._size)
        return self._size // count

    def chosen(self, index: int, count: int, seed: int) -> NDArray[np.int64]:
        """Return the indices of the examples of batch ``index``, (count,).

        Examples that remain after the last whole batch of an epoch are not shown in this epoch.
        """
        per_epoch = self.batches(count)
        epoch, place = divmod(index, per_epoch)
        if self._key != (seed, epoch):
            self._order = generator(self._word, seed, epoch).permutation(self._size)
            self._key = (seed, epoch)
        return self._order[place * count : (place + 1) * count]
