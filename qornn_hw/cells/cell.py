"""What every cell is: parameters in float, and a graph of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.graph import CellGraph, Value
from qornn_hw.errors import FormatError

__all__ = ["Cell", "keeping", "split"]


def split(array: NDArray[np.float64], parts: int) -> list[NDArray[np.float64]]:
    """Return the equal parts of the rows of an array, one for each gate."""
    rows = len(array) // parts
    return [array[k * rows : (k + 1) * rows] for k in range(parts)]


def keeping(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bias of a gate that keeps 1 - 1 / t of a state in each step, for t from 1 on.

    >>> keeping(np.array([2.0, 11.0])).round(3).tolist()
    [0.0, 2.303]
    """
    return np.log(np.maximum(times - 1.0, 1e-2))


@dataclass(frozen=True, eq=False)
class Cell(ABC):
    """Parameters of one layer of n units on m inputs.

    A subclass is a frozen dataclass with ``weight_ih`` of (gates * n, m) at least. ``weight_hh`` is
    (gates * n, n) where there is one. Fields whose names begin with ``bias`` are (gates * n,). Those whose
    names begin with ``initial`` are states before the first step, which are not trained.

    Attributes:
        gates: rows of the weights for each unit.
        input_biases: the fields that are added to ``weight_ih @ x``.
        linear: whether the new state is ``weight_ih @ x + M h + bias``, M a matrix: ``weight_hh``, with
            ``own`` added to its diagonal where there is that field, or one made of other fields.
        recurrent_fields: of a linear cell: the fields that act in every step.
        has_memory: whether a step depends on earlier inputs.

    Raises:
        FormatError: the shapes do not fit, or a number is not finite.
    """

    gates: ClassVar[int] = 1
    input_biases: ClassVar[tuple[str, ...]] = ("bias_ih",)
    linear: ClassVar[bool] = False
    recurrent_fields: ClassVar[tuple[str, ...]] = ()
    has_memory: ClassVar[bool] = True
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
            if value is None or isinstance(value, (bool, str)) or entry.type in (int, "int"):
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

    @classmethod
    def start(
        cls, inputs: int, units: int, random: np.random.Generator, memory: float = 1.0, **given: Any
    ) -> Self:
        """Return a cell to be trained: ``weight_ih`` of Glorot's uniform numbers, ``weight_hh`` orthogonal.

        Biases are 0, and other fields what :meth:`start_fields` says.

        Args:
            inputs: m.
            units: n.
            random: the source of the numbers.
            memory: the longest time in steps for which a unit remembers at the start. Gates begin with times
                from 1 to this one, evenly spread (Tallec & Ollivier 2018).
            given: fields with other values than these.

        Raises:
            FormatError: the cell has a field without a default that :meth:`start_fields` does not set.
        """
        rows = cls.gates * units
        reach = np.sqrt(6.0 / (inputs + units))
        made: dict[str, Any] = {}
        for entry in fields(cls):
            if entry.name == "weight_ih":
                made[entry.name] = random.uniform(-reach, reach, (rows, inputs))
            elif entry.name == "weight_hh":
                blocks = [np.linalg.qr(random.normal(size=(units, units)))[0] for _ in range(cls.gates)]
                made[entry.name] = np.concatenate(blocks)
            elif entry.name.startswith("bias"):
                made[entry.name] = np.zeros(rows)
        times = random.uniform(1.0, max(memory, 1.0), units)
        try:
            return cls(**made | cls.start_fields(times) | given)
        except TypeError as error:
            raise FormatError(
                f"{cls.__name__}.start_fields must set every field that has no default: {error}"
            ) from None

    @classmethod
    def start_fields(cls, times: NDArray[np.float64]) -> dict[str, Any]:
        """Return the fields whose start depends on the cell, for memories of ``times`` steps, (n,)."""
        return {}

    def slowed(self, factor: float) -> Self:
        """Return the cell for sequences of ``factor`` times as many steps: gates let less through per step.

        A cell without gates stays as it is.
        """
        return self

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
