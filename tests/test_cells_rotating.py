"""A linear layer whose units' own weights are apart: start, float model, integers, training."""

import numpy as np
import pytest
import torch

from qornn_hw.cells.real_model import run_cell
from qornn_hw.cells.registry import CELLS
from qornn_hw.cells.rotating import RotatingUnits
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.quantization.cell_lowering import CellBits
from qornn_hw.quantization.quantize_stack import quantized_stack
from qornn_hw.quantization.stack import RealStack
from qornn_hw.training.cell_stack import CellStack
from qornn_hw.training.weight_rounding import stable_weights


def cell_of(units=24, seed=0, inputs=2):
    """Return a cell at the start of a training."""
    return RotatingUnits.start(inputs, units, np.random.default_rng(seed))


@pytest.mark.parametrize("units", [2, 7, 24])
def test_it_starts_with_rotations_in_a_random_basis(units):
    """The matrix is orthogonal, its eigenvalues turn by at most a right angle; the diagonal is apart."""
    cell = cell_of(units)
    assert not np.diag(cell.weight_hh).any()
    matrix = cell.weight_hh + np.diag(cell.own)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(units), atol=1e-12)
    assert np.abs(np.angle(np.linalg.eigvals(matrix))).max() <= np.pi / 2
    assert np.abs(cell.weight_hh).max() > 1e-3


def test_the_step_is_the_formula():
    """``h' = W x + (U + diag(d)) h + b``."""
    cell = cell_of()
    cell.bias[:] = np.random.default_rng(1).normal(size=24)
    x, h = np.random.default_rng(2).normal(size=(1, 9, 2)), np.zeros(24)
    for entry in x[0]:
        h = cell.weight_ih @ entry + (cell.weight_hh + np.diag(cell.own)) @ h + cell.bias
    np.testing.assert_allclose(run_cell(cell.graph, x)[1]["h"][0, -1], h)


def error_of(cell, x, **bits):
    """Return the relative error of the integers' last states."""
    stack = RealStack((cell,), np.eye(3, cell.units), np.zeros(3), output_relu=True)
    network = quantized_stack(stack, x, **bits).network
    source = network.input
    low, high = source.format.min, source.format.max
    integers = np.clip(np.rint((x - np.array(source.offset)) / np.array(source.scale)), low, high).astype(int)
    found = Interpreter(network).run(integers).states["layer0.h"][:, -1] * network.scales["layer0.h"]
    real = run_cell(cell.graph, x)[1]["h"][:, -1]
    return float(np.sqrt(np.mean((found - real) ** 2)) / real.std())


def test_the_own_weights_are_exact_with_few_bits():
    """Four bits of U keep most of the memory; the same matrix as a linear layer loses it."""
    x = np.random.default_rng(3).normal(size=(32, 40, 2))
    cell = cell_of(32)
    whole = CELLS["linear"](cell.weight_ih, cell.weight_hh + np.diag(cell.own), cell.bias)
    apart, together = (error_of(c, x, weight_bits=4, state_bits=16) for c in (cell, whole))
    assert apart < 0.5 * together


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_rounded_weights_are_stable(bits):
    """With the own weights the spectral radius is 1; gradients pass straight through."""
    cell = cell_of(24)
    weight = torch.tensor(cell.weight_hh).requires_grad_()
    own = torch.tensor(cell.own).requires_grad_()
    found, step, scaled = stable_weights(weight, torch.full((24, 1), 0.05, dtype=torch.float64), bits, own)
    integers = (found / step).detach()
    torch.testing.assert_close(integers, integers.round(), atol=1e-9, rtol=0)
    matrix = (found + torch.diag(scaled)).detach()
    assert float(torch.linalg.eigvals(matrix).abs().max()) == pytest.approx(1.0)
    (found.sum() + 2 * scaled.sum()).backward()
    assert bool((weight.grad == 1).all()) and bool((own.grad == 2).all())


def test_a_training_pass_is_that_of_the_steps():
    """In real numbers, and with rounded weights; the fields of the export are those of the pass."""
    random = np.random.default_rng(0)
    cells = (cell_of(12, inputs=1), CELLS["dense"].start(12, 6, random))
    network = RealStack(cells, random.normal(size=(4, 6)), random.normal(size=4))
    module = CellStack(network, CellBits(), 8, orthogonal=True)
    x = torch.rand(6, 30, 1, generator=torch.Generator().manual_seed(0))
    quick, _ = module(x, last_only=True)
    slow, _ = module(x)
    torch.testing.assert_close(quick, slow[:, -1], rtol=1e-4, atol=1e-5)
    made = module.stack().cells[0]
    matrix = made.weight_hh + np.diag(made.own)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(12), atol=1e-4)
    np.testing.assert_allclose(np.diag(made.weight_hh), 0.0, atol=1e-7)
    assert len(module.recurrent_weights()) == 3
