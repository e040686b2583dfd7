"""What every cell is: parameters in float, and a graph of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.graph import CellGraph, Value
from qornn_hw.errors import FormatError

__all__ = ["Cell", "split"]


def split(array: NDArray[np.float64], parts: int) -> list[NDArray[np.float64]]:
    """Return the equal parts of the rows of an array, one for each gate."""
    return np.split(array, parts)


@dataclass(frozen=True, eq=False)
class Cell(ABC):
    """Parameters of one layer of n units on m inputs.

    A subclass is a frozen dataclass with ``weight_ih`` of (gates * n, m) at least. ``weight_hh`` is
    (gates * n, n) where there is one. Fields whose names begin with ``bias`` are (gates * n,).

    Attributes:
        gates: rows of the weights for each unit.
        input_biases: the fields that are added to ``weight_ih @ x``.

    Raises:
        FormatError: the shapes do not fit, or a number is not finite.
    """

    gates: ClassVar[int] = 1
    input_biases: ClassVar[tuple[str, ...]] = ("bias_ih",)
    weight_ih: NDArray[np.float64]

    @property
    def units(self) -> int:
        """The units, n."""
        return len(self.weight_ih) // self.gates

    @property
    def inputs(self) -> int:
        """The inputs, m."""
        return int(self.weight_ih.shape[1])

    def __post_init__(self) -> None:
        weight = _finite("weight_ih", self.weight_ih)
        if weight.ndim != 2 or not len(weight) or not weight.shape[1] or len(weight) % self.gates:
            raise FormatError(
                f"weight_ih must be a matrix of {self.gates} rows a unit, not of shape {weight.shape}"
            )
        rows = len(weight)
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is None or isinstance(value, (bool, str)):
                continue
            array = _finite(entry.name, value)
            shape = self._shape(entry.name, array, rows)
            if shape is not None and array.shape != shape:
                raise FormatError(f"{entry.name} must have shape {shape}, not {array.shape}")
            object.__setattr__(self, entry.name, array if array.ndim else float(array))

    def _shape(self, name: str, array: NDArray[np.float64], rows: int) -> tuple[int, ...] | None:
        if name == "weight_hh":
            return (rows, rows // self.gates)
        if name.startswith("bias"):
            return (rows,)
        return (self.units,) if array.ndim and name != "weight_ih" else None

    @abstractmethod
    def build(self, graph: CellGraph) -> Value:
        """Write the cell's step into a graph; return the state that the next layer reads."""

    @cached_property
    def graph(self) -> CellGraph:
        """The checked graph of the cell."""
        graph = CellGraph(self.inputs)
        graph.output = self.build(graph).name
        graph.check()
        return graph

    @property
    def output(self) -> str:
        """The name of the state that the next layer reads."""
        return self.graph.output


def _finite(name: str, value: Any) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array)):
        raise FormatError(f"{name} must hold finite numbers")
    return array
