"""All hyper-parameters of a training run; the options of `qornn-hw train` are these fields."""

import math
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from qornn_hw.errors import FormatError
from qornn_hw.fixed import Rounding
from qornn_hw.network import Activation, OutputKind
from qornn_hw.training.tasks import (
    AddingTask,
    ArraysTask,
    CharactersTask,
    CopyTask,
    MnistTask,
    SpeechTask,
    Task,
)

__all__ = [
    "CONFIGS",
    "AddingConfig",
    "ArraysConfig",
    "CharactersConfig",
    "CopyConfig",
    "Method",
    "MnistConfig",
    "PermutedMnistConfig",
    "RunConfig",
    "SequentialMnistConfig",
    "SpeechConfig",
    "command_line",
]


class Method(StrEnum):
    """How W is kept near-orthogonal while it is quantized.

    BJORCK: STE-Björck. An unconstrained matrix goes through Björck's iteration, then through q_k.
    PROJUNN: STE-projUNN. An orthogonal matrix goes through q_k; its updates are projected.
    PENALTY: a free matrix goes through q_k, and the loss grows with ``||q_k(W) q_k(W)^T - I||_F^2``.
    FREE: a free matrix, orthogonal at the start, goes through q_k.
    PTQ: trained in full precision with Björck's iteration, quantized once, after training.
    """

    BJORCK = "bjorck"
    PROJUNN = "projunn"
    PENALTY = "penalty"
    FREE = "free"
    PTQ = "ptq"


