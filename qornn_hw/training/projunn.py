"""projUNN: low-rank updates that keep a square matrix orthogonal.

The optimizer is for recurrent matrices that are exactly orthogonal, in full precision. A step turns the
gradient into a direction D, takes a rank-r approximation ``D ~ a b^T``, and moves W to an orthogonal matrix
near ``W + a b^T`` in ``O(r n**2)`` operations. STE-projUNN uses q_k(W) in the forward pass and passes the
gradient straight through to W.

Sources: Kiani, Balestriero, LeCun, Lloyd (arXiv 2203.05483) and their code for the updates and samplers;
Foucault, Mamalet, Malgouyres (arXiv 2402.04012) for the use with q_k.

Neither update needs an n x n decomposition. With ``c = W^T a`` and W orthogonal, only the span of the 2 r
columns ``[b, c]`` changes; Q is an orthonormal basis of it:

    D, the polar factor of M = W + a b^T, which is the nearest orthogonal matrix:
        M^T M = I + Q S Q^T,   S = Q^T (c b^T + b c^T + b a^T a b^T) Q
        W+ = M (M^T M)^(-1/2) = M + M Q ((I + S)^(-1/2) - I) Q^T
    T, the exponential map along the projection of a b^T on the tangent space:
        W+ = W exp((c b^T - b c^T) / 2) = W + W Q (exp(S) - I) Q^T,   S = Q^T (c b^T - b c^T) Q / 2

Both updates rely on W being orthogonal, and their round-off errors add up. One iteration of Björck every few
hundred steps, ``O(n**3)``, squares the accumulated error.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from qornn_hw.errors import FormatError

__all__ = ["ProjUNN", "column_approximation", "lsi_approximation", "project", "transport"]

Projection = Literal["D", "T"]
Sampler = Literal["lsi", "column"]


def lsi_approximation(direction: Tensor, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return ``a``, ``b``, (n, r) each, by sampling the row space of ``direction``, (n, n), at random.

    LSI: R, (n, r), is a random orthonormal matrix, ``B = sqrt(n / r) R^T D``, ``B B^T = v e v^T``. The
    columns of ``b = B^T v / sqrt(e)`` are an orthonormal basis of the rows of B, and ``a = D b``. So a b^T is
    the projection of D on them: its norm is at most that of D, and it is D itself if D has rank r or less.
    Directions whose eigenvalue e is round-off are left out.
    """
    n = direction.shape[0]
    # In float64 on the CPU, so that every device and dtype uses the same random numbers.
    start = torch.randn(n, min(rank, n), generator=generator, dtype=torch.float64)
    r = torch.linalg.qr(start)[0].to(direction)
    sampled = (n / r.shape[1]) ** 0.5 * (r.T @ direction)
    e, v = torch.linalg.eigh(sampled @ sampled.T)
    b = sampled.T @ v * _inverse_root(e)
    return direction @ b, b


