"""The hyper-parameters of a training run. The options of `qornn-hw train` are these fields."""

import math
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar

from qornn_hw.cells.activations.registry import BOUNDED, Activation
from qornn_hw.cells.elman_network import OutputKind
from qornn_hw.cells.registry import CELLS
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import Rounding
from qornn_hw.ir.sylvester import UNITS_MAX, block_of
from qornn_hw.tasks import Task

__all__ = ["RANGES", "CommonConfig", "Method", "RunConfig", "check_answer", "choices_of"]


class Method(StrEnum):
    """How W is kept nearly orthogonal while it is quantized.

    BJORCK: STE-Björck. An unconstrained matrix goes through Björck's iteration, then through q_k.
    PROJUNN: STE-projUNN. An orthogonal matrix goes through q_k; its updates keep it orthogonal.
    PENALTY: an unconstrained matrix goes through q_k; ``||q_k(W) q_k(W)^T - I||_F^2`` is added to the loss.
    FREE: an unconstrained matrix, orthogonal at the start, goes through q_k.
    PTQ: W is trained in full precision with Björck's iteration, and quantized once after training.
    HADAMARD: signs times Hadamard blocks, exactly orthogonal; one bit a unit is learned.
    """

    BJORCK = "bjorck"
    PROJUNN = "projunn"
    PENALTY = "penalty"
    FREE = "free"
    PTQ = "ptq"
    HADAMARD = "hadamard"


RANGES: dict[str, tuple[float, float]] = {
    "hidden": (1, 65_536),
    "block": (0, UNITS_MAX),
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
    "halved_epochs": (0, 10_000),
    "weights_epochs": (0, 10_000),
    "finetune_epochs": (0, 10_000),
    "batch": (1, 50_000),
    "patience": (0, 10_000_000),
    "hold": (0.01, 1.0),
    "projunn_rank": (1, 64),
    "checkpoint_minutes": (0, 10_000),
    "penalty": (0, 1e9),
    "linear_start": (0, 1e9),
    "layers": (1, 16),
    "dense": (0, 65_536),
    "gate_bits": (2, 17),
    "index_bits": (3, 14),
    "value_bits": (2, 32),
    "memory": (0, 1e9),
    "dropout": (0, 0.9),
    "label_smoothing": (0, 0.9),
    "weight_decay": (0, 1e3),
}
# The methods whose W is not rounded by a search.
_NO_SEARCH = (Method.PROJUNN, Method.PTQ, Method.HADAMARD)
# The methods whose W need not be orthogonal; for hadamard the first matrix does not matter.
_FREE = (Method.FREE, Method.PENALTY, Method.HADAMARD)
# The activations that may begin as a linear network.
_LINEAR = ", ".join(one for one in Activation if one.function.linear_start)
_CHOICES: dict[str, list[str]] = {
    "activation": [*Activation],
    "rounding": [*Rounding],
    "output_kind": [*OutputKind],
    "method": [*Method],
    "first_matrix": ["haar", "identity", "rotations", "integrators"],
    "projunn_projection": ["D", "T"],
    "projunn_sampler": ["lsi", "column"],
    "cell": [*CELLS],
}


def choices_of(name: str) -> tuple[str, ...]:
    """Return the allowed values of a field of the configurations; () if the field is not a choice."""
    return tuple(_CHOICES.get(name, ()))


def check_answer(config: "CommonConfig", task: Task) -> None:
    """Raise a FormatError where a network's only answer would always be class 0."""
    if task.outputs == 1 and config.output_kind == OutputKind.ARGMAX:
        raise FormatError("output_kind must be logits or both for one output, not argmax, which is always 0")


@dataclass(frozen=True, kw_only=True)
class CommonConfig:
    """Hyper-parameters that every training has.

    Attributes:
        hidden: number n of hidden units.
        bits: bits of W and U.
        output_bits: bits of V.
        state_bits: bits of the state.
        seed: seed of the weights and of the sequences.
        batch: number of sequences in one optimizer step.
        patience: end a stage after this number of validations without an improvement; 0 for never.
        multiplier_bits: bits of the requantizer's multiplier.
        output_kind: logits, argmax or both.
        checkpoint_minutes: interval at which the run is saved, for --resume; 0 for never.
    """

    command: ClassVar[str]
    # The smallest and the largest value of a field; a subclass may have others.
    ranges: ClassVar[dict[str, tuple[float, float]]] = RANGES

    hidden: int = 64
    bits: int = 4
    output_bits: int = 8
    state_bits: int = 12
    seed: int = 0
    batch: int = 128
    patience: int = 0
    multiplier_bits: int = 12
    output_kind: str = "both"
    checkpoint_minutes: float = 3.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None and f.default is None:
                continue
            if f.type in (int, int | None) and type(value) is not int:
                raise FormatError(f"{f.name} must be an integer, not {value!r:.80}")
            if f.name in self.ranges:
                low, high = self.ranges[f.name]
                if not low <= value <= high:
                    raise FormatError(f"{f.name} must be {low} to {high}, not {value!r}")
            elif f.name in _CHOICES:
                if value not in _CHOICES[f.name]:
                    raise FormatError(f"{f.name} must be one of {', '.join(_CHOICES[f.name])}, not {value!r}")
            elif ("rate" in f.name.split("_")) and not (value > 0 and math.isfinite(value)):
                raise FormatError(f"{f.name} must be positive and finite, not {value!r}")

    def task(self) -> Task:
        """Return the task of this training."""
        raise NotImplementedError  # each task's own class has one

    @property
    def data_dir(self) -> str | None:
        """The folder of the task's data."""
        return getattr(self, "data", None)


