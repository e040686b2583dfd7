"""projUNN: updates against closed forms, samplers, and the optimizer."""

import io
import re

import pytest
import torch

from qornn_hw.errors import FormatError
from qornn_hw.training.loop import one_thread
from qornn_hw.training.projunn import (
    ProjUNN,
    column_approximation,
    lsi_approximation,
    project,
    transport,
)
from qornn_hw.training.quantizer import Quantize

SAMPLERS = [lsi_approximation, column_approximation]


@pytest.fixture(autouse=True)
def single_thread():
    """Compute in one thread, as training does: tests run side by side."""
    with one_thread():
        yield


def normal(*shape, seed=0):
    """Return normal numbers, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(n, seed=0):
    """Return an orthogonal matrix, float64."""
    return torch.linalg.qr(normal(n, n, seed=seed))[0]


def error(w):
    """Return the spectral norm of ``W^T W - I``."""
    w = w.detach().double()
    return float(torch.linalg.matrix_norm(w.T @ w - torch.eye(len(w), dtype=w.dtype), ord=2))


def polar(m):
    """Return the polar factor of M by its SVD."""
    u, _, v = torch.linalg.svd(m)
    return u @ v


@pytest.mark.parametrize("size", [1e-6, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("n, rank", [(1, 1), (2, 1), (3, 3), (20, 1), (20, 3), (20, 15), (20, 20)])
def test_projection_is_the_polar_factor(n, rank, size):
    """D gives the polar factor of W + a b^T, the nearest orthogonal matrix."""
    w = orthogonal(n)
    a, b = size * normal(n, rank, seed=1), normal(n, rank, seed=2)
    got = project(w, a, b)
    torch.testing.assert_close(got, polar(w + a @ b.T), rtol=0, atol=1e-9)
    assert error(got) < 1e-9


@pytest.mark.parametrize("size", [1e-6, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("n, rank", [(1, 1), (2, 1), (3, 3), (20, 1), (20, 3), (20, 15), (20, 20)])
def test_transport_is_the_matrix_exponential(n, rank, size):
    """T gives W times the exponential of the antisymmetric part of W^T a b^T."""
    w = orthogonal(n)
    a, b = size * normal(n, rank, seed=1), normal(n, rank, seed=2)
    tangent = w.T @ a @ b.T
    got = transport(w, a, b)
    wanted = w @ torch.linalg.matrix_exp(0.5 * (tangent - tangent.T))
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-9)
    assert error(got) < 1e-10


@pytest.mark.parametrize("update", [project, transport])
def test_updates_of_nothing_and_of_dependent_columns(update):
    """With a = 0 W is not changed, and linearly dependent columns are allowed."""
    w = orthogonal(10)
    zero = torch.zeros(10, 2, dtype=torch.float64)
    torch.testing.assert_close(update(w, zero, zero), w, rtol=0, atol=1e-14)
    b = normal(10, 1, seed=3).expand(10, 2)
    a = 0.3 * w @ b
    torch.testing.assert_close(
        update(w, a, b), update(w, a[:, :1] * 2, b[:, :1].contiguous()), rtol=0, atol=1e-10
    )
    assert error(update(w, a, b)) < 1e-10


def test_updates_agree_to_first_order():
    """For small steps D and T are the same up to the third order of the step."""
    w, a, b = orthogonal(12), normal(12, 2, seed=1), normal(12, 2, seed=2)
    gaps = [float((project(w, s * a, b) - transport(w, s * a, b)).norm()) for s in (1e-2, 5e-3)]
    # Both are retractions: the tangent part agrees to first order, the rest is of second order.
    assert 3.0 < gaps[0] / gaps[1] < 9.0


@pytest.mark.parametrize("rank", [1, 2, 5])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_are_exact_for_low_rank(sampler, rank):
    """A direction whose rank is that of the approximation comes back whole (column: its span drawn)."""
    d = normal(30, rank, seed=1) @ normal(rank, 30, seed=2)
    a, b = sampler(d, rank, torch.Generator().manual_seed(0))
    assert a.shape == b.shape == (30, rank)
    if sampler is column_approximation and rank > 1:
        # Columns may be drawn twice; then the span is smaller.
        a, b = sampler(d, 8 * rank, torch.Generator().manual_seed(0))
    torch.testing.assert_close(a @ b.T, d, rtol=0, atol=1e-9)


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_project(sampler, rank):
    """The approximation has rank r, is D projected on orthonormal columns, and is never longer than D."""
    d = normal(25, 25, seed=4)
    for seed in range(20):
        a, b = sampler(d, rank, torch.Generator().manual_seed(seed))
        basis = b if sampler is lsi_approximation else a
        gram = basis.T @ basis
        projector = gram @ gram - gram
        assert projector.abs().max() < 1e-9
        assert torch.linalg.matrix_rank(a @ b.T) <= rank
        assert (a @ b.T).norm() <= d.norm()
        wanted = d @ b @ b.T if sampler is lsi_approximation else a @ a.T @ d
        torch.testing.assert_close(a @ b.T, wanted)


def test_column_sample_is_unbiased():
    """Scaled sampled columns c have E[c c^T] = D D^T; for rank 1 the drawn column's direction shows which."""
    d = normal(6, 6, seed=5) * torch.linspace(0.2, 2, 6)
    norms = d.norm(dim=0)
    p = norms / norms.sum()
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(6)
    draws = 6000
    for _ in range(draws):
        a, _ = column_approximation(d, 1, generator)
        counts[((d / norms).T @ a).abs().argmax()] += 1
    torch.testing.assert_close((counts / draws).double(), p, rtol=0, atol=4 * 0.5 / draws**0.5)
    # With these p the estimate sum_j p_j (d_j d_j^T / p_j) is D D^T identically.
    estimate = sum(p[j] * torch.outer(d[:, j], d[:, j]) / p[j] for j in range(6))
    torch.testing.assert_close(estimate, d @ d.T)


