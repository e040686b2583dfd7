"""The copy task: remember ten symbols over a long blank.

A sequence has ``T0 + 20`` steps: 10 random symbols from 1 to 8, T0 blanks (0), one marker (9), 9 blanks. The
target is blank for the first ``T0 + 10`` steps, then the ten symbols in order, the first one at the marker.
There are nine classes: blank and the eight symbols. (Arjovsky, Shah, Bengio, arXiv 1511.06464, as in the code
of expRNN and projUNN.)
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.tasks.measures import cross_entropy, generator, rounded, whole
from qornn_hw.tasks.task import Examples, Task

__all__ = ["CLASSES", "MARKER", "RECALL", "SYMBOLS", "CopyTask", "blind_baseline", "sequences"]

SYMBOLS = 10
CLASSES = 9
RECALL = 10
MARKER = 9

TEST_SEQUENCES = 1000
VALIDATION_SEQUENCES = 200
# The first seed word, which separates training, validation and test for every training seed.
_TRAINING = 1
_VALIDATION_SEED = (2, 0)
_TEST_SEED = (20240204, 2012)


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
    """Return the mean cross-entropy of correct blanks and a uniform guess of the ten symbols, in nats."""
    return RECALL * math.log(CLASSES - 1) / (blank + 2 * RECALL)


class CopyTask(Task):
    """The copy task with ``blank`` blanks, generated; test: 1000 sequences, validation: 200.

    Metrics: cross_entropy (nats, mean over all ``blank + 20`` steps), recall_accuracy (of the ten symbols),
    sequence_accuracy (all ten symbols right), blank_accuracy (of the other steps).

    Args:
        blank: number T0 of blanks, 1 to 1,000,000.
    """

    name = "copy"
    metric = "cross_entropy"
    larger_is_better = False
    options = ("blank",)
    required = ("blank",)
    input_kind = InputKind.ONE_HOT
    inputs = SYMBOLS
    outputs = CLASSES
    output_mode = OutputMode.EVERY_STEP

    def __init__(self, blank: int = 1000) -> None:
        self.blank = whole("blank", blank, 1, 1_000_000)

    def description(self) -> dict[str, Any]:
        """Return ``{"name": "copy", "blank": T0}``."""
        return {"name": self.name, "blank": self.blank}

    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return new sequences."""
        return Examples(*sequences(generator(_TRAINING, seed, index), count, self.blank))

    def batches_per_epoch(self, count: int) -> int | None:
        """Return None: sequences are generated."""
        return None

    def most_sequences(self) -> int | None:
        """Return None: sequences are generated."""
        return None

    def validation(self) -> Examples:
        """Return the fixed validation set of 200 sequences."""
        return Examples(*sequences(generator(*_VALIDATION_SEED), VALIDATION_SEQUENCES, self.blank))

    def test(self, limit: int | None = None) -> Examples:
        """Return the fixed test set of 1000 sequences, or its first ``limit`` sequences."""
        count = TEST_SEQUENCES if limit is None else min(limit, TEST_SEQUENCES)
        return Examples(*sequences(np.random.default_rng(_TEST_SEED), count, self.blank))

    def blind(self) -> float:
        """Return ``10 ln 8 / (T0 + 20)``."""
        return blind_baseline(self.blank)

    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return the sums over sequences of the four metrics; logits (count, T0 + 20, 9)."""
        found = logits.argmax(axis=-1) == targets
        return {
            "cross_entropy": float(cross_entropy(logits, targets).sum()) / targets.shape[1],
            "recall_accuracy": float(found[:, -RECALL:].sum()) / RECALL,
            "sequence_accuracy": float(found[:, -RECALL:].all(axis=1).sum()),
            "blank_accuracy": float(found[:, :-RECALL].sum()) / (self.blank + RECALL),
        }

    def metrics(self, totals: dict[str, float], count: int) -> dict[str, float]:
        """Return the means of counts rounded to integers; the cross-entropy has six digits, at most 1e9."""
        entropy = totals["cross_entropy"] / count
        quiet = self.blank + RECALL
        return {
            "cross_entropy": rounded(min(entropy, 1e9) if math.isfinite(entropy) else 1e9),
            "recall_accuracy": round(totals["recall_accuracy"] * RECALL) / (count * RECALL),
            "sequence_accuracy": totals["sequence_accuracy"] / count,
            "blank_accuracy": round(totals["blank_accuracy"] * quiet) / (count * quiet),
        }
