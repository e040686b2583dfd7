"""Collects the layers of a network in the order of its data: the importers of all formats call it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.errors import FormatError
from qornn_hw.importers.affine import AffineMap
from qornn_hw.importers.folding import with_front
from qornn_hw.quantization.stack import RealStack

__all__ = ["StackBuilder"]

RELU_PLACE = "a relu must stand between the last recurrent layer and the linear layer behind it"

FloatArray = NDArray[np.float64]


@dataclass
class StackBuilder:
    """The layers found so far.

    Attributes:
        cells: the recurrent layers, with the linear layers in front of each folded into its weights.
        affine: the linear map behind the last cell or the input; None where there is none.
        table: (symbols, features) of an embedding in front of everything; None where there is none.
        relu: whether a relu stands behind the last cell.
    """

    cells: list[Cell] = field(default_factory=list)
    affine: AffineMap | None = None
    table: FloatArray | None = None
    relu: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no layer was found yet."""
        return not self.cells and self.affine is None and self.table is None

    def map_of(self, size: int) -> AffineMap:
        """Return the linear map in front of the next layer: the identity of ``size`` if there is none."""
        return self.affine or AffineMap.identity(size)

    def add(self, cell: Cell) -> None:
        """Add a recurrent layer behind the present linear map.

        Raises:
            FormatError: a relu stands in front of it.
        """
        if self.relu:
            raise FormatError(f"{RELU_PLACE}, not in front of another recurrent layer")
        front = self.map_of(cell.inputs)
        if self.table is not None and not self.cells:
            front = AffineMap(front.weight @ self.table.T, front.bias)
        self.cells.append(with_front(cell, front))
        self.affine = None

    def add_relu(self, where: str) -> None:
        """Add a relu between the last cell and the readout.

        Raises:
            FormatError: it stands elsewhere.
        """
        if not self.cells or self.affine is not None or self.relu:
            raise FormatError(f"{where} is not supported: {RELU_PLACE}")
        self.relu = True

    def stack(self) -> RealStack:
        """Return the network: the linear map behind the last cell is the readout.

        Raises:
            FormatError: shapes do not fit.
        """
        readout = self.map_of(self.cells[-1].units)
        return RealStack(
            tuple(self.cells),
            readout.weight,
            readout.bias,
            one_hot=self.table is not None,
            output_relu=self.relu,
        )
