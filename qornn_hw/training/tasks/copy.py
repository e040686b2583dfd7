"""The copy task: remember ten symbols over a long blank.

A sequence of ``T0 + 20`` steps: 10 symbols drawn from 1 to 8, T0 blanks (0), one marker (9), 9 blanks. The
target is blank for the first ``T0 + 10`` steps and then the ten symbols in order, the first at the marker.
Nine classes: blank and the eight symbols. (Arjovsky, Shah, Bengio, arXiv 1511.06464, as in the code of
expRNN and projUNN.)
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "MARKER", "RECALL", "SYMBOLS", "blind_baseline", "sequences"]

SYMBOLS = 10
CLASSES = 9
RECALL = 10
MARKER = 9


def sequences(
    rng: np.random.Generator, count: int, blank: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return inputs and targets, each (count, blank + 20)."""
    tokens = rng.integers(1, CLASSES, size=(count, RECALL))
    inputs = np.zeros((count, blank + 2 * RECALL), dtype=np.int64)
    inputs[:, :RECALL] = tokens
    inputs[:, blank + RECALL] = MARKER
    targets = np.zeros_like(inputs)
    targets[:, blank + RECALL :] = tokens
    return inputs, targets


def blind_baseline(blank: int) -> float:
    """Return the mean cross-entropy of blank where it is due and a uniform guess of the ten symbols."""
    return RECALL * math.log(CLASSES - 1) / (blank + 2 * RECALL)
