"""Stacks of cells: what their shapes must be."""

import numpy as np
import pytest
from real_cells import real_cell

from qornn_hw.errors import DataError, FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.quantization.cell_lowering import CellBits
from qornn_hw.quantization.input_grid import InputGrid
from qornn_hw.quantization.stack import RealStack, quantize_stack

RNG = np.random.default_rng(0)
CELL = real_cell("gru", 4, 3, RNG)
X = RNG.normal(size=(2, 5, 3))


FAILURES = {
    "no cell": (
        lambda: RealStack((), np.ones((1, 4)), np.ones(1)),
        FormatError,
        r"must have a cell, not none",
    ),
    "layers that do not fit": (
        lambda: RealStack((CELL, CELL), np.ones((1, 4)), np.ones(1)),
        FormatError,
        r"^layer 1 must read the 4 units below it, not 3 inputs$",
    ),
    "a readout that does not fit": (
        lambda: RealStack((CELL,), np.ones((1, 5)), np.ones(1)),
        FormatError,
        r"^the readout must have 4 columns and a bias for each row, not shapes \(1, 5\) and \(1,\)$",
    ),
    "no calibration inputs": (
        lambda: quantize_stack(RealStack((CELL,), np.ones((1, 4)), np.ones(1)), X[:0], None),
        DataError,
        r"^calibration inputs must hold a step, not none$",
    ),
    "vectors without a grid": (
        lambda: quantize_stack(RealStack((CELL,), np.ones((1, 4)), np.ones(1)), X, None),
        FormatError,
        r"^an input of vectors must have a grid, and has none$",
    ),
    "a grid of other channels": (
        lambda: quantize_stack(
            RealStack((CELL,), np.ones((1, 4)), np.ones(1)),
            X,
            InputGrid(IntFormat(8, signed=True), np.ones(1), np.zeros(1)),
        ),
        FormatError,
        r"^the input's grid must have 3 channels, not 1$",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(name):
    """One line says what must be what."""
    make, error, message = FAILURES[name]
    with pytest.raises(error, match=message):
        make()


def test_a_relu_in_front_of_v():
    """The integers have it, too: they are near the float logits, and far from those without the relu."""
    weight, bias = RNG.normal(size=(3, 4)), RNG.normal(size=3)
    stack = RealStack((CELL,), weight, bias, output_relu=True)
    assert np.allclose(stack.run(X), np.maximum(stack.trace(X)[0][0]["h'"], 0) @ weight.T + bias)
    grid = InputGrid(IntFormat(8, signed=True), np.full(3, 1 / 32), np.zeros(3))
    net, _ = quantize_stack(stack, X, grid, bits=CellBits(weights=8, states=12), output_bits=8)
    got = Interpreter(net).answers(grid.integers(X)) * net.scales["logits"]
    plain = RealStack((CELL,), weight, bias).run(X)
    error, apart = (np.abs(got - wanted).mean() for wanted in (stack.run(X), plain))
    assert error < 0.05 * apart
