"""Cells in integers: near the float model, never wider than proved, and each part of the lowering counts."""

from dataclasses import replace

import numpy as np
import pytest
from real_cells import CELLS, real_cell

from qornn_hw.cells.leaky import Leaky
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.kinds import OutputMode
from qornn_hw.ir.ops import Add, Requantize, Table
from qornn_hw.quantization.cell_lowering import CellBits, best_exponent
from qornn_hw.quantization.input_grid import InputGrid
from qornn_hw.quantization.stack import RealStack, quantize_stack

WIDE = CellBits(weights=8, states=14, gates=14, index=13, values=18)


def stack_of(names, rng, units=12, inputs=4, one_hot=False):
    """Return a random stack of cells."""
    cells = [real_cell(names[0], units, inputs, rng)]
    for k, name in enumerate(names[1:], 1):
        cells.append(real_cell(name, units - k, cells[-1].units, rng))
    last = cells[-1].units
    return RealStack(tuple(cells), rng.normal(size=(3, last)), rng.normal(size=3), one_hot=one_hot)


def error_of(stack, x, grid, bits, **given):
    """Return the relative error of the integer logits."""
    network, _ = quantize_stack(stack, x, grid, bits=bits, **given)
    run = Interpreter(network).run(x if grid is None else grid.integers(x))
    logits = stack.run(x)
    logits = logits[:, -1:] if network.readout.mode is OutputMode.LAST_STEP else logits
    return float(np.sqrt(np.mean((run.logits * network.scales["logits"] - logits) ** 2)) / logits.std())


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(("bits", "most"), [(WIDE, 0.02), (CellBits(weights=8), 0.09), (CellBits(), 0.2)])
def test_near_the_float_model(name, bits, most):
    """The logits' error shrinks with the widths."""
    rng = np.random.default_rng(7)
    stack = stack_of([name], rng)
    x = rng.normal(size=(32, 30, 4))
    assert error_of(stack, x, InputGrid.of_range(x, 12), bits) < most


@pytest.mark.parametrize("name", CELLS)
def test_one_hot_inputs(name):
    """Symbols select columns of the float weights at the accumulator's precision."""
    rng = np.random.default_rng(8)
    stack = stack_of([name], rng, inputs=6, one_hot=True)
    x = rng.integers(0, 6, (32, 30))
    assert error_of(stack, x, None, WIDE) < 0.02


def test_stacks():
    """Three layers of different cells, answered at the last step only."""
    rng = np.random.default_rng(9)
    stack = stack_of(["gru", "lstm", "fastgrnn"], rng)
    x = rng.normal(size=(32, 30, 4))
    assert error_of(stack, x, InputGrid.of_range(x, 12), WIDE, mode=OutputMode.LAST_STEP) < 0.03


def test_channels_of_different_size():
    """Scales and offsets of channels are part of the weights and biases."""
    rng = np.random.default_rng(10)
    stack = stack_of(["gru"], rng)
    spread, middle = np.array([500.0, 0.3, 5.0, 200.0]), np.array([1e3, 0.0, -7.0, 2e4])
    cell = stack.cells[0]
    # The same network on inputs that are not normalised.
    weight = cell.weight_ih / spread
    bias = cell.bias_ih - weight @ middle
    raw = replace(stack, cells=(replace(cell, weight_ih=weight, bias_ih=bias),))
    x = rng.normal(size=(32, 30, 4))
    assert np.allclose(raw.run(x * spread + middle), stack.run(x))
    assert error_of(raw, x * spread + middle, InputGrid.of_range(x * spread + middle, 12), WIDE) < 0.02


def test_initial_states():
    """A state begins at the nearest integer to its real start."""
    rng = np.random.default_rng(11)
    cell = replace(real_cell("gru", 6, 4, rng), initial=np.linspace(-0.9, 0.9, 6))
    stack = RealStack((cell,), rng.normal(size=(3, 6)), np.zeros(3))
    x = rng.normal(size=(8, 5, 4))
    network, layers = quantize_stack(stack, x, InputGrid.of_range(x, 12), bits=WIDE)
    unit = layers[0].scales["layer0.h"]
    assert np.abs(network.states["layer0.h"].initial * unit - cell.initial).max() <= unit / 2


def test_gates_share_a_table():
    """Sigmoids and the tanh of a GRU have the same entries."""
    rng = np.random.default_rng(12)
    x = rng.normal(size=(8, 5, 4))
    network, _ = quantize_stack(stack_of(["gru"], rng), x, InputGrid.of_range(x, 8))
    tables = [op for op in network.operations if isinstance(op, Table)]
    assert len(tables) == 3
    assert len({op.entries.tobytes() for op in tables}) == 1


@pytest.mark.parametrize("name", CELLS)
def test_a_sum_is_rounded_once(name):
    """What a table looks up was made by one operation, whatever it sums."""
    rng = np.random.default_rng(13)
    x = rng.normal(size=(8, 5, 4))
    network, _ = quantize_stack(stack_of([name], rng), x, InputGrid.of_range(x, 8))
    indices = [op.value for op in network.operations if isinstance(op, Table)]
    made = [op.name for op in network.operations if isinstance(op, (Add, Requantize))]
    assert set(indices) <= set(made)


def test_coarse_factors_are_counted():
    """A unit whose input is a ten-thousandth of the others' leaves its factor no bits, and is counted."""
    rng = np.random.default_rng(14)
    weight = rng.normal(size=(6, 4))
    weight[2] *= 1e-6
    cell = Leaky(weight, np.zeros((6, 6)), np.zeros(6), 0.5)
    x = rng.normal(size=(8, 5, 4))
    _, layers = quantize_stack(RealStack((cell,), np.ones((1, 6)), np.zeros(1)), x, InputGrid.of_range(x, 8))
    assert sum(layers[0].coarse.values()) >= 1


@pytest.mark.parametrize(
    ("values", "bits", "exponent"),
    [([1.0, -1.0], 8, -6), ([0.99, -1.0], 8, -7), ([0.0], 8, -7), ([100.0], 4, 4), ([2.0**-9], 8, -15)],
)
def test_units_are_powers_of_two(values, bits, exponent):
    """The finest unit that holds the values, or a finer one where few are clipped."""
    assert best_exponent(np.array(values), IntFormat(bits, signed=True)) == exponent


@pytest.mark.parametrize("field", ["weights", "states", "gates", "index", "values", "multiplier", "symbols"])
@pytest.mark.parametrize("value", [0, 99, 4.0, True])
def test_widths_are_checked(field, value):
    """Each width is an integer of its range."""
    with pytest.raises(FormatError, match=rf"^bits of {field} must be an integer from"):
        CellBits(**{field: value})