def column_approximation(direction: Tensor, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return ``a``, ``b``, (n, r) each, by sampling columns of ``direction``, (n, n), by their norms.

    r columns d_j, drawn with replacement with probability ``p_j = |d_j| / sum |d|``, are scaled by
    ``1 / sqrt(r p_j)``, so that their matrix C has ``E[C C^T] = D D^T``. With ``C^T C = v e v^T``, the
    columns of ``a = C v / sqrt(e)`` are an orthonormal basis of its column space, and ``b = D^T a``.
    """
    norms = direction.norm(dim=0)
    total = norms.sum()
    if not bool(total > 0):
        zero = direction.new_zeros(direction.shape[0], rank)
        return zero, zero.clone()
    p = norms / total
    drawn = torch.multinomial(p.double().cpu(), rank, replacement=True, generator=generator)
    drawn = drawn.to(direction.device)
    c = direction[:, drawn] / (rank * p[drawn]).sqrt()
    e, v = torch.linalg.eigh(c.T @ c)
    a = c @ v * _inverse_root(e)
    return a, direction.T @ a


def _inverse_root(e: Tensor) -> Tensor:
    """Return ``1 / sqrt(e)`` of ascending eigenvalues, 0 where e is round-off of the largest."""
    floor = e[-1] * len(e) * 8 * torch.finfo(e.dtype).eps
    real = e > floor.clamp(min=torch.finfo(e.dtype).tiny)
    return torch.where(real, torch.where(real, e, 1.0).rsqrt(), 0.0)


def _basis(weight: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return Q, and ``W^T a`` and b in the basis Q, in float64.

    Operations in the small basis are cheap. In float32 their errors would add up, step by step, in the
    directions that are updated most.
    """
    c, b = (weight.T @ a).double(), b.double()
    q = torch.linalg.qr(torch.cat((b, c), dim=1))[0]
    return q, q.T @ c, q.T @ b


def project(weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the orthogonal matrix nearest to ``W + a b^T``, projUNN-D, for W orthogonal.

    Args:
        weight: W, (n, n), orthogonal.
        a: (n, r).
        b: (n, r).
    """
    q, c, d = _basis(weight, a, b)
    cross = c @ d.T
    s, v = torch.linalg.eigh(cross + cross.T + d @ (a.T @ a).double() @ d.T)
    # 1 + s are the eigenvalues of M^T M; at 0, M is singular and its polar factor is not unique.
    factor = (1 + s).clamp(min=torch.finfo(s.dtype).eps).rsqrt() - 1
    moved = weight + a @ b.T
    u = q @ v
    result: Tensor = moved + (moved @ (u * factor).to(moved)) @ u.T.to(moved)
    return result


def transport(weight: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return ``W exp(A)`` with A the antisymmetric part of ``W^T a b^T``, projUNN-T, for W orthogonal.

    Args:
        weight: W, (n, n), orthogonal.
        a: (n, r).
        b: (n, r).
    """
    q, c, d = _basis(weight, a, b)
    cross = 0.5 * c @ d.T
    s = torch.linalg.matrix_exp(cross - cross.T)
    s.diagonal().sub_(1.0)
    result: Tensor = weight + (weight @ (q @ s).to(weight)) @ q.T.to(weight)
    return result


_PROJECTIONS = {"D": project, "T": transport}
_SAMPLERS = {"lsi": lsi_approximation, "column": column_approximation}


def _require(good: bool, text: str, value: object) -> None:
    if not good:
        raise FormatError(f"{text}, not {value!r}")


class ProjUNN(Optimizer):
    """Optimizer for square orthogonal parameters. All other parameters need an optimizer of their own.

    The direction is that of RMSprop, ``D = -(lr / lr_divider) G / (sqrt(v) + eps)`` with
    ``v <- alpha v + (1 - alpha) G**2``, or plain, ``D = -(lr / lr_divider) G``.

    Args:
        params: parameters (n, n), or groups of them, orthogonal when training starts; for a parametrized
            weight ``module.parametrizations.<name>.original``.
        lr: learning rate of the network's other weights.
        rank: rank r of the approximation; from n on, D is used without approximation.
        projection: "D" for the nearest orthogonal matrix, "T" for the exponential map.
        sampler: "lsi" or "column".
        alpha: smoothing constant of RMSprop; None for the plain direction.
        eps: RMSprop's eps.
        lr_divider: divides the learning rate of the orthogonal matrix; 32 as in projUNN's copying and adding.
        reorthogonalize: number of updates between two iterations of Björck, which remove round-off and keep
            ``||W W^T - I||`` below 1e-5 in float32; 0 for never.
        seed: seed of the sampler's own generator. ``state_dict`` holds the generator's state, so a resumed
            run equals the uninterrupted run bit for bit.

    Raises:
        FormatError: an argument is out of range, or a parameter is not a square matrix.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        *,
        rank: int = 1,
        projection: Projection = "D",
        sampler: Sampler = "lsi",
        alpha: float | None = 0.99,
        eps: float = 1e-8,
        lr_divider: float = 32.0,
        reorthogonalize: int = 100,
        seed: int = 0,
    ) -> None:
        _require(lr >= 0, "lr must be at least 0", lr)
        _require(rank >= 1, "rank must be at least 1", rank)
        _require(projection in _PROJECTIONS, "projection must be 'D' or 'T'", projection)
        _require(sampler in _SAMPLERS, "sampler must be 'lsi' or 'column'", sampler)
        _require(alpha is None or 0 <= alpha < 1, "alpha must be None or from 0 to below 1", alpha)
        _require(eps > 0, "eps must be positive", eps)
        _require(lr_divider > 0, "lr_divider must be positive", lr_divider)
        _require(reorthogonalize >= 0, "reorthogonalize must be at least 0", reorthogonalize)
        self._generator = torch.Generator().manual_seed(seed)
        super().__init__(
            params,
            {
                "lr": lr,
                "rank": rank,
                "projection": projection,
                "sampler": sampler,
                "alpha": alpha,
                "eps": eps,
                "lr_divider": lr_divider,
                "reorthogonalize": reorthogonalize,
            },
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group; all its parameters must be square."""
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.ndim != 2 or p.shape[0] != p.shape[1]:
                shape = tuple(p.shape)
                raise FormatError(f"a parameter of ProjUNN must be a square matrix, not of shape {shape}")

    def state_dict(self) -> dict[str, Any]:
        """Return torch's state dictionary, with the generator's state under the key ``generator``."""
        return super().state_dict() | {"generator": self._generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._generator.set_state(state_dict["generator"].cpu())
        super().load_state_dict(state_dict)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; return the loss of ``closure``, None without one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, group)
        return loss

    def _update(self, weight: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())
            state["square_avg"] = torch.zeros_like(weight)
        state["step"] += 1
        grad: Tensor = weight.grad  # type: ignore[assignment]  # `step` leaves out weights without one
        direction = grad * (-group["lr"] / group["lr_divider"])
        if group["alpha"] is not None:
            v = state["square_avg"]
            v.mul_(group["alpha"]).addcmul_(grad, grad, value=1 - group["alpha"])
            direction = direction / (v.sqrt() + group["eps"])
        n = len(weight)
        if group["rank"] >= n:
            a, b = direction, torch.eye(n, dtype=weight.dtype, device=weight.device)
        else:
            a, b = _SAMPLERS[group["sampler"]](direction, group["rank"], self._generator)
        moved = _PROJECTIONS[group["projection"]](weight, a, b)
        every = group["reorthogonalize"]
        if every and int(state["step"]) % every == 0:
            moved = 1.5 * moved - 0.5 * (moved @ moved.T @ moved)
        weight.copy_(moved)
