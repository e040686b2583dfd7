"""The adding task: the sum of two marked numbers of a long sequence.

The input of step t of T is ``x_t = (u_t, marker_t)``, u_t uniform in 0 to 1. The marker is on at two steps,
one in each half of the sequence at random, and 0 elsewhere. The answer after the last step is the sum of the
two marked numbers, with a squared error. (Hochreiter, Schmidhuber 1997, in the form of Arjovsky et al.,
arXiv 1511.06464, and of projUNN.)

u_t is drawn from the b-bit grid ``integer / 2**b``, so the hardware's input is exact. A marker that is on is
the largest integer, ``(2**b - 1) / 2**b``. The best constant answer, the mean of the sums, has the error
``2 (4**b - 1) / (12 4**b)``, which is 0.16666 at 8 bits.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.tasks.measures import generator, rounded, whole
from qornn_hw.tasks.task import Examples, Task

__all__ = ["AddingTask", "sequences"]

TEST_SEQUENCES = 2000
VALIDATION_SEQUENCES = 1000
# The number of steps at the start of a curriculum.
SHORTEST = 10
# The first seed word, which separates training, validation and test for every training seed.
_TRAINING = 5
_VALIDATION_SEED = (6, 0)
_TEST_SEED = (7, 0)


def sequences(
    rng: np.random.Generator, count: int, steps: int, bits: int = 8
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return inputs (count, steps, 2), integers of ``bits`` bits, and the sums (count, 1), real numbers."""
    top = (1 << bits) - 1
    inputs = np.zeros((count, steps, 2), dtype=np.int64)
    inputs[:, :, 0] = rng.integers(0, top + 1, size=(count, steps))
    half = steps // 2
    places = np.stack([rng.integers(0, half, size=count), rng.integers(half, steps, size=count)], axis=1)
    row = np.arange(count)[:, None]
    inputs[row, places, 1] = top
    return inputs, inputs[row, places, 0].sum(axis=1, keepdims=True) / (top + 1)


class AddingTask(Task):
    """The adding task over ``steps`` steps, generated; test: 2000 sequences, validation: 1000.

    Metric: mse, the mean squared error of the answer after the last step.

    Training can start with short sequences. Without this curriculum the loss of long sequences stays at that
    of the constant answer for thousands of batches.

    Args:
        steps: number of steps T, 2 to 1,000,000.
        input_bits: bits b of an entry, 1 to 16.
        curriculum: number c of batches of the curriculum, 0 to 10,000,000: training batch i < c has
            sequences of ``10 (T / 10)**(i / c)`` steps, later batches of T. Validation and test use T steps.
    """

    name = "adding"
    metric = "mse"
    larger_is_better = False
    options = required = ("steps",)
    input_bits_range = range(1, 17)
    input_kind = InputKind.VECTOR
    inputs = 2
    outputs = 1
    output_mode = OutputMode.LAST_STEP

    def __init__(self, steps: int = 200, input_bits: int = 8, curriculum: int = 0) -> None:
        self.steps = whole("steps", steps, 2, 1_000_000)
        self.curriculum = self.first_full_batch = whole("curriculum", curriculum, 0, 10_000_000)
        self.input_bits = whole("input_bits", input_bits, 1, 16)
        self.input_scale = 2.0**-self.input_bits

    def description(self) -> dict[str, Any]:
        """Return ``{"name": "adding", "steps": T}``."""
        return {"name": self.name, "steps": self.steps}

    def _examples(self, seed: tuple[int, ...], count: int, steps: int | None = None) -> Examples:
        return Examples(*sequences(generator(*seed), count, steps or self.steps, self.input_bits))

    def steps_of_batch(self, index: int) -> int:
        """Return the number of steps of the sequences of a training batch.

        >>> [AddingTask(1000, curriculum=100).steps_of_batch(i) for i in (0, 50, 99, 100)]
        [10, 100, 954, 1000]
        """
        if index >= self.curriculum or self.steps <= SHORTEST:
            return self.steps
        return int(SHORTEST * (self.steps / SHORTEST) ** (index / self.curriculum))

    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return new sequences of :meth:`steps_of_batch` steps."""
        return self._examples((_TRAINING, seed, index), count, self.steps_of_batch(index))

    def batches_per_epoch(self, count: int) -> int | None:
        """Return None: sequences are generated."""
        return None

    def most_sequences(self) -> int | None:
        """Return None: sequences are generated."""
        return None

    def validation(self) -> Examples:
        """Return the fixed validation set of 1000 sequences."""
        return self._examples(_VALIDATION_SEED, VALIDATION_SEQUENCES)

    def test(self, limit: int | None = None) -> Examples:
        """Return the fixed test set of 2000 sequences, or its first ``limit`` sequences."""
        full = self._examples(_TEST_SEED, TEST_SEQUENCES)
        return Examples(full.inputs[:limit], full.targets[:limit])

    def blind(self) -> float:
        """Return the error of the best constant answer, ``2 (4**b - 1) / (12 4**b)``."""
        return (1 - 0.25**self.input_bits) / 6

    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return the sum of the squared errors of the last answers."""
        return {"mse": float(((logits[:, -1] - targets) ** 2).sum())}

    def metrics(self, totals: dict[str, float], count: int) -> dict[str, float]:
        """Return the mean squared error with six digits, limited to 1e9."""
        error = totals["mse"] / count
        return {"mse": rounded(min(error, 1e9) if np.isfinite(error) else 1e9)}
