"""Each operation of a network as bodies of the simple engine."""

from collections.abc import Callable
from typing import Any

import numpy as np

from qornn_hw.compiler.engines.simple.assembler import Assembler, usual_digit_bits
from qornn_hw.compiler.engines.simple.body import Body, IntArray
from qornn_hw.compiler.engines.simple.instruction import Port, Stop
from qornn_hw.compiler.engines.simple.program import Program
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.ir.network import Layer, Network, Readout
from qornn_hw.ir.ops import (
    Add,
    Assign,
    Diagonal,
    MatVec,
    ModRelu,
    Multiply,
    Operation,
    PiecewiseLinear,
    Requantize,
    Table,
    Term,
)

__all__ = ["assemble"]

# Saturation to it is max(value, 0): no value has more bits.
POSITIVE = IntFormat(63, signed=False)


def assemble(network: Network, digit_bits: int | None = None) -> Program:
    """Return the program of any network.

    Args:
        network: what it computes.
        digit_bits: bits of a digit, 2 to 16; those of the widest weight where None.

    Raises:
        FormatError: an integer of the network could pass its width.
    """
    a = Assembler(network, digit_bits or usual_digit_bits(network))
    for state in network.states.values():
        with a.body(state.size) as body:
            body.sum(a.constant(state.initial))
            a.store(body, a.result(state.name))
    a.begin_part()
    for layer in network.layers:
        _layer(a, layer)
    a.stop(Stop.UNANSWERED)
    a.begin_part()
    _readout(a, network.readout)
    a.stop(Stop.ALWAYS)
    return a.program()


def _layer(a: Assembler, layer: Layer) -> None:
    """Compute all results from the old states, then give the states their new values."""
    moves: dict[str, str | int] = {}
    for op in layer.operations:
        if isinstance(op, Assign):
            moves[op.name] = op.value
        else:
            _LOWERED[type(op)](a, op)
    # A state that becomes what another state of the layer was: kept aside, as that one changes, too.
    for name, value in moves.items():
        if value in moves:
            aside = a.allocate(a.network.sizes[name], a.ranges.values[str(value)])
            _copy(a, name, value, aside)
            moves[name] = aside
    for state in layer.states:
        _copy(a, state.name, moves[state.name], a.result(state.name), Port.STATE)


def _copy(a: Assembler, state: str, value: str | int, address: int, port: Port = Port.NONE) -> None:
    with a.body(a.network.sizes[state]) as body:
        body.sum(a.entry(value, 1))
        a.store(body, address, port=port)


def _readout(a: Assembler, readout: Readout) -> None:
    kind = readout.answer.kind
    for op in readout.tail:
        _LOWERED[type(op)](a, op)
    logits_port = Port.ANSWER if kind.has_argmax else Port.ANSWER_END
    _mat_vec(a, readout.logits, logits_port if kind.has_logits else Port.NONE)
    if not kind.has_argmax:
        return
    logits, threshold = readout.logits.name, readout.answer.threshold
    count, most = readout.logits.rows, a.ranges.values[logits]
    if threshold is None:
        # The index is that of the best logit so far; a logit must be larger to take its place.
        a.hold(Interval.of(most.least - most.most - 1, most.most - most.least))
        with a.body(count) as body:
            body.sum(a.entry(logits, 1), a.entry_of_index(logits, -1), a.constant(-1))
            body.choose(None)
            body.wait()
    with a.body(1) as body:
        if threshold is not None:
            _compare(a, body, logits, threshold + 1, 1)
            body.wait()
        body.sum(a.constant_of_index(np.arange(max(count, 2))))
        a.store(body, a.result(readout.answer.name), port=Port.ANSWER_END)


def _compare(a: Assembler, body: Body, value: str, knot: int, number: int) -> None:
    """Make the index ``number`` where a unit's value is not below a knot."""
    range_ = a.ranges.values[value]
    a.hold(Interval.of(range_.least - knot, range_.most - knot))
    body.sum(a.entry(value, 1), a.constant(-knot))
    body.choose(number)


