"""A linear layer of signs and Hadamard blocks: float model, integers, structure."""

import numpy as np
import pytest
import torch

from qornn_hw.cells.graph import CellGraph, Hadamard
from qornn_hw.cells.hadamard import HadamardUnits
from qornn_hw.cells.real_model import run_cell
from qornn_hw.errors import FormatError
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.ops import HadamardTerm
from qornn_hw.ir.serial import network_arrays, network_digest, network_entry, network_of
from qornn_hw.ir.sylvester import blocks
from qornn_hw.quantization.cell_lowering import CellBits
from qornn_hw.quantization.quantize_stack import quantized_stack
from qornn_hw.quantization.stack import RealStack
from qornn_hw.training.traced_graph import trace


def cell_of(units=12, block=4, seed=0, inputs=3):
    """Return a cell at the start of a training."""
    return HadamardUnits.start(inputs, units, np.random.default_rng(seed), block=block)


@pytest.mark.parametrize(("units", "block"), [(2, 2), (12, 2), (12, 4), (32, 32), (96, 0)])
def test_the_step_is_the_formula(units, block):
    """``h' = W x + diag(sign(u)) blockdiag(H) h / sqrt(b) + bias``, and the matrix is orthogonal."""
    cell = cell_of(units, block)
    cell.bias[:] = np.random.default_rng(1).normal(size=units)
    x, h = np.random.default_rng(2).normal(size=(1, 9, 3)), np.zeros(units)
    matrix = np.where(cell.signs < 0, -1, 1)[:, None] * blocks(units, cell.block) / np.sqrt(cell.block)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(units), atol=1e-12)
    for entry in x[0]:
        h = cell.weight_ih @ entry + matrix @ h + cell.bias
    np.testing.assert_allclose(run_cell(cell.graph, x)[1]["h"][0, -1], h)


@pytest.mark.parametrize("units", [8, 64, 96])
def test_signs_are_balanced_at_the_start(units):
    """Half of the signs are negative; with all of one sign the matrix has the eigenvalue 1 many times."""
    cell = cell_of(units, 0)
    assert np.count_nonzero(cell.signs < 0) == units // 2
    plain = np.linalg.eigvals(blocks(units, cell.block) / np.sqrt(cell.block))
    assert np.count_nonzero(np.abs(plain - 1) < 1e-9) == units // 2


@pytest.mark.parametrize("negative", [4, 10, 16, 28])
def test_eigenvalues_of_unbalanced_signs(negative):
    """1 and -1 are eigenvalues at least ``|sum of u| / 2`` times each."""
    signs = np.where(np.random.default_rng(negative).permutation(32) < negative, -1, 1)
    found = np.linalg.eigvals(signs[:, None] * blocks(32, 32) / np.sqrt(32))
    least = abs(int(signs.sum())) // 2
    for value in (1, -1):
        assert np.count_nonzero(np.abs(found - value) < 1e-6) >= least


def integers_of(cell, x, **bits):
    """Return the network of a cell with a random readout behind a relu."""
    stack = RealStack(
        (cell,), np.random.default_rng(3).normal(size=(5, cell.units)), np.zeros(5), output_relu=True
    )
    return quantized_stack(stack, x, **bits).network


def test_the_structure_is_kept():
    """The network has a Hadamard term, one factor for W x and one for W h; the file gives it back."""
    x = np.random.default_rng(4).normal(size=(16, 20, 3))
    network = integers_of(cell_of(), x, weight_bits=4, state_bits=12)
    (group,) = network.layers[0].groups
    terms = {type(row.terms[0]): row.terms[0] for row in group.rows}
    term = terms[HadamardTerm]
    assert (term.block, term.rows) == (4, 12)
    assert np.array_equal(term.signs, np.where(cell_of().signs < 0, -1, 1))
    for factor in group.tail[0].factors:
        assert len(set(factor.multiplier.tolist())) == 1
    again = network_of(network_entry(network), network_arrays(network))
    assert network_digest(again) == network_digest(network)
    assert isinstance(again.layers[0].groups[0].rows[1].terms[0], HadamardTerm)


def test_integers_are_near_the_float_model():
    """A wide state loses little over 60 steps, though nothing is forgotten."""
    x = np.random.default_rng(5).normal(size=(16, 60, 3))
    cell = cell_of(32, 16)
    network = integers_of(cell, x, weight_bits=8, state_bits=16)
    source = network.input
    integers = np.clip(
        np.rint((x - np.array(source.offset)) / np.array(source.scale)), source.format.min, source.format.max
    ).astype(np.int64)
    run = Interpreter(network).run(integers)
    real = run_cell(cell.graph, x)[1]["h"]
    error = run.states["layer0.h"] * network.scales["layer0.h"] - real
    assert np.sqrt(np.mean(error**2)) < 0.02 * real.std()


@pytest.mark.parametrize(
    ("units", "block", "message"),
    [
        (12, 8, "block must be a power of two from 2 to 4"),
        (7, 0, "the units must be even"),
        (12, 5, "power of two"),
    ],
)
def test_blocks_that_do_not_fit(units, block, message):
    """The units must be a multiple of the block."""
    with pytest.raises(FormatError, match=message):
        HadamardUnits(np.ones((units, 1)), np.ones(units), np.ones(units), block=block)


def test_an_input_has_no_hadamard_product():
    """Its channels have units of their own."""
    graph = CellGraph(4)
    with pytest.raises(FormatError, match="must read a value of the cell, not its input"):
        graph.hadamard(np.ones(4), 4, graph.input)
    assert isinstance(graph.hadamard(np.ones(4), 4, graph.state("h", 4)), Hadamard)


def test_widths_have_one_bit_a_unit():
    """Bits of the weights do not touch the signs."""
    x = np.random.default_rng(6).normal(size=(8, 10, 3))
    network = integers_of(cell_of(16, 16), x, weight_bits=3, state_bits=8)
    rows = network.layers[0].groups[0].rows
    assert {(type(row.terms[0]).__name__, row.terms[0].stored_bits) for row in rows} == {
        ("Term", 16 * 3 * 3),
        ("HadamardTerm", 16),
    }
    assert CellBits(weights=3).weights == 3


def test_zero_is_positive_everywhere():
    """In the float model, in torch and in the integers."""
    cell = HadamardUnits(np.ones((4, 1)), np.array([0.0, -1.0, 0.0, 2.0]), np.zeros(4))
    (product,) = (value for value in cell.graph.values if isinstance(value, Hadamard))
    assert product.signs.tolist() == [1.0, -1.0, 1.0, 1.0]
    traced = trace(cell, {"signs": torch.tensor(cell.signs, dtype=torch.float32)})
    (product,) = (value for value in traced.values if isinstance(value, Hadamard))
    assert product.signs.tolist() == [1.0, -1.0, 1.0, 1.0]
