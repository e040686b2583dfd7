"""Runs any network on batches of sequences, integer for integer as the hardware must (docs/numerics.md).

Matrix products run in floating-point BLAS and are exact (:func:`qornn_hw.ir.ops.term.exact_float`). That
no other integer passes 64 bits is proved from the network before anything runs.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.errors import FormatError
from qornn_hw.ir.intervals import Ranges, check_ranges, value_ranges
from qornn_hw.ir.network import Input, Network
from qornn_hw.ir.ops import Assign, Operation

__all__ = ["Interpreter", "Run", "check_inputs"]

IntArray = NDArray[np.int64]
Values: TypeAlias = dict[str, IntArray]


@dataclass(frozen=True)
class Run:
    """What a run over whole sequences gave.

    Attributes:
        states: each state by name after each step, (batch, steps, n).
        logits: (batch, steps, p), or (batch, 1, p) in the mode ``last_step``.
        classes: the class of each answer, (batch, steps or 1).
    """

    states: Values
    logits: IntArray
    classes: IntArray


@dataclass(frozen=True)
class _Prepared:
    """One operation with its fast evaluation."""

    name: str
    operands: tuple[str, ...]
    evaluate: Callable[..., IntArray]


class Interpreter:
    """Runs a :class:`Network`.

    Inputs are integers: indices of shape (batch, steps), or vectors of shape (batch, steps, m).

    Attributes:
        network: what is run.
        ranges: sound ranges of its values; computed where they are not given.

    Raises:
        FormatError: an integer of the network could pass its width.
    """

    def __init__(self, network: Network, ranges: Ranges | None = None) -> None:
        self.network = network
        self.ranges = value_ranges(network) if ranges is None else ranges
        check_ranges(network, self.ranges)
        self._layers = [
            (
                self._prepared(op for op in layer.operations if not isinstance(op, Assign)),
                [(op.name, op.value) for op in layer.operations if isinstance(op, Assign)],
            )
            for layer in network.layers
        ]
        self._readout = self._prepared((*network.readout.tail, network.readout.logits))
        own = {op.name for op in network.readout.operations}
        self._read = {n: None for op in self._readout for n in op.operands if n not in own}

    def _prepared(self, operations: Iterable[Operation]) -> list[_Prepared]:
        return [
            _Prepared(op.name, op.operands, op.prepare(*(self.ranges.values[name] for name in op.operands)))
            for op in operations
        ]

    def initial_state(self, batch: int) -> Values:
        """Return every state before the first step, (batch, n) each."""
        return {name: np.tile(state.initial, (batch, 1)) for name, state in self.network.states.items()}

    def step(self, state: Mapping[str, IntArray], x: IntArray) -> tuple[Values, Values]:
        """Compute one time step.

        Args:
            state: every state by name, (batch, n) each.
            x: vectors (batch, m) or indices (batch,), within the input's format.

        Returns:
            The new states, and every value of the step by name; a state's name there means its new value.
        """
        values: Values = {self.network.input.name: x, **state}
        for operations, assigned in self._layers:
            for op in operations:
                values[op.name] = op.evaluate(*[values[name] for name in op.operands])
            # All at once: one state may take what another one was.
            values.update([(name, values[value]) for name, value in assigned])
        return {name: values[name] for name in self.network.states}, values

    def logits(self, values: Mapping[str, IntArray]) -> IntArray:
        """Return the logits, (batch, p), from the values that the readout reads: as a rule the states."""
        found = {name: values[name] for name in self._read}
        for op in self._readout:
            found[op.name] = op.evaluate(*[found[name] for name in op.operands])
        return found[self.network.readout.logits.name]

    def run(
        self,
        inputs: ArrayLike,
        initial_state: Mapping[str, IntArray] | None = None,
        lengths: ArrayLike | None = None,
    ) -> Run:
        """Run whole sequences and return every state and every answer.

        Args:
            inputs: (batch, steps, m) vectors or (batch, steps) indices; steps at least 1.
            initial_state: every state by name, (batch, n); the network's own where absent.
            lengths: (batch,), the steps of each sequence where they are padded, 1 to ``steps``. Behind its
                last step a sequence's states and answers repeat those of the last step.

        Raises:
            FormatError: inputs, states or lengths of another shape or range.
        """
        x = self.check_inputs(inputs)
        batch, steps = x.shape[:2]
        last = _last_steps(lengths, batch, steps)
        state = self._checked_state(initial_state, batch)
        every = self.network.every_step
        sizes = self.network.sizes
        given = self.network.input.name
        names = dict.fromkeys([*state, *(name for name in self._read if name != given)])
        kept = {name: np.empty((batch, steps, sizes[name]), dtype=np.int64) for name in names}
        for t in range(steps):
            state, values = self.step(state, x[:, t])
            for name, array in kept.items():
                array[:, t] = values[name]
        if lengths is not None:
            at = np.minimum(np.arange(steps), last[:, None])[..., None]
            kept = {name: np.take_along_axis(array, at, axis=1) for name, array in kept.items()}
            x = np.take_along_axis(x, at.reshape(at.shape[: x.ndim]), axis=1)
        # An index has no axis of entries.
        read = {name: x if name == given else kept[name] for name in self._read}
        answered = {name: array if every else array[:, -1:] for name, array in read.items()}
        logits = self.logits({n: array.reshape(-1, *array.shape[2:]) for n, array in answered.items()})
        logits = logits.reshape(batch, -1, logits.shape[1])
        return Run({name: kept[name] for name in self.network.states}, logits, self.classes(logits))

    def answers(self, inputs: ArrayLike, initial_state: Mapping[str, IntArray] | None = None) -> IntArray:
        """Return the logits of :meth:`run`, without keeping the states.

        Args:
            inputs: as for :meth:`run`.
            initial_state: as for :meth:`run`.

        Returns:
            (batch, steps, p), or (batch, 1, p) in the mode ``last_step``.

        Raises:
            FormatError: inputs or states of another shape or range.
        """
        x = self.check_inputs(inputs)
        batch, steps = x.shape[:2]
        state = self._checked_state(initial_state, batch)
        every = self.network.every_step
        logits = np.empty((batch, steps if every else 1, self.network.output_size), dtype=np.int64)
        for t in range(steps):
            state, values = self.step(state, x[:, t])
            if every or t == steps - 1:
                logits[:, t if every else 0] = self.logits(values)
        return logits

    def check_inputs(self, inputs: ArrayLike) -> IntArray:
        """Return ``inputs`` as int64 if shape and range are those of the network's input."""
        return check_inputs(self.network.input, inputs)

    def classes(self, logits: IntArray) -> IntArray:
        """Return the class of each answer, (...), of logits (..., p)."""
        return self.network.readout.answer.evaluate(logits)[..., 0]

    def _checked_state(self, state: Mapping[str, IntArray] | None, batch: int) -> Values:
        if state is None:
            return self.initial_state(batch)
        if set(state) != set(self.network.states):
            raise FormatError(f"the states must be {', '.join(self.network.states)}, not {', '.join(state)}")
        found: Values = {}
        for name, own in self.network.states.items():
            array = np.asarray(state[name])
            if array.shape != (batch, own.size) or array.dtype.kind not in "iu":
                raise FormatError(
                    f"state {name} must be integers of shape {(batch, own.size)}, not {array.dtype} of "
                    f"shape {array.shape}"
                )
            allowed = self.ranges.values[name]
            if array.min() < allowed.least or array.max() > allowed.most:
                raise FormatError(
                    f"state {name} must lie in {allowed.least} to {allowed.most}, what it can be, not in "
                    f"{array.min()} to {array.max()}"
                )
            found[name] = array.astype(np.int64)
        return found


