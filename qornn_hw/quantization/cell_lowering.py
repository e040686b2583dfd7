"""From a cell's graph of real values to operations on integers.

Every value behind the accumulators has a unit that is a power of two. A sum with an accumulator in it is one
``Requantize``, a sum without one is an ``Add``, so each value is rounded once. A sigmoid and a tanh share one
table: ``sigmoid(x) = (1 + tanh(x / 2)) / 2``. Rectifiers and hard functions are the saturation of the sum in
front of them.

| value | bits | unit |
|---|---|---|
| state | ``states`` | the power of two with the least square error on the calibration data |
| sigmoid | ``gates``, unsigned | ``2**-gates`` |
| tanh | ``gates``, signed | ``2**(1 - gates)``, the state's where it is a new state |
| index of tanh's table | ``index``, signed | ``2**(3 - index)``: from -4 to 4; of a sigmoid twice as much |
| product, other sum | ``values``, signed; ``states`` in front of a matrix | as for states |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellState, Function, Hadamard, Input, Linear, Product, Sum, Value
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.network import Group, Layer, State
from qornn_hw.ir.ops import (
    Add,
    AnyTerm,
    Assign,
    Factor,
    HadamardTerm,
    MatVec,
    Multiply,
    Operation,
    Requantize,
    Summand,
    Table,
    Term,
)
from qornn_hw.ir.ops.requantize import SHIFT_MAX
from qornn_hw.ir.ops.term import TERM_SHIFT_MAX
from qornn_hw.quantization.grids import quantize_weights
from qornn_hw.quantization.weight_rows import QuantizedRows, quantized_rows

__all__ = ["CellBits", "CellGrids", "LoweredLayer", "Source", "lower_cell"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Terms: TypeAlias = "tuple[tuple[float | FloatArray, Value], ...]"

# tanh(4) is within 0.0007 of 1.
TANH_REACH = 4
# The factors of accumulators have this many bits at least, where a value's factor would leave them fewer.
FACTOR_BITS = 10
BIAS_BITS = 47
# Units that are tried for a value: how much of its range is clipped for finer steps.
_FINER = 4


@dataclass(frozen=True)
class CellBits:
    """Widths of a layer.

    Attributes:
        weights: of W and U, 1 to 8.
        states: 2 to 16.
        gates: of sigmoid and tanh, 2 to 17.
        index: of the table's index, 3 to 14.
        values: of products and sums, 2 to 32.
        multiplier: of the magnitude of a requantizer's factor, 4 to 15.
        symbols: of W where the input is one-hot, 1 to 32.
    """

    weights: int = 4
    states: int = 8
    gates: int = 8
    index: int = 8
    values: int = 10
    multiplier: int = 15
    symbols: int = 12

    def __post_init__(self) -> None:
        for name, low, high in (
            ("weights", 1, 8),
            ("states", 2, 16),
            ("gates", 2, 17),
            ("index", 3, 14),
            ("values", 2, 32),
            ("multiplier", 4, 15),
            ("symbols", 1, 32),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise FormatError(
                    f"bits of {name} must be an integer from {low} to {high}, not {value!r:.80}"
                )


@dataclass(frozen=True, eq=False)
class Source:
    """What a layer reads: the network's input, or the state of the layer before.

    ``real_j = integer_j * scale_j + offset_j``.

    Attributes:
        name: of the value.
        scale: (m,).
        offset: (m,).
        one_hot: whether it is an index.
    """

    name: str
    scale: NDArray[np.floating[Any]]
    offset: NDArray[np.floating[Any]]
    one_hot: bool = False


@dataclass(frozen=True, eq=False)
class CellGrids:
    """The units of a layer, which a training keeps: by the names of its graph's values.

    Values that are not named have the units of the calibration.

    Attributes:
        values: exponent of the unit, and format, of a state, a stored value, or an accumulator that a product
            reads.
        indices: exponent of the unit of a table's index, by the function's name.
        steps: of the rows of a matrix, (n,), in real numbers; what the matrix reads must have one unit.
    """

    values: Mapping[str, tuple[int, IntFormat]]
    indices: Mapping[str, int]
    steps: Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False)
class LoweredLayer:
    """A layer in integers.

    Attributes:
        layer: its states and operations.
        output: what the next layer reads.
        scales: the real worth of a unit, by the value's name.
        coarse: factors of less than 8 units of their multiplier, by the operation's name.
        grids: the units.
    """

    layer: Layer
    output: Source
    scales: dict[str, float]
    coarse: dict[str, int]
    grids: CellGrids


@dataclass(frozen=True)
class _Encoded:
    """A value in integers: ``real = integer * 2**exponent``."""

    name: str
    exponent: int
    format: IntFormat


@dataclass(eq=False)
class _Group:
    rows: list[Linear] = field(default_factory=list)
    tail: list[Operation] = field(default_factory=list)


def best_exponent(sample: FloatArray, form: IntFormat) -> int:
    """Return the exponent of the unit with the least square error of rounding and saturation.

    >>> best_exponent(np.array([0.9, -0.8, 0.1]), IntFormat(8, signed=True))
    -7
    """
    largest = float(np.abs(sample).max(initial=0.0))
    if not np.isfinite(largest):
        raise FormatError(
            "every value must be finite on the calibration inputs; its state grows without bound"
        )
    if largest == 0.0:
        return -(form.bits - 1)
    widest = int(np.ceil(np.log2(largest / form.max)))

    def error(exponent: int) -> float:
        unit = 2.0**exponent
        return float(np.square(np.clip(np.rint(sample / unit), form.min, form.max) * unit - sample).sum())

    return min(range(widest, widest - _FINER, -1), key=error)


def lower_cell(
    cell: Cell,
    prefix: str,
    source: Source,
    bits: CellBits,
    sample: Mapping[str, FloatArray],
    held: CellGrids | None = None,
) -> LoweredLayer:
    """Return a cell as a layer of integers.

    Args:
        cell: float parameters.
        prefix: of the names of all values, such as ``layer0``.
        source: what the layer reads.
        bits: widths.
        sample: every value of the cell's graph by name, (samples, n), and the new states as ``name'``, on
            calibration data; empty where all units are held.
        held: units that are given.

    Raises:
        FormatError: the cell has no matrix, or an integer could pass its width.
    """
    return _Lowering(cell, prefix, source, bits, sample, held).run()


class _Lowering:
    def __init__(
        self,
        cell: Cell,
        prefix: str,
        source: Source,
        bits: CellBits,
        sample: Mapping[str, FloatArray],
        held: CellGrids | None,
    ) -> None:
        self.held = held
        self.indices: dict[str, int] = {}
        self.graph, self.output_name = cell.graph, cell.output
        self.prefix, self.source, self.bits, self.sample = prefix, source, bits, sample
        self.encoded: dict[str, _Encoded] = {}
        self.rows: dict[str, QuantizedRows] = {}
        self.terms: dict[str, tuple[Source, int]] = {}
        self.shifts: dict[str, int] = {}
        self.group_of: dict[str, int] = {}
        self.groups: dict[int, _Group] = {}
        self.coarse: dict[str, int] = {}
        self.assigned = {value.name: state for state, value in self.graph.assigned.items()}

    def run(self) -> LoweredLayer:
        states = [self._state(state) for state in self.graph.states]
        for value in self.graph.values:
            self.group_of[value.name] = self._group(value)
            if isinstance(value, Linear):
                self._linear(value)
            elif self._is_materialized(value):
                self.encoded[value.name] = self._lowered(value)
        if not self.rows:
            raise FormatError(f"{self.prefix} must have a matrix, and has none")
        last = max(self.groups)
        for state, value in self.graph.assigned.items():
            self._assign(state, value, last)
        groups = tuple(
            Group(tuple(self._mat_vec(row) for row in g.rows), tuple(g.tail))
            for _, g in sorted(self.groups.items())
        )
        out = self.encoded[self.output_name]
        size = next(s.size for s in self.graph.states if s.name == self.output_name)
        return LoweredLayer(
            Layer(tuple(states), groups),
            Source(out.name, np.full(size, 2.0**out.exponent), np.zeros(size)),
            {e.name: 2.0**e.exponent for e in self.encoded.values()},
            self.coarse,
            CellGrids(
                {name: (e.exponent, e.format) for name, e in self.encoded.items()},
                self.indices,
                {name: rows.step / self.terms[name][0].scale[0] for name, rows in self.rows.items()},
            ),
        )

    # -- formats --------------------------------------------------------------------------------------

    def _state(self, state: CellState) -> State:
        given = self.graph.assigned[state.name]
        rectified = isinstance(given, Function) and given.function in ("relu", "hard_sigmoid")
        form = IntFormat(self.bits.states, signed=not rectified or bool(np.any(state.initial < 0)))
        exponent = self._exponent(state.name, form, state.name + "'", state.initial)
        name = f"{self.prefix}.{state.name}"
        self.encoded[state.name] = _Encoded(name, exponent, form)
        initial = np.clip(np.rint(state.initial * 2.0**-exponent), form.min, form.max).astype(np.int64)
        return State(name, form, initial)

    def _exponent(self, name: str, form: IntFormat, sample: str, *others: FloatArray) -> int:
        """Return the exponent of a value's unit: the held one, or the best for the samples."""
        if self.held is not None and name in self.held.values:
            return self.held.values[name][0]
        return best_exponent(np.concatenate([self.sample[sample].ravel(), *others]), form)

    def _format(self, value: Value) -> tuple[IntFormat, int]:
        """Return the format and the exponent of a value that is computed as such."""
        if (state := self.assigned.get(value.name)) is not None:
            return self.encoded[state].format, self.encoded[state].exponent
        if isinstance(value, Function) and value.function != "relu":
            signed = value.function in ("tanh", "hard_tanh")
            return IntFormat(self.bits.gates, signed=signed), int(signed) - self.bits.gates
        # The operand of a matrix is as wide as a state, which is one, too.
        operand = any(isinstance(user, Linear) for user in self.graph.users(value))
        bits = self.bits.states if operand else self.bits.values
        form = IntFormat(bits, signed=not isinstance(value, Function))
        return form, self._exponent(value.name, form, value.name)

    def _is_materialized(self, value: Value) -> bool:
        """Whether the integers have the value: a sum that only functions read is made with their units."""
        if isinstance(value, (Input, CellState)):
            return False
        if not isinstance(value, Sum):
            return True
        return value.named_by_cell or any(not isinstance(u, Function) for u in self.graph.users(value))

    # -- operations -----------------------------------------------------------------------------------

    def _group(self, value: Value) -> int:
        if isinstance(value, (Input, CellState)):
            return 0
        before = max((self.group_of[operand.name] for operand in value.operands), default=0)
        if not isinstance(value, Linear):
            return before
        found = before + int(not isinstance(value.value, (Input, CellState)))
        # The rows of a group are as many for each of its matrices.
        while found in self.groups and any(row.size != value.size for row in self.groups[found].rows):
            found += 1
        return found

    def _emit(self, value: Value, op: Operation) -> None:
        self.groups.setdefault(self.group_of[value.name], _Group()).tail.append(op)

    def _name(self, value: Value, suffix: str = "") -> str:
        return f"{self.prefix}.{value.name}{suffix}"

    def _linear(self, value: Linear) -> None:
        source = self.source if isinstance(value.value, Input) else self._as_source(value.value)
        bits = self.bits.symbols if source.one_hot else self.bits.weights
        weight = value.weight * source.scale
        if isinstance(value, Hadamard):
            integers = np.rint(value.weight * np.sqrt(value.block)).astype(np.int64)
            step = np.full(value.size, source.scale[0] / np.sqrt(value.block))
            self.rows[value.name] = QuantizedRows(integers, step)
        elif self.held is not None:
            step = self.held.steps[value.name] * source.scale[0]
            integers = quantize_weights(weight, bits, 1.0 if bits == 1 else step[:, None])
            self.rows[value.name] = QuantizedRows(integers, step)
        else:
            moments = np.ones(value.value.size) if source.one_hot else self._moments(value.value, source)
            self.rows[value.name] = quantized_rows(weight, bits, moments, one_step=value.one_step)
        self.terms[value.name] = (source, bits)
        self.groups.setdefault(self.group_of[value.name], _Group()).rows.append(value)

    def _mat_vec(self, value: Linear) -> MatVec:
        source, bits = self.terms[value.name]
        shift, weights = self.shifts.get(value.name, 0), self.rows[value.name].integers
        term: AnyTerm
        if isinstance(value, Hadamard):
            term = HadamardTerm(source.name, value.signs.astype(np.int64), value.block, shift)
        else:
            term = Term(source.name, weights, bits, shift, one_hot=source.one_hot)
        return MatVec(self._name(value), (term,), np.zeros(value.size, dtype=np.int64))

    def _as_source(self, value: Value) -> Source:
        e = self._read(value)
        return Source(e.name, np.full(value.size, 2.0**e.exponent), np.zeros(value.size))

    def _moments(self, value: Value, source: Source) -> FloatArray:
        """Return the mean squares of the integers of a value."""
        integers = (self.sample[value.name].reshape(-1, value.size) - source.offset) / source.scale
        return np.asarray(np.square(integers).mean(axis=0))

    def _lowered(self, value: Value) -> _Encoded:
        form, exponent = self._format(value)
        if isinstance(value, Product):
            return self._product(value, form, exponent)
        if isinstance(value, Function):
            return self._function(value, form, exponent)
        assert isinstance(value, Sum)
        return self._combined(value, value.terms, value.bias, _Encoded(self._name(value), exponent, form))

    def _product(self, value: Product, form: IntFormat, exponent: int) -> _Encoded:
        a, b = self._read(value.a), self._read(value.b)
        shift = exponent - a.exponent - b.exponent
        if shift < 0:
            shift, exponent = 0, a.exponent + b.exponent
        self._emit(value, Multiply(self._name(value), a.name, b.name, shift, form))
        return _Encoded(self._name(value), exponent, form)

    def _function(self, value: Function, form: IntFormat, exponent: int) -> _Encoded:
        inner = value.value
        terms: Terms = ((1.0, inner),)
        bias = np.zeros(value.size)
        if isinstance(inner, Sum) and not self._is_materialized(inner):
            terms, bias = inner.terms, inner.bias
        if value.function not in ("sigmoid", "tanh"):
            return self._combined(value, terms, bias, _Encoded(self._name(value), exponent, form))
        reach = TANH_REACH if value.function == "tanh" else 2 * TANH_REACH
        index_form = IntFormat(self.bits.index, signed=True)
        index_exponent = (reach - 1).bit_length() + 1 - self.bits.index
        self.indices[value.name] = index_exponent
        index = _Encoded(self._name(value, "_index"), index_exponent, index_form)
        self._combined(value, terms, bias, index, is_fixed=True)
        self._emit(value, self._table(value, form, exponent, index.name))
        return _Encoded(self._name(value), exponent, form)

    def _table(self, value: Function, form: IntFormat, exponent: int, index: str) -> Table:
        count = 1 << self.bits.index
        points = np.arange(-count // 2, count // 2) * (2.0 * TANH_REACH / count)
        if value.function == "tanh":
            units, offset = 2.0**-exponent, 0
            most = min(form.max, -form.min)
        else:
            units, offset = 2.0 ** (-exponent - 1), 1 << (-exponent - 1)
            most = offset - 1
        entries = np.clip(np.rint(np.tanh(points) * units), -most, most)
        # A state's format may be narrower than the function's range.
        entries = np.clip(entries, form.min - offset, form.max - offset).astype(np.int64)
        return Table(self._name(value), index, entries, offset=offset)

    def _read(self, value: Value) -> _Encoded:
        """Return the integers of an operand; an accumulator is requantized for it."""
        if isinstance(value, Linear) and value.name not in self.encoded:
            operand = any(isinstance(user, Linear) for user in self.graph.users(value))
            form = IntFormat(self.bits.states if operand else self.bits.values, signed=True)
            exponent = self._exponent(value.name, form, value.name)
            target = _Encoded(self._name(value, "_value"), exponent, form)
            self.encoded[value.name] = self._combined(value, ((1.0, value),), np.zeros(value.size), target)
        return self.encoded[value.name]

    def _combined(
        self, owner: Value, terms: Terms, bias: FloatArray, to: _Encoded, *, is_fixed: bool = False
    ) -> _Encoded:
        """Emit ``to = bias + sum of terms``, rounded once and saturated; return what was emitted.

        The unit is coarser than asked for where a factor could not be so large, unless it is fixed.
        """
        whole = all(np.ndim(c) == 0 and abs(float(c)) == 1.0 for c, _ in terms)
        accumulators: Terms = tuple((c, value) for c, value in terms if isinstance(value, Linear))
        values: Terms = tuple((c, value) for c, value in terms if not isinstance(value, Linear))
        self._align([value for _, value in accumulators if isinstance(value, Linear)])
        if not accumulators and whole:
            self._emit(owner, self._add([self._signed(*term) for term in values], bias, to))
        elif values and accumulators and whole and self._unlike(accumulators, values):
            self._in_two_steps(owner, accumulators, values, bias, to)
        else:
            to = to if is_fixed else self._reachable(terms, to)
            self._emit(owner, self._requantize(terms, bias, to))
        return to

    def _reachable(self, terms: Terms, to: _Encoded) -> _Encoded:
        """Return a value with a unit so coarse that no factor of its terms is too large."""
        limit = (1 << self.bits.multiplier) - 1
        largest = max(float(np.max(np.abs(c * self._worth(value)[1]))) for c, value in terms)
        over = largest / 2.0**to.exponent / limit
        return to if over <= 1 else replace(to, exponent=to.exponent + int(np.ceil(np.log2(over))))

    def _align(self, accumulators: list[Linear]) -> None:
        """Shift coarse accumulators left, so that all have units of one size and factors of many bits.

        An accumulator of several sums keeps the shift of the first one.
        """
        worth = {v.name: float(np.max(self._worth(v)[1])) for v in accumulators}
        for name in worth.keys() - self.shifts.keys():
            self.shifts[name] = max(0, min(round(np.log2(worth[name] / min(worth.values()))), TERM_SHIFT_MAX))

    def _unlike(self, accumulators: Terms, values: Terms) -> bool:
        """Whether the values' factors are so large that those of the accumulators would have too few bits."""

        def largest(terms: Terms) -> float:
            return max(float(np.max(np.abs(self._worth(value)[1]))) for _, value in terms)

        return largest(values) / largest(accumulators) > 2.0 ** (self.bits.multiplier - FACTOR_BITS)

    def _in_two_steps(
        self, owner: Value, accumulators: Terms, values: Terms, bias: FloatArray, to: _Encoded
    ) -> None:
        """Emit the sum of the accumulators with the finest unit of the values, then the whole sum."""
        exponent = min(to.exponent, *(self.encoded[value.name].exponent for _, value in values))
        part = self._reachable(accumulators, _Encoded(f"{to.name}_drive", exponent, to.format))
        form = IntFormat(min(to.format.signed_bits + to.exponent - part.exponent + 1, 32), signed=True)
        part = replace(part, format=form)
        self._emit(owner, self._requantize(accumulators, bias, part))
        summands = [(False, part), *(self._signed(*term) for term in values)]
        self._emit(owner, self._add(summands, np.zeros_like(bias), to))

    def _signed(self, coefficient: float | FloatArray, value: Value) -> tuple[bool, _Encoded]:
        return bool(coefficient < 0), self.encoded[value.name]

    def _add(self, parts: list[tuple[bool, _Encoded]], bias: FloatArray, to: _Encoded) -> Add:
        finest = min(to.exponent, *(e.exponent for _, e in parts))
        summands = tuple(Summand(e.name, e.exponent - finest, negative) for negative, e in parts)
        integers = np.rint(bias * 2.0**-finest).astype(np.int64)
        whole: Any = int(integers[0]) if np.all(integers == integers[0]) else integers
        return Add(to.name, summands, to.format, whole, to.exponent - finest)

    def _requantize(self, terms: Terms, bias: FloatArray, to: _Encoded) -> Requantize:
        unit = 2.0**to.exponent
        # A value that is added twice has one factor.
        factors: dict[str, FloatArray] = {}
        offset = bias / unit
        for coefficient, value in terms:
            name, scale, added = self._worth(value)
            factor = np.broadcast_to(coefficient * scale / unit, (value.size,))
            factors[name] = factors.get(name, np.zeros(value.size)) + factor
            offset = offset + coefficient * added / unit
        largest = max(float(np.abs(f).max()) for f in factors.values()) or 1.0
        limit = (1 << self.bits.multiplier) - 1
        room = BIAS_BITS - int(np.ceil(np.log2(float(np.abs(offset).max()) + 1)))
        shift = min(int(np.floor(np.log2(limit / largest))), SHIFT_MAX, room)
        if shift < 0:
            raise FormatError(
                f"{to.name}: a factor must be at most {limit}, not {largest:.4g}; give the inputs a smaller "
                "range, or scale the weights down"
            )
        integers = {name: np.rint(f * 2.0**shift).astype(np.int64) for name, f in factors.items()}
        few = sum(
            int(np.count_nonzero((np.abs(m) < 8) & (factors[name] != 0))) for name, m in integers.items()
        )
        if few:
            self.coarse[to.name] = few
        return Requantize(
            to.name,
            tuple(Factor(name, m) for name, m in integers.items()),
            shift,
            to.format,
            bias=np.rint(offset * 2.0**shift).astype(np.int64),
        )

    def _worth(self, value: Value) -> tuple[str, float | FloatArray, float | FloatArray]:
        """Return the name of a term's integers, the worth of a unit, and what the input's offsets add."""
        if not isinstance(value, Linear):
            e = self.encoded[value.name]
            return e.name, 2.0**e.exponent, 0.0
        offset = value.weight @ self.source.offset if isinstance(value.value, Input) else 0.0
        return self._name(value), self.rows[value.name].step / 2.0 ** self.shifts.get(value.name, 0), offset

    def _assign(self, state: str, value: Value, last: int) -> None:
        have, want = self._read(value), self.encoded[state]
        tail = self.groups[last].tail
        if (have.exponent, have.format) != (want.exponent, want.format):
            converted = _Encoded(f"{self.prefix}.{state}_new", want.exponent, want.format)
            tail.append(self._add([(False, have)], np.zeros(value.size), converted))
            have = converted
        tail.append(Assign(want.name, have.name))
