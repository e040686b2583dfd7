"""The golden model of an Elman network: what the hardware must compute, integer for integer.

The integers are those of the network's operations (:mod:`qornn_hw.cells.elman`), which
:class:`qornn_hw.ir.interpreter.Interpreter` runs; docs/numerics.md defines them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.cells.elman import ACCUMULATOR, ACTIVATED, REQUANTIZED, STATE, lower
from qornn_hw.cells.elman_bounds import bounds_of, elman_ranges
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.ops.term import exact_float

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


class IntegerModel:
    """Runs an :class:`IntegerNetwork` on batches of sequences.

    Inputs are integers: one-hot indices of shape (batch, steps), or vectors of shape (batch, steps, m).

    Attributes:
        network: what is run.
        bounds: intervals of its accumulators.
        interpreter: what runs its operations.

    Raises:
        FormatError: an accumulator could pass 48 bits.
    """

    def __init__(self, network: IntegerNetwork) -> None:
        self.network = network
        ranges = elman_ranges(network)
        self.bounds = bounds_of(ranges)
        self.interpreter = Interpreter(lower(network), ranges)

    def initial_state(self, batch: int) -> IntArray:
        """Return the state before the first step, (batch, n)."""
        return self.interpreter.initial_state(batch)[STATE]

    def step(self, state: IntArray, x: IntArray) -> Step:
        """Compute one time step.

        Args:
            state: g, (batch, n).
            x: indices (batch,) or vectors (batch, m), in the input's format.
        """
        new, values = self.interpreter.step({STATE: state}, x)
        accumulator = values[ACCUMULATOR]
        return Step(accumulator, values.get(ACTIVATED, accumulator), values[REQUANTIZED], new[STATE])

    def logits(self, state: IntArray) -> IntArray:
        """Return ``V g + c`` for states of shape (..., n) as (..., p)."""
        return self.interpreter.logits({STATE: state})

    def run(self, inputs: ArrayLike, initial_state: IntArray | None = None) -> Trace:
        """Run whole sequences and return every state and every answer.

        Args:
            inputs: (batch, steps) indices or (batch, steps, m) vectors; steps at least 1.
            initial_state: (batch, n); the network's own where absent.

        Raises:
            FormatError: the inputs have another shape, or leave the input's format; or states leave the
                range that the network's states have.
        """
        run = self.interpreter.run(inputs, _named(initial_state))
        return Trace(states=run.states[STATE], logits=run.logits, argmax=run.classes)

    def answers(self, inputs: ArrayLike, initial_state: IntArray | None = None) -> IntArray:
        """Return the logits that :meth:`run` returns, without keeping the states.

        Args:
            inputs: as for :meth:`run`.
            initial_state: as for :meth:`run`.

        Returns:
            (batch, steps, p), or (batch, 1, p) where the network answers after the last step only.

        Raises:
            FormatError: as for :meth:`run`.
        """
        return self.interpreter.answers(inputs, _named(initial_state))

    def check_inputs(self, inputs: ArrayLike) -> IntArray:
        """Return ``inputs`` as int64 if shape and range are those of the network's input."""
        return self.interpreter.check_inputs(inputs)


def _named(state: IntArray | None) -> dict[str, IntArray] | None:
    return None if state is None else {STATE: state}
