"""The interface of every task: training batches, a test set, the interface of its network, and metrics.

The module needs NumPy only. A task gives integers, as the hardware takes them: indices, or vectors in its
input format, whose unit has the real value ``input_scale``.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind, OutputMode

__all__ = ["Examples", "Task"]


@dataclass(frozen=True)
class Examples:
    """Sequences and their targets.

    Attributes:
        inputs: int64, indices (count, steps), or vectors (count, steps, m) in the task's input format.
        targets: int64 (count,), the class after the last step; int64 (count, steps), the class after each
            step; float64 (count, p), the values after the last step; or float64 (count, steps, p), the
            values after each step.
        continues: the final states of the previous batch are the initial states of this one.
        lengths: number of steps of each sequence, (count,); padding after them is integer 0. None if all
            sequences have all steps.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[Any]
    continues: bool = False
    lengths: NDArray[np.int64] | None = None

    def of_one_length(self) -> Iterator["tuple[NDArray[np.int64], Examples]"]:
        """Yield the sequences grouped by length, without padding, with their indices, (count,)."""
        if self.lengths is None:
            yield np.arange(len(self.inputs)), self
            return
        values = self.targets.dtype.kind == "f"
        each_step = self.targets.ndim == (3 if values else 2)
        for steps in np.unique(self.lengths):
            chosen = np.flatnonzero(self.lengths == steps)
            targets = self.targets[chosen]
            yield chosen, Examples(self.inputs[chosen, :steps], targets[:, :steps] if each_step else targets)


class Task(ABC):
    """One task with its data.

    A constructor checks its arguments (``FormatError``, whose message starts with the argument's name), and
    reads only the data that determine the interface. :meth:`load`, or the first call that needs them, reads
    the rest.

    Attributes:
        name: name in ``qornn-hw train NAME`` and in a checkpoint's ``task["name"]``.
        metric: key of the metric by which networks are compared.
        larger_is_better: whether a larger metric is better.
        options: arguments of the constructor that the description may hold beside the name.
        required: those of them that it must hold.
        data_argument: argument of the constructor for the data folder or file; None for generated tasks.
        input_bits_range: allowed ``input_bits`` of the constructor; None if it has no such argument.
        input_kind, inputs, outputs, output_mode: the interface of its network; m and p.
        input_bits, input_signed, input_scale, input_offset: the format of an entry of a vector, the real
            value of one unit, and the real number that integer 0 stands for (the last two for all channels
            or by channel); meaningless for one-hot inputs.
        output_offset, output_scale: values are trained as ``(value - output_offset) / output_scale``, so
            that training does not depend on their mean or unit; a number or (p,), and a number.
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
    input_scale: float | tuple[float, ...] = 1.0
    input_offset: float | tuple[float, ...] = 0.0
    output_offset: Any = 0.0
    output_scale: float = 1.0
    first_full_batch: int = 0

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Return the entry ``task`` of a checkpoint, from which ``make_task`` makes the same task."""

    def load(self) -> None:  # noqa: B027  # most generated tasks have nothing to read
        """Read all data now, training and test, so that missing data are reported before any work.

        Raises:
            DataError: the data do not exist or are malformed.
        """

    @abstractmethod
    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return batch ``index`` of ``count`` sequences; the same three arguments give the same batch.

        So a resumed run uses the same batches. A fixed set is shuffled again in each epoch; a generated one
        never repeats.
        """

    @abstractmethod
    def batches_per_epoch(self, count: int) -> int | None:
        """Return the number of whole batches of a fixed training set; None for a generated one."""

    @abstractmethod
    def most_sequences(self) -> int | None:
        """Return the largest number of sequences in a training batch; None for no limit."""

    @abstractmethod
    def validation(self) -> Examples | None:
        """Return sequences for choosing a network, neither trained nor tested; None if there are none."""

    @abstractmethod
    def test(self, limit: int | None = None) -> Examples:
        """Return the test set, or its first ``limit`` sequences."""

    @abstractmethod
    def blind(self) -> float | None:
        """Return the metric of the best answer that ignores the input; None if it is not known."""

    @abstractmethod
    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return the sum of each metric over some sequences.

        Args:
            logits: in real units, (count, steps, p), or (count, 1, p) after the last step only.
            targets: as in :class:`Examples`.
        """

    @property
    def training_scale(self) -> float:
        """Real value of one unit of a vector's entry in training, one number for all channels.

        The export converts the weights to those of the real inputs.
        """
        assert isinstance(self.input_scale, float | int)
        return float(self.input_scale)

    def totals_of(self, logits: NDArray[np.floating[Any]], examples: Examples) -> dict[str, float]:
        """Return :meth:`totals` for sequences of different lengths; padded steps do not count.

        Args:
            logits: (count, steps, p), or (count, 1, p) after the last step only.
            examples: the sequences.
        """
        found: dict[str, float] = {}
        for chosen, part in examples.of_one_length():
            answers = logits[chosen]
            if answers.shape[1] > 1:
                answers = answers[:, : part.inputs.shape[1]]
            for key, value in self.totals(answers, part.targets).items():
                found[key] = found.get(key, 0.0) + value
        return found

    def clipped_inputs(self) -> int:
        """Return the number of input entries of the test set that were clipped to the input format."""
        return 0

    def measured(self, answers: Sequence[NDArray[np.floating[Any]]], examples: Examples) -> dict[str, float]:
        """Return the metrics of answers that are given sequence by sequence.

        Args:
            answers: logits in real units of each sequence, (steps, p), or (1, p) after the last step only.
            examples: the sequences.
        """
        found: dict[str, float] = {}
        for chosen, part in examples.of_one_length():
            logits = np.stack([answers[int(i)] for i in chosen])
            for key, value in self.totals(logits, part.targets).items():
                found[key] = found.get(key, 0.0) + value
        return self.metrics(found, len(examples.inputs))

    def metrics(self, totals: dict[str, float], count: int) -> dict[str, float]:
        """Return the metrics of ``count`` sequences from the sums of :meth:`totals` over all of them.

        A metric is the mean ``total / count``. A task may round a count to an integer first, so that the
        result does not depend on the order in which batches were added.
        """
        return {key: total / count for key, total in totals.items()}
