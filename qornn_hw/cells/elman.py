"""The Elman cell ``g' = act(W g + (U x << e) + b)`` as operations.

One accumulator a unit; the tail is the activation's part at the accumulator's precision (relu, modrelu), the
requantizer, and the activation's part behind it (tanh's table). ``lower`` makes a whole network of an
:class:`IntegerNetwork`.
"""

from weakref import WeakKeyDictionary

import numpy as np

from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import (
    Answer,
    Assign,
    Factor,
    MatVec,
    Operation,
    Requantize,
    Term,
)

__all__ = [
    "ACCUMULATOR",
    "ACTIVATED",
    "INPUT",
    "LOGITS",
    "NEW_STATE",
    "REQUANTIZED",
    "STATE",
    "lower",
]

INPUT, STATE, LOGITS = "x", "state", "logits"
ACCUMULATOR, ACTIVATED, REQUANTIZED, NEW_STATE = "accumulator", "activated", "requantized", "new_state"


# A network never changes, and a quantizer asks for the same operations several times.
_LOWERED: WeakKeyDictionary[IntegerNetwork, Network] = WeakKeyDictionary()


def lower(network: IntegerNetwork) -> Network:
    """Return an Elman network as operations, made once for each network object.

    The values' names are the constants of this module; ``ACTIVATED`` is there where the activation
    has an operation in front of the requantizer, ``NEW_STATE`` where it has one behind it.

    >>> import qornn_hw
    >>> x = np.random.default_rng(0).normal(size=(20, 10, 2))
    >>> w, u, v = np.eye(3) / 2, np.ones((3, 2)), np.ones((1, 3))
    >>> lower(qornn_hw.quantize((w, u, v), x, activation="relu").network)
    Network(vector input of 2, 1 layer: state 3 x 8 bits; 1 outputs, every_step)
    """
    if (operations := _LOWERED.get(network)) is None:
        operations = _LOWERED[network] = _network(network)
    return operations


def _network(network: IntegerNetwork) -> Network:
    scales = network.scales
    readout = Readout(
        logits=MatVec(
            LOGITS,
            (Term(STATE, network.output_weight, network.weight_bits.output),),
            network.output_bias,
        ),
        answer=Answer("answer", LOGITS, network.output_kind),
        mode=network.output_mode,
    )
    return Network(
        input=Input(
            INPUT,
            network.input_kind,
            network.input_size,
            network.input_format,
            scales.input,
            scales.input_offset,
        ),
        layers=(_layer(network),),
        readout=readout,
        scales={STATE: scales.state, ACCUMULATOR: scales.accumulator, LOGITS: scales.output},
    )


def _layer(network: IntegerNetwork) -> Layer:
    row = MatVec(
        ACCUMULATOR,
        (
            Term(STATE, network.recurrent_weight, network.weight_bits.recurrent),
            Term(
                INPUT,
                network.input_weight,
                network.weight_bits.input,
                network.input_shift,
                one_hot=not network.vector_input,
            ),
        ),
        np.zeros_like(network.bias) if network.activation.shape.unit_bias else network.bias,
    )
    state = State(STATE, network.state_format, network.initial_state)
    return Layer((state,), (Group((row,), _tail(network)),))


def _tail(network: IntegerNetwork) -> tuple[Operation, ...]:
    tail: list[Operation] = []
    value = ACCUMULATOR
    function = network.activation.function
    if before := function.accumulator_operation(ACTIVATED, value, network.bias):
        tail.append(before)
        value = ACTIVATED
    form = IntFormat(network.index_bits, signed=True)
    factor = Factor(value, network.multiplier)
    tail.append(Requantize(REQUANTIZED, (factor,), network.shift, form, network.rounding))
    value = REQUANTIZED
    if behind := function.state_operation(NEW_STATE, value, network):
        tail.append(behind)
        value = NEW_STATE
    return (*tail, Assign(STATE, value))
