"""The recurrence over time and its written-out backward pass, against autograd and finite differences."""

import itertools

import pytest
import torch

from qornn_hw.cells.elman_network import Activation
from qornn_hw.training.quantizer import round_state
from qornn_hw.training.recurrence import Grid, Workspace, recur

KINDS = ("indices", "one", "vector")


def make(kind, dtype=torch.float64, batch=3, steps=5, n=4):
    """Return W, U, b, x and h_0 for an input of that kind."""
    torch.manual_seed(1)
    m = 1 if kind == "one" else 3
    x = (
        torch.randint(0, m, (batch, steps))
        if kind == "indices"
        else torch.randn(batch, steps, m, dtype=dtype)
    )
    weights = [
        torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in ((n, n), (n, m), (n,), (batch, n))
    ]
    w, u, b, h = weights
    return w, u, b, x, h


def act(activation, z, b):
    """Return the activation by its definition."""
    return {
        Activation.IDENTITY: lambda: z,
        Activation.RELU: lambda: torch.relu(z + b),
        Activation.MODRELU: lambda: torch.sign(z) * torch.relu(z.abs() + b),
        Activation.HARDTANH: lambda: torch.clamp(z + b, -1, 1),
        Activation.TANH: lambda: torch.tanh(z + b),
        Activation.PWL_SIGMOID: lambda: torch.sigmoid(z + b),
    }[activation]()


def plain(activation, w, u, b, x, h, grid=None):
    """Return the states by an autograd loop."""
    states = []
    for t in range(x.shape[1]):
        drive = u.T[x[:, t]] if x.ndim == 2 else x[:, t] @ u.T
        h = act(activation, h @ w.T + drive, b)
        if grid is not None:
            h = round_state(h, grid.step, grid.bits)
        states.append(h)
    return torch.stack(states)


@pytest.mark.parametrize("activation, kind", list(itertools.product(Activation, KINDS)))
@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("grid", [None, Grid(0.125, 5)])
def test_equals_autograd(activation, kind, last_only, grid):
    """States and the gradients of W, U, b and h_0 are those of a plain loop."""
    w, u, b, x, h = make(kind)
    found = recur(activation, w, u, b, x, h, last_only=last_only, grid=grid)
    wanted = plain(activation, w, u, b, x, h, grid)
    wanted = wanted[-1] if last_only else wanted
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    weight = torch.randn_like(wanted)
    leaves = [w, u, h] if activation is Activation.IDENTITY else [w, u, b, h]
    got = torch.autograd.grad((found * weight).sum(), leaves)
    want = torch.autograd.grad((wanted * weight).sum(), leaves)
    for g, v in zip(got, want, strict=True):
        torch.testing.assert_close(g, v, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("activation", [Activation.IDENTITY, Activation.TANH, Activation.MODRELU])
def test_finite_differences(activation):
    """The backward pass agrees with finite differences of the forward pass."""
    w, u, b, x, h = make("vector")
    with torch.no_grad():
        b.abs_()
    assert torch.autograd.gradcheck(lambda *p: recur(activation, *p[:3], x, p[3]), (w, u, b, h))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_row", [False, True])
def test_unit_changes_nothing(kind, by_row):
    """The unit, one or by row, does not change the result."""
    w, u, b, x, h = make(kind)
    unit = torch.rand(4, 1, dtype=torch.float64) + 0.1 if by_row else 0.37
    found = recur(Activation.TANH, w, u, b, x, h, unit=unit)
    torch.testing.assert_close(found, recur(Activation.TANH, w, u, b, x, h), rtol=0, atol=1e-12)


def test_evaluation_keeps_no_states():
    """Without gradients the last state is the same, and only two states are held."""
    w, u, b, x, h = make("vector", steps=50)
    wanted = recur(Activation.RELU, w, u, b, x, h, last_only=True)
    workspace = Workspace()
    with torch.no_grad():
        found = recur(Activation.RELU, w, u, b, x, h, last_only=True, workspace=workspace)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    assert workspace.tensor("states", h, 2, 3, 4).untyped_storage().nbytes() == 2 * 3 * 4 * 8


def test_workspace_is_used_again_and_guarded():
    """Two calls share their memory, and a backward pass over overwritten states is refused."""
    w, u, b, x, h = make("vector")
    workspace = Workspace()
    first = recur(Activation.TANH, w, u, b, x, h, workspace=workspace).sum()
    second = recur(Activation.TANH, w, u, b, 2 * x, h, workspace=workspace).sum()
    second.backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        first.backward()


def test_bfloat16_loses_no_weight():
    """Products in bfloat16 err by the rounding of the states only: integers in W stay exact."""
    torch.manual_seed(0)
    n = 64
    w = torch.randint(-8, 8, (n, n)) * 0.043
    state = torch.randint(-100, 100, (256, n)).float()
    zero = torch.zeros(n)
    x = torch.zeros(256, 1, 1)
    exact, rounded = (
        recur(Activation.IDENTITY, w, torch.zeros(n, 1), zero, x, state, unit=0.043, bfloat16=flag)
        for flag in (False, True)
    )
    torch.testing.assert_close(rounded, exact, rtol=0, atol=1e-3)
