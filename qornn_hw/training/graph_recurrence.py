"""The recurrence of any cell over time, forward and backward, from the cell's graph.

The graph (:mod:`qornn_hw.cells.graph`) is compiled to a list of in-place operations of one step, and to the
list of its back-propagation. As in :mod:`recurrence`, the gradients of the matrices are one product each over
all steps. The constants of the graph are tensors, and their gradients go on to the cell's parameters by
torch's own differentiation.

With grids, a value that the hardware stores is rounded half up to its grid and saturates, and its gradient
passes straight through the rounding, and is 0 where it saturates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function as TorchFunction
from torch.autograd.function import once_differentiable

from qornn_hw.cells.graph import CellGraph
from qornn_hw.training.graph_backward import BackwardPass
from qornn_hw.training.graph_forward import ForwardPass, Plan, ValueGrid
from qornn_hw.training.graph_layout import layout_of
from qornn_hw.training.recurrence import Workspace

__all__ = ["recur_graph"]


def recur_graph(
    graph: CellGraph,
    x: Tensor,
    starts: tuple[Tensor, ...],
    *,
    grids: Mapping[str, ValueGrid] | None = None,
    indices: Mapping[str, ValueGrid] | None = None,
    last_only: bool = False,
    workspace: Workspace | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the output state after every step, (steps, batch, n), or the last, and all states at the end.

    Differentiable with respect to the graph's tensors, the starts, and x where it is of vectors.

    Args:
        graph: a traced graph, checked.
        x: (steps, batch, m), or indices (steps, batch).
        starts: of each state in the graph's order, (batch, n).
        grids: of the values that are rounded, by name.
        indices: by the function's name, the grid to which its operand is rounded. Its gradient passes where
            the operand saturates, where that of the function is small.
        last_only: return the output after the last step only, (batch, n).
        workspace: memory to reuse; the next call overwrites this one's results.
    """
    plan = Plan(graph, layout_of(graph), dict(grids or {}), dict(indices or {}))
    options = _Options(plan, last_only, workspace or Workspace(), torch.is_grad_enabled())
    output, *states = _GraphRecurrence.apply(options, x, *starts, *plan.constants)  # type: ignore[no-untyped-call]  # torch gives it no types
    return output, tuple(states)


@dataclass(frozen=True, eq=False)
class _Options:
    plan: Plan
    last_only: bool
    workspace: Workspace
    differentiable: bool


class _GraphRecurrence(TorchFunction):
    @staticmethod
    def forward(ctx: Any, options: _Options, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        plan = options.plan
        count = len(plan.graph.states)
        starts, constants = tensors[:count], tensors[count:]
        run = ForwardPass(plan, options.workspace, x, starts, constants)
        run.run()
        if options.differentiable:
            ctx.save_for_backward(x, *constants)
            ctx.run, ctx.options = run, options
        output = run.slabs[plan.graph.output]
        ends = tuple(run.slabs[state.name][-1].clone() for state in plan.graph.states)
        return (output[-1].clone() if options.last_only else output[1:], *ends)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        _ = ctx.saved_tensors
        outer, *ends = gradients
        backward = BackwardPass(ctx.run)
        backward.run(outer, ends, ctx.options.last_only)
        d_x, d_starts, d_constants = backward.gradients(ctx.needs_input_grad[1])
        return (None, d_x, *d_starts, *d_constants)
