"""The recurrence over time, forward and backward, with little work besides its matrix products.

    h_t = act(W h_{t-1} + U x_t, b)        t = 1 .. T

A plain autograd loop records about six operations a step and adds up the gradient of W step by step. Here the
element-wise operations work in place in the cache, back-propagation through time is written out, and the
gradients of W and U are one matrix product each over all steps:

    d_t = act'(h_t) (g_t + W^T d_{t+1})        dW = sum_t d_t h_{t-1}^T        dU = sum_t d_t x_t^T

with g_t the gradient from the outputs. If the processor multiplies bfloat16 numbers (AMX, AVX-512 BF16),
``bfloat16`` uses that: the states are rounded to 8 significant bits before a product, and sums stay float32.
Weights of up to 8 bits are integers times a common unit, and are exact in the forward pass; in the backward
pass they are rounded to 8 significant bits, like the gradients.

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

from qornn_hw.cells.elman_network import Activation
from qornn_hw.ir.formats import Rounding

__all__ = ["Grid", "Workspace", "recur"]


class Workspace:
    """Memory for the states and gradients of all steps, reused in each iteration.

    Allocating these hundreds of megabytes takes as long as filling them. The next call of :func:`recur` with
    the same workspace overwrites the result of the last one; autograd then refuses a backward pass.
    """

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}

    def tensor(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Return the tensor of this name, uninitialized, with the dtype and device of ``like``."""
        found = self._tensors.get(name)
        count = prod(shape)
        if found is None or found.numel() < count or (found.dtype, found.device) != (like.dtype, like.device):
            found = self._tensors[name] = like.new_empty(count)
        return found[:count].view(shape)


@dataclass(frozen=True)
class Grid:
    """The grid of the states: they are rounded to multiples of ``step`` and saturate at ``bits`` bits."""

    step: float
    bits: int
    rounding: Rounding = Rounding.HALF_UP

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest state."""
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

    Differentiable with respect to all arguments but x. With a grid the gradient is passed straight through
    the rounding, and is 0 where a state saturates.

    Args:
        activation: the activation; modrelu is ``sgn(z) max(|z| + b, 0)``.
        recurrent: W, (n, n).
        input: U, (n, m).
        bias: b, (n,).
        x: indices (batch, T) of columns of U, or vectors (batch, T, m).
        state: h_0, (batch, n).
        unit: the unit of which W holds integer multiples, or (n, 1) one for each row; needed only for exact
            products in bfloat16.
        grid: the grid of the states, if they are rounded.
        last_only: return the last state only, which saves the gradients of the others.
        bfloat16: allow products to round their operands to bfloat16.
        workspace: memory to reuse; None allocates new memory.
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
    """Return whether one kernel runs all steps: on a CUDA device, if bfloat16 holds W or may round it."""
    if o.activation.function.kernel is None:
        return False
    if not state.is_cuda or state.dtype != torch.float32 or find_spec("triton") is None:
        return False
    from qornn_hw.training.recurrence_gpu import UNITS_MAX

    quantized = isinstance(o.unit, Tensor) or o.unit != 1.0
    return state.shape[1] <= UNITS_MAX and (quantized or o.bfloat16)


def _drives(input: Tensor, x: Tensor, out: Tensor) -> None:
    """Write ``U x_t`` for all steps: x (T, batch) or (T, batch, m), out (T, batch, n)."""
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

    form = o.activation.function.kernel
    assert form is not None
    with _products(False):
        _drives(input, x, exact[1:])
    grid = None if o.grid is None else (o.grid.step, o.grid.bits, str(o.grid.rounding))
    recurrence_gpu.forward(
        exact,
        states,
        recurrent,
        o.unit,
        bias,
        form=form,
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
        # All states are needed only for a backward pass, for the caller, or for the kernel.
        kept = steps + 1 if o.differentiable or one_kernel or not o.last_only else 2
        states = o.workspace.tensor("states", state, kept, batch, n)
        states[0] = state
        # The result of the activation before rounding.
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

            form = o.activation.function.kernel
            assert form is not None
            d_bias = recurrence_gpu.backward(
                deltas,
                outer,
                exact,
                recurrent,
                o.unit,
                form=form,
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
    """Write the states after index 0 of ``states``, in turns if it is shorter than the steps."""
    kept, batch, n = states.shape
    by_row = isinstance(o.unit, Tensor)
    factor = 1.0 if isinstance(o.unit, Tensor) else o.unit
    # W^T in units, and U^T; units by row multiply the columns of the product.
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
            o.activation.function.activate(z, bias, scratch)
            if o.grid is not None:
                o.grid.put(z, states[(t + 1) % kept])


def _backward_step_by_step(
    deltas: Tensor, outer: Tensor, recurrent: Tensor, exact: Tensor, o: _Options
) -> Tensor:
    """Write d_t of all steps to ``deltas``, and return the gradient with respect to the bias, (n,)."""
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
            o.activation.function.differentiate(d, exact[t + 1], bias_sum, scratch)
    return bias_sum.sum(0)
