"""All hyper-parameters of a training run; the options of `qornn-hw train` are these fields."""

import math
from dataclasses import MISSING, dataclass, fields
from typing import Any

from qornn_hw.errors import FormatError
from qornn_hw.fixed import Rounding
from qornn_hw.network import Activation, OutputKind

__all__ = ["CopyConfig", "MnistConfig", "command_line"]

_RANGES = {
    "blank": (1, 1_000_000),
    "hidden": (1, 65_536),
    "bits": (1, 8),
    "output_bits": (1, 8),
    "state_bits": (4, 16),
    "input_bits": (1, 8),
    "multiplier_bits": (1, 16),
    "seed": (0, 2**63 - 1),
    "iterations": (1, 10_000_000),
    "finetune_iterations": (0, 10_000_000),
    "float_epochs": (0, 10_000),
    "epochs": (1, 10_000),
    "finetune_epochs": (0, 10_000),
    "batch": (1, 50_000),
}
_CHOICES: dict[str, list[str]] = {
    "activation": [*Activation],
    "rounding": [*Rounding],
    "output_kind": [*OutputKind],
}


def _check(config: Any) -> None:
    """Refuse what would fail only after minutes of training."""
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name in _RANGES:
            low, high = _RANGES[f.name]
            if not low <= value <= high:
                raise FormatError(f"{f.name} must be {low} to {high}, not {value!r}")
        elif f.name in _CHOICES:
            if value not in _CHOICES[f.name]:
                raise FormatError(f"{f.name} must be one of {', '.join(_CHOICES[f.name])}, not {value!r}")
        elif f.name.startswith("learning_rate") and not (value > 0 and math.isfinite(value)):
            raise FormatError(f"{f.name} must be positive and finite, not {value!r}")


@dataclass(frozen=True)
class CopyConfig:
    """Training of the copy task; the defaults train the model in models/.

    Attributes:
        blank: T0, the blanks between the symbols and the marker.
        hidden: hidden units n.
        bits: bits of W and U.
        output_bits: bits of V.
        state_bits: bits of the state.
        activation: identity, relu, modrelu, hardtanh or tanh.
        seed: seed of the weights and of the sequences.
        iterations: optimiser steps of the first stage, in which all is trained.
        finetune_iterations: steps of the second stage: W stays, U, V and the biases learn to live with
            the noise of the state's rounding.
        batch: sequences a step.
        learning_rate_recurrent: Adam's rate of W and of the bias inside the activation.
        learning_rate_input: of U.
        learning_rate_output: of V and its bias.
        multiplier_bits: bits of the requantizer's factor.
        rounding: half_up or half_even.
        output_kind: logits, argmax or both.
    """

    blank: int = 1000
    hidden: int = 64
    bits: int = 6
    output_bits: int = 8
    state_bits: int = 10
    activation: str = "identity"
    seed: int = 0
    iterations: int = 4000
    finetune_iterations: int = 1500
    batch: int = 128
    learning_rate_recurrent: float = 1e-4
    learning_rate_input: float = 5e-3
    learning_rate_output: float = 1.5e-2
    multiplier_bits: int = 12
    rounding: str = "half_up"
    output_kind: str = "both"

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class MnistConfig:
    """Training of MNIST by rows; the defaults train the model in models/.

    Attributes:
        data: the folder with the MNIST files.
        hidden: hidden units n.
        bits: bits of W, U and V.
        state_bits: bits of the state.
        input_bits: bits of a pixel.
        activation: identity, relu, modrelu, hardtanh or tanh.
        orthogonal: whether W is kept near-orthogonal by Björck's iteration. 28 steps do not need it, and a
            free W, orthogonal at the start, learns faster.
        seed: seed of the weights and of the order of the images.
        float_epochs: passes over the training images with real weights.
        epochs: further passes with quantized weights.
        finetune_epochs: further passes in which the states are rounded as in the hardware.
        batch: images a step.
        learning_rate: Adam's rate, decayed to zero by a cosine.
        learning_rate_recurrent: that of W.
        multiplier_bits: bits of the requantizer's factor.
        rounding: half_up or half_even.
        output_kind: logits, argmax or both.
    """

    data: str
    hidden: int = 64
    bits: int = 4
    state_bits: int = 8
    input_bits: int = 4
    activation: str = "relu"
    orthogonal: bool = False
    seed: int = 0
    float_epochs: int = 12
    epochs: int = 20
    finetune_epochs: int = 20
    batch: int = 128
    learning_rate: float = 3e-3
    learning_rate_recurrent: float = 1e-3
    multiplier_bits: int = 12
    rounding: str = "half_up"
    output_kind: str = "both"

    def __post_init__(self) -> None:
        _check(self)


def command_line(task: str, config: Any) -> str:
    """Return the command that repeats a run: the options that are not the defaults.

    The data folder of the machine is of no use elsewhere and is given as DIR.

    >>> command_line("copy", CopyConfig(blank=100, seed=3))
    'qornn-hw train copy --blank 100 --seed 3 -o model.pt'
    """
    words = ["qornn-hw train", task]
    for f in fields(config):
        value = getattr(config, f.name)
        option = "--" + f.name.replace("_", "-")
        if f.name == "data":
            words += [option, "DIR"]
        elif f.default is MISSING or value != f.default:
            if isinstance(value, bool):
                words.append(option if value else option.replace("--", "--no-", 1))
            else:
                words += [option, str(value)]
    return " ".join([*words, "-o model.pt"])
