"""FastRNN and FastGRNN (Kusupati et al. 2018): the gate and the candidate share W and U.

    FastRNN:   s = f(W x + U h + b)                     h' = alpha s + beta h
    FastGRNN:  z = sigmoid(W x + U h + b_z)             s = f(W x + U h + b_h)
               h' = (zeta (1 - z) + nu) * s + z * h

alpha, beta, zeta and nu are scalars, in 0 to 1 after training (EdgeML keeps their logits).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell, keeping
from qornn_hw.cells.graph import CellGraph, Value, hard_tanh, relu, sigmoid, tanh
from qornn_hw.errors import FormatError

__all__ = ["FastGrnn", "FastRnn", "candidate"]

_CANDIDATES: dict[str, Callable[[Value], Value]] = {"tanh": tanh, "relu": relu, "hard_tanh": hard_tanh}


def candidate(name: str) -> Callable[[Value], Value]:
    """Return the function of a name: tanh, relu or hard_tanh.

    Raises:
        FormatError: another name.
    """
    if name not in _CANDIDATES:
        raise FormatError(f"activation must be one of {', '.join(_CANDIDATES)}, not {name!r:.80}")
    return _CANDIDATES[name]


@dataclass(frozen=True, eq=False)
class FastGrnn(Cell):
    """A FastGRNN layer of n units on m inputs.

    Attributes:
        weight_ih: W, (n, m).
        weight_hh: U, (n, n).
        bias_gate: b_z, (n,).
        bias_update: b_h, (n,).
        zeta: a number.
        nu: a number.
        activation: f: tanh, relu or hard_tanh.
        initial: the state before the first step, (n,) or None for zeros.
    """

    weight_ih: NDArray[np.float64]
    weight_hh: NDArray[np.float64]
    bias_gate: NDArray[np.float64]
    bias_update: NDArray[np.float64]
    zeta: float
    nu: float
    activation: str = "tanh"
    initial: NDArray[np.float64] | None = None

    input_biases = ("bias_gate", "bias_update")

    @classmethod
    def start_fields(cls, times: NDArray[np.float64]) -> dict[str, Any]:
        """Return biases of z so that it is 1 - 1 / t, zeta 1 and nu 0."""
        return {"bias_gate": keeping(times), "zeta": 1.0, "nu": 0.0}

    def slowed(self, factor: float) -> Self:
        """Return the cell with biases of z that are larger by log(factor)."""
        return replace(self, bias_gate=self.bias_gate + np.log(factor))

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        h = graph.state("h", self.units, self.initial)
        pre = graph.linear(self.weight_ih, graph.input) + graph.linear(self.weight_hh, h)
        z = sigmoid(pre + self.bias_gate).named("z")
        s = candidate(self.activation)(pre + self.bias_update).named("s")
        share = ((self.zeta + self.nu) - self.zeta * z).named("share")
        graph.assign(h, ((share * s).named("added") + (z * h).named("kept")).named("new"))
        return h


@dataclass(frozen=True, eq=False)
class FastRnn(Cell):
    """A FastRNN layer of n units on m inputs.

    Attributes:
        weight_ih: W, (n, m).
        weight_hh: U, (n, n).
        bias: b, (n,).
        alpha: a number.
        beta: a number.
        activation: f: tanh, relu or hard_tanh.
        initial: the state before the first step, (n,) or None for zeros.
    """

    weight_ih: NDArray[np.float64]
    weight_hh: NDArray[np.float64]
    bias: NDArray[np.float64]
    alpha: float
    beta: float
    activation: str = "tanh"
    initial: NDArray[np.float64] | None = None

    input_biases = ("bias",)

    @classmethod
    def start_fields(cls, times: NDArray[np.float64]) -> dict[str, Any]:
        """Return alpha = 1 / t and beta = 1 - alpha for the mean time t."""
        alpha = float(1.0 / times.mean())
        return {"alpha": alpha, "beta": 1.0 - alpha}

    def slowed(self, factor: float) -> Self:
        """Return the cell with beta ** (1 / factor), and alpha in proportion to 1 - beta."""
        beta = float(np.clip(self.beta, 0.0, 1.0))
        slowed = beta ** (1.0 / factor)
        share = (1.0 - slowed) / (1.0 - beta) if beta < 1.0 else 1.0 / factor
        return replace(self, alpha=self.alpha * share, beta=slowed)

    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step; return its state h."""
        h = graph.state("h", self.units, self.initial)
        pre = graph.linear(self.weight_ih, graph.input) + graph.linear(self.weight_hh, h)
        s = candidate(self.activation)(pre + self.bias).named("s")
        graph.assign(h, (self.alpha * s + self.beta * h).named("new"))
        return h
