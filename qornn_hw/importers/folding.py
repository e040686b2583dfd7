"""Folding of the linear layers in front of a recurrent layer into its weights."""

from dataclasses import replace
from typing import Any

from qornn_hw.cells.cell import Cell
from qornn_hw.importers.affine import AffineMap

__all__ = ["with_front"]


def with_front(cell: Cell, front: AffineMap) -> Cell:
    """Return the cell with the map in front of it folded in: ``W (A x + a) + b = (W A) x + (b + W a)``.

    Args:
        cell: the cell; its fields ``input_biases`` are added to ``W x``.
        front: the map A, a; it has as many outputs as the cell has inputs.
    """
    if front.is_identity:
        return cell
    added = cell.weight_ih @ front.bias
    biases: dict[str, Any] = {name: getattr(cell, name) + added for name in cell.input_biases}
    return replace(cell, weight_ih=cell.weight_ih @ front.weight, **biases)
