"""Differentiable Björck orthogonalization.

The unconstrained matrix is divided by its largest singular value. Then the iteration
``W <- (1 + beta) W - beta W W^T W`` drives every singular value s to 1; for beta = 0.5 by
``s <- 1.5 s - 0.5 s**3``. Sources: Björck and Bowie 1971; Anil, Lucas, Grosse 2019; 15 iterations as in
deel-torchlip.

Convergence: with ``r = s**2 - 1`` one iteration gives ``-r**2 (3 - r) / 4``. So ``|r|`` shrinks for
``0 < s < sqrt(3)``, and near 0 it becomes 3/4 of its square. A small singular value grows by half in an
iteration: after 15 iterations ``|r| < 1e-4`` if the condition number of the matrix was at most 120. The
unconstrained matrix drifts during training (singular values of 0.7 to 2.3 after 1000 steps of Adam at 1e-3,
n = 128), and then takes 4 to 7 iterations to reach :data:`TOLERANCE` (in the same run).
"""

from typing import Any

import torch
from torch import Tensor, nn

from qornn_hw.errors import FormatError

__all__ = ["TOLERANCE", "Bjorck", "orthogonalize"]

# Limit for ||W W^T - I||_2 at which the iteration stops early. The float32 round-off of a matrix of 1024 rows
# is a tenth of it.
TOLERANCE = 2e-5

_SETTLED = 1e-2
_POWER_ITERATIONS_MAX = 50


def _unit(vector: Tensor) -> Tensor:
    length: Tensor = vector.norm()
    return vector / length


def _is_last(gram: Tensor, tolerance: float) -> bool:
    """Return whether one more iteration brings ``gram = W W^T`` to within ``tolerance`` of I.

    The iteration maps a residual r to ``3/4 r**2`` to first order. The Frobenius norm is an upper bound for
    the spectral norm.
    """
    if tolerance <= 0:
        return False
    residual = gram.clone()
    residual.diagonal().sub_(1.0)
    return float(residual.square().sum()) * 0.75 <= tolerance


class _Iterate(torch.autograd.Function):
    """The iteration of order 1 with its own backward pass: three matrix products a step instead of four.

    With ``M = (1 + beta) I - beta W W^T``, ``W' = M W`` and ``G = dL/dW'``:
    ``dL/dW = M^T G - beta (K + K^T) W``, ``K = G W^T``.
    """

    @staticmethod
    def forward(ctx: Any, w: Tensor, iterations: int, beta: float, tolerance: float) -> Tensor:
        saved = []
        for _ in range(iterations):
            m = w @ w.T
            last = _is_last(m, tolerance)
            m.mul_(-beta).diagonal().add_(1 + beta)
            saved += [w, m]
            w = m @ w
            if last:
                break
        ctx.save_for_backward(*saved)
        ctx.beta = beta
        # Autograd does not allow an output that is the input itself.
        return w if saved else w.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        saved = ctx.saved_tensors
        for w, m in zip(reversed(saved[0::2]), reversed(saved[1::2]), strict=True):
            k = grad @ w.T
            grad = torch.addmm(m @ grad, k + k.T, w, alpha=-ctx.beta)
        return grad, None, None, None


def _series(w: Tensor, iterations: int, order: int, tolerance: float) -> Tensor:
    """Iterate ``W <- (I + Q/2 + 3/8 Q^2 + ... + |C(-1/2, p)| Q^p) W`` with ``Q = I - W W^T``."""
    # |C(-1/2, j)|, the coefficients of (1 - q)**(-1/2).
    coefficients = [1.0]
    for j in range(1, order + 1):
        coefficients.append(coefficients[-1] * (2 * j - 1) / (2 * j))
    eye = torch.eye(len(w), dtype=w.dtype, device=w.device)
    for _ in range(iterations):
        gram = w @ w.T
        q = eye - gram
        sum_ = coefficients[-1] * eye
        for coefficient in reversed(coefficients[:-1]):
            sum_ = sum_ @ q + coefficient * eye
        w = sum_ @ w
        if _is_last(gram.detach(), tolerance):
            break
    return w