def test_lsi_prefers_the_large_directions():
    """On average LSI keeps more of D than a random subspace, r / n, and of rank one nearly all of its top."""
    u, _, v = torch.linalg.svd(normal(40, 40, seed=1))
    s = torch.tensor([10.0] + [1.0] * 39, dtype=torch.float64)
    d = u @ torch.diag(s) @ v
    kept = []
    for seed in range(200):
        a, b = lsi_approximation(d, 1, torch.Generator().manual_seed(seed))
        kept.append(float((a @ b.T).square().sum() / d.square().sum()))
    assert sum(kept) / len(kept) > 0.3 > 3 / 40


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zero_direction(sampler, dtype):
    """A direction of zero is approximated by zero."""
    a, b = sampler(torch.zeros(8, 8, dtype=dtype), 2, torch.Generator().manual_seed(0))
    assert torch.equal(a @ b.T, torch.zeros(8, 8, dtype=dtype))


@pytest.mark.parametrize("alpha", [0.99, None])
@pytest.mark.parametrize("sampler", ["lsi", "column"])
@pytest.mark.parametrize("projection", ["D", "T"])
@pytest.mark.parametrize("rank", [1, 4, 12])
def test_procrustes_descends(projection, sampler, alpha, rank):
    """The optimizer rotates W towards min ||W A - B||, B = W* A, and stays orthogonal."""
    n = 12
    a = normal(n, 40, seed=1) / 40**0.5
    target = orthogonal(n, 2)
    if torch.det(target) < 0:
        target = torch.cat((-target[:, :1], target[:, 1:]), 1)
    start = torch.eye(n, dtype=torch.float64)
    w = torch.nn.Parameter(start.clone())
    rate = 0.1 if alpha is None else 0.03
    optimizer = ProjUNN(
        [w], rate, rank=rank, projection=projection, sampler=sampler, alpha=alpha, lr_divider=1.0
    )
    losses = []
    for i in range(800):
        if alpha is not None:
            optimizer.param_groups[0]["lr"] = rate * 0.996**i
        optimizer.zero_grad()
        loss = (w @ a - target @ a).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.02 * losses[0]
    assert error(w) < 1e-9


