"""The language of cells: what a cell computes on real numbers, as a graph of values.

A cell is written once, with the usual operators. From the graph come the float model
(:mod:`qornn_hw.cells.real_model`) and the integers (:mod:`qornn_hw.quantization.cell_lowering`):

>>> import numpy as np
>>> graph = CellGraph(inputs=2)
>>> h = graph.state("h", 3)
>>> a = sigmoid(graph.linear(np.ones((3, 2)), graph.input) + np.array([0.1, 0.2, 0.3])).named("a")
>>> z = tanh(graph.linear(np.ones((3, 2)), graph.input) + graph.linear(np.eye(3), h)).named("z")
>>> graph.assign(h, z + a * (h - z))
>>> graph
CellGraph(2 inputs; states h 3; 12 values)

A value is a vector with one entry a unit. Sums are flat: ``a + b - c`` is one :class:`Sum` of three terms, so
it is rounded once. A sum that has a name stays a value of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.errors import FormatError
from qornn_hw.ir.sylvester import blocks

__all__ = [
    "FUNCTIONS",
    "CellGraph",
    "CellState",
    "Function",
    "Hadamard",
    "Input",
    "Linear",
    "Product",
    "Sum",
    "Value",
    "hard_sigmoid",
    "hard_tanh",
    "relu",
    "sigmoid",
    "tanh",
]

FloatArray = NDArray[np.float64]
Number: TypeAlias = "float | FloatArray"

# The element-wise functions of one value, by name.
FUNCTIONS = ("sigmoid", "tanh", "relu", "hard_tanh", "hard_sigmoid")


@dataclass(eq=False, kw_only=True)
class Value:
    """A vector that a cell computes, with one entry a unit.

    Attributes:
        graph: the graph that holds the value.
        size: entries.
        name: in the integer network; a number where the cell gives no name.
        named_by_cell: whether the cell gave the name.
    """

    # NumPy must leave `array + value` to `Value.__radd__`.
    __array_ufunc__ = None

    graph: "CellGraph" = field(repr=False)
    size: int
    name: str = ""
    named_by_cell: bool = False

    def __post_init__(self) -> None:
        self.name = self.name or f"v{len(self.graph.values)}"
        self.graph.values.append(self)

    @property
    def operands(self) -> "tuple[Value, ...]":
        """The values that this one is computed from."""
        return ()

    def named(self, name: str) -> "Value":
        """Return this value, with a name."""
        self.name, self.named_by_cell = name, True
        return self

    def __add__(self, other: "Value | ArrayLike") -> "Value":
        return _sum(self.graph, ((1.0, self), (1.0, other)))

    def __radd__(self, other: ArrayLike) -> "Value":
        return _sum(self.graph, ((1.0, other), (1.0, self)))

    def __sub__(self, other: "Value | ArrayLike") -> "Value":
        return _sum(self.graph, ((1.0, self), (-1.0, other)))

    def __rsub__(self, other: ArrayLike) -> "Value":
        return _sum(self.graph, ((1.0, other), (-1.0, self)))

    def __neg__(self) -> "Value":
        return _sum(self.graph, ((-1.0, self),))

    def __mul__(self, other: "Value | ArrayLike") -> "Value":
        if isinstance(other, Value):
            return Product(graph=self.graph, size=_same_size(self, other), a=self, b=other)
        return _sum(self.graph, ((self.graph.constant(other, self.size), self),))

    def __rmul__(self, other: ArrayLike) -> "Value":
        return self * other


@dataclass(eq=False, kw_only=True)
class Input(Value):
    """The input of a step: a vector, or the one-hot vector of an index."""


@dataclass(eq=False, kw_only=True)
class CellState(Value):
    """A vector that the cell keeps: its name means the value before the step.

    Attributes:
        initial: the value before the first step, (n,).
    """

    initial: FloatArray


@dataclass(eq=False, kw_only=True)
class Linear(Value):
    """``weight @ value``: one accumulator a unit.

    Attributes:
        weight: (n, m).
        value: the operand, of m entries.
        one_step: whether all rows have one quantization step.
    """

    weight: FloatArray
    value: Value
    one_step: bool = False

    @property
    def operands(self) -> tuple[Value, ...]:
        """The vector behind the matrix."""
        return (self.value,)


@dataclass(eq=False, kw_only=True)
class Hadamard(Linear):
    """``diag(signs) blockdiag(H, ..., H) value / sqrt(block)``, H Sylvester's matrix.

    ``weight`` is the whole matrix.

    Attributes:
        signs: -1 or +1, (n,).
        block: units of a block.
    """

    signs: FloatArray
    block: int


@dataclass(eq=False, kw_only=True)
class Sum(Value):
    """``bias + sum of coefficient * value``, unit by unit.

    Attributes:
        terms: coefficients, a number or (n,) each, and their values.
        bias: (n,).
    """

    terms: tuple[tuple[Number, Value], ...]
    bias: FloatArray

    @property
    def operands(self) -> tuple[Value, ...]:
        """The values of the terms."""
        return tuple(value for _, value in self.terms)


@dataclass(eq=False, kw_only=True)
class Product(Value):
    """``a * b``, unit by unit."""

    a: Value
    b: Value

    @property
    def operands(self) -> tuple[Value, ...]:
        """Both factors."""
        return (self.a, self.b)


@dataclass(eq=False, kw_only=True)
class Function(Value):
    """An element-wise function of one value.

    Attributes:
        function: one of :data:`FUNCTIONS`.
        value: the operand.
    """

    function: str
    value: Value

    @property
    def operands(self) -> tuple[Value, ...]:
        """The operand."""
        return (self.value,)


def _function(name: str, value: Value) -> Value:
    return Function(graph=value.graph, size=value.size, function=name, value=value)


def sigmoid(value: Value) -> Value:
    """Return ``1 / (1 + exp(-value))``."""
    return _function("sigmoid", value)


def tanh(value: Value) -> Value:
    """Return ``tanh(value)``."""
    return _function("tanh", value)


def relu(value: Value) -> Value:
    """Return ``max(value, 0)``."""
    return _function("relu", value)


def hard_tanh(value: Value) -> Value:
    """Return ``min(max(value, -1), 1)``."""
    return _function("hard_tanh", value)


def hard_sigmoid(value: Value) -> Value:
    """Return ``min(max(value / 6 + 1/2, 0), 1)``, as PyTorch and Keras 3 define it."""
    return _function("hard_sigmoid", value * (1 / 6) + 0.5)


class CellGraph:
    """What a cell computes in a step.

    Attributes:
        input: the input's value.
        values: all values in the order of computation.
        assigned: by the state's name, the value that it takes at the end of the step.
        output: the name of the state that the next layer reads; the cell sets it.
    """

    def __init__(self, inputs: int) -> None:
        self.values: list[Value] = []
        self.assigned: dict[str, Value] = {}
        self.output = ""
        self.input = Input(graph=self, size=inputs, name="x")

    def state(self, name: str, size: int, initial: ArrayLike | None = None) -> CellState:
        """Return a new state of ``size`` units; its initial value is 0 where None is given."""
        start = self.constant(np.zeros(size), size)
        if initial is not None:
            start = start + self.constant(initial, size)
        return CellState(graph=self, size=size, name=name, initial=start)

    def constant(self, value: Any, size: int) -> FloatArray:
        """Return a number, or one for each of ``size`` units, as the graph keeps it.

        Raises:
            FormatError: the shape is another one, or a number is not finite.
        """
        return _number(value, size)

    def matrix(self, weight: ArrayLike) -> FloatArray:
        """Return a weight as the graph keeps it."""
        return np.asarray(weight, dtype=np.float64)

    def signs(self, value: Any, size: int) -> FloatArray:
        """Return -1 where one of ``size`` numbers is negative, else +1."""
        return np.where(self.constant(value, size) < 0, -1.0, 1.0)

    def hadamard(self, signs: ArrayLike, block: int, value: Value) -> Hadamard:
        """Return ``diag(sign(signs)) blockdiag(H, ..., H) value / sqrt(block)``.

        Args:
            signs: real numbers, one for each of the value's entries.
            block: units of a block H, a power of two that divides the entries.
            value: the operand, a value of the cell.

        Raises:
            FormatError: the operand is the input, whose channels have units of their own.
        """
        if isinstance(value, Input):
            raise FormatError("a Hadamard product must read a value of the cell, not its input")
        found = self.signs(signs, value.size)
        pattern = self.matrix(blocks(value.size, block) / np.sqrt(block))
        weight = found[:, None] * pattern
        return Hadamard(
            graph=self, size=value.size, weight=weight, value=value, one_step=True, signs=found, block=block
        )

    def linear(self, weight: ArrayLike, value: Value, *, one_step: bool = False) -> Linear:
        """Return ``weight @ value``, in integers with a quantization step for each row, or with one for all.

        Raises:
            FormatError: the weight is no matrix of finite numbers with a column for each entry.
        """
        w = self.matrix(weight)
        if w.ndim != 2 or w.shape[1] != value.size or not bool((abs(w) < np.inf).all()):
            raise FormatError(
                f"a weight of {value.name} must be a matrix of finite numbers with {value.size} columns, "
                f"not of shape {tuple(w.shape)}"
            )
        return Linear(graph=self, size=len(w), weight=w, value=value, one_step=one_step)

    def assign(self, state: Value, value: Value) -> None:
        """Let a state take a value at the end of the step.

        Raises:
            FormatError: it is no state, is assigned already, or has another size.
        """
        if not isinstance(state, CellState) or state.name in self.assigned:
            raise FormatError(f"{state.name} must be a state that is assigned once")
        _same_size(state, value)
        self.assigned[state.name] = value

    @property
    def states(self) -> tuple[CellState, ...]:
        """The states in order."""
        return tuple(value for value in self.values if isinstance(value, CellState))

    @property
    def live(self) -> list[Value]:
        """The input, the states and all values that a new state depends on, in the order of computation."""
        kept = {id(self.input), *(id(state) for state in self.states)}
        waiting = list(self.assigned.values())
        while waiting:
            value = waiting.pop()
            if id(value) not in kept:
                kept.add(id(value))
                waiting += value.operands
        return [value for value in self.values if id(value) in kept]

    def check(self) -> None:
        """Raise a FormatError unless every state is assigned and every name is that of one value.

        The input must go through a matrix: each of its channels has a unit of its own.

        Values that no state depends on are dropped.
        """
        if missing := [state.name for state in self.states if state.name not in self.assigned]:
            raise FormatError(f"state {missing[0]} must be assigned, and is not")
        self.values = self.live
        bare = [v for v in self.values if self.input in v.operands and not isinstance(v, Linear)]
        if bare or any(value is self.input for value in self.assigned.values()):
            raise FormatError(
                f"the input {self.input.name} must go through a matrix, but "
                f"{bare[0].name if bare else 'a state'} reads it as it is"
            )
        names = [value.name for value in self.values]
        if twice := [name for name in names if names.count(name) > 1]:
            raise FormatError(f"the name {twice[0]} must be that of one value, not of two")

    def users(self, value: Value) -> Iterator["Value | None"]:
        """Yield the values that read a value; None where a state is assigned it."""
        for other in self.values:
            yield from (other for operand in other.operands if operand is value)
        yield from (None for given in self.assigned.values() if given is value)

    def __repr__(self) -> str:
        states = ", ".join(f"{state.name} {state.size}" for state in self.states)
        return f"CellGraph({self.input.size} inputs; states {states}; {len(self.live)} values)"


def _number(value: Any, size: int) -> FloatArray:
    """Return a number or one for each unit as float64."""
    number = np.asarray(value, dtype=np.float64)
    if number.shape not in ((), (size,)) or not np.all(np.isfinite(number)):
        raise FormatError(f"a constant must be a finite number or ({size},) of them, not {number.shape}")
    return number


def _same_size(a: Value, b: Value) -> int:
    if a.size != b.size:
        raise FormatError(f"{b.name} must have {a.size} entries as {a.name}, not {b.size}")
    return a.size


def _sum(graph: CellGraph, parts: tuple[tuple[Number, Any], ...]) -> Sum:
    """Return the flat sum of some parts: constants, values, and sums that have no name of their own."""
    size = next(part.size for _, part in parts if isinstance(part, Value))
    terms: list[tuple[Number, Value]] = []
    bias = graph.constant(np.zeros(size), size)
    for coefficient, part in parts:
        if not isinstance(part, Value):
            bias = bias + coefficient * graph.constant(part, size)
            continue
        if part.size != size:
            raise FormatError(f"{part.name} must have {size} entries to be added, not {part.size}")
        if isinstance(part, Sum) and not part.named_by_cell:
            terms += [(coefficient * c, value) for c, value in part.terms]
            bias = bias + coefficient * part.bias
        else:
            terms.append((coefficient, part))
    return Sum(graph=graph, size=size, terms=tuple(terms), bias=bias)


def evaluate(function: str, value: FloatArray) -> FloatArray:
    """Return an element-wise function of an array.

    >>> float(evaluate("hard_tanh", np.array(3.0)))
    1.0
    """
    match function:
        case "sigmoid":
            return np.asarray(0.5 * (1 + np.tanh(0.5 * value)))
        case "tanh":
            return np.asarray(np.tanh(value))
        case "relu":
            return np.maximum(value, 0.0)
        case "hard_tanh":
            return np.clip(value, -1.0, 1.0)
        case "hard_sigmoid":
            return np.clip(value, 0.0, 1.0)
    raise FormatError(f"function must be one of {', '.join(FUNCTIONS)}, not {function!r:.80}")
