"""The hyper-parameters of a training run of each task, with the defaults of the task."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.files.checkpoint import load_checkpoint
from qornn_hw.tasks import AddingTask, ArraysTask, CopyTask, Task
from qornn_hw.tasks.input_grids import input_grid_of
from qornn_hw.training.config import RunConfig
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
    "CONFIGS",
    "AddingConfig",
    "ArraysConfig",
    "CharactersConfig",
    "CopyConfig",
    "MnistConfig",
    "PermutedMnistConfig",
    "SequentialMnistConfig",
    "SpeechConfig",
]


@dataclass(frozen=True, kw_only=True)
class _Generated(RunConfig):
    """Training of a task whose sequences are generated.

    Attributes:
        float_iterations: optimizer steps with real weights.
        iterations: further steps with quantized weights.
        finetune_iterations: further steps with rounded states (identity networks: with rounding noise).
    """

    float_iterations: int = 0
    iterations: int = 2000
    finetune_iterations: int = 500

    def stages(self, task: Task) -> tuple[int, int, int]:
        """Return the iterations of the three stages."""
        return self.float_iterations, self.iterations, self.finetune_iterations


@dataclass(frozen=True, kw_only=True)
class _Epochs(RunConfig):
    """Training of a task with a fixed set of sequences.

    Attributes:
        float_epochs: passes over the training sequences with real weights.
        epochs: further passes with quantized weights.
        finetune_epochs: further passes with rounded states.
    """

    float_epochs: int = 0
    epochs: int = 20
    finetune_epochs: int = 2

    def stages(self, task: Task) -> tuple[int, int, int]:
        """Return the iterations of the three stages."""
        batches = task.batches_per_epoch(self.batch) or 1
        return self.float_epochs * batches, self.epochs * batches, self.finetune_epochs * batches


@dataclass(frozen=True, kw_only=True)
class CopyConfig(_Generated):
    """Training of the copy task: remember ten symbols.

    Attributes:
        blank: number T0 of blanks between the symbols and the marker.
    """

    command: ClassVar[str] = "copy"

    blank: int = 1000
    hidden: int = 64
    bits: int = 6
    state_bits: int = 10
    activation: str = "identity"
    iterations: int = 4000
    finetune_iterations: int = 1500
    learning_rate_input: float = 5e-3
    learning_rate_output: float = 1.5e-2
    hold: float = 0.75
    finetune_recurrent: bool = False
    finetune_rate: float = 1.0

    def task(self) -> Task:
        """Return the copy task."""
        return CopyTask(self.blank)


@dataclass(frozen=True, kw_only=True)
class AddingConfig(_Generated):
    """Training of the adding task: the sum of the two marked numbers.

    Attributes:
        steps: length of a sequence.
        curriculum: number of training batches over which the sequences grow from 10 steps to full length.
    """

    command: ClassVar[str] = "adding"

    steps: int = 200
    curriculum: int = 600
    hidden: int = 64
    bits: int = 8
    state_bits: int = 16
    activation: str = "relu"
    method: str = "free"
    norm_preserving: bool = True
    first_matrix: str = "integrators"
    train_recurrent: bool = False
    iterations: int = 3000
    finetune_iterations: int = 200
    finetune_rate: float = 0.02
    multiplier_bits: int = 16
    learning_rate_input: float = 1e-3
    learning_rate_output: float = 1e-3
    output_kind: str = "logits"

    def task(self) -> Task:
        """Return the adding task."""
        return AddingTask(self.steps, curriculum=self.curriculum)


@dataclass(frozen=True, kw_only=True)
class MnistConfig(MnistRows, _Epochs):
    """Training of MNIST by rows."""

    output_bits: int = 4
    state_bits: int = 8
    activation: str = "relu"
    method: str = "free"
    float_epochs: int = 20
    epochs: int = 60
    finetune_epochs: int = 40
    quantized_rate: float = 0.5
    finetune_rate: float = 0.3
    learning_rate_recurrent: float = 1e-3
    learning_rate_input: float = 3e-3
    learning_rate_output: float = 3e-3


@dataclass(frozen=True, kw_only=True)
class SequentialMnistConfig(MnistPixels, _Epochs):
    """Training of sequential MNIST: 784 steps of one pixel."""

    hidden: int = 170
    activation: str = "modrelu"
    method: str = "bjorck"
    norm_preserving: bool = True
    per_row: bool = True
    orthogonal_rounding: bool = True
    quantized_recurrent_rate: float = 0.1
    float_epochs: int = 16
    epochs: int = 24
    finetune_epochs: int = 1
    learning_rate_recurrent: float = 1e-4
    learning_rate_input: float = 1e-3
    learning_rate_output: float = 1e-3
    quantized_rate: float = 1.0
    finetune_rate: float = 0.05
    bfloat16: bool = True


@dataclass(frozen=True, kw_only=True)
class PermutedMnistConfig(MnistPermuted, SequentialMnistConfig):
    """Training of permuted MNIST: 784 steps of one pixel in a fixed random order."""


@dataclass(frozen=True, kw_only=True)
class SpeechConfig(Speech, _Epochs):
    """Training of spoken digits, FSDD, from log-mel frames."""

    state_bits: int = 8
    activation: str = "relu"
    method: str = "free"
    batch: int = 30
    float_epochs: int = 200
    epochs: int = 150
    finetune_epochs: int = 60
    learning_rate_recurrent: float = 5e-3
    learning_rate_input: float = 5e-3
    learning_rate_output: float = 5e-3
    quantized_rate: float = 0.15
    finetune_rate: float = 0.1


@dataclass(frozen=True, kw_only=True)
class CharactersConfig(Characters, _Epochs):
    """Training of a character language model: predict the next character of a text."""

    hidden: int = 256
    state_bits: int = 12
    activation: str = "relu"
    output_kind: str = "logits"
    batch: int = 64
    epochs: int = 20
    finetune_epochs: int = 1
    learning_rate_recurrent: float = 3e-4
    learning_rate_input: float = 2e-3
    learning_rate_output: float = 2e-3
    bfloat16: bool = True


@dataclass(frozen=True, kw_only=True)
class ArraysConfig(Arrays, RunConfig):
    """Training on your own arrays (docs/tasks.md).

    Attributes:
        batch: number of sequences in one optimizer step; all of them if there are fewer.
        float_epochs: passes over the training sequences with real weights; by default about 2000 optimizer
            steps, but at least 10 passes.
        epochs: further passes with quantized weights; by default about 1200 steps, at least 6 passes.
        finetune_epochs: further passes with rounded states; by default about 600 steps, at least 3 passes.
    """

    activation: str = "tanh"
    method: str = "free"
    norm_preserving: bool = True
    first_matrix: str = "rotations"
    batch: int = 64
    float_epochs: int | None = None
    epochs: int | None = None
    finetune_epochs: int | None = None
    learning_rate_recurrent: float = 1e-3
    learning_rate_input: float = 3e-3
    learning_rate_output: float = 3e-3
    quantized_rate: float = 0.3
    finetune_rate: float = 0.15
    patience: int = 25

    def task(self) -> Task:
        """Return the task of the arrays."""
        grid = None
        if self.warm_start:
            grid = input_grid_of(load_checkpoint(Path(self.warm_start)).network, self.input_bits)
        return ArraysTask(
            self.task_file,
            self.input_bits,
            one_output=self.one_output,
            offsets=not Activation(self.activation).shape.unit_bias,
            grid=grid,
        )

    def stages(self, task: Task) -> tuple[int, int, int]:
        """Return the iterations of the three stages."""
        batches = task.batches_per_epoch(self.batch) or 1
        real = iterations_of(self.float_epochs, batches, 2000, 10)
        quantized = iterations_of(self.epochs, batches, 1200, 6)
        return real, quantized, iterations_of(self.finetune_epochs, batches, 600, 3)


CONFIGS: tuple[type[RunConfig], ...] = (
    CopyConfig,
    AddingConfig,
    MnistConfig,
    SequentialMnistConfig,
    PermutedMnistConfig,
    SpeechConfig,
    CharactersConfig,
    ArraysConfig,
)
