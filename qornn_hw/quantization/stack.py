"""A stack of cells and a readout, from float to an integer network.

Layer 0 reads the input, layer k the new states of layer k - 1. The logits are V h + c of the last layer's new
states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.real_model import run_cell
from qornn_hw.errors import DataError, FormatError
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Input, Network, Readout
from qornn_hw.ir.ops import Answer, MatVec, PiecewiseLinear, Term
from qornn_hw.quantization.cell_lowering import CellBits, CellGrids, LoweredLayer, Source, lower_cell
from qornn_hw.quantization.grids import least_squares_step, quantize_weights, weight_limit
from qornn_hw.quantization.input_grid import InputGrid

__all__ = ["RealStack", "StackGrids", "quantize_stack"]

FloatArray = NDArray[np.float64]
# Values of the graph that calibration keeps at most: batch * steps * units of the largest layer.
SAMPLE_MAX = 1 << 22


@dataclass(frozen=True, eq=False)
class RealStack:
    """A float network: cells in order, and a linear readout.

    Attributes:
        cells: at least one; each reads as many entries as the one before has units.
        output_weight: V, (p, n).
        output_bias: c, (p,).
        one_hot: whether the input is an index.
        output_relu: whether V reads ``max(h, 0)`` of the last cell's states.
    """

    cells: tuple[Cell, ...]
    output_weight: FloatArray
    output_bias: FloatArray
    one_hot: bool = False
    output_relu: bool = False

    def __post_init__(self) -> None:
        if not self.cells:
            raise FormatError("a stack must have a cell, not none")
        for k, (below, cell) in enumerate(zip(self.cells, self.cells[1:], strict=False), 1):
            if cell.inputs != below.units:
                raise FormatError(
                    f"layer {k} must read the {below.units} units below it, not {cell.inputs} inputs"
                )
        weight = np.asarray(self.output_weight, dtype=np.float64)
        bias = np.asarray(self.output_bias, dtype=np.float64)
        if weight.ndim != 2 or weight.shape[1] != self.cells[-1].units or bias.shape != (len(weight),):
            raise FormatError(
                f"the readout must have {self.cells[-1].units} columns and a bias for each row, not shapes "
                f"{weight.shape} and {bias.shape}"
            )
        object.__setattr__(self, "output_weight", weight)
        object.__setattr__(self, "output_bias", bias)

    def run(self, inputs: NDArray[Any]) -> FloatArray:
        """Return the logits of every step, (batch, steps, p)."""
        return self.trace(inputs)[1]

    def trace(self, inputs: NDArray[Any]) -> tuple[list[dict[str, FloatArray]], FloatArray]:
        """Return all values of all layers, the new states as ``name'``, and the logits of every step."""
        found = []
        x = inputs
        for cell in self.cells:
            values, new = run_cell(cell.graph, x)
            found.append(values | {f"{name}'": value for name, value in new.items()})
            x = new[cell.output]
        read = np.maximum(x, 0) if self.output_relu else x
        return found, np.asarray(read @ self.output_weight.T + self.output_bias)


@dataclass(frozen=True, eq=False)
class StackGrids:
    """The units of a stack, which a training keeps.

    Attributes:
        layers: of each layer.
        output_step: of V.
    """

    layers: tuple[CellGrids, ...]
    output_step: float