def check_inputs(form: Input, inputs: ArrayLike) -> IntArray:
    """Return inputs as int64 if shape and range are those of the network's input.

    Raises:
        FormatError: they are not.
    """
    x = np.asarray(inputs)
    shape = "(batch, steps)" if form.one_hot else f"(batch, steps, {form.size})"
    right = x.ndim == 2 if form.one_hot else x.ndim == 3 and x.shape[2] == form.size
    if not right or 0 in x.shape:
        raise FormatError(f"inputs must have shape {shape}, not {x.shape}")
    if x.dtype.kind not in "iu":
        raise FormatError(f"inputs must be integers, not {x.dtype}")
    low, high = form.format.min, form.format.max
    if x.min() < low or x.max() > high:
        raise FormatError(f"inputs must lie in {low} to {high}, not {x.min()} to {x.max()}")
    return x.astype(np.int64)


def _last_steps(lengths: ArrayLike | None, batch: int, steps: int) -> IntArray:
    """Return the index of the last step of each sequence."""
    if lengths is None:
        return np.full(batch, steps - 1)
    found = np.asarray(lengths)
    if found.shape != (batch,) or found.dtype.kind not in "iu":
        raise FormatError(f"lengths must be integers of shape ({batch},), not {found.dtype} of {found.shape}")
    if found.min() < 1 or found.max() > steps:
        raise FormatError(f"lengths must lie in 1 to {steps}, not in {found.min()} to {found.max()}")
    return found.astype(np.int64) - 1
