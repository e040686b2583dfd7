"""The worked numbers of docs/numerics.md."""

import numpy as np
import pytest

from qornn_hw.fixed import IntFormat, Rounding, round_shift
from qornn_hw.integer_model import IntegerModel
from qornn_hw.network import (
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    Scales,
    WeightBits,
)


def one_unit(activation, **changes):
    """Return a network that shows one accumulator at a time: W = 0, U = 1, M = 1, s = 0."""
    fields = {
        "activation": activation,
        "recurrent_weight": np.array([[0]]),
        "input_weight": np.array([[1]]),
        "output_weight": np.array([[1]]),
        "bias": np.array([0]),
        "output_bias": np.array([0]),
        "weight_bits": WeightBits(2, 2, 2),
        "state_bits": 4,
        "input_kind": InputKind.VECTOR,
        "input_format": IntFormat(5, signed=True),
        "input_shift": 0,
        "multiplier": np.array([1]),
        "shift": 0,
        "rounding": Rounding.HALF_UP,
        "initial_state": np.array([0]),
        "output_mode": OutputMode.EVERY_STEP,
        "output_kind": OutputKind.BOTH,
        "scales": Scales(1.0, 1.0, 1.0, 1.0),
    }
    return IntegerNetwork(**(fields | changes))


def states(network, inputs):
    """Return the unit's state for each input on its own."""
    x = np.array(inputs).reshape(-1, 1, 1)
    return IntegerModel(network).run(x).states[:, 0, 0].tolist()


def test_two_units():
    """The table of section 10 comes out, accumulators, states and logits."""
    network = one_unit(
        Activation.RELU,
        recurrent_weight=np.array([[2, -3], [1, 4]]),
        input_weight=np.array([[1, -2], [3, 0]]),
        output_weight=np.array([[1, -1], [2, 1]]),
        bias=np.array([1, -2]),
        output_bias=np.array([0, 5]),
        weight_bits=WeightBits(4, 4, 4),
        input_format=IntFormat(2, signed=False),
        input_shift=1,
        multiplier=np.array([3, 3]),
        shift=3,
        initial_state=np.array([0, 3]),
    )
    model = IntegerModel(network)
    first = model.step(model.initial_state(1), np.array([[3, 1]]))
    assert first.accumulator.tolist() == [[-6, 28]]
    assert first.activated.tolist() == [[0, 28]]
    assert first.state.tolist() == [[0, 7]]
    second = model.step(first.state, np.array([[0, 2]]))
    assert second.accumulator.tolist() == [[-28, 26]]
    assert second.state.tolist() == [[0, 7]]
    trace = model.run(np.array([[[3, 1], [0, 2]]]))
    assert trace.logits[0, 0].tolist() == [-7, 12]
    assert trace.argmax[0, 0] == 1


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [(Rounding.HALF_UP, [-1, -1, 0, 1, 1, 2]), (Rounding.HALF_EVEN, [-2, -1, 0, 0, 1, 2])],
)
def test_tie_rules(rounding, expected):
    """The two tie rules give the table's rows."""
    assert [round_shift(v, 2, rounding) for v in (-6, -5, -2, 2, 5, 6)] == expected


@pytest.mark.parametrize(("bias", "expected"), [(-3, [-2, 0, 0, 0, 2]), (2, [-7, -4, 0, 4, 7])])
def test_modrelu(bias, expected):
    """Modrelu shrinks or stretches toward its sign and leaves zero alone."""
    network = one_unit(Activation.MODRELU, bias=np.array([bias]))
    assert states(network, [-5, -2, 0, 2, 5]) == expected


def test_tanh_table():
    """The table is read at the index plus half its size."""
    table = np.array([-7, -6, -5, -3, 0, 3, 5, 6])
    network = one_unit(Activation.TANH, table=table)
    assert states(network, [-4, 0, 3]) == [-7, 0, 6]
    assert states(network, [-16, 15]) == [-7, 6]
