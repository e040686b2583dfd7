"""A network as data: an input, layers of operations in order, and a readout.

A *layer* has states and one or more *groups*. A group has *rows*, each a :class:`MatVec` that gives one
accumulator a unit, and behind them a *tail* of element-wise operations. Most cells are one group: Elman and
FastGRNN with one row a unit, LSTM with four, GRU with four to six. A second group is for a cell whose rows
need a result of the tail in the same step, as a GRU does whose reset gate comes before the product.

A state's name means its value before the step up to the end of its layer, and the new value behind it:
within a layer every operation reads the old states, and the next layer reads the new ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.kinds import InputKind, OutputMode
from qornn_hw.ir.ops import Answer, Assign, MatVec, Operation
from qornn_hw.ir.ops.operation import (
    IntArray,
    check_format,
    check_name,
    check_number,
    check_scale,
    integers,
)

__all__ = ["Group", "Input", "Layer", "Network", "Readout", "State"]

FloatArray = NDArray[np.float64]

INPUT_BITS_MAX = 16
STATE_BITS_MAX = 32
INPUTS_MAX = 1 << 16
LAYERS_MAX = 16
GROUPS_MAX = 4
OPERATIONS_MAX = 64


@dataclass(frozen=True)
class Input:
    """What one time step brings.

    Attributes:
        name: of the value.
        kind: a vector of ``size`` integers, or the index of one of ``size`` symbols.
        size: m, 1 to 65536.
        format: of an entry of the vector, 1 to 16 bits; of an index ``max(1, bit_length(m - 1))`` bits
            without sign.
        scale: the real worth of a unit of an entry: one number, or m of them.
        offset: the real number that the integer 0 stands for: one number, or m of them; 0 for indices.
    """

    name: str
    kind: InputKind
    size: int
    format: IntFormat
    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        check_name("input", self.name)
        if not isinstance(self.kind, InputKind):
            raise FormatError(f"{self.name}: kind must be one_hot or vector, not {self.kind!r:.80}")
        check_number(f"{self.name}: size", self.size, 1, INPUTS_MAX)
        check_format(f"{self.name}: format", self.format, INPUT_BITS_MAX)
        if self.one_hot and self.format != self.index_format(self.size):
            form = self.index_format(self.size)
            raise FormatError(
                f"{self.name}: format of {self.size} symbols must be {form.bits} bits without sign, "
                f"not {self.format}"
            )
        for name in ("scale", "offset"):
            self._check_reals(name, getattr(self, name))

    def _check_reals(self, name: str, value: Any) -> None:
        numbers = value if isinstance(value, tuple) else (value,)
        if isinstance(value, tuple) and (self.one_hot or len(value) != self.size):
            wanted = "one number" if self.one_hot else f"one number or one for each of {self.size} entries"
            raise FormatError(f"{self.name}: {name} must be {wanted}, not {len(value)}")
        for number in numbers:
            if name == "scale":
                check_scale(f"{self.name}: scale", number)
            elif type(number) not in (int, float) or not np.isfinite(number):
                raise FormatError(f"{self.name}: offset must be finite, not {number!r:.80}")
            elif self.one_hot and number:
                raise FormatError(f"{self.name}: offset of an index must be 0, not {number!r}")

    @staticmethod
    def index_format(symbols: int) -> IntFormat:
        """Return the format of the index of one of ``symbols`` symbols."""
        return IntFormat(max(1, (symbols - 1).bit_length()), signed=False)

    @property
    def one_hot(self) -> bool:
        """Whether a step brings an index."""
        return self.kind is InputKind.ONE_HOT

    @property
    def scales(self) -> FloatArray:
        """The real worth of a unit of each entry, (m,)."""
        return np.array(np.broadcast_to(np.asarray(self.scale, dtype=np.float64), (self.size,)))

    @property
    def offsets(self) -> FloatArray:
        """The real number that 0 stands for of each entry, (m,)."""
        return np.array(np.broadcast_to(np.asarray(self.offset, dtype=np.float64), (self.size,)))


@dataclass(frozen=True, eq=False)
class State:
    """A vector that a layer keeps from step to step.

    Attributes:
        name: of the value.
        format: 1 to 32 bits.
        initial: the value before the first step of a sequence, (n,).
    """

    name: str
    format: IntFormat
    initial: IntArray

    def __post_init__(self) -> None:
        check_name("state", self.name)
        check_format(f"{self.name}: format", self.format, STATE_BITS_MAX)
        initial = integers(f"{self.name}: initial", self.initial, (None,), self.format.min, self.format.max)
        object.__setattr__(self, "initial", initial)

    @property
    def size(self) -> int:
        """Entries, n."""
        return len(self.initial)


@dataclass(frozen=True, eq=False)
class Group:
    """Rows of accumulators, and the element-wise operations behind them.

    Attributes:
        rows: one accumulator a unit each, of one size; not empty.
        tail: operations on accumulators, states and values of earlier groups, in order.
    """

    rows: tuple[MatVec, ...]
    tail: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        if not self.rows or not all(isinstance(row, MatVec) for row in self.rows):
            raise FormatError("rows of a group must be one MatVec or more")
        _check_tail(self.tail)

    @property
    def units(self) -> int:
        """Units, n: each has one accumulator of each row."""
        return self.rows[0].rows


@dataclass(frozen=True, eq=False)
class Layer:
    """States, and the groups that compute their next values.

    Attributes:
        states: each assigned exactly once by the layer.
        groups: in order; at least one.
    """

    states: tuple[State, ...]
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        check_number("groups of a layer", len(self.groups), 1, GROUPS_MAX)
        names = [state.name for state in self.states]
        assigned = [op.name for group in self.groups for op in group.tail if isinstance(op, Assign)]
        for name in names:
            if (count := assigned.count(name)) != 1:
                raise FormatError(f"state {name} must be assigned once by its layer, not {count} times")
        for name in assigned:
            if name not in names:
                raise FormatError(f"{name} must be a state of the layer to be assigned")

    @property
    def operations(self) -> Iterator[Operation]:
        """Every operation in the order of computation."""
        for group in self.groups:
            yield from group.rows
            yield from group.tail


@dataclass(frozen=True, eq=False)
class Readout:
    """From the new states to an answer.

    Attributes:
        logits: the accumulators of the answer, p of them.
        answer: what is sent of them.
        mode: after which steps of a sequence.
        tail: element-wise operations in front of the logits, as a relu.
    """

    logits: MatVec
    answer: Answer
    mode: OutputMode
    tail: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.logits, MatVec) or not isinstance(self.answer, Answer):
            raise FormatError("a readout must have a MatVec of logits and an Answer")
        if not isinstance(self.mode, OutputMode):
            raise FormatError(f"mode must be every_step or last_step, not {self.mode!r:.80}")
        _check_tail(self.tail)
        if any(isinstance(op, Assign) for op in self.tail):
            raise FormatError("a readout must assign no state")
        if self.answer.logits != self.logits.name:
            raise FormatError(f"the answer must be of {self.logits.name}, not {self.answer.logits}")

    @property
    def operations(self) -> Iterator[Operation]:
        """Every operation in the order of computation."""
        yield from self.tail
        yield self.logits
        yield self.answer


@dataclass(frozen=True, eq=False)
class Network:
    """A recurrent network on integers.

    Attributes:
        input: what a step brings.
        layers: in order.
        readout: what is answered.
        scales: the real worth of a unit of a value, by name: of the logits at least.
    """

    input: Input
    layers: tuple[Layer, ...]
    readout: Readout
    scales: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_number("layers", len(self.layers), 1, LAYERS_MAX)
        object.__setattr__(self, "scales", dict(self.scales))
        sizes = self.sizes
        for name, scale in self.scales.items():
            if name not in sizes:
                raise FormatError(f"scales must be of values of the network, not of {name!r:.80}")
            check_scale(f"scale of {name}", scale)
        if self.readout.logits.name not in self.scales:
            raise FormatError(f"scales must hold that of the logits, {self.readout.logits.name}")

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Entries of every value, by name, in the order of computation.

        Raises:
            FormatError: a value is read that is not there, or the sizes do not fit.
        """
        found = {self.input.name: self.input.size}
        for state in self.states.values():
            _add(found, state.name, state.size)
        for layer in self.layers:
            for group in layer.groups:
                for row in group.rows:
                    self._check_row(row)
                # Their sizes first: no row may read a row of its own group.
                sizes = [_size(row, found) for row in group.rows]
                for row, size in zip(group.rows, sizes, strict=True):
                    _add(found, row.name, size)
                    if size != group.units:
                        raise FormatError(f"{row.name} must have {group.units} rows, not {size}")
                self._add_tail(group.tail, found)
        self._add_tail(self.readout.tail, found)
        self._check_row(self.readout.logits)
        for op in (self.readout.logits, self.readout.answer):
            _add(found, op.name, _size(op, found))
        return found

    def _check_row(self, row: MatVec) -> None:
        for term in row.terms:
            if term.one_hot != (term.value == self.input.name and self.input.one_hot):
                wanted = "one-hot" if not term.one_hot else "not one-hot"
                raise FormatError(f"{row.name}: the term of {term.value} must be {wanted}")

    def _add_tail(self, tail: tuple[Operation, ...], found: dict[str, int]) -> None:
        for op in tail:
            if self.input.name in op.operands:
                raise FormatError(f"{op.name}: {self.input.name} must be read by a MatVec only")
            size = _size(op, found)
            if not isinstance(op, Assign):
                _add(found, op.name, size)
            elif size != found[op.name]:
                raise FormatError(f"{op.value} must have {found[op.name]} entries as {op.name}, not {size}")

    @cached_property
    def states(self) -> dict[str, State]:
        """Every state by name, in the order of the layers."""
        return {state.name: state for layer in self.layers for state in layer.states}

    @property
    def operations(self) -> Iterator[Operation]:
        """Every operation in the order of computation, the readout's last."""
        for layer in self.layers:
            yield from layer.operations
        yield from self.readout.operations

    @property
    def output_size(self) -> int:
        """Logits, p."""
        return self.readout.logits.rows

    @cached_property
    def step_layers(self) -> int:
        """The layers that each step must compute.

        Where only the last step of a sequence is answered, the layers behind them matter for an answer only:
        neither they nor an earlier layer read their states.
        """
        found = len(self.layers)
        while not self.every_step and found > 1:
            own = {state.name for state in self.layers[found - 1].states}
            operations = (op for layer in self.layers[:found] for op in layer.operations)
            if any(name in own for op in operations for name in op.operands):
                break
            found -= 1
        return found

    @property
    def every_step(self) -> bool:
        """Whether every step is answered, or the last one of a sequence only."""
        return self.readout.mode is OutputMode.EVERY_STEP

    def __repr__(self) -> str:
        states = ", ".join(f"{s.name} {s.size} x {s.format.bits} bits" for s in self.states.values())
        return (
            f"Network({self.input.kind} input of {self.input.size}, {len(self.layers)} "
            f"layer{'s' * (len(self.layers) > 1)}: {states}; {self.output_size} outputs, {self.readout.mode})"
        )


def _check_tail(tail: tuple[Operation, ...]) -> None:
    check_number("operations of a tail", len(tail), 0, OPERATIONS_MAX)
    for op in tail:
        if not isinstance(op, Operation) or isinstance(op, (MatVec, Answer)):
            raise FormatError(f"a tail must hold element-wise operations, not {type(op).__name__}")


def _size(op: Operation, found: dict[str, int]) -> int:
    for name in op.operands:
        if name not in found:
            raise FormatError(f"{op.name}: {name} must be a value that is computed before it")
    return op.size(*(found[name] for name in op.operands))


def _add(found: dict[str, int], name: str, size: int) -> None:
    if name in found:
        raise FormatError(f"the name {name} must be that of one value, not of two")
    found[name] = size
