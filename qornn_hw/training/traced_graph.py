"""The graph of a cell whose parameters are tensors, so that its constants carry gradients."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph
from qornn_hw.errors import FormatError
from qornn_hw.training.hadamard import straight_signs

__all__ = ["TracedGraph", "trace"]


class TracedGraph(CellGraph):
    """A graph whose weights, constants and initial states are tensors of float32."""

    def constant(self, value: Any, size: int) -> Any:
        """Return a number or (size,) numbers as a tensor."""
        found = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float32)
        if found.shape not in ((), (size,)):
            raise FormatError(f"a constant must be a number or ({size},) of them, not {tuple(found.shape)}")
        return found

    def signs(self, value: Any, size: int) -> Any:
        """Return the signs of numbers; their gradient is that of the identity."""
        return straight_signs(self.constant(value, size))

    def matrix(self, weight: Any) -> Any:
        """Return a weight as a tensor."""
        return weight if isinstance(weight, Tensor) else torch.as_tensor(weight, dtype=torch.float32)


def trace(cell: Cell, parameters: Mapping[str, Tensor]) -> TracedGraph:
    """Return the graph of a cell with some of its fields replaced by tensors.

    Raises:
        FormatError: the cell computes with NumPy on a field, which has no gradient.
    """
    traced = object.__new__(type(cell))
    # Fields alone: what the cell has computed from them and kept would hide the tensors.
    vars(traced).update({f.name: getattr(cell, f.name) for f in fields(cell)} | dict(parameters))
    graph = TracedGraph(cell.inputs)
    try:
        graph.output = traced.build(graph).name
    except (RuntimeError, TypeError, AttributeError) as error:
        raise FormatError(
            f"{type(cell).__name__}.build must compute with operators on its fields to be trained, "
            f"and fails on tensors: {error}"
        ) from error
    graph.check()
    return graph
