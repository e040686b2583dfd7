"""What every task is: training batches, a test set, the interface of its network, and its metrics.

NumPy only. A task hands out integers, as the hardware takes them: indices, or vectors in its input format
whose unit is worth ``input_scale``.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.network import InputKind, OutputMode

__all__ = ["Examples", "Task"]


@dataclass(frozen=True)
class Examples:
    """Sequences and what is wanted of them.

    Attributes:
        inputs: int64, indices (count, steps), or vectors (count, steps, m) in the task's input format.
        targets: int64 (count,), the class after the last step; int64 (count, steps), the class after each
            step; or float64 (count, p), the values after the last step.
        continues: the states of the batch before it are the initial states of this one.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[Any]
    continues: bool = False


class Task(ABC):
    """One task with its data.

    A constructor checks its arguments (``FormatError``, whose message starts with the argument's name) and
    reads no more than it needs to know the interface. :meth:`load` reads the rest, or else the first call
    that needs it.

    Attributes:
        name: as in ``qornn-hw train NAME`` and in a checkpoint's ``task["name"]``.
        metric: the key of the metric by which networks are compared.
        larger_is_better: whether a larger metric is the better one.
        options: the constructor's arguments that the description may hold beside the name.
        required: those of them that it must hold.
        data_argument: the constructor's argument that takes ``--data``; None where sequences are generated.
        input_bits_range: the ``input_bits`` that the constructor takes; None where it takes none.
        input_kind, inputs, outputs, output_mode: the interface of its network; m and p.
        input_bits, input_signed, input_scale: the format of an entry of a vector and the worth of its unit;
            of no meaning for one-hot inputs.
        first_full_batch: index of the first training batch whose sequences are like those of the test.
    """

    name: ClassVar[str]
    metric: str
    larger_is_better: bool
    options: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    data_argument: ClassVar[str | None] = None
    input_bits_range: ClassVar[range | None] = None
    input_kind: InputKind
    inputs: int
    outputs: int
    output_mode: OutputMode
    input_bits: int = 8
    input_signed: bool = False
    input_scale: float = 1.0
    first_full_batch: int = 0

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Return what a checkpoint holds as ``task``; ``make_task`` makes the task of it again."""

    def load(self) -> None:  # noqa: B027  # most generated tasks have nothing to read
        """Read all data now, training and test, so that what is missing is found before any work.

        Raises:
            DataError: the data are absent or not what they should be.
        """

    @abstractmethod
    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return the ``index``-th batch of ``count`` sequences: the same for the same three arguments.

        So a run that was interrupted goes on with the same batches. A fixed set is shuffled anew in each
        epoch, a generated one never repeats itself.
        """

    @abstractmethod
    def batches_per_epoch(self, count: int) -> int | None:
        """Return the whole batches of a fixed training set; None where sequences are generated."""

    @abstractmethod
    def most_sequences(self) -> int | None:
        """Return how many sequences a training batch may have at most; None: any number."""

    @abstractmethod
    def validation(self) -> Examples | None:
        """Return sequences that are neither trained nor tested, by which training chooses; None: no such."""

    @abstractmethod
    def test(self, limit: int | None = None) -> Examples:
        """Return the test set, or its first ``limit`` sequences."""

    @abstractmethod
    def blind(self) -> float | None:
        """Return the metric of the best answer without any input; None where that is not known."""

    @abstractmethod
    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return, for some sequences, the sum of each metric over the sequences.

        Args:
            logits: in real units, (count, steps, p), or (count, 1, p) after the last step only.
            targets: as in :class:`Examples`.
        """

    def metrics(self, totals: dict[str, float], count: int) -> dict[str, float]:
        """Return the metrics of ``count`` sequences from the sums of :meth:`totals` over all of them.

        They are means, ``total / count``; a task may round what was counted back to a whole count, so that
        the order in which batches were added leaves no trace.
        """
        return {key: total / count for key, total in totals.items()}
