# amaranth: UnusedElaboratable=no
"""The function of straight pieces against its operation."""

import numpy as np
import pytest
from component_bench import pipeline_results

from qornn_hw.cells.piecewise_fit import fitted_pieces
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.ops import PiecewiseLinear as Operation
from qornn_hw.rtl_gen.piecewise_linear import PiecewiseLinear


def operation(knots, factors, shifts, offsets, shift, form, rounding=Rounding.HALF_UP):
    """Return an operation on a value ``x``."""
    arrays = (np.array(values, dtype=np.int64) for values in (knots, factors, shifts, offsets))
    return Operation("y", "x", *arrays, shift, form, rounding)


def random_operation(rng, value):
    """Return a random operation, some of whose knots may lie beyond the values, and its rounding matters."""
    count, bits = int(rng.integers(1, 20)), value.bits + 2
    knots = np.sort(rng.choice(np.arange(-(1 << bits), 1 << bits), count, replace=False))
    shift = int(rng.integers(0, 9))
    reach = 1 << (value.bits + shift)
    return operation(
        knots,
        rng.integers(-15 if rng.integers(2) else 0, 16, count + 1),
        rng.integers(0, 1 + rng.integers(0, 7), count + 1),
        rng.integers(-reach, reach, count + 1),
        shift,
        IntFormat(int(rng.integers(2, 12)), signed=bool(rng.integers(2))),
        Rounding.HALF_EVEN if rng.integers(2) else Rounding.HALF_UP,
    )


def results(found, value, values):
    """Return what the component makes of some values."""
    dut = PiecewiseLinear(found, value)
    return pipeline_results(dut, [{"value": v} for v in values], "result", dut.LATENCY)


def check(found, value, values=None):
    """Compare the component with the operation, for every value of the format where none are given."""
    values = list(range(value.min, value.max + 1)) if values is None else values
    got = pipeline_results(
        PiecewiseLinear(found, value), [{"value": v} for v in values], "result", PiecewiseLinear.LATENCY
    )
    assert got == found.evaluate(np.array([values])).ravel().tolist()


@pytest.mark.parametrize("seed", range(24))
def test_every_value_of_random_functions(seed):
    """Exhaustive: values of 3 to 10 bits, signed or not, through random pieces."""
    rng = np.random.default_rng(seed)
    value = IntFormat(int(rng.integers(3, 11)), signed=bool(rng.integers(2)))
    check(random_operation(rng, value), value)


@pytest.mark.parametrize("rounding", list(Rounding))
def test_every_value_of_14_bits(rounding):
    """Exhaustive: a sigmoid of 31 pieces."""
    half = 1 << 13
    pieces = fitted_pieces(
        lambda q: 2048 / (1 + np.exp(-q * 16 / half)),
        centre=1024.0, index_bits=14, shift=12, tolerance=0.5, knots_max=15,
    )  # fmt: skip
    found = pieces.operation("y", "x", IntFormat(12, signed=True), rounding)
    assert pieces.count == 31
    check(found, IntFormat(14, signed=True))


def test_most_knots_of_wide_values():
    """Random values of 32 bits and the values around each of 64 knots."""
    rng = np.random.default_rng(7)
    value = IntFormat(32, signed=True)
    knots = np.sort(rng.choice(np.arange(-(1 << 20), 1 << 20), 64, replace=False)) << 11
    offsets = rng.integers(-(1 << 45), 1 << 45, 65)
    found = operation(
        knots, rng.integers(-15, 16, 65), rng.integers(0, 12, 65), offsets, 20, IntFormat(24, signed=True)
    )
    around = [int(v) for knot in knots for v in (knot - 1, knot, knot + 1)]
    ends = [value.min, value.max]
    check(found, value, [*around, *ends, *rng.integers(value.min, value.max, 500).tolist()])


@pytest.mark.parametrize(("knots", "piece"), [([100], 0), ([-100], 1), ([-100, 100], 1)])
def test_one_piece(knots, piece):
    """Knots beyond all values leave one piece."""
    count = len(knots) + 1
    found = operation(knots, range(1, count + 1), [0] * count, range(count), 0, IntFormat(9, signed=True))
    value = IntFormat(5, signed=True)
    check(found, value)
    assert found.evaluate(np.array([[3]])).item() == 3 * (piece + 1) + piece


def test_cases():
    """Relu and a hard sigmoid."""
    value = IntFormat(7, signed=True)
    check(Operation.relu("y", "x"), value)
    check(Operation.clip("y", "x", -20, 30), value)


@pytest.mark.parametrize("field", ["knots", "factors", "shifts", "offsets"])
def test_a_fault_is_seen(field):
    """One number of the pieces that is off by one changes a result."""
    found = {
        "knots": [-9, 4],
        "factors": [1, 3, 2],
        "shifts": [0, 1, 2],
        "offsets": [5, -7, 0],
        "shift": 0,
        "form": IntFormat(12, signed=True),
    }
    values = list(range(-32, 32))
    wanted = operation(**found).evaluate(np.array([values])).ravel().tolist()
    for at in range(len(found[field])):
        wrong = operation(**found | {field: [v + (i == at) for i, v in enumerate(found[field])]})
        assert results(wrong, IntFormat(6, signed=True), values) != wanted
