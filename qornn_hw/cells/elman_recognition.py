"""Operations that are an Elman network, whatever their names: the way back from :func:`cells.elman.lower`."""

from dataclasses import dataclass

import numpy as np

from qornn_hw.cells.activations.registry import Activation, recognized_activation
from qornn_hw.cells.elman_network import IntegerNetwork, Scales, WeightBits
from qornn_hw.cells.pieces import Pieces
from qornn_hw.errors import FormatError
from qornn_hw.ir.network import Layer, Network, State
from qornn_hw.ir.ops import (
    AnyTerm,
    Assign,
    MatVec,
    ModRelu,
    Operation,
    PiecewiseLinear,
    Requantize,
    Table,
)

__all__ = ["recognized"]


@dataclass(frozen=True)
class _Tail:
    """The parts of the tail of an Elman cell: what stands before the requantizer, it, and what is behind."""

    before: Operation | None
    requantized: Requantize
    behind: Operation | None


def recognized(network: Network) -> IntegerNetwork | None:
    """Return the Elman network that some operations are; None where they are none.

    It computes the same integers. A hard tanh and an identity are the same operations: a state whose full
    scale is 1 is taken for a hard tanh's. The scale of the state must be given, and for tanh that of the
    accumulator, which follows from the state's for the other activations.
    """
    try:
        return _recognized(network)
    # It has the form of an Elman network, and sizes or scales that none may have.
    except FormatError:
        return None


def _recognized(network: Network) -> IntegerNetwork | None:
    scales, readout = network.scales, network.readout
    match network.layers, readout.logits.terms:
        case (Layer(states=(state,), groups=(group,)),), (out,) if len(group.rows) == 1:
            row, tail = group.rows[0], _tail(group.tail, group.rows[0], state)
        case _:
            return None
    own, driven = _term(row, state.name), _term(row, network.input.name)
    if tail is None or own is None or driven is None or len(row.terms) != 2:
        return None
    plain = own.shift == 0 and out.shift == 0 and out.value == state.name and not readout.tail
    known = state.name in scales and (tail.behind is None or row.name in scales)
    if not plain or not known or readout.answer.threshold is not None:
        return None
    multiplier, shift = tail.requantized.factors[0].multiplier, tail.requantized.shift
    follows = scales[state.name] * int(multiplier.max()) / 2.0**shift
    activation = _activation(tail, scales[state.name], state)
    if activation is None:
        return None
    bias = row.bias
    if isinstance(tail.before, ModRelu):
        if np.any(bias):
            return None
        bias = tail.before.bias
    found = IntegerNetwork(
        activation=activation,
        recurrent_weight=own.weights,
        input_weight=driven.weights,
        output_weight=out.weights,
        bias=bias,
        output_bias=readout.logits.bias,
        weight_bits=WeightBits(own.bits, driven.bits, out.bits),
        state_bits=state.format.bits,
        input_kind=network.input.kind,
        input_format=network.input.format,
        input_shift=driven.shift,
        multiplier=multiplier,
        shift=shift,
        rounding=tail.requantized.rounding,
        initial_state=state.initial,
        output_mode=readout.mode,
        output_kind=readout.answer.kind,
        scales=Scales(
            input=network.input.scale,
            state=scales[state.name],
            accumulator=scales.get(row.name, follows),
            output=scales[readout.logits.name],
            input_offset=network.input.offset,
        ),
        table=tail.behind.entries if isinstance(tail.behind, Table) else None,
        pieces=_pieces(tail),
    )
    if activation.shape.pieces:
        # Pieces of another function are no network of this activation.
        index_step = found.scales.accumulator * 2.0**shift / int(multiplier.max())
        activation.function.check_parts(found, index_step)
    return found


def _term(row: MatVec, value: str) -> AnyTerm | None:
    found = [term for term in row.terms if term.value == value]
    return found[0] if len(found) == 1 else None


def _tail(tail: tuple[Operation, ...], row: MatVec, state: State) -> _Tail | None:
    if not tail or not isinstance(tail[-1], Assign):
        return None
    parts, assign = list(tail[:-1]), tail[-1]
    before = None if isinstance(parts[0] if parts else None, Requantize) else parts.pop(0) if parts else None
    match parts:
        case (Requantize() as requantized,):
            behind = None
        case (Requantize() as requantized, behind):
            pass
        case _:
            return None
    value = row.name if before is None else before.name
    form = state.format if behind is None else requantized.format
    right = before is None or before.operands == (row.name,)
    right = right and requantized.operands == (value,) and requantized.bias is None
    right = right and requantized.format == form and form.signed and state.format.signed
    right = right and (behind is None or behind.operands == (requantized.name,))
    if isinstance(behind, Table):
        right = right and behind.index_format == form
    if isinstance(behind, PiecewiseLinear):
        right = right and behind.format == state.format and behind.rounding is requantized.rounding
    right = right and assign.operands == ((requantized if behind is None else behind).name,)
    return _Tail(before, requantized, behind) if right else None


def _pieces(tail: _Tail) -> Pieces | None:
    if not isinstance(tail.behind, PiecewiseLinear):
        return None
    return Pieces.of_operation(tail.behind, tail.requantized.format.bits)


def _activation(tail: _Tail, scale: float, state: State) -> Activation | None:
    full = 2.0 ** (state.format.bits - 1)
    return recognized_activation(tail.before, tail.behind, abs(scale * full - 1) <= 2 / full)