def _mat_vec(a: Assembler, op: MatVec, port: Port = Port.NONE) -> None:
    with a.body(op.rows) as body:
        products = [a.constant(op.bias)]
        for term in op.terms:
            shifted = term.weights << term.shift
            if isinstance(term, Term) and term.one_hot:
                products.append(a.constant_of_index(_by_symbol(term, a.network.input.format.bits)))
            else:
                products.append(a.vector(term.value, shifted))
        if any(term.one_hot for term in op.terms):
            body.index(a.symbol(), with_unit=True)
        body.sum(*products)
        a.store(body, a.result(op.name), port=port)


def _by_symbol(term: Term, bits: int) -> IntArray:
    """Return the shifted weights of row i and symbol x at ``i << bits | x``, 0 where there is no symbol x."""
    table = np.zeros((term.rows, 1 << bits), dtype=np.int64)
    table[:, : term.columns] = term.weights << term.shift
    return table.reshape(-1)


def _diagonal(a: Assembler, op: Diagonal) -> None:
    with a.body(len(op.weights)) as body:
        body.sum(a.entry(op.accumulator, 1), a.entry(op.value, op.weights << op.shift))
        a.store(body, a.result(op.name))


def _requantize(a: Assembler, op: Requantize) -> None:
    a.hold(a.ranges.inner[op.name])
    with a.body(a.network.sizes[op.name]) as body:
        bias = 0 if op.bias is None else op.bias
        body.sum(a.constant(bias), *(a.entry(factor.value, factor.multiplier) for factor in op.factors))
        a.finish(body, op.name, op.shift, op.rounding, op.format)


def _table(a: Assembler, op: Table) -> None:
    with a.body(a.network.sizes[op.name]) as body:
        body.index(a.entry(op.value, 1))
        entries = a.constant_of_index(op.entries, origin=-op.index_format.min)
        body.sum(a.constant(op.offset), entries)
        a.store(body, a.result(op.name))


def _piecewise_linear(a: Assembler, op: PiecewiseLinear) -> None:
    a.hold(a.ranges.inner[op.name])
    with a.body(a.network.sizes[op.name]) as body:
        if op.is_relu:
            body.sum(a.entry(op.value, 1))
            a.store(body, a.result(op.name), form=POSITIVE)
            return
        for number, knot in enumerate(op.knots.tolist(), 1):
            _compare(a, body, op.value, knot, number)
        body.wait()
        body.sum(a.looked_up(op.value, op.slopes), a.constant_of_index(op.offsets))
        a.finish(body, op.name, op.shift, op.rounding, op.format)


def _mod_relu(a: Assembler, op: ModRelu) -> None:
    """``size = max(sign * value + bias, 0)``, then ``sign * size``; the sign is a table of three entries."""
    units, most = a.network.sizes[op.name], a.ranges.values[op.name]
    a.hold(Interval.of(int(op.bias.min()), most.most))
    size = a.allocate(units, most)
    signs = np.array([-1, 0, 1])
    with a.body(units) as body:
        _compare(a, body, op.value, 0, 1)
        _compare(a, body, op.value, 1, 2)
        body.wait()
        body.sum(a.looked_up(op.value, signs), a.constant(op.bias))
        a.store(body, size, form=POSITIVE)
    with a.body(units) as body:
        _compare(a, body, op.value, 0, 1)
        _compare(a, body, op.value, 1, 2)
        body.wait()
        body.sum(a.looked_up(size, signs))
        a.store(body, a.result(op.name))


def _multiply(a: Assembler, op: Multiply) -> None:
    a.hold(a.ranges.inner[op.name])
    value, factor = sorted(op.operands, key=a.ranges.bits, reverse=True)
    with a.body(a.network.sizes[op.name]) as body:
        a.multiply(body, value, factor)
        a.finish(body, op.name, op.shift, op.rounding, op.format)


def _add(a: Assembler, op: Add) -> None:
    a.hold(a.ranges.inner[op.name])
    with a.body(a.network.sizes[op.name]) as body:
        summands = (a.entry(s.value, (-1 if s.negative else 1) << s.shift) for s in op.summands)
        body.sum(a.constant(op.bias), *summands)
        a.finish(body, op.name, op.shift, op.rounding, op.format)


_LOWERED: dict[type[Operation], Callable[[Assembler, Any], None]] = {
    MatVec: _mat_vec,
    Diagonal: _diagonal,
    Requantize: _requantize,
    Table: _table,
    PiecewiseLinear: _piecewise_linear,
    ModRelu: _mod_relu,
    Multiply: _multiply,
    Add: _add,
}
