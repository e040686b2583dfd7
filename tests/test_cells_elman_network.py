"""What an integer network may be."""

import numpy as np
import pytest
from networks import make_network, network_fields, one_hot_fields

from qornn_hw.cells.any_network import macs_per_step
from qornn_hw.cells.elman_network import Activation, IntegerNetwork, OutputMode, Scales, WeightBits
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat


def replaced(array, value):
    """Return a copy of an array with its first entry replaced."""
    copy = np.array(array)
    copy.reshape(-1)[0] = value
    return copy


FIELDS = network_fields()
FAILURES = [
    ({"recurrent_weight": np.zeros((3, 2), int)}, "recurrent_weight must have shape (3, 3), not (3, 2)"),
    (
        {"recurrent_weight": np.zeros(3, int)},
        "recurrent_weight, input_weight and output_weight must be matrices",
    ),
    ({"input_weight": np.zeros((2, 2), int)}, "input_weight must have shape (3, 2), not (2, 2)"),
    ({"input_weight": np.zeros((3, 0), int)}, "a network must have at least 1 of its inputs, not 0"),
    ({"output_weight": np.zeros((0, 3), int)}, "a network must have at least 1 of its outputs, not 0"),
    (
        {"recurrent_weight": np.zeros((0, 0), int)},
        "a network must have at least 1 of its hidden units, not 0",
    ),
    ({"bias": np.zeros(4, int)}, "bias must have shape (3,), not (4,)"),
    ({"bias": np.zeros(3)}, "bias must hold integers, not float64"),
    (
        {"recurrent_weight": replaced(FIELDS["recurrent_weight"], 8)},
        "recurrent_weight must lie in -8 to 7, not 8 at [0, 0]",
    ),
    ({"weight_bits": WeightBits(0, 4, 4)}, "weight_bits.recurrent must be 1 to 8, not 0"),
    ({"weight_bits": WeightBits(4, 9, 4)}, "weight_bits.input must be 1 to 8, not 9"),
    ({"weight_bits": WeightBits(4, 4, 9)}, "weight_bits.output must be 1 to 8, not 9"),
    ({"weight_bits": WeightBits(4, 1, 4)}, "input_weight with 1-bit weights must hold only -1 and +1"),
    ({"state_bits": 3}, "state_bits must be 4 to 16, not 3"),
    ({"state_bits": 17}, "state_bits must be 4 to 16, not 17"),
    ({"input_shift": 32}, "input_shift must be 0 to 31, not 32"),
    ({"shift": 48}, "shift must be 0 to 47, not 48"),
    ({"input_format": IntFormat(17, signed=True)}, "input_format.bits must be 1 to 16, not 17"),
    ({"multiplier": np.zeros(3, int)}, "multiplier must lie in 1 to 65535, not 0 at [0]"),
    ({"initial_state": np.full(3, 128)}, "initial_state must lie in -128 to 127, not 128 at [0]"),
    (
        {"bias": np.full(3, 1 << 39)},
        "bias must lie in -549755813888 to 549755813887, not 549755813888 at [0]",
    ),
    ({"activation": Activation.TANH}, "table must be given for the tanh activation"),
    ({"table": np.zeros(8, int)}, "table must be absent for the identity activation"),
    (
        {"activation": Activation.TANH, "table": np.zeros(6, int)},
        "table must have 4 to 16384 entries, a power of two, not shape (6,)",
    ),
    (
        {"activation": Activation.TANH, "table": np.full(8, 200)},
        "table must lie in -128 to 127, not 200 at [0]",
    ),
    (
        one_hot_fields(2) | {"input_format": IntFormat(3, signed=False)},
        "input_format of 2 one-hot symbols must be 1 bit, unsigned, not 3 bits, unsigned",
    ),
    (
        one_hot_fields(2) | {"input_format": IntFormat(1, signed=True)},
        "input_format of 2 one-hot symbols must be 1 bit, unsigned, not 1 bit, signed",
    ),
    (
        {"bias": np.array([0, 1, 2**64 - 1], np.uint64)},
        "bias must lie in 0 to 9223372036854775807, not 18446744073709551615 at [2]",
    ),
    (
        {"recurrent_weight": replaced(np.zeros((3, 3), np.uint64), 2**63)},
        "recurrent_weight must lie in 0 to 9223372036854775807, not 9223372036854775808 at [0, 0]",
    ),
]


@pytest.mark.parametrize(("changes", "message"), FAILURES)
def test_refusals(changes, message):
    """A field that breaks a rule is named with the rule and its value."""
    with pytest.raises(FormatError) as error:
        IntegerNetwork(**(FIELDS | changes))
    assert str(error.value) == message


def test_unsigned_integers_are_taken():
    """Unsigned integers within the range are as good as signed ones."""
    for dtype in (np.uint8, np.uint64):
        assert make_network(bias=np.array([0, 1, 200], dtype)).bias.tolist() == [0, 1, 200]


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_are_positive(value):
    """A scale that is not positive and finite is refused by name."""
    with pytest.raises(FormatError, match=r"^scales.state must be positive and finite, not "):
        Scales(1.0, value, 1.0, 1.0)


def test_one_hot_table_may_be_wide():
    """U of a one-hot network is a table and may have more than 8 bits."""
    net = make_network(
        weight_bits=WeightBits(4, 20, 4), input_weight=np.full((3, 2), 1 << 18), **one_hot_fields(2)
    )
    assert not net.vector_input


def test_macs_count_the_rows_that_a_step_computes():
    """One-hot columns cost nothing, and V counts where every step is answered."""
    assert macs_per_step(make_network(n=5, m=3, p=2)) == 25 + 15 + 10
    assert macs_per_step(make_network(n=5, m=3, p=2, output_mode=OutputMode.LAST_STEP)) == 25 + 15
    assert macs_per_step(make_network(n=5, m=3, p=2, **one_hot_fields(3))) == 25 + 10


def test_arrays_are_frozen():
    """Nobody changes a network after it has been checked."""
    with pytest.raises(ValueError, match="read-only"):
        make_network().bias[0] = 1
