"""The golden model: what the hardware must compute, integer for integer (docs/numerics.md).

Matrix products run in float64 BLAS and are exact: every partial sum is an integer below
2**48 in magnitude (:func:`qornn_hw.bounds.accumulator_bounds` proves it), and float64 holds every
integer up to 2**53.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.bounds import accumulator_bounds
from qornn_hw.errors import FormatError
from qornn_hw.fixed import requantize
from qornn_hw.network import Activation, IntegerNetwork

__all__ = ["IntegerModel", "Step", "Trace"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Step:
    """Every intermediate of one time step, each (batch, n).

    Attributes:
        accumulator: W g + (U x << e), plus b where the activation does not take it.
        activated: after the part of the activation that works at accumulator precision.
        requantized: the new state, or for tanh the table index.
        state: the new state g'.
    """

    accumulator: IntArray
    activated: IntArray
    requantized: IntArray
    state: IntArray


@dataclass(frozen=True)
class Trace:
    """What a run over whole sequences gave.

    Attributes:
        states: g after each step, (batch, steps, n).
        logits: after each step, (batch, steps, p), or after the last only, (batch, 1, p), as the network's
            output mode says.
        argmax: index of the largest logit, the lowest among equals, (batch, steps or 1).
    """

    states: IntArray
    logits: IntArray
    argmax: IntArray


def _matmul(a: IntArray, b_transposed: NDArray[np.float64]) -> IntArray:
    return (a.astype(np.float64) @ b_transposed).astype(np.int64)


class IntegerModel:
    """Runs an :class:`IntegerNetwork` on batches of sequences.

    Inputs are integers: one-hot indices of shape (batch, steps), or vectors of shape (batch, steps, m).
    """

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.bounds = accumulator_bounds(network)
        self._w_t = network.recurrent_weight.T.astype(np.float64)
        self._u_t = network.input_weight.T.astype(np.float64)
        self._v_t = network.output_weight.T.astype(np.float64)
        # Row m stands for every index past the last symbol: it adds nothing.
        self._symbol_columns = np.vstack(
            [network.input_weight.T, np.zeros_like(network.input_weight[:, :1].T)]
        )

    def initial_state(self, batch: int) -> IntArray:
        """Return the state before the first step, (batch, n)."""
        return np.tile(self.network.initial_state, (batch, 1))

    def step(self, state: IntArray, x: IntArray) -> Step:
        """Compute one time step.

        Args:
            state: g, (batch, n).
            x: indices (batch,) or vectors (batch, m), in the input's format.
        """
        net = self.network
        drive = (
            _matmul(x, self._u_t) if net.vector_input else self._symbol_columns[np.minimum(x, net.input_size)]
        )
        z = _matmul(state, self._w_t) + (drive << net.input_shift)
        if net.activation is Activation.MODRELU:
            activated = np.sign(z) * np.maximum(np.abs(z) + net.bias, 0)
        else:
            z = z + net.bias
            activated = np.maximum(z, 0) if net.activation is Activation.RELU else z
        q = requantize(activated, net.multiplier, net.shift, net.index_bits, net.rounding)
        new = q if net.table is None else net.table[q + len(net.table) // 2]
        return Step(accumulator=z, activated=activated, requantized=q, state=new)

    def logits(self, state: IntArray) -> IntArray:
        """Return ``V g + c`` for states of shape (..., n) as (..., p)."""
        return _matmul(state, self._v_t) + self.network.output_bias

    def run(self, inputs: ArrayLike, initial_state: IntArray | None = None) -> Trace:
        """Run whole sequences and return every state and every answer.

        Args:
            inputs: (batch, steps) indices or (batch, steps, m) vectors; steps at least 1.
            initial_state: (batch, n); the network's own where absent.

        Raises:
            FormatError: the inputs have another shape, or leave the input's format.
        """
        x = self.check_inputs(inputs)
        state = self.initial_state(x.shape[0]) if initial_state is None else initial_state
        states = np.empty((*x.shape[:2], self.network.hidden_size), dtype=np.int64)
        for t in range(x.shape[1]):
            state = self.step(state, x[:, t]).state
            states[:, t] = state
        logits = self.logits(states if self.network.output_mode == "every_step" else states[:, -1:])
        return Trace(states=states, logits=logits, argmax=np.argmax(logits, axis=-1).astype(np.int64))

    def check_inputs(self, inputs: ArrayLike) -> IntArray:
        """Return ``inputs`` as int64 if shape and range are those of the network's input."""
        net = self.network
        x = np.asarray(inputs)
        shape = "(batch, steps)" if not net.vector_input else f"(batch, steps, {net.input_size})"
        right = x.ndim == 3 and x.shape[2] == net.input_size if net.vector_input else x.ndim == 2
        if not right or 0 in x.shape:
            raise FormatError(f"inputs must have shape {shape}, not {x.shape}")
        if x.dtype.kind not in "iu":
            raise FormatError(f"inputs must be integers, not {x.dtype}")
        low, high = net.input_format.min, net.input_format.max
        if x.min() < low or x.max() > high:
            raise FormatError(f"inputs must lie in {low} to {high}, not {x.min()} to {x.max()}")
        return x.astype(np.int64)