@pytest.mark.parametrize("projection", ["D", "T"])
@pytest.mark.parametrize("rank", [1, 3])
def test_stays_orthogonal_in_float32(projection, rank):
    """After 1000 updates in float32, W is orthogonal to 1e-5; without the repair it drifts further."""
    drifts = []
    for every in (100, 0):
        torch.manual_seed(0)
        w = torch.nn.Parameter(orthogonal(64).float())
        optimizer = ProjUNN(
            [w], 1e-2, rank=rank, projection=projection, lr_divider=1.0, reorthogonalize=every
        )
        largest = 0.0
        for i in range(1000):
            w.grad = torch.randn(64, 64)
            optimizer.step()
            if i % 50 == 48:
                largest = max(largest, error(w))
        drifts.append(largest)
    assert drifts[0] < 1e-5 and drifts[0] < drifts[1]


def quantized_net():
    """Return a small RNN that sees its recurrent matrix quantized, and its two optimizers."""
    torch.manual_seed(0)
    rnn = torch.nn.RNN(3, 16, nonlinearity="relu", batch_first=True)
    torch.nn.init.orthogonal_(rnn.weight_hh_l0)
    torch.nn.utils.parametrize.register_parametrization(rnn, "weight_hh_l0", Quantize(4))
    w = rnn.parametrizations.weight_hh_l0.original
    rest = [p for p in rnn.parameters() if p is not w]
    return rnn, w, ProjUNN([w], 1e-2, rank=2, seed=5), torch.optim.RMSprop(rest, 1e-3)


def train(rnn, optimizers, generator, iterations):
    """Train on random numbers; return the last loss."""
    for _ in range(iterations):
        x = torch.randn(4, 6, 3, generator=generator)
        loss = (rnn(x)[0][:, -1] - x.sum(1, keepdim=True).sum(2)).square().mean()
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    return loss.item()


def test_resumed_run_is_the_uninterrupted_one():
    """State dictionaries through a file in the middle leave every weight the same, bit for bit."""
    rnn, w, *optimizers = quantized_net()
    generator = torch.Generator().manual_seed(1)
    train(rnn, optimizers, generator, 150)
    file = io.BytesIO()
    torch.save([rnn.state_dict(), *(o.state_dict() for o in optimizers)], file)
    numbers = generator.get_state()
    wanted = train(rnn, optimizers, generator, 70)
    file.seek(0)
    states = torch.load(file, weights_only=True)
    twin, v, *others = quantized_net()
    for part, state in zip((twin, *others), states, strict=True):
        part.load_state_dict(state)
    generator.set_state(numbers)
    assert train(twin, others, generator, 70) == wanted
    assert torch.equal(v, w)
    assert error(w) < 1e-5


def test_closure_and_missing_gradient():
    """The loss of a closure is returned; a parameter without a gradient is not changed."""
    w, other = (torch.nn.Parameter(orthogonal(4, seed)) for seed in (0, 1))
    before = other.detach().clone()
    optimizer = ProjUNN([w, other], 1.0)

    def closure():
        loss = (w**2).sum() + w[0, 0]
        loss.backward()
        return loss

    first = w.detach().clone()
    assert optimizer.step(closure).item() == pytest.approx(4 + float(first[0, 0]))
    assert torch.equal(other, before) and not torch.equal(w, first)
    assert optimizer.step() is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"lr": -1.0}, "lr must be at least 0, not -1.0"),
        ({"rank": 0}, "rank must be at least 1, not 0"),
        ({"projection": "X"}, "projection must be 'D' or 'T', not 'X'"),
        ({"sampler": "row"}, "sampler must be 'lsi' or 'column', not 'row'"),
        ({"alpha": 1.0}, "alpha must be None or from 0 to below 1, not 1.0"),
        ({"eps": 0.0}, "eps must be positive, not 0.0"),
        ({"lr_divider": 0.0}, "lr_divider must be positive, not 0.0"),
        ({"reorthogonalize": -1}, "reorthogonalize must be at least 0, not -1"),
        ({"params": [torch.nn.Parameter(torch.ones(2, 3))]}, None),
    ],
)
def test_errors(options, message):
    """Invalid arguments are refused in one line."""
    message = message or "a parameter of ProjUNN must be a square matrix, not of shape (2, 3)"
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        ProjUNN(**({"params": [torch.nn.Parameter(torch.eye(2))]} | options))
