"""The trained module: what it computes is what the hardware will."""

import numpy as np
import pytest
import torch

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation
from qornn_hw.quantization.quantize import export
from qornn_hw.training.cells import QORNN
from qornn_hw.training.config import Method

# A one-hot input of tanh and hardtanh is rounded to the accumulator's precision by the export only.
CELLS = [(activation, True) for activation in Activation] + [(a, False) for a in list(Activation)[:3]]


ROWS = [
    (*cell, rows) for cell in CELLS for rows in (False, True) if not rows or cell[0] in list(Activation)[:3]
]


@pytest.mark.parametrize("activation, vector, per_row", ROWS)
def test_trained_cell_is_the_integer_model(activation, vector, per_row):
    """A cell with rounded states, float64 and biases on their grid gives the integer model's states."""
    torch.manual_seed(1)
    scale, bits = 2.0**-5, 8
    tied = activation.function.bounded
    cell = QORNN(
        4, 11, 3, activation, 4, 4, fixed_scales=(bits, scale) if tied else None, per_row=per_row
    ).double()
    integers = torch.randint(0, 32, (20, 15, 4)) if vector else torch.randint(0, 4, (20, 15))
    x = integers * scale if vector else integers
    cell.state_bits, cell.input_scale, cell.state_shift = bits, scale if vector else 1.0, 0 if vector else 5
    with torch.no_grad():
        q = cell.quantized()
        unit = q.steps[0] * q.grid.step
        if activation is not Activation.IDENTITY:
            # modrelu jumps at 0 where its bias is positive, and real arithmetic does not hit 0 by rows.
            integers_of_bias = torch.randint(-40, 1 if per_row else 40, (11,))
            cell.bias.copy_(integers_of_bias * torch.as_tensor(unit, dtype=torch.float64).flatten())
        states = cell.states(q, x.double() if vector else x).transpose(0, 1)
    network = export(
        q.recurrent,
        q.input,
        q.output,
        bias=cell.bias,
        activation=activation,
        calibration_inputs=x,
        input="vector" if vector else "one_hot",
        input_bits=5,
        input_signed=False,
        input_scale=scale,
        state_bits=bits,
        weight_steps=q.steps,
        state_range=0.75 * q.grid.step * 2 ** (bits - 1),
    ).network
    assert network.scales.state == pytest.approx(q.grid.step, rel=1e-12)
    model = IntegerModel(network).run(integers.numpy())
    found = np.rint(states.numpy() / q.grid.step)
    if activation.shape.indexed:
        # The function is that of the centre of an index, up to a quarter of a step of the state off.
        differences = np.abs(found - model.states)
        assert differences[:, 0].max() <= 1
        assert differences.mean() < 1
    elif per_row:
        # Units that are no multiples of each other make ties that real arithmetic breaks either way, so each
        # step is compared by itself, from the integer model's state.
        before = np.concatenate([np.zeros_like(model.states[:, :1]), model.states[:, :-1]], axis=1)
        start = torch.from_numpy(before.reshape(-1, 11) * q.grid.step)
        single = x.reshape(300, 1, -1).double() if vector else x.reshape(300, 1)
        with torch.no_grad():
            after = cell.states(q, single, start)[0]
        error = np.abs(np.rint(after.numpy() / q.grid.step) - model.states.reshape(-1, 11))
        assert error.max() <= 1 and error.mean() < 0.01
    else:
        np.testing.assert_array_equal(found, model.states)
    assert len(np.unique(model.states)) > 20


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("norm_preserving", [False, True])
@pytest.mark.parametrize("per_row", [False, True])
def test_quantized_weights_lie_on_their_grids(method, norm_preserving, per_row):
    """W, U and V are k-bit integers times their steps, and W's step is one that the requantizer holds."""
    torch.manual_seed(2)
    cell = QORNN(
        3, 20, 4, Activation.RELU, 4, 6, method=method, norm_preserving=norm_preserving, per_row=per_row
    ).double()
    q = cell.quantized()
    for weight, step, bits in zip((q.recurrent, q.input, q.output), q.steps, (4, 4, 6), strict=True):
        integers = weight.detach() / step
        torch.testing.assert_close(integers, integers.round(), rtol=0, atol=1e-9)
        integers = integers.round()
        assert integers.min() >= -(2 ** (bits - 1)) and integers.max() <= 2 ** (bits - 1) - 1
        # The entries of Hadamard blocks are of one magnitude, with zeros outside.
        assert integers.unique().numel() > 8 or (method is Method.HADAMARD and weight is q.recurrent)
    for step in torch.as_tensor(q.steps[0], dtype=torch.float64).flatten().tolist():
        significand = step * 2.0**40
        while significand % 2 == 0:
            significand //= 2
        assert significand < 2**12
    if norm_preserving:
        assert float(q.recurrent.detach().norm()) == pytest.approx(20**0.5, rel=1e-3)


