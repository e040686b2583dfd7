"""From the operations behind a group's accumulators to the nodes of its tail.

What an accumulator lacks and the bias of its MatVec are constants. Where a Requantize reads it, they become
part of that operation's bias; elsewhere they are added. A factor that is the same power of two for all units
is a shift.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.engines.tile.nodes import (
    Accumulator,
    Constant,
    Load,
    Lookup,
    MultiplyAdd,
    Negate,
    Node,
    Operand,
    Pick,
    Positive,
    Round,
    SignedSize,
    Slice,
    Store,
    Sum,
    Summand,
    Symbol,
    Transformed,
)
from qornn_hw.compiler.engines.tile.stages import Stage, is_fresh, symbol_weights
from qornn_hw.compiler.engines.tile.transform import transformed_rows
from qornn_hw.ir.formats import IntFormat, Rounding, bits_for_range
from qornn_hw.ir.intervals import Ranges
from qornn_hw.ir.network import Network
from qornn_hw.ir.ops import (
    Add,
    Assign,
    Diagonal,
    ModRelu,
    Multiply,
    Operation,
    PiecewiseLinear,
    Requantize,
    Table,
)
from qornn_hw.ir.ops.operation import FORMAT_BITS_MAX

__all__ = ["Kept", "Tables", "build_tail", "constant"]

IntArray = NDArray[np.int64]

# A factor of a hard multiplier has this many bits; a wider one is cut into parts one bit narrower.
FACTOR_BITS = 16
CUT = FACTOR_BITS - 1


@dataclass(frozen=True)
class Kept:
    """Values that live longer than the unit they belong to.

    Attributes:
        operands: names of those that a matrix reads.
        loaded: names of those that another tail, or another step, loads.
        transformed: names of the states of which there is a transform.
    """

    operands: frozenset[str]
    loaded: frozenset[str]
    transformed: frozenset[str] = frozenset()


class Tables:
    """The different tables of all tails, in the order of their first use."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, ...]] = []

    def number(self, op: Table) -> int:
        """Return the number of an operation's table, whose entry i stands at ``i`` modulo its size."""
        entries = np.roll(op.entries, -(len(op.entries) // 2)) if op.signed else op.entries
        words = tuple(entries.tolist())
        if words not in self.entries:
            self.entries.append(words)
        return self.entries.index(words)


def constant(values: IntArray | int) -> Constant:
    """Return integers as a constant, shared where they are all the same."""
    numbers = tuple(int(v) for v in np.atleast_1d(values))
    if len(set(numbers)) == 1:
        numbers = numbers[:1]
    return Constant(numbers, bits_for_range(min(numbers), max(numbers)))


def build_tail(
    network: Network,
    ranges: Ranges,
    stage: Stage,
    kept: Kept,
    tables: Tables,
    assigned: Mapping[str, str],
    before_readout: Sequence[Operation] = (),
) -> tuple[Node, ...]:
    """Return the nodes of a group's tail, each behind those that it reads.

    Args:
        network: what is computed.
        ranges: of its values.
        stage: the group's.
        kept: what is stored.
        tables: gets the tail's tables.
        assigned: the states that take their new values in this stage, with these values' names.
        before_readout: operations on the new values, in front of the readout.
    """
    builder = _Builder(network, ranges, stage, tables)
    assert stage.group is not None
    for op in stage.group.tail:
        if not isinstance(op, Assign):
            builder.lower(op)
    given = {state: builder.value(name) for state, name in assigned.items()}
    builder.known |= given
    for op in before_readout:
        builder.lower(op)
    targets = [name for name in builder.results if name in kept.operands | kept.loaded]
    for target in [*given, *targets]:
        if target in given:
            # A bench sees the states that each step computes.
            builder.store(given[target], target, kept, is_state=stage.layer < network.step_layers)
        else:
            builder.store(builder.value(target), target, kept, is_state=False)
    return tuple(builder.nodes.values())


@dataclass(frozen=True)
class _Row:
    """The sum of some accumulators, of a weight of the symbol, and of a constant for each unit.

    Attributes:
        parts: nodes, each with its left shift.
        constant: for each unit.
    """

    parts: tuple[tuple[Node, int], ...]
    constant: IntArray


class _Builder:
    def __init__(self, network: Network, ranges: Ranges, stage: Stage, tables: Tables) -> None:
        self.network, self.ranges, self.stage, self.tables = network, ranges, stage, tables
        self.nodes: dict[str, Node] = {}
        self.results: list[str] = []
        self.known: dict[str, str] = {}
        self.rows = self._rows()

    def _rows(self) -> dict[str, _Row]:
        assert self.stage.group is not None
        parts: dict[str, list[tuple[Node, int]]] = {row.name: [] for row in self.stage.group.rows}
        constants = {row.name: row.bias.copy() for row in self.stage.group.rows}
        for p, phase in enumerate(self.stage.phases):
            for position, matrix in enumerate(phase.matrices):
                node = Accumulator(f"acc.{p}.{position}", matrix.bits, position, p)
                self.nodes[node.name] = node
                parts[matrix.row].append((node, matrix.shift))
                constants[matrix.row] += matrix.lacking << matrix.shift
        for row in self.stage.group.rows:
            if (selected := symbol_weights(row)) is not None:
                weights, shift = selected
                # An index past the last symbol adds nothing.
                bits = bits_for_range(min(0, int(weights.min())), max(0, int(weights.max())))
                symbol = Symbol(f"symbol.{row.name}", bits, row.name)
                self.nodes[symbol.name] = symbol
                parts[row.name].append((symbol, shift))
        self._add_transformed(parts)
        self.results += list(parts)
        return {name: _Row(tuple(found), constants[name]) for name, found in parts.items()}

    def _add_transformed(self, parts: dict[str, list[tuple[Node, int]]]) -> None:
        """Add the entry of the transform, with the sign of its unit, to its row."""
        if (transform := self.stage.transform) is None:
            return
        for name, term in transformed_rows(self.network).items():
            if name in parts:
                entry = Transformed(f"transformed.{name}", transform.bits, transform.vector)
                result = term.interval(self.ranges.values[term.value].hull)
                bits = max(transform.bits, bits_for_range(result.least, result.most) - term.shift)
                found = Negate(f"signed.{name}", bits, entry.name, constant(term.signs))
                self.nodes |= {entry.name: entry, found.name: found}
                parts[name].append((found, term.shift))

    # -- nodes ----------------------------------------------------------------------------------------

    def add(self, node: Node) -> str:
        """Add a node; return its name."""
        assert node.name not in self.nodes
        self.nodes[node.name] = node
        return node.name

    def value(self, name: str) -> str:
        """Return the node of a value of the network."""
        if name in self.known:
            return self.known[name]
        if name in self.nodes:
            return name
        bits = self.ranges.bits(name)
        if name in self.rows:
            row = self.rows[name]
            summands = [Summand(node.name, shift) for node, shift in row.parts]
            found = self.sum(name, summands, constant(row.constant), bits)
        else:
            fresh = is_fresh(self.network, name, self.stage.layer)
            found = self.add(Load(f"old.{name}", bits, name, fresh))
        self.known[name] = found
        return found

    def sum(self, name: str, summands: list[Summand], addend: Constant, bits: int) -> str:
        """Add a sum of operands and a constant; return the node, which is the operand where there is one."""
        if addend.values != (0,):
            summands = [*summands, Summand(addend)]
        (first, *others) = summands
        if not others and isinstance(first.operand, str) and not first.shift and not first.negative:
            return first.operand
        return self.add(Sum(name, bits, tuple(summands)))

    def multiply_add(
        self, name: str, a: str, b: "str | Constant", addend: "str | Constant", shift: int, bits: int
    ) -> str:
        """Add a product and its addend; factors of too many bits are multiplied in parts."""
        others = self._parts(b)
        for part, at in self._parts(a):
            for other, also_at in others:
                addend = self.add(
                    MultiplyAdd(f"{name}.{len(self.nodes)}", bits, part, other, addend, shift + at + also_at)
                )
        assert isinstance(addend, str)
        return addend

    def _parts(self, operand: "str | Constant") -> list[tuple[Operand, int]]:
        """Return an operand as parts that fit a multiplier, with the place of each."""
        bits = operand.bits if isinstance(operand, Constant) else self.nodes[operand].bits
        if bits <= FACTOR_BITS:
            return [(operand, 0)]
        if isinstance(operand, Constant):
            values = np.array(operand.values, dtype=object)
            low = constant((values & ((1 << CUT) - 1)).astype(np.int64))
            high = self._parts(constant((values >> CUT).astype(np.int64)))
            return [(low, 0), *((part, at + CUT) for part, at in high)]
        found: list[tuple[Operand, int]] = []
        at = 0
        while bits - at > FACTOR_BITS:
            found.append((Slice(operand, at, CUT, signed=False), at))
            at += CUT
        return [*found, (Slice(operand, at, bits - at, signed=True), at)]

    def round(self, name: str, total: str, shift: int, rounding: Rounding, form: IntFormat) -> str:
        """Add the end of an operation: shift, round, saturate."""
        return self.add(Round(name, form.signed_bits, total, shift, rounding, form))

    def store(self, node: str, target: str, kept: Kept, *, is_state: bool) -> None:
        """Add a store."""
        operand, loaded = target in kept.operands, target in kept.loaded
        bits, transformed = self.nodes[node].bits, target in kept.transformed
        name = f"store.{target}"
        self.add(Store(name, bits, node, target, operand, loaded, is_state, transformed))

    # -- operations -----------------------------------------------------------------------------------

    def lower(self, op: Operation) -> None:
        """Add the nodes of an operation."""
        self.known[op.name] = _LOWERED[type(op)](self, op)
        self.results.append(op.name)

    def requantize(self, op: Requantize) -> str:
        """Products one behind the other, each added to the one before; then shift, round, saturate."""
        products, bias = self._products(op)
        bits = _wide(self.ranges.inner[op.name].bits)
        total: str | Constant = constant(bias)
        summands: list[Summand] = []
        for node, shift, multiplier in products:
            exponent = _power_of_two(multiplier)
            if exponent is None:
                name = f"{op.name}.product"
                total = self.multiply_add(name, node, constant(multiplier), total, shift, bits)
            elif multiplier[0]:
                summands.append(Summand(node, shift + exponent, bool(multiplier[0] < 0)))
        if isinstance(total, Constant) or summands:
            total = self.add(Sum(f"{op.name}.total", bits, (Summand(total), *summands)))
        return self.round(op.name, total, op.shift, op.rounding, op.format)

    def _products(self, op: Requantize) -> tuple[list[tuple[str, int, IntArray]], IntArray]:
        """Return the factors of a requantizer as nodes, shifts and multipliers, and what is added to them.

        That of a MatVec is the sum of its accumulators; what they lack and the bias are part of the constant.
        """
        units = self.network.sizes[op.name]
        bias = np.zeros(units, dtype=np.int64) if op.bias is None else op.bias.copy()
        bias += half(op.shift)
        products: list[tuple[str, int, IntArray]] = []
        for factor in op.factors:
            multiplier = np.broadcast_to(factor.multiplier, (units,))
            row = self.rows.get(factor.value)
            if row is None or factor.value in self.known:
                products.append((self.value(factor.value), 0, multiplier))
                continue
            bias += row.constant * multiplier
            if len(row.parts) == 1:
                products.append((row.parts[0][0].name, row.parts[0][1], multiplier))
            else:
                products.append((self._row_sum(factor.value, row), 0, multiplier))
        return products, bias

    def _row_sum(self, name: str, row: _Row) -> str:
        """Return the sum of a row's accumulators."""
        found = f"{name}.sum"
        if found not in self.nodes:
            summands = tuple(Summand(node.name, shift) for node, shift in row.parts)
            self.add(Sum(found, self._bits_without(name, row), summands))
        return found

    def _bits_without(self, name: str, row: _Row) -> int:
        """Return the bits of a row without its constant."""
        value = self.ranges.values[name]
        low = min(int(v) for v in np.asarray(value.low - row.constant).ravel())
        high = max(int(v) for v in np.asarray(value.high - row.constant).ravel())
        return bits_for_range(low, high)

    def add_values(self, op: Add) -> str:
        """One sum; then shift, round, saturate, where something can be lost."""
        summands = [Summand(self.value(s.value), s.shift, s.negative) for s in op.summands]
        bits = _wide(self.ranges.inner[op.name].bits)
        total = self.sum(
            f"{op.name}.total", summands, constant(np.atleast_1d(op.bias) + half(op.shift)), bits
        )
        if not op.shift and self._fits(op):
            return total
        return self.round(op.name, total, op.shift, op.rounding, op.format)

    def _fits(self, op: Add) -> bool:
        """Whether a sum without shift never leaves the format."""
        operands = [self.ranges.values[name] for name in op.operands]
        free = Add(op.name, op.summands, IntFormat(FORMAT_BITS_MAX, signed=True), op.bias)
        interval = free.interval(*operands)
        return op.format.min <= interval.least and interval.most <= op.format.max

    def multiply(self, op: Multiply) -> str:
        """One product; then shift, round, saturate."""
        bits = _wide(self.ranges.inner[op.name].bits)
        a, b = self.value(op.a), self.value(op.b)
        total = self.multiply_add(f"{op.name}.product", a, b, constant(half(op.shift)), 0, bits)
        return self.round(op.name, total, op.shift, op.rounding, op.format)

    def diagonal(self, op: Diagonal) -> str:
        """One product, added to the accumulator."""
        bits = _wide(max(self.ranges.bits(op.name), self.ranges.inner[op.name].bits))
        value, accumulator = self.value(op.value), self.value(op.accumulator)
        return self.multiply_add(op.name, value, constant(op.weights), accumulator, op.shift, bits)

    def table(self, op: Table) -> str:
        """One look-up."""
        index = self.value(op.value)
        bits = bits_for_range(int(op.entries.min()) + op.offset, int(op.entries.max()) + op.offset)
        return self.add(Lookup(op.name, bits, index, self.tables.number(op), op.offset))

    def piecewise_linear(self, op: PiecewiseLinear) -> str:
        """The slope and the offset of the piece, their product and sum; a relu is a choice."""
        value = self.value(op.value)
        if op.is_relu:
            return self.add(Positive(op.name, self.ranges.bits(op.name), value))
        knots = tuple(op.knots.tolist())
        bits = _wide(self.ranges.inner[op.name].bits)

        def pick(name: str, entries: IntArray) -> str:
            numbers = tuple(int(e) for e in entries)
            width = bits_for_range(min(numbers), max(numbers))
            return self.add(Pick(f"{op.name}.{name}", width, value, knots, numbers))

        slope, offset = pick("slope", op.slopes), pick("offset", op.offsets + half(op.shift))
        total = self.multiply_add(f"{op.name}.product", value, slope, offset, 0, bits)
        return self.round(op.name, total, op.shift, op.rounding, op.format)

    def mod_relu(self, op: ModRelu) -> str:
        """One node."""
        return self.add(
            SignedSize(op.name, self.ranges.bits(op.name), self.value(op.value), constant(op.bias))
        )


def half(shift: int) -> int:
    """Return what is added before a shift to round half up."""
    return (1 << shift) >> 1


def _wide(bits: int) -> int:
    """Return the bits of a sum behind a product; not the 33 that yosys 0.70 takes into a 32-bit adder."""
    return bits + 1 if bits == 33 else bits


def _power_of_two(multiplier: IntArray) -> int | None:
    """Return the exponent where all factors are the same power of two or its negative, or all are 0."""
    first = int(multiplier[0])
    if np.any(multiplier != first) or abs(first).bit_count() > 1:
        return None
    return max(0, abs(first).bit_length() - 1)


_LOWERED: dict[type[Operation], Callable[[_Builder, Any], str]] = {
    Requantize: _Builder.requantize,
    Add: _Builder.add_values,
    Multiply: _Builder.multiply,
    Diagonal: _Builder.diagonal,
    Table: _Builder.table,
    PiecewiseLinear: _Builder.piecewise_linear,
    ModRelu: _Builder.mod_relu,
}
