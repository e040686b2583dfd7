"""The recurrence in one kernel is the recurrence step by step; on a machine with a GPU: `pytest -m gpu`."""

import pytest
import torch

from qornn_hw.cells.elman_network import Activation
from qornn_hw.ir.formats import Rounding
from qornn_hw.training import CopyConfig, train
from qornn_hw.training import recurrence as recurrence_module
from qornn_hw.training.recurrence import Grid, recur

pytestmark = pytest.mark.gpu

GRIDS = (None, Grid(0.125, 6), Grid(0.125, 6, Rounding.HALF_EVEN))


def _gradients(activation, device, *, grid, last_only, by_row, indices, n=170, steps=40, batch=37):
    generator = torch.Generator().manual_seed(1)
    random = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    unit = 0.005 + 0.01 * torch.rand(n, 1, generator=generator) if by_row else 0.0078125
    w = torch.randint(-8, 8, (n, n), generator=generator) * unit
    parameters = [w, random(n, 5), 0.1 * random(n), random(batch, n)]
    x = torch.randint(0, 5, (batch, steps), generator=generator) if indices else random(batch, steps, 5)
    weight = random(batch, n) if last_only else random(steps, batch, n)
    parameters = [p.to(device).requires_grad_() for p in parameters]
    unit = unit.to(device) if by_row else unit
    w, u, b, h = parameters
    out = recur(activation, w, u, b, x.to(device), h, unit=unit, grid=grid, last_only=last_only)
    out.backward(weight.to(device))
    zero = torch.zeros(1)
    return [out.detach().cpu(), *(zero if p.grad is None else p.grad.cpu() for p in parameters)]


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("grid", GRIDS, ids=["real", "half_up", "half_even"])
@pytest.mark.parametrize("last_only", [True, False])
@pytest.mark.parametrize("by_row", [True, False])
def test_one_kernel_gives_the_states_and_gradients_of_single_steps(
    activation, grid, last_only, by_row, monkeypatch
):
    """To float32's rounding; on a grid few states fall to the other side of a half, within few steps."""
    steps = 40 if grid is None else 4
    for indices in (True, False):
        options = {"steps": steps, "grid": grid, "last_only": last_only, "by_row": by_row, "indices": indices}
        found = _gradients(activation, "cuda", **options)
        with monkeypatch.context() as m:
            m.setattr(recurrence_module, "_in_one_kernel", lambda state, o: False)
            wanted = _gradients(activation, "cuda", **options)
        for a, b in zip(found, wanted, strict=True):
            scale = float(b.abs().max()) or 1.0
            error = ((a - b).abs() / scale).flatten()
            if grid is None:
                assert float(error.max()) < 1e-3
            else:
                assert float((error > 1e-3).float().mean()) < 0.05


def test_a_kernel_with_a_wrong_weight_gives_other_states(monkeypatch):
    """The comparison above detects a planted difference."""
    options = {"grid": None, "last_only": True, "by_row": False, "indices": True}
    wanted = _gradients(Activation.RELU, "cuda", **options)[0]
    from qornn_hw.training import recurrence_gpu

    plain = recurrence_gpu._in_units

    def wrong(recurrent, unit):
        matrix, worth = plain(recurrent, unit)
        matrix[3] += 8.0
        return matrix, worth

    monkeypatch.setattr(recurrence_gpu, "_in_units", wrong)
    found = _gradients(Activation.RELU, "cuda", **options)[0]
    assert float((found - wanted).abs().max() / wanted.abs().max()) > 1e-3


def test_training_on_a_gpu_repeats_itself():
    """Two runs give the same network and the same metrics."""
    config = CopyConfig(blank=30, hidden=32, bits=5, iterations=40, finetune_iterations=20, activation="relu")
    first, second = (train(config, quiet=True, device="cuda") for _ in range(2))
    assert first.metrics == second.metrics
    assert (first.network.recurrent_weight == second.network.recurrent_weight).all()
