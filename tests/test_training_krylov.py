"""The last state of a linear recurrence by powers of its matrix."""

import numpy as np
import pytest
import torch

from qornn_hw.cells.graph import Linear
from qornn_hw.cells.linear import LinearUnits
from qornn_hw.cells.registry import CELLS
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.sylvester import blocks
from qornn_hw.quantization.cell_lowering import CellBits
from qornn_hw.quantization.input_grid import InputGrid
from qornn_hw.quantization.stack import RealStack, quantize_stack
from qornn_hw.training import train
from qornn_hw.training.cell_stack import CellStack
from qornn_hw.training.krylov import (
    hadamard_matrices,
    krylov_matrices,
    last_hadamard_state,
    last_linear_state,
)
from qornn_hw.training.stack_configs import SequentialMnistStackConfig
from qornn_hw.training.weight_rounding import stable_weights


def draws(*shapes, seed=0):
    """Return random float64 tensors with gradients."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes]


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8, 13, 64, 100])
@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_last_state_is_that_of_the_loop(steps, inputs, one_hot):
    """State and all gradients equal those of the plain loop, for any number of steps."""
    w, u, b, start = draws((4, 4), (4, inputs), (4,), (5, 4), seed=steps)
    with torch.no_grad():
        w.mul_(0.4)
    x = torch.randn(steps, 5, inputs, dtype=torch.float64)
    if one_hot:
        x = torch.randint(inputs, (steps, 5))
    h = start
    for entry in x:
        h = (u.T[entry] if one_hot else entry @ u.T) + h @ w.T + b
    found = last_linear_state(w, u, b, x, start)
    torch.testing.assert_close(found, h)
    weights = torch.randn(5, 4, dtype=torch.float64)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), (w, u, b, start)),
        torch.autograd.grad((h * weights).sum(), (w, u, b, start)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("steps", [1, 2, 7, 30])
@pytest.mark.parametrize(("units", "block"), [(2, 2), (12, 4), (16, 16), (64, 32)])
@pytest.mark.parametrize("one_hot", [False, True])
def test_signs_and_blocks_are_the_full_matrix(steps, units, block, one_hot):
    """State and gradients are those of the matrix in full; a start only moves the state."""
    u, b, start = draws((units, 3), (units,), (5, units), seed=steps)
    signs = torch.where(torch.arange(units) * 7 % 5 < 2, -1.0, 1.0).double().requires_grad_()
    x = torch.randint(3, (steps, 5)) if one_hot else torch.randn(steps, 5, 3, dtype=torch.float64)
    full = signs[:, None] * torch.from_numpy(blocks(units, block)).double() / block**0.5
    weights = torch.randn(5, units, dtype=torch.float64)
    for first in (start, torch.zeros_like(start)):
        found = last_hadamard_state(signs, block, u, b, x, first)
        wanted = last_linear_state(full, u, b, x, first)
        torch.testing.assert_close(found, wanted)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), (signs, u, b)),
        torch.autograd.grad((wanted * weights).sum(), (signs, u, b)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_the_matrices_of_signs_are_the_powers():
    """The input of step t is multiplied with W^(T - 1 - t) U."""
    signs, (u,) = torch.tensor([1.0, -1.0, -1.0, 1.0]).double(), draws((4, 2))
    w = signs[:, None] * torch.from_numpy(blocks(4, 4)).double() / 2
    for t, one in enumerate(hadamard_matrices(signs, 4, u, 6)):
        torch.testing.assert_close(one, torch.linalg.matrix_power(w, 5 - t) @ u)


def test_the_matrices_are_the_powers():
    """The input of step t is multiplied with W^(T - 1 - t) U."""
    w, u = draws((3, 3), (3, 2))
    matrices, power = krylov_matrices(w, u, 6)
    for t in range(6):
        torch.testing.assert_close(matrices[t], torch.linalg.matrix_power(w, 5 - t) @ u)
    torch.testing.assert_close(power, torch.linalg.matrix_power(w, 6))


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_rounded_weights_are_stable(bits):
    """The rows are integers times their steps, and the spectral radius is 1."""
    weight = torch.nn.init.orthogonal_(torch.empty(24, 24, dtype=torch.float64))
    found, step, _ = stable_weights(weight, torch.full((24, 1), 0.1, dtype=torch.float64), bits)
    integers = found / step
    torch.testing.assert_close(integers, integers.round(), atol=1e-9, rtol=0)
    assert float(torch.linalg.eigvals(found).abs().max()) == pytest.approx(1.0)


def stack(n=12, top=6):
    """Return a linear layer with a dense one."""
    random = np.random.default_rng(0)
    cells = (LinearUnits.start(1, n, random), CELLS["dense"].start(n, top, random))
    return RealStack(cells, random.normal(size=(4, top)), random.normal(size=4))


def test_a_training_pass_is_that_of_the_steps():
    """Without a loop the module answers as step by step."""
    module = CellStack(stack(), CellBits(), 8, orthogonal=True)
    x = torch.rand(6, 30, 1, generator=torch.Generator().manual_seed(0))
    quick, state = module(x, last_only=True)
    slow, other = module(x)
    torch.testing.assert_close(quick, slow[:, -1], rtol=1e-4, atol=1e-5)
    for one, two in zip(state, other, strict=True):
        torch.testing.assert_close(one[0], two[0], rtol=1e-4, atol=1e-5)


def test_a_training_pass_of_signs_is_that_of_the_steps():
    """With a dense layer behind the signs, and with a start."""
    random = np.random.default_rng(0)
    first = CELLS["hadamard"].start(1, 12, random, initial=random.normal(size=12))
    network = RealStack(
        (first, CELLS["dense"].start(12, 6, random)), random.normal(size=(4, 6)), random.normal(size=4)
    )
    module = CellStack(network, CellBits(), 8, orthogonal=True)
    x = torch.rand(6, 30, 1, generator=torch.Generator().manual_seed(0))
    quick, _ = module(x, last_only=True)
    slow, _ = module(x)
    torch.testing.assert_close(quick, slow[:, -1], rtol=1e-4, atol=1e-5)
    assert {id(p) for p in module.recurrent_weights()} == {
        id(module.layers[0][name]) for name in ("signs", "bias")
    }


def test_the_matrix_of_a_training_is_orthogonal():
    """Before it is rounded; a module that is tuned keeps the matrix that it was given."""
    network = stack()
    given = network.cells[0].weight_hh * 0.8
    changed = RealStack(
        (LinearUnits(network.cells[0].weight_ih, given, network.cells[0].bias), network.cells[1]),
        network.output_weight,
        network.output_bias,
    )
    kept = CellStack(changed, CellBits(), 8).stack().cells[0].weight_hh
    np.testing.assert_allclose(kept, given, atol=1e-6)
    made = CellStack(changed, CellBits(), 8, orthogonal=True).stack().cells[0].weight_hh
    np.testing.assert_allclose(made @ made.T, np.eye(12), atol=1e-4)


@pytest.mark.parametrize("cell", ["linear", "rotating", "hadamard"])
def test_mnist_by_pixels_is_trained_without_a_loop(bars, cell):
    """Linear units and a dense layer learn which row of an image is bright; the integers, too."""
    config = SequentialMnistStackConfig(
        data=str(bars), cell=cell, hidden=24, dense=16, batch=60, halved_epochs=0, float_epochs=0,
        weights_epochs=12, epochs=2, quantized_rate=1.0, learning_rate=5e-3,
    )  # fmt: skip
    checkpoint = train(config, quiet=True)
    assert checkpoint.metrics["integer"]["accuracy"] > 0.2
    stages = list(dict.fromkeys(point["stage"] for point in checkpoint.provenance["curve"]))
    assert stages == ["smnist, rounded weights", "smnist, integers"]
    assert [len(layer.states) for layer in checkpoint.network.layers] == [1, 1]


def test_the_input_s_matrix_of_signs_has_one_step():
    """With one input, too: its weights lie on one grid; those of a linear layer are exact."""
    random = np.random.default_rng(0)
    for name, most in (("hadamard", 16), ("linear", 32)):
        cells = (CELLS[name].start(1, 32, random),)
        network = RealStack(cells, random.normal(size=(4, 32)), random.normal(size=4), output_relu=True)
        module = CellStack(network, CellBits(), 8, orthogonal=True)
        grid = InputGrid(IntFormat(8, signed=False), np.full(1, 1 / 255), np.zeros(1))
        x = random.uniform(size=(8, 10, 1))
        _, layers = quantize_stack(network, x, grid, bits=CellBits(), output_bits=8)
        module.hold(layers, 0.1, values=False)
        (weight,) = (
            v.weight for v in module.graphs()[0].values if isinstance(v, Linear) and v.value.size == 1
        )
        count = len(torch.as_tensor(weight).unique())
        assert count <= most and (name == "hadamard" or count == 32)