def quantize_stack(
    stack: RealStack,
    inputs: NDArray[Any] | Sequence[NDArray[Any]],
    grid: InputGrid | None,
    *,
    bits: CellBits | None = None,
    output_bits: int = 8,
    mode: OutputMode = OutputMode.EVERY_STEP,
    kind: OutputKind = OutputKind.BOTH,
    held: StackGrids | None = None,
) -> tuple[Network, list[LoweredLayer]]:
    """Return the integer network of a float one.

    Args:
        stack: float parameters.
        inputs: of calibration: real vectors (batch, steps, m), or indices (batch, steps); or such batches.
        grid: of the input's integers; None for indices.
        bits: of the layers.
        output_bits: of V, 1 to 8.
        mode: after which steps the network answers.
        kind: what it answers.
        held: the units that a training has; with those of all values the inputs are not used.

    Returns:
        The network, and its layers with their scales.

    Raises:
        FormatError: a parameter does not fit its width.
        DataError: there are no calibration inputs.
    """
    bits = bits or CellBits()
    batches = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    known = held is not None and all(layer.values for layer in held.layers)
    if not known and not any(batch.size for batch in batches):
        raise DataError("calibration inputs must hold a step, not none")
    entry, source = _input(stack, grid)
    samples = [{} for _ in stack.cells] if known else _samples(stack, batches, grid)
    layers: list[LoweredLayer] = []
    for k, (cell, sample) in enumerate(zip(stack.cells, samples, strict=True)):
        units = None if held is None else held.layers[k]
        layers.append(lower_cell(cell, f"layer{k}", source, bits, sample, units))
        source = layers[-1].output
    step = None if held is None else held.output_step
    readout, scale = _readout(stack, source, output_bits, mode, kind, step)
    scales = {name: worth for layer in layers for name, worth in layer.scales.items()}
    network = Network(entry, tuple(layer.layer for layer in layers), readout, scales | {"logits": scale})
    return network, layers


def _output_step(weight: FloatArray, bits: int) -> float:
    """Return the step of V with the least square error."""
    if bits == 1:
        return float(np.abs(weight).mean()) or 1.0
    return least_squares_step(weight, bits, float(np.abs(weight).max()) / weight_limit(bits)) or 1.0


def _samples(
    stack: RealStack, batches: list[NDArray[Any]], grid: InputGrid | None
) -> list[dict[str, FloatArray]]:
    """Return every value of every layer on inputs that the hardware can see, (samples, n)."""
    units = max(cell.units for cell in stack.cells)
    room = SAMPLE_MAX // units
    found: list[dict[str, list[FloatArray]]] = [{} for _ in stack.cells]
    for batch in batches:
        if not batch.size or room <= 0:
            continue
        x = batch[: max(1, room // batch.shape[1])]
        room -= x.shape[0] * x.shape[1]
        traces, _ = stack.trace(x if grid is None else grid.real(grid.integers(x)))
        for values, trace in zip(found, traces, strict=True):
            for name, value in trace.items():
                values.setdefault(name, []).append(value.reshape(-1, value.shape[-1]))
    return [{name: np.concatenate(parts) for name, parts in values.items()} for values in found]


def _input(stack: RealStack, grid: InputGrid | None) -> tuple[Input, Source]:
    m = stack.cells[0].inputs
    if stack.one_hot:
        entry = Input("x", InputKind.ONE_HOT, m, Input.index_format(m))
        return entry, Source("x", np.ones(m), np.zeros(m), one_hot=True)
    if grid is None:
        raise FormatError("an input of vectors must have a grid, and has none")
    if len(grid.scale) != m:
        raise FormatError(f"the input's grid must have {m} channels, not {len(grid.scale)}")
    scales, offsets = (tuple(float(v) for v in a) for a in (grid.scale, grid.offset))
    return Input("x", InputKind.VECTOR, m, grid.format, scales, offsets), Source("x", grid.scale, grid.offset)


def _readout(
    stack: RealStack, source: Source, bits: int, mode: OutputMode, kind: OutputKind, step: float | None
) -> tuple[Readout, float]:
    unit = float(source.scale[0])
    weight = stack.output_weight
    step = _output_step(weight, bits) if step is None else step
    bias = np.rint(stack.output_bias / (step * unit)).astype(np.int64)
    tail = (PiecewiseLinear.relu("positive", source.name),) if stack.output_relu else ()
    value = "positive" if stack.output_relu else source.name
    logits = MatVec("logits", (Term(value, quantize_weights(weight, bits, step), bits),), bias)
    return Readout(logits, Answer("answer", "logits", kind), mode, tail), step * unit
