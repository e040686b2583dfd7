"""The golden model: what the hardware must compute, integer for integer (docs/numerics.md).

Matrix products run in floating-point BLAS and are exact, in whatever order it adds: the sum of any of the
products of a row is an integer of at most ``sum_j |w_ij| max |x|``. Where that is below 2**24 for every row,
float32 holds each such integer; else float64 does, which holds all up to 2**53: a network that could pass
2**48 is refused (:func:`qornn_hw.bounds.accumulator_bounds`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.bounds import accumulator_bounds
from qornn_hw.errors import FormatError
from qornn_hw.fixed import requantize
from qornn_hw.network import Activation, IntegerNetwork

__all__ = ["IntegerModel", "Step", "Trace", "exact_float"]

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


def exact_float(weights: IntArray, largest: int) -> type[np.floating[Any]]:
    """Return the floating-point type whose matrix products with ``weights`` are exact.

    Args:
        weights: integers (rows, columns).
        largest: the largest magnitude of an entry of the vectors.
    """
    row_sums = np.abs(weights).sum(axis=1)
    return np.float32 if max(int(row_sums.max()) * largest, largest) < 1 << 24 else np.float64


def _matmul(a: IntArray, b_transposed: NDArray[np.floating[Any]]) -> IntArray:
    product: IntArray = (a.astype(b_transposed.dtype) @ b_transposed).astype(np.int64)
    return product


class IntegerModel:
    """Runs an :class:`IntegerNetwork` on batches of sequences.

    Inputs are integers: one-hot indices of shape (batch, steps), or vectors of shape (batch, steps, m).
    """

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        self.bounds = accumulator_bounds(network)
        state, entry = -network.state_format.min, max(-network.input_format.min, network.input_format.max)
        w, u, v = network.recurrent_weight, network.input_weight, network.output_weight
        self._w_t = w.T.astype(exact_float(w, state))
        self._u_t = u.T.astype(exact_float(u, entry))
        self._v_t = v.T.astype(exact_float(v, state))
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

    def answers(self, inputs: ArrayLike, initial_state: IntArray | None = None) -> IntArray:
        """Return the logits that :meth:`run` returns, without keeping the states.

        Args:
            inputs: as for :meth:`run`.
            initial_state: as for :meth:`run`.

        Returns:
            (batch, steps, p), or (batch, 1, p) where the network answers after the last step only.

        Raises:
            FormatError: the inputs have another shape, or leave the input's format.
        """
        net = self.network
        x = self.check_inputs(inputs)
        batch, steps = x.shape[:2]
        state = self.initial_state(batch) if initial_state is None else initial_state
        every = net.output_mode == "every_step"
        logits = np.empty((batch, steps if every else 1, net.output_size), dtype=np.int64)
        for t in range(steps):
            state = self.step(state, x[:, t]).state
            if every or t == steps - 1:
                logits[:, t if every else 0] = self.logits(state)
        return logits

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