def orthogonalize(
    weight: Tensor,
    iterations: int = 15,
    beta: float = 0.5,
    *,
    order: int = 1,
    tolerance: float = 0.0,
    norm: Tensor | None = None,
) -> Tensor:
    """Return the nearly orthogonal matrix of a square ``weight``, (n, n); once differentiable.

    Args:
        weight: (n, n), of full rank; the result converges to its polar factor.
        iterations: the largest number of iterations.
        beta: coefficient of the iteration of order 1.
        order: order p of Björck's series: more matrix products an iteration, and fewer iterations.
        tolerance: stop as soon as ``||W W^T - I||_2`` will be below it (:data:`TOLERANCE` in training);
            0 for never.
        norm: the spectral norm, or an estimate of more than ``1 / sqrt(3)`` of it; by default the exact norm
            from an SVD.

    Raises:
        FormatError: the weight is not square, or ``order`` is below 1.
    """
    if weight.ndim != 2 or weight.shape[0] != weight.shape[1]:
        raise FormatError(f"a weight to orthogonalize must be square, not of shape {tuple(weight.shape)}")
    if order < 1:
        raise FormatError(f"order must be at least 1, not {order!r}")
    w: Tensor = weight / (torch.linalg.matrix_norm(weight, ord=2) if norm is None else norm)
    if order > 1:
        return _series(w, iterations, order, tolerance)
    result: Tensor = _Iterate.apply(w, iterations, beta, tolerance)  # type: ignore[no-untyped-call]  # torch gives it no types
    return result


class Bjorck(nn.Module):
    """:func:`orthogonalize` as a module that remembers the direction of the largest singular value.

    For ``torch.nn.utils.parametrize.register_parametrization(module, "weight_hh_l0", Bjorck(n))``, followed,
    if wanted, by :class:`qornn_hw.training.quantizer.Quantize` on the same weight. The gradient passes
    through the norm (as u^T W v with u and v held fixed, which is its exact derivative at the largest
    singular value) and through the iterations.

    Args:
        size: n.
        iterations: iterations of Björck at most.
        beta: of order 1.
        order: p of the series.
        tolerance: stop once ``||W W^T - I||_2`` will be below it; 0: never.
        exact_norm: the norm by an SVD instead of the power iteration.
        power_iterations: of a pass in training mode, at least; more follow, 50 at most, while the estimate
            still grows by a hundredth. In evaluation mode the vector stays as training left it.

    The state, saved in ``state_dict``, is the vector ``right``, (n,), zero before the first pass.
    """

    right: Tensor

    def __init__(
        self,
        size: int,
        iterations: int = 15,
        beta: float = 0.5,
        *,
        order: int = 1,
        tolerance: float = TOLERANCE,
        exact_norm: bool = False,
        power_iterations: int = 3,
    ) -> None:
        super().__init__()
        if size < 1:
            raise FormatError(f"size must be at least 1, not {size!r}")
        if order < 1:
            raise FormatError(f"order must be at least 1, not {order!r}")
        self.iterations = iterations
        self.beta = beta
        self.order = order
        self.tolerance = tolerance
        self.exact_norm = exact_norm
        self.power_iterations = power_iterations
        self.register_buffer("right", torch.zeros(size))

    def _norm(self, weight: Tensor) -> Tensor:
        """Return the spectral norm's estimate ``u^T W v``, a little too small at worst."""
        with torch.no_grad():
            v, least = self.right.to(weight.dtype), self.power_iterations
            fresh = not bool(v.any())
            if fresh:
                # A start of its own, so that no one else's random numbers move.
                start = torch.randn(len(v), generator=torch.Generator().manual_seed(0))
                v, least = _unit(start).to(v), 10 * self.power_iterations
            u = weight @ v
            if self.training or fresh:
                before = float(u.norm())
                for i in range(_POWER_ITERATIONS_MAX):
                    v = _unit(weight.T @ _unit(u))
                    u = weight @ v
                    now = float(u.norm())
                    if i + 1 >= least and now <= (1 + _SETTLED) * before:
                        break
                    before = now
                self.right.copy_(v)
            u = _unit(u)
        estimate: Tensor = u @ (weight @ v)
        return estimate

    def forward(self, weight: Tensor) -> Tensor:
        """Return the near-orthogonal matrix of ``weight``, (n, n)."""
        if tuple(weight.shape) != (len(self.right),) * 2:
            n = len(self.right)
            raise FormatError(f"a weight must have shape {(n, n)}, that of Bjorck, not {tuple(weight.shape)}")
        return orthogonalize(
            weight,
            self.iterations,
            self.beta,
            order=self.order,
            tolerance=self.tolerance,
            norm=None if self.exact_norm else self._norm(weight),
        )

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the matrix that is stored when the parametrized one is assigned: the same."""
        self.right.zero_()
        return weight

    def extra_repr(self) -> str:
        """Return what ``print`` shows of the options."""
        return f"{len(self.right)}, iterations={self.iterations}, order={self.order}"
