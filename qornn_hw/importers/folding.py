"""Folding of the linear layers in front of a recurrent layer into its weights."""

from dataclasses import replace
from typing import Any

import numpy as np

from qornn_hw.cells.cell import Cell
from qornn_hw.errors import FormatError
from qornn_hw.importers.affine import AffineMap

__all__ = ["with_front"]


def with_front(cell: Cell, front: AffineMap) -> Cell:
    """Return the cell with the map in front of it folded in: ``W (A x + a) + b = (W A) x + (b + W a)``.

    Args:
        cell: the cell; its fields ``input_biases`` are added to ``W x``.
        front: the map A, a; it has as many outputs as the cell has inputs.

    Raises:
        FormatError: the map adds something, and the cell has no bias to take it.
    """
    if front.is_identity:
        return cell
    added = cell.weight_ih @ front.bias
    missing = [name for name in cell.input_biases if not hasattr(cell, name)]
    if (missing or not cell.input_biases) and np.any(added):
        named = missing[0] if missing else "in input_biases"
        raise FormatError(
            f"{type(cell).__name__} must have a bias {named} that takes the offset of its inputs, and has "
            "none"
        )
    own = [name for name in cell.input_biases if name not in missing]
    biases: dict[str, Any] = {name: getattr(cell, name) + added for name in own}
    return replace(cell, weight_ih=cell.weight_ih @ front.weight, **biases)
