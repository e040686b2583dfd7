"""What each node of a tail computes, in plain Python integers, without cycles, registers or sharing."""

import numpy as np

from qornn_hw.compiler.engines.tile.nodes import (
    Accumulator,
    Constant,
    Load,
    Lookup,
    MultiplyAdd,
    Pick,
    Positive,
    Round,
    SignedSize,
    Slice,
    Store,
    Sum,
    Symbol,
)
from qornn_hw.ir.formats import Rounding

__all__ = ["run_step"]


def wrap(value, bits):
    """Return a number modulo two to the bits, signed."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def rounded(value, node):
    """Return a total, which has the rounding constant in it, shifted, rounded and saturated."""
    found, form = value >> node.shift, node.form
    if node.rounding is Rounding.HALF_EVEN and node.shift and not value & ((1 << node.shift) - 1):
        found -= found & 1
    return min(max(found, form.min), form.max)


def symbol_weight(node, layout, x, unit):
    """Return a unit's weight of the symbol x."""
    row = next(op for op in layout.network.operations if op.name == node.row)
    terms = [term for term in row.terms if term.one_hot]
    least = min(term.shift for term in terms)
    return sum(int(t.weights[unit, x]) << t.shift - least for t in terms if x < t.columns)


def run_step(layout, x, state):
    """Return the new states, (n,) each by name, and the logits, of one step from the nodes alone.

    Args:
        layout: a network on the tile engine.
        x: its input, (m,), or a symbol.
        state: the old states by name.
    """
    stored, new = {}, {}
    fresh = lambda vector, number: layout.is_fresh(vector, number)  # noqa: E731

    def vector(name, number):
        if name == layout.network.input.name:
            return x
        return stored[name] if fresh(name, number) else state[name]

    def sums(stage, number):
        return [
            [phase_sums(m, vector(phase.vector, number)) for m in phase.matrices] for phase in stage.phases
        ]

    for number, (stage, tail) in enumerate(zip(layout.stages, layout.tails, strict=False)):
        accumulators = sums(stage, number)
        for unit in range(stage.slots):
            values = {}
            for node in tail.nodes:
                if isinstance(node, Symbol):
                    values[node.name] = symbol_weight(node, layout, int(x), unit)
                    continue
                old = stored if getattr(node, "fresh", True) else state
                values[node.name] = compute(node, values, unit, accumulators, old, layout.tables)
                if isinstance(node, Store):
                    stored_now = new.setdefault(number, {}).setdefault(node.target, [])
                    stored_now.append(values[node.value])
        for target, entries in new.get(number, {}).items():
            stored[target] = np.array(entries)
    last = len(layout.stages) - 1
    logits = layout.network.readout.logits.bias.copy()
    for phase in layout.stages[-1].phases:
        (matrix,) = phase.matrices
        found = phase_sums(matrix, vector(phase.vector, last))
        logits += (found + matrix.lacking) << matrix.shift
    return {name: stored[name] for name in layout.network.states}, logits


def phase_sums(matrix, x):
    """Return the accumulators of a matrix, (rows,), without what they lack."""
    return (matrix.weights + matrix.offset) @ x - matrix.lacking


def compute(node, values, unit, accumulators, old, tables):
    """Return the result of one node for one unit."""

    def read(operand):
        if isinstance(operand, Constant):
            return operand.values[0] if operand.is_shared else operand.values[unit]
        if isinstance(operand, Slice):
            bits = values[operand.node] >> operand.low & ((1 << operand.width) - 1)
            return wrap(bits, operand.width) if operand.signed else bits
        return values[operand]

    match node:
        case Accumulator():
            found = int(accumulators[node.phase][node.position][unit])
            assert found == wrap(found, node.bits)
            return found
        case Load():
            return int(old[node.value][unit])
        case Sum():
            total = sum((-1 if s.negative else 1) * (read(s.operand) << s.shift) for s in node.summands)
            return wrap(total, node.bits)
        case MultiplyAdd():
            return wrap((read(node.a) * read(node.b) << node.shift) + read(node.addend), node.bits)
        case Round():
            return rounded(read(node.value), node)
        case Lookup():
            table = tables[node.table]
            return table[read(node.index) % len(table)] + node.offset
        case Positive():
            return max(read(node.value), 0)
        case Pick():
            return node.entries[sum(read(node.value) >= knot for knot in node.knots)]
        case SignedSize():
            value = read(node.value)
            return (value > 0) * max(abs(value) + read(node.bias), 0) - (value < 0) * max(
                abs(value) + read(node.bias), 0
            )
        case Store():
            return read(node.value)
    raise AssertionError(node)
