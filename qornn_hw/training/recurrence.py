"""The recurrence over time, forward and backward, with little besides its matrix products.

    h_t = act(W h_{t-1} + U x_t, b)        t = 1 .. T

A plain autograd loop records some six operations a step and adds up the gradient of W step by step. Here the
element-wise parts work in place in the cache, the backward pass (back-propagation through time) is written
out, and the gradients of W and U are one product each over all steps:

    d_t = act'(h_t) (g_t + W^T d_{t+1})        dW = sum_t d_t h_{t-1}^T        dU = sum_t d_t x_t^T

with g_t what comes from the outputs. Where the processor multiplies bfloat16 numbers (AMX, AVX-512 BF16),
``bfloat16`` lets it: the states are rounded to 8 significant bits on their way into a product, sums stay
float32. Weights of up to 8 bits are integers times a common unit and lose nothing on the way forward; on the
way back they, too, are rounded to 8 significant bits, as the gradients are.

On a CUDA device all steps are one kernel (:mod:`recurrence_gpu`), for up to 256 units whose weights are
quantized, or with ``bfloat16``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from qornn_hw.fixed import Rounding
from qornn_hw.network import Activation

__all__ = ["Grid", "Workspace", "recur"]


class Workspace:
    """Memory for the states and gradients of all steps that is used again in each iteration.

    To fetch these hundred megabytes from the system takes as long as to fill them. What :func:`recur`
    returned is overwritten by the next call with the same workspace; autograd then refuses a backward pass.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}

    def tensor(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Return the tensor of that name, uninitialized, of the type of ``like``."""
        found = self._tensors.get(name)
        count = prod(shape)
        if found is None or found.numel() < count or (found.dtype, found.device) != (like.dtype, like.device):
            found = self._tensors[name] = like.new_empty(count)
        return found[:count].view(shape)


@dataclass(frozen=True)
class Grid:
    """The states' grid: they are rounded to multiples of ``step`` and saturate at ``bits`` bits."""

    step: float
    bits: int
    rounding: Rounding = Rounding.HALF_UP

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest state."""
        c = 2 ** (self.bits - 1)
        return -c * self.step, (c - 1) * self.step

    def put(self, states: Tensor, out: Tensor) -> None:
        """Write the states, rounded and saturated, to ``out``."""
        c = 2 ** (self.bits - 1)
        torch.div(states, self.step, out=out)
        if self.rounding is Rounding.HALF_UP:
            out.add_(0.5).floor_()
        else:
            out.round_()
        out.clamp_(-c, c - 1).mul_(self.step)


def recur(
    activation: Activation,
    recurrent: Tensor,
    input: Tensor,
    bias: Tensor,
    x: Tensor,
    state: Tensor,
    *,
    unit: Tensor | float = 1.0,
    grid: Grid | None = None,
    last_only: bool = False,
    bfloat16: bool = False,
    workspace: Workspace | None = None,
) -> Tensor:
    """Return the states of all steps, (T, batch, n), or of the last one, (batch, n).

    Differentiable in everything but x. With a grid the gradient passes the rounding straight through, except
    where a state saturates.

    Args:
        activation: the activation; modrelu is ``sgn(z) max(|z| + b, 0)``.
        recurrent: W, (n, n).
        input: U, (n, m).
        bias: b, (n,).
        x: indices (batch, T) of columns of U, or vectors (batch, T, m).
        state: h_0, (batch, n).
        unit: what the integers in W are multiples of, or (n, 1) one for each row; only for exactness with
            bfloat16.
        grid: the grid of the states, if they are rounded.
        last_only: whether only the last state is wanted, which saves the gradients of the others.
        bfloat16: whether products may round their operands to bfloat16.
        workspace: memory to use again; None takes new memory.
    """
    options = _Options(
        activation, unit, grid, last_only, bfloat16, workspace or Workspace(), torch.is_grad_enabled()
    )
    result: Tensor = _Recurrence.apply(recurrent, input, bias, state, x, options)  # type: ignore[no-untyped-call]  # torch gives it no types
    return result


@dataclass(frozen=True, eq=False)
class _Options:
    activation: Activation
    unit: Tensor | float
    grid: Grid | None
    last_only: bool
    bfloat16: bool
    workspace: Workspace
    differentiable: bool


@contextmanager
def _products(bfloat16: bool) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if bfloat16 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _in_one_kernel(state: Tensor, o: _Options) -> bool:
    """Return whether all steps are one kernel: on a CUDA device, where bfloat16 holds W or may round it."""
    if not state.is_cuda or state.dtype != torch.float32 or find_spec("triton") is None:
        return False
    from qornn_hw.training.recurrence_gpu import UNITS_MAX

    quantized = isinstance(o.unit, Tensor) or o.unit != 1.0
    return state.shape[1] <= UNITS_MAX and (quantized or o.bfloat16)


def _drives(input: Tensor, x: Tensor, out: Tensor) -> None:
    """Write ``U x_t`` of all steps: x (T, batch) or (T, batch, m), out (T, batch, n)."""
    steps, batch, n = out.shape
    flat = out.view(steps * batch, n)
    if x.ndim == 2:
        torch.index_select(input.T.contiguous(), 0, x.reshape(-1), out=flat)
    else:
        torch.mm(x.reshape(steps * batch, -1), input.T, out=flat)


def _forward_in_one_kernel(
    recurrent: Tensor, input: Tensor, bias: Tensor, x: Tensor, states: Tensor, exact: Tensor, o: _Options
) -> None:
    from qornn_hw.training import recurrence_gpu

    with _products(False):
        _drives(input, x, exact[1:])
    grid = None if o.grid is None else (o.grid.step, o.grid.bits, str(o.grid.rounding))
    recurrence_gpu.forward(
        exact,
        states,
        recurrent,
        o.unit,
        bias,
        activation=str(o.activation),
        grid=grid,
        bfloat16=o.bfloat16,
    )


class _Recurrence(Function):
    @staticmethod
    def forward(
        ctx: Any, recurrent: Tensor, input: Tensor, bias: Tensor, state: Tensor, x: Tensor, o: _Options
    ) -> Tensor:
        batch, n = state.shape
        steps = x.shape[1]
        x = x.transpose(0, 1).contiguous()
        one_kernel = _in_one_kernel(state, o)
        # Only a backward pass, the caller, or the kernel needs all states.
        kept = steps + 1 if o.differentiable or one_kernel or not o.last_only else 2
        states = o.workspace.tensor("states", state, kept, batch, n)
        states[0] = state
        # What the activation gave before it was rounded.
        exact = states if o.grid is None else o.workspace.tensor("exact", state, kept, batch, n)
        if one_kernel:
            _forward_in_one_kernel(recurrent, input, bias, x, states, exact, o)
        else:
            _forward_step_by_step(recurrent, input, bias, x, states, exact, o)
        if o.differentiable:
            ctx.save_for_backward(recurrent, input, x, states, exact)
            ctx.options = o
        return states[steps % kept].clone() if o.last_only else states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (outer,) = gradients
        recurrent, input, x, states, exact = ctx.saved_tensors
        o: _Options = ctx.options
        steps, batch, n = states.shape[0] - 1, states.shape[1], states.shape[2]
        deltas = o.workspace.tensor("deltas", states, steps, batch, n)
        if _in_one_kernel(states[0], o):
            from qornn_hw.training import recurrence_gpu

            d_bias = recurrence_gpu.backward(
                deltas,
                outer,
                exact,
                recurrent,
                o.unit,
                activation=str(o.activation),
                limits=None if o.grid is None else o.grid.limits,
                last_only=o.last_only,
                bfloat16=o.bfloat16,
            )
        else:
            d_bias = _backward_step_by_step(deltas, outer, recurrent, exact, o)
        d_recurrent = d_input = d_state = None
        flat = deltas.view(steps * batch, n)
        with _products(o.bfloat16):
            if ctx.needs_input_grad[0]:
                d_recurrent = flat.T @ states[:-1].view(steps * batch, n)
            if ctx.needs_input_grad[3]:
                d_state = deltas[0] @ recurrent
        if ctx.needs_input_grad[1]:
            if x.ndim == 2:
                d_input = torch.zeros_like(input.T).index_add_(0, x.view(-1), flat).T
            else:
                d_input = flat.T @ x.view(steps * batch, -1)
        return d_recurrent, d_input, d_bias, d_state, None, None


def _forward_step_by_step(
    recurrent: Tensor, input: Tensor, bias: Tensor, x: Tensor, states: Tensor, exact: Tensor, o: _Options
) -> None:
    """Write the states after index 0 of ``states``; where it is shorter than the steps, in turns."""
    kept, batch, n = states.shape
    by_row = isinstance(o.unit, Tensor)
    factor = 1.0 if isinstance(o.unit, Tensor) else o.unit
    # W^T in units, and U^T; a unit for each row multiplies the columns of what comes out.
    w = (recurrent / o.unit).T.contiguous()
    u = (input / o.unit if by_row else input).T.contiguous()
    column = o.unit.T if isinstance(o.unit, Tensor) else None
    scratch = states.new_empty(batch, n)
    with _products(o.bfloat16):
        for t in range(len(x)):
            z = exact[(t + 1) % kept]
            if x.ndim == 2:
                torch.index_select(u, 0, x[t], out=z)
            elif x.shape[2] == 1:
                torch.mul(x[t], u, out=z)
            else:
                torch.mm(x[t], u, out=z)
            z.addmm_(states[t % kept], w, alpha=factor)
            if column is not None:
                z.mul_(column)
            _activate(o.activation, z, bias, scratch)
            if o.grid is not None:
                o.grid.put(z, states[(t + 1) % kept])


def _backward_step_by_step(
    deltas: Tensor, outer: Tensor, recurrent: Tensor, exact: Tensor, o: _Options
) -> Tensor:
    """Write d_t of all steps to ``deltas`` and return the gradient by the bias, (n,)."""
    steps, batch, n = deltas.shape
    scratch = deltas.new_empty(batch, n)
    bias_sum = deltas.new_zeros(batch, n)
    low, high = (0.0, 0.0) if o.grid is None else o.grid.limits
    with _products(o.bfloat16):
        for t in range(steps - 1, -1, -1):
            d = deltas[t]
            if t == steps - 1:
                d.copy_(outer if o.last_only else outer[t])
            elif o.last_only:
                torch.mm(deltas[t + 1], recurrent, out=d)
            else:
                torch.addmm(outer[t], deltas[t + 1], recurrent, out=d)
            if o.grid is not None:
                d.mul_((exact[t + 1] >= low) & (exact[t + 1] <= high))
            _differentiate(o.activation, d, exact[t + 1], bias_sum, scratch)
    return bias_sum.sum(0)


def _activate(activation: Activation, z: Tensor, bias: Tensor, scratch: Tensor) -> None:
    """Put ``act(z, b)`` in the place of z."""
    match activation:
        case Activation.IDENTITY:
            pass
        case Activation.RELU:
            z.add_(bias).clamp_min_(0.0)
        case Activation.MODRELU:
            torch.sign(z, out=scratch)
            z.abs_().add_(bias).clamp_min_(0.0).mul_(scratch)
        case Activation.HARDTANH:
            z.add_(bias).clamp_(-1.0, 1.0)
        case Activation.TANH:
            z.add_(bias).tanh_()


def _differentiate(activation: Activation, d: Tensor, h: Tensor, bias_sum: Tensor, scratch: Tensor) -> None:
    """Put the gradient by z in the place of that by ``h = act(z, b)``, and add that by b to ``bias_sum``."""
    match activation:
        case Activation.IDENTITY:
            return
        case Activation.MODRELU:
            torch.sign(h, out=scratch)
            d.mul_(scratch)
            bias_sum.add_(d)
            d.mul_(scratch)
            return
        case Activation.RELU:
            torch.sign(h, out=scratch)
            d.mul_(scratch)
        case Activation.HARDTANH:
            torch.abs(h, out=scratch)
            d.mul_(scratch.neg_().add_(1.0).sign_())
        case Activation.TANH:
            torch.mul(h, h, out=scratch)
            d.mul_(scratch.neg_().add_(1.0))
    bias_sum.add_(d)