_RANGES: dict[str, tuple[float, float]] = {
    "hidden": (1, 65_536),
    "bits": (1, 8),
    "output_bits": (1, 8),
    "state_bits": (4, 16),
    "multiplier_bits": (1, 16),
    "seed": (0, 2**63 - 1),
    "float_iterations": (0, 10_000_000),
    "iterations": (1, 10_000_000),
    "finetune_iterations": (0, 10_000_000),
    "float_epochs": (0, 10_000),
    "epochs": (1, 10_000),
    "finetune_epochs": (0, 10_000),
    "batch": (1, 50_000),
    "patience": (0, 10_000_000),
    "hold": (0.01, 1.0),
    "projunn_rank": (1, 64),
    "checkpoint_minutes": (0, 10_000),
    "penalty": (0, 1e9),
    "linear_start": (0, 1e9),
}
_CHOICES: dict[str, list[str]] = {
    "activation": [*Activation],
    "rounding": [*Rounding],
    "output_kind": [*OutputKind],
    "method": [*Method],
    "first_matrix": ["haar", "identity", "rotations", "integrators"],
    "projunn_projection": ["D", "T"],
    "projunn_sampler": ["lsi", "column"],
}


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What every task's training has.

    Attributes:
        hidden: hidden units n.
        bits: bits of W and U.
        output_bits: bits of V.
        state_bits: bits of the state.
        activation: identity, relu, modrelu, hardtanh or tanh.
        method: bjorck (STE-Björck), projunn (STE-projUNN), penalty, free, or ptq: quantize after training.
        norm_preserving: scale the step of W so that rounding does not lengthen W; costs no hardware.
        per_row: a step for each row of W; costs a memory of n multipliers.
        orthogonal_rounding: before the stage of quantized weights, round W so that its rows stay nearly
            orthogonal, and hold its step; not for projunn and ptq, nor for 1 bit.
        first_matrix: the W that training begins with: haar, a random orthogonal matrix; identity; rotations,
            of two units each, by angles tan(a / 2) with a uniform up to a right angle (the start "Cayley" of
            expRNN, arXiv 1901.08428): the near past stays, and what is older turns slowly; or
            integrators, for which the first half of the units has no memory and the second half adds up what
            the first one says, unit by unit, ``[[0, 0], [I, I]]``, and hears nothing else. The first half
            begins silent unless inputs come together. This W is not orthogonal: only for free and penalty.
        train_recurrent: whether W is trained; if not, it stays what first_matrix says.
        linear_start: relu only, 0 for off: the states begin at this value, which is then learned, with the
            bias that makes W's own start a linear network around it.
        warm_start: a checkpoint whose real weights the network begins with, of the same shape; else random.
            With orthogonal_rounding and no stage of real weights, a W of as many bits, from the same
            method, is not rounded anew: its integers stay.
        seed: seed of the weights and of the sequences.
        batch: sequences a step of the optimizer.
        learning_rate_recurrent: Adam's rate of W (projunn: the rate of its RMSprop direction).
        learning_rate_input: of U and of the bias inside the activation.
        learning_rate_output: of V and its bias.
        hold: part of the quantized stage after which W and U stay; their rates have then fallen to zero.
        penalty: weight of the penalty, for that method.
        projunn_rank: rank of an update, for projunn.
        projunn_projection: D, onto the nearest orthogonal matrix, or T, along the tangent; for projunn.
        projunn_sampler: lsi or column, how an update is made low-rank; for projunn.
        quantized_rate: what the learning rates are multiplied by where the weights are quantized.
        quantized_recurrent_rate: what that of W is multiplied by then, besides: each step of Adam moves some
            entries of W past a rounding boundary, and over hundreds of steps that is another network.
        finetune_recurrent: train W, too, when the states are rounded.
        finetune_rate: what the learning rates are multiplied by then, instead.
        bfloat16: multiply in bfloat16 where the processor can; weights stay exact, states lose bits.
        patience: stop a stage after so many validations without a better one; 0: never.
        multiplier_bits: bits of the requantizer's factor.
        rounding: half_up or half_even.
        output_kind: logits, argmax or both.
        checkpoint_minutes: how often the run is saved, for --resume; 0: never.
    """

    command: ClassVar[str]

    hidden: int = 64
    bits: int = 4
    output_bits: int = 8
    state_bits: int = 12
    activation: str = "modrelu"
    method: str = "bjorck"
    norm_preserving: bool = False
    per_row: bool = False
    orthogonal_rounding: bool = False
    first_matrix: str = "haar"
    train_recurrent: bool = True
    linear_start: float = 0.0
    warm_start: str = ""
    seed: int = 0
    batch: int = 128
    learning_rate_recurrent: float = 1e-4
    learning_rate_input: float = 1e-3
    learning_rate_output: float = 1e-3
    hold: float = 1.0
    penalty: float = 0.01
    projunn_rank: int = 1
    projunn_projection: str = "T"
    projunn_sampler: str = "lsi"
    quantized_rate: float = 1.0
    quantized_recurrent_rate: float = 1.0
    finetune_recurrent: bool = True
    finetune_rate: float = 0.5
    bfloat16: bool = False
    patience: int = 0
    multiplier_bits: int = 12
    rounding: str = "half_up"
    output_kind: str = "both"
    checkpoint_minutes: float = 3.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in _RANGES:
                low, high = _RANGES[f.name]
                if not low <= value <= high:
                    raise FormatError(f"{f.name} must be {low} to {high}, not {value!r}")
            elif f.name in _CHOICES:
                if value not in _CHOICES[f.name]:
                    raise FormatError(f"{f.name} must be one of {', '.join(_CHOICES[f.name])}, not {value!r}")
            elif ("rate" in f.name.split("_")) and not (value > 0 and math.isfinite(value)):
                raise FormatError(f"{f.name} must be positive and finite, not {value!r}")
        if self.per_row and self.activation in (Activation.TANH, Activation.HARDTANH):
            raise FormatError(
                f"per_row must be off for {self.activation}, whose states have a scale of their own"
            )
        if self.orthogonal_rounding and (self.bits == 1 or self.method in (Method.PROJUNN, Method.PTQ)):
            raise FormatError(
                f"orthogonal_rounding must be off for {self.method} with {self.bits} bits, not on"
            )
        if self.first_matrix == "integrators" and self.method not in (Method.FREE, Method.PENALTY):
            raise FormatError(
                f"first_matrix must be haar, identity or rotations for {self.method}, which keeps W "
                "orthogonal, not integrators"
            )
        if self.linear_start and self.activation != Activation.RELU:
            raise FormatError(f"linear_start must be 0 for {self.activation}: it is for relu")

    def task(self) -> Task:
        """Return the task that is trained."""
        raise NotImplementedError  # each task's own class has one

    def stages(self, task: Task) -> tuple[int, int, int]:
        """Return the iterations with real weights, with quantized ones, and with rounded states."""
        raise NotImplementedError

    @property
    def data_dir(self) -> str | None:
        """The folder of the task's data."""
        return getattr(self, "data", None)


@dataclass(frozen=True, kw_only=True)
class _Generated(RunConfig):
    """A task whose sequences are generated.

    Attributes:
        float_iterations: optimiser steps with real weights.
        iterations: further steps, with quantized weights.
        finetune_iterations: further steps with rounded states, of identity networks with the noise that
            rounding brings.
    """

    float_iterations: int = 0
    iterations: int = 2000
    finetune_iterations: int = 500

    def stages(self, task: Task) -> tuple[int, int, int]:
        """Return the three counts."""
        return self.float_iterations, self.iterations, self.finetune_iterations


@dataclass(frozen=True, kw_only=True)
class _Epochs(RunConfig):
    """A task whose training sequences are shown again and again.

    Attributes:
        float_epochs: passes over the training sequences with real weights.
        epochs: further passes, with quantized weights.
        finetune_epochs: further passes, with rounded states.
    """

    float_epochs: int = 0
    epochs: int = 20
    finetune_epochs: int = 2

    def stages(self, task: Task) -> tuple[int, int, int]:
        """Return the three counts."""
        batches = task.batches_per_epoch(self.batch) or 1
        return self.float_epochs * batches, self.epochs * batches, self.finetune_epochs * batches