@dataclass(frozen=True, kw_only=True)
class RunConfig(CommonConfig):
    """Hyper-parameters of the training of an Elman layer.

    Attributes:
        activation: a word of :class:`qornn_hw.cells.activations.registry.Activation`.
        method: bjorck (STE-Björck), projunn (STE-projUNN), penalty, free, ptq (quantize after training), or
            hadamard (W of signs and Hadamard blocks). For hadamard W has 1 bit, or 2 where there are several
            blocks, and ``bits`` are those of U; it has no steps by row and no orthogonal rounding.
        block: units of a Hadamard block, a power of two that divides ``hidden``; 0 for the largest.
        norm_preserving: scale the step of W so that rounding does not increase the norm of W; needs no
            hardware.
        per_row: one step for each row of W; needs a memory of n multipliers.
        orthogonal_rounding: before the stage of quantized weights, round W so that its rows stay nearly
            orthogonal, and fix its step; not for projunn, ptq and hadamard, nor for 1 bit.
        first_matrix: the initial W: haar, a random orthogonal matrix; identity; rotations, one for each pair
            of units, by angles tan(a / 2) with a uniform up to a right angle ("Cayley" initialization of
            expRNN, arXiv 1901.08428), so that recent inputs persist and older ones rotate slowly; or
            integrators, ``[[0, 0], [I, I]]``, where the first half of the units has no memory, and each
            unit of the second half adds up one unit of the first half and has no other input. The first
            half starts silent unless inputs coincide. This W is not orthogonal: only for free and penalty.
        train_recurrent: train W; if False, W stays as first_matrix sets it.
        linear_start: relu only, 0 for off: initial value of all states, which is then learned, with a bias
            that makes the initial network linear around this value.
        warm_start: a checkpoint of the same shape whose real weights are the initial weights; random weights
            without one. On the command line, options that are not given are then the checkpoint's (hidden,
            bits, output_bits, state_bits, input_bits, activation, method, block, norm_preserving, per_row,
            rounding and output_kind; in Python: warm_config); the method is free if the checkpoint does not
            come from a training. With orthogonal_rounding and without a stage of real weights, W of the same
            bits and method is not rounded again: its integers stay.
        learning_rate_recurrent: Adam's learning rate of W (projunn: learning rate of its RMSprop direction).
        learning_rate_input: learning rate of U and of the bias inside the activation.
        learning_rate_output: learning rate of V and its bias.
        hold: fraction of the quantized stage after which W and U are frozen; their learning rates have
            decayed to zero by then.
        penalty: weight of the penalty term, for method penalty.
        projunn_rank: rank of an update, for projunn.
        projunn_projection: D, onto the nearest orthogonal matrix, or T, along the tangent; for projunn.
        projunn_sampler: lsi or column, the low-rank approximation of an update; for projunn.
        quantized_rate: factor of the learning rates in the stage of quantized weights.
        quantized_recurrent_rate: additional factor for W in that stage: each step of Adam moves some entries
            of W past a rounding boundary, and over hundreds of steps that makes another network.
        finetune_recurrent: train W, too, in the stage of rounded states.
        finetune_rate: factor of the learning rates in the stage of rounded states.
        bfloat16: multiply in bfloat16 if the processor can; weights stay exact, states lose bits.
        rounding: half_up or half_even.
    """

    activation: str = "modrelu"
    method: str = "bjorck"
    block: int = 0
    norm_preserving: bool = False
    per_row: bool = False
    orthogonal_rounding: bool = False
    first_matrix: str = "haar"
    train_recurrent: bool = True
    linear_start: float = 0.0
    warm_start: str = ""
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
    rounding: str = "half_up"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.per_row and self.activation in BOUNDED:
            raise FormatError(
                f"per_row must be off for {self.activation}, whose states have a scale of their own"
            )
        self._check_blocks()
        if self.orthogonal_rounding and (self.bits == 1 or self.method in _NO_SEARCH):
            raise FormatError(
                f"orthogonal_rounding must be off for {self.method} with {self.bits} bits, not on"
            )
        if self.first_matrix == "integrators" and self.method not in _FREE:
            raise FormatError(
                f"first_matrix must be haar, identity or rotations for {self.method}, which keeps W "
                "orthogonal, not integrators"
            )
        if self.linear_start and not Activation(self.activation).function.linear_start:
            raise FormatError(f"linear_start must be 0 for {self.activation}: it is for {_LINEAR}")

    def _check_blocks(self) -> None:
        """Raise a FormatError for options that do not fit the method hadamard, or that only it has."""
        if self.method != Method.HADAMARD:
            if self.block:
                raise FormatError(f"block must be 0 for {self.method}, not {self.block}: it is for hadamard")
            return
        block_of(self.hidden, self.block)
        if self.per_row:
            raise FormatError("per_row must be off for hadamard, whose rows have one step, not on")
        if self.first_matrix not in ("haar", type(self).first_matrix):
            raise FormatError(f"first_matrix must be haar for hadamard, not {self.first_matrix}")

    def stages(self, task: Task) -> tuple[int, int, int]:
        """Return the iterations with real weights, with quantized weights, and with rounded states."""
        raise NotImplementedError
