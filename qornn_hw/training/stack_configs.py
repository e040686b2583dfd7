"""The hyper-parameters of a training of any cell, with the defaults of each task.

The options of `qornn-hw train TASK --cell CELL` are these fields.
"""

from dataclasses import dataclass

from qornn_hw.errors import FormatError
from qornn_hw.tasks import ArraysTask, Task
from qornn_hw.training.config import RANGES, CommonConfig
from qornn_hw.training.task_options import (
    Arrays,
    Characters,
    MnistPermuted,
    MnistPixels,
    MnistRows,
    Speech,
    iterations_of,
)

__all__ = [
    "STACK_CONFIGS",
    "ArraysStackConfig",
    "CharactersStackConfig",
    "MnistStackConfig",
    "PermutedMnistStackConfig",
    "SequentialMnistStackConfig",
    "SpeechStackConfig",
    "StackConfig",
]


@dataclass(frozen=True, kw_only=True)
class StackConfig(CommonConfig):
    """Hyper-parameters of the training of a stack of cells.

    Attributes:
        cell: gru, lstm, fastgrnn, fastrnn, leaky, min_gru, rnn, linear, rotating, hadamard or dense, for each
            layer.
        layers: number of layers, of ``hidden`` units each.
        dense: units of a layer ``relu(W x + b)`` between them and the readout; 0 for none.
        block: of the cell hadamard: units of a block, a power of two that divides ``hidden``; 0 for the
            largest.
        gate_bits: bits of sigmoid and tanh.
        index_bits: bits of the index of their table.
        value_bits: bits of products and sums.
        memory: longest time in steps for which a unit remembers at the start of the training; 0 for half of
            a sequence.
        dropout: part of the readout's inputs that training drops.
        label_smoothing: part of a class that training gives to all classes.
        weight_decay: of the weights, for each unit of learning rate and step (AdamW).
        learning_rate: Adam's learning rate.
        recurrent_rate: factor of the learning rate of a linear layer's recurrent matrix (of its signs for
            hadamard) and bias.
        quantized_rate: factor of the learning rate in the stage of integers.
        float_epochs: passes over the training sequences with real numbers.
        weights_epochs: further passes with rounded weights and real states.
        epochs: further passes with weights and states rounded as the integers are; 0 to round a network
            that was trained with real numbers only.
    """

    # Without a stage of integers the float network is rounded; a layer's multiplier has 4 to 15 bits.
    ranges = RANGES | {"epochs": (0, 10_000), "multiplier_bits": (4, 15)}

    cell: str = "gru"
    layers: int = 1
    dense: int = 0
    block: int = 0
    state_bits: int = 8
    gate_bits: int = 8
    index_bits: int = 8
    value_bits: int = 10
    memory: float = 0.0
    dropout: float = 0.0
    label_smoothing: float = 0.0
    weight_decay: float = 0.0
    learning_rate: float = 3e-3
    recurrent_rate: float = 0.01
    quantized_rate: float = 0.3
    float_epochs: int | None = 20
    weights_epochs: int = 0
    epochs: int | None = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.float_epochs == 0 == self.epochs and not self.weights_epochs:
            raise FormatError("epochs must be at least 1 where no other stage has any, not 0")

    @property
    def real_factor(self) -> float:
        """The factor of the learning rate in the stage of real numbers."""
        return 1.0

    def stages(self, task: Task) -> tuple[int, int, int, int]:
        """Return the iterations with halved images, real numbers, rounded weights, and integers."""
        batches = task.batches_per_epoch(self.batch) or 1
        real = iterations_of(self.float_epochs, batches, 2000, 10)
        return 0, real, self.weights_epochs * batches, iterations_of(self.epochs, batches, 1000, 5)


@dataclass(frozen=True, kw_only=True)
class MnistStackConfig(MnistRows, StackConfig):
    """Training of MNIST by rows."""

    output_bits: int = 4
    float_epochs: int | None = 30
    epochs: int | None = 20


@dataclass(frozen=True, kw_only=True)
class _LongStackConfig(StackConfig):
    """Training on hundreds of steps: a gate of 8 bits cannot keep a state for so long."""

    batch: int = 100
    state_bits: int = 12
    gate_bits: int = 12
    index_bits: int = 10
    value_bits: int = 14


@dataclass(frozen=True, kw_only=True)
class SequentialMnistStackConfig(MnistPixels, _LongStackConfig):
    """Training of sequential MNIST: 784 steps of one pixel.

    Attributes:
        halved_epochs: passes before all others over images of 14 by 14 pixels, whose sequences have a quarter
            of the steps; the gates are then made slower by this factor.
        real_rate: factor of the learning rate in the stage of real numbers, where halved images come before.
    """

    halved_epochs: int = 8
    float_epochs: int | None = 16
    epochs: int | None = 4
    real_rate: float = 0.7
    quantized_rate: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.halved_epochs and not self.float_epochs:
            raise FormatError("float_epochs must be at least 1 after halved_epochs, not 0")

    @property
    def real_factor(self) -> float:
        """The factor of the learning rate in the stage of real numbers."""
        return self.real_rate if self.halved_epochs else 1.0

    def stages(self, task: Task) -> tuple[int, int, int, int]:
        """Return the iterations with halved images, real numbers, rounded weights, and integers."""
        batches = task.batches_per_epoch(self.batch) or 1
        return self.halved_epochs * batches, *super().stages(task)[1:]


@dataclass(frozen=True, kw_only=True)
class PermutedMnistStackConfig(MnistPermuted, _LongStackConfig):
    """Training of permuted MNIST: 784 steps of one pixel in a fixed random order."""


@dataclass(frozen=True, kw_only=True)
class SpeechStackConfig(Speech, StackConfig):
    """Training of spoken digits, FSDD, from log-mel frames."""

    frames: int = 48
    hop: int = 160
    batch: int = 100
    float_epochs: int | None = 100
    epochs: int | None = 50
    learning_rate: float = 4e-3
    dropout: float = 0.25
    label_smoothing: float = 0.1
    weight_decay: float = 1e-2


@dataclass(frozen=True, kw_only=True)
class CharactersStackConfig(Characters, StackConfig):
    """Training of a character language model: predict the next character of a text."""

    output_kind: str = "logits"
    batch: int = 64


@dataclass(frozen=True, kw_only=True)
class ArraysStackConfig(Arrays, StackConfig):
    """Training on your own arrays (docs/tasks.md)."""

    batch: int = 64
    float_epochs: int | None = None
    epochs: int | None = None
    patience: int = 25

    def task(self) -> Task:
        """Return the task of the arrays."""
        return ArraysTask(self.task_file, self.input_bits, one_output=self.one_output)


STACK_CONFIGS: dict[str, type[StackConfig]] = {
    found.command: found
    for found in (
        MnistStackConfig,
        SequentialMnistStackConfig,
        PermutedMnistStackConfig,
        SpeechStackConfig,
        CharactersStackConfig,
        ArraysStackConfig,
    )
}