@dataclass(frozen=True, kw_only=True)
class _Fixed(_Epochs):
    """A task with a public data set.

    Attributes:
        data: the folder with the data.
    """

    data: str


@dataclass(frozen=True, kw_only=True)
class CopyConfig(_Generated):
    """Training of the copy task: remember ten symbols.

    Attributes:
        blank: T0, the blanks between the symbols and the marker.
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
        curriculum: over so many training batches, the first ones, sequences grow from 10 steps to all.
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
class MnistConfig(_Fixed):
    """Training of MNIST by rows.

    Attributes:
        input_bits: bits of a pixel.
        augment: training images are moved by up to so many pixels.
    """

    command: ClassVar[str] = "mnist"
    order: ClassVar[str] = "rows"

    output_bits: int = 4
    state_bits: int = 8
    input_bits: int = 4
    activation: str = "relu"
    method: str = "free"
    float_epochs: int = 20
    epochs: int = 60
    finetune_epochs: int = 40
    augment: int = 1
    quantized_rate: float = 0.5
    finetune_rate: float = 0.3
    learning_rate_recurrent: float = 1e-3
    learning_rate_input: float = 3e-3
    learning_rate_output: float = 3e-3

    def task(self) -> Task:
        """Return MNIST in the order of this class."""
        return MnistTask(self.data, self.order, self.input_bits, self.augment)


@dataclass(frozen=True, kw_only=True)
class SequentialMnistConfig(MnistConfig):
    """Training of sequential MNIST: 784 steps of a pixel."""

    command: ClassVar[str] = "smnist"
    order: ClassVar[str] = "pixels"

    hidden: int = 170
    output_bits: int = 8
    state_bits: int = 12
    input_bits: int = 8
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
    augment: int = 0
    quantized_rate: float = 1.0
    finetune_rate: float = 0.05
    bfloat16: bool = True


@dataclass(frozen=True, kw_only=True)
class PermutedMnistConfig(SequentialMnistConfig):
    """Training of permuted MNIST: 784 steps of a pixel in a fixed random order."""

    command: ClassVar[str] = "pmnist"
    order: ClassVar[str] = "permuted"


@dataclass(frozen=True, kw_only=True)
class SpeechConfig(_Fixed):
    """Training of spoken digits, FSDD, from log-mel frames.

    Attributes:
        input_bits: bits of a feature.
        bands: mel bands, m.
        frames: steps of a sequence.
        hop: samples between the beginnings of frames, of 8000 a second.
        train_all: train the validation recordings, too, and choose nothing by them.
    """

    command: ClassVar[str] = "speech"

    input_bits: int = 4
    bands: int = 24
    frames: int = 32
    hop: int = 240
    train_all: bool = False
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

    def task(self) -> Task:
        """Return the spoken digits."""
        return SpeechTask(
            self.data,
            self.input_bits,
            bands=self.bands,
            frames=self.frames,
            hop=self.hop,
            train_all=self.train_all,
        )


@dataclass(frozen=True, kw_only=True)
class CharactersConfig(_Fixed):
    """Training of a character language model: the next character of a text.

    Attributes:
        window: steps between two updates; the states go on from one window to the next.
    """

    command: ClassVar[str] = "characters"

    window: int = 150
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

    def task(self) -> Task:
        """Return the text."""
        return CharactersTask(self.data, self.window)


@dataclass(frozen=True, kw_only=True)
class ArraysConfig(_Epochs):
    """Training on arrays of your own (docs/tasks.md).

    Attributes:
        task_file: the .npz file with inputs and targets.
        input_bits: bits of an entry of a vector.
    """

    command: ClassVar[str] = "arrays"

    task_file: str
    input_bits: int = 8
    activation: str = "relu"
    float_epochs: int = 5
    finetune_epochs: int = 5

    def task(self) -> Task:
        """Return the arrays' task."""
        return ArraysTask(self.task_file, self.input_bits)

    @property
    def data_dir(self) -> str | None:
        """The file is the data."""
        return self.task_file


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


def command_line(config: RunConfig, device: str = "cpu") -> str:
    """Return the command that repeats a run: the options that are not the defaults.

    The data folder of the machine is of no use elsewhere and is given as DIR, files by their names.

    >>> command_line(CopyConfig(blank=100, seed=3))
    'qornn-hw train copy --blank 100 --seed 3 -o model.pt'
    """
    words = ["qornn-hw train", config.command]
    for f in sorted(fields(config), key=lambda f: f.name):
        value: Any = getattr(config, f.name)
        option = "--" + f.name.replace("_", "-")
        if f.name == "data":
            words += [option, "DIR"]
        elif f.name in ("task_file", "warm_start") and value:
            words += [option, Path(value).name]
        elif f.default is MISSING or value != f.default:
            if isinstance(value, bool):
                words.append(option if value else option.replace("--", "--no-", 1))
            else:
                words += [option, str(value)]
    if device != "cpu":
        words += ["--device", device]
    return " ".join([*words, "-o model.pt"])