def test_forward_is_the_loop():
    """All steps at once, the last step only, and one step at a time give the same logits."""
    torch.manual_seed(3)
    cell = QORNN(5, 7, 4, Activation.MODRELU, 4, 8).double().eval()
    x = torch.randint(0, 5, (3, 6))
    with torch.no_grad():
        logits, end = cell(x)
        state, single = None, []
        for t in range(6):
            answer, state = cell(x[:, t : t + 1], state)
            single.append(answer[:, 0])
        last, last_state = cell(x, last_only=True)
    torch.testing.assert_close(logits, torch.stack(single, dim=1))
    torch.testing.assert_close(end, state)
    torch.testing.assert_close(last, logits[:, -1])
    torch.testing.assert_close(last_state, end)


def test_state_dict_holds_the_stage():
    """Rounding of weights and states is part of the saved state."""
    cell, other = (QORNN(5, 7, 4, Activation.RELU, 4, 8) for _ in range(2))
    cell.round_weights, cell.state_bits, cell.state_shift, cell.input_scale = False, 9, -2, 0.5
    other.load_state_dict(cell.state_dict())
    assert (other.round_weights, other.state_bits, other.state_shift, other.input_scale) == (
        False,
        9,
        -2,
        0.5,
    )


@pytest.mark.parametrize("method", [Method.BJORCK, Method.FREE])
@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("norm_preserving", [False, True])
def test_orthogonal_rounding(method, per_row, norm_preserving):
    """W becomes nearly orthogonal integers times a step, and the next passes give the same integers."""
    torch.manual_seed(5)
    cell = QORNN(
        2, 48, 3, Activation.RELU, 3, 8, method=method, per_row=per_row, norm_preserving=norm_preserving
    ).eval()

    def error():
        q = cell.quantized()
        lengths = q.recurrent.detach().norm(dim=1)
        return float(
            torch.linalg.matrix_norm(q.recurrent.detach() @ q.recurrent.detach().T - torch.eye(48))
        ), lengths

    before, _ = error()
    cell.round_orthogonally()
    after, lengths = error()
    assert after < 0.7 * before
    if per_row:
        torch.testing.assert_close(lengths, torch.ones(48), rtol=2e-3, atol=0)
    q = cell.quantized()
    levels = (q.recurrent / q.steps[0]).detach()
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-3)
    other = QORNN(
        2, 48, 3, Activation.RELU, 3, 8, method=method, per_row=per_row, norm_preserving=norm_preserving
    )
    other.load_state_dict(cell.state_dict())
    torch.testing.assert_close(other.eval().quantized().recurrent, q.recurrent)
    # Half a step away from the next level: a small change of W changes no integer.
    with torch.no_grad():
        cell.recurrent_weight.add_(0.02 * torch.as_tensor(cell.held_step) * torch.randn(48, 48).sign())
    q = cell.quantized()
    assert torch.equal((q.recurrent / q.steps[0]).detach().round(), levels.round())


def test_frozen_weights_stay():
    """A frozen W gives the same quantized W in every pass, while U and V are trained."""
    torch.manual_seed(4)
    cell = QORNN(5, 40, 4, Activation.IDENTITY, 4, 8)
    with torch.no_grad():
        # Nearly equal singular values, for which the norm's estimate takes long to settle.
        cell.recurrent_weight.add_(1e-3 * torch.randn(40, 40))
    cell.quantized()
    cell.recurrent_weight.requires_grad_(False)
    first = cell.quantized().plain
    for _ in range(20):
        assert torch.equal(cell.quantized().plain, first)
    cell.recurrent_weight.requires_grad_(True)
    assert not torch.equal(cell.quantized().plain, first)
