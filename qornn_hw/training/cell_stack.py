"""The trained module of a stack of cells: float parameters, or what the integers will compute.

Until :meth:`CellStack.hold` the module computes in real numbers. From then on weights are rounded with steps
that are learned, and every value that the hardware stores is rounded to the unit that the export has chosen.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph, CellState, Function, Hadamard, Input, Linear, Sum
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.cell_lowering import CellBits, CellGrids, LoweredLayer
from qornn_hw.quantization.grids import weight_limit
from qornn_hw.quantization.stack import RealStack, StackGrids
from qornn_hw.training.bjorck import Bjorck
from qornn_hw.training.graph_forward import ValueGrid
from qornn_hw.training.graph_functions import FUNCTIONS
from qornn_hw.training.graph_recurrence import recur_graph
from qornn_hw.training.krylov import last_hadamard_state, last_linear_state
from qornn_hw.training.recurrence import Workspace
from qornn_hw.training.traced_graph import TracedGraph, trace
from qornn_hw.training.weight_rounding import rounded_weights, stable_weights

__all__ = ["CellStack"]

# A step of rows of zeros.
_STEP_MIN = 1e-12
# Limit for the numbers that one pass without gradients holds.
HELD_MAX = 1 << 25


@dataclass(frozen=True)
class _Units:
    """The units of a layer that are not learned.

    Attributes:
        values: exponent, bits and sign of the values that are rounded, by name; empty while only weights are.
        indices: exponents of the table's indices, by the function's name.
    """

    values: dict[str, tuple[int, int, bool]]
    indices: dict[str, int]

    def grids(self, graph: CellGraph) -> dict[str, ValueGrid]:
        """Return the grids of the values."""
        found = {}
        functions = {v.name: v.function for v in graph.values if isinstance(v, Function)}
        for name, (exponent, bits, signed) in self.values.items():
            form, step = IntFormat(bits, signed=signed), 2.0**exponent
            function = functions.get(name)
            low = form.min if function is None else FUNCTIONS[function].lowest(form)
            found[name] = ValueGrid(step, low * step, form.max * step)
        return found

    def index_grids(self, bits: int) -> dict[str, ValueGrid]:
        """Return the grids of the tables' indices, of ``bits`` bits each."""
        top = 2 ** (bits - 1)
        steps = {name: 2.0**exponent for name, exponent in self.indices.items()}
        return {name: ValueGrid(step, -top * step, (top - 1) * step) for name, step in steps.items()}


class CellStack(nn.Module):
    """Layers of cells and a linear readout, with every float field of a cell as a parameter.

    Args:
        stack: the parameters at the start.
        bits: widths of the layers.
        output_bits: of V, 1 to 8.
        dropout: the part of the readout's inputs that training drops.
        orthogonal: keep the recurrent matrix of a linear layer orthogonal before it is rounded, and its
            spectral radius 1 behind.
    """

    def __init__(
        self,
        stack: RealStack,
        bits: CellBits,
        output_bits: int,
        dropout: float = 0.0,
        *,
        orthogonal: bool = False,
    ) -> None:
        super().__init__()
        self.cells: tuple[Cell, ...] = stack.cells
        self.one_hot, self.output_relu = stack.one_hot, stack.output_relu
        self.bits, self.output_bits = bits, output_bits
        self.drop = nn.Dropout(dropout)
        self.layers = [nn.ParameterDict(_parameters(cell)) for cell in stack.cells]
        self.steps = [
            nn.ParameterDict({v.name: nn.Parameter(_steps_of(v)) for v in _products(cell.graph)})
            for cell in stack.cells
        ]
        # A list of torch's own, in which torch finds the parameters.
        self.registered = nn.ModuleList([*self.layers, *self.steps])
        self.output_weight = nn.Parameter(torch.tensor(stack.output_weight, dtype=torch.float32))
        self.output_bias = nn.Parameter(torch.tensor(stack.output_bias, dtype=torch.float32))
        self.output_step = nn.Parameter(torch.zeros(()))
        linear = [k for k, cell in enumerate(stack.cells) if cell.linear and "weight_hh" in self.layers[k]]
        linear = linear if orthogonal else []
        self.orthogonal = nn.ModuleDict({str(k): Bjorck(stack.cells[k].units) for k in linear})
        self.units: tuple[_Units, ...] | None = None
        # Changes of the inputs, by name, and the name of the one that the present stage makes.
        self.views: dict[str, Callable[[Tensor], Tensor]] = {}
        self.view = ""
        self._workspaces = [Workspace() for _ in stack.cells]
        for cell, layer in zip(stack.cells, self.layers, strict=True):
            _check_gradients(cell, dict(layer.items()))

    def get_extra_state(self) -> Any:
        """Return the part of ``state_dict`` that is not a parameter (called by torch)."""
        units = None if self.units is None else [(u.values, u.indices) for u in self.units]
        return {"units": units, "view": self.view}

    def set_extra_state(self, state: Any) -> None:
        """Restore what :meth:`get_extra_state` returned (called by torch)."""
        units = state["units"]
        self.units = None if units is None else tuple(_Units(*one) for one in units)
        self.view = state["view"]

    def weights(self) -> Iterator[nn.Parameter]:
        """Yield the parameters that are trained with real weights, too."""
        for layer in self.layers:
            yield from layer.parameters()
        yield from (self.output_weight, self.output_bias)

    def matrices(self) -> list[nn.Parameter]:
        """Return all weights, which decay where a training asks for it; other parameters do not."""
        found = [value for layer in self.layers for name, value in layer.items() if name.startswith("weight")]
        return [*found, self.output_weight]

    def recurrent_weights(self) -> list[nn.Parameter]:
        """Return the parameters of linear layers that act in every step, which need a small learning rate.

        These are what makes the recurrent matrix, and the bias: the state adds it up over all steps.
        """
        return [
            layer[name]
            for cell, layer in zip(self.cells, self.layers, strict=True)
            for name in cell.recurrent_fields
        ]

    def logarithms(self) -> Iterator[nn.Parameter]:
        """Yield the logarithms of the steps."""
        for layer in self.steps:
            yield from layer.parameters()
        yield self.output_step

    # -- the units of the integers --------------------------------------------------------------------

    def hold(self, layers: Sequence[LoweredLayer], output_step: float, *, values: bool = True) -> None:
        """Round as integers from now on, with the units of a lowering of the present parameters.

        Args:
            layers: the lowered layers.
            output_step: of V.
            values: round the values, too; else the weights only.
        """
        units = []
        with torch.no_grad():
            for lowered, steps in zip(layers, self.steps, strict=True):
                if self.units is None:
                    for name, step in steps.items():
                        real = torch.from_numpy(lowered.grids.steps[name][: len(step), None])
                        step.copy_(real.clamp_min(_STEP_MIN).log())
                found = {k: (e, f.bits, f.signed) for k, (e, f) in lowered.grids.values.items()}
                units.append(_Units(found, dict(lowered.grids.indices)) if values else _Units({}, {}))
            if self.units is None:
                self.output_step.fill_(math.log(output_step))
        self.units = tuple(units)

    def grids(self) -> StackGrids | None:
        """Return the units with the steps as they are now; None while the module computes in real numbers."""
        if self.units is None:
            return None
        found = []
        for k, (units, logarithms) in enumerate(zip(self.units, self.steps, strict=True)):
            sizes = {v.name: v.size for v in _products(self.cells[k].graph)}
            steps = {
                name: np.broadcast_to(np.exp(_array(logarithm)[:, 0]), (sizes[name],))
                for name, logarithm in logarithms.items()
            }
            if str(k) in self.orthogonal:
                name, actual, _ = self._stable(k)
                steps[name] = _array(actual)[:, 0]
            steps |= self._exact_steps(k)
            values = {k: (e, IntFormat(bits, signed=signed)) for k, (e, bits, signed) in units.values.items()}
            found.append(CellGrids(values, units.indices, steps))
        return StackGrids(tuple(found), float(np.exp(_array(self.output_step))))

    def _weight_bits(self, layer: int, product: Linear) -> int:
        """Return the bits of a matrix: of symbols where it reads the index of a one-hot network."""
        reads_symbols = self.one_hot and layer == 0 and isinstance(product.value, Input)
        return self.bits.symbols if reads_symbols else self.bits.weights

    def _exact_steps(self, layer: int) -> dict[str, NDArray[np.float64]]:
        """Return the steps with which a weight of a single column is its largest integer."""
        graph = trace(self.cells[layer], dict(self.layers[layer].items()))
        found = {}
        for product in _products(graph):
            if _is_exact(product) and not isinstance(product, Hadamard):
                weight: Any = product.weight
                sizes = np.maximum(np.abs(_array(weight)[:, 0]), _STEP_MIN)
                found[product.name] = sizes / weight_limit(self._weight_bits(layer, product))
        return found

    def stack(self) -> RealStack:
        """Return the parameters as they are now; a linear layer's recurrent matrix as the network has it."""
        cells = []
        for k, (cell, layer) in enumerate(zip(self.cells, self.layers, strict=True)):
            fields = {name: _array(value) for name, value in layer.items()}
            fields |= {name: _array(value) for name, value in self._recurrent(k)[1].items()}
            cells.append(replace(cell, **fields))
        return RealStack(
            tuple(cells), _array(self.output_weight), _array(self.output_bias), self.one_hot, self.output_relu
        )

    def slow(self, factor: float) -> None:
        """Change the gates for sequences of ``factor`` times as many steps (:meth:`Cell.slowed`)."""
        cells = self.stack().cells
        with torch.no_grad():
            for cell, layer in zip(cells, self.layers, strict=True):
                slowed = cell.slowed(factor)
                for name, parameter in layer.items():
                    parameter.copy_(torch.as_tensor(getattr(slowed, name)))

    # -- passes ---------------------------------------------------------------------------------------

    def _orthogonal(self, layer: int) -> dict[str, Tensor]:
        """Return the fields that make the recurrent matrix of a linear layer, before rounding."""
        bjorck = self.orthogonal[str(layer)]
        bjorck.train(self.training and torch.is_grad_enabled())
        fields = self.layers[layer]
        if "own" not in fields:
            return {"weight_hh": bjorck(fields["weight_hh"])}
        matrix: Tensor = bjorck(fields["weight_hh"] + torch.diag(fields["own"]))
        own = torch.diagonal(matrix)
        return {"weight_hh": matrix - torch.diag(own), "own": own}

    def _stable(self, layer: int) -> tuple[str, Tensor, dict[str, Tensor]]:
        """Return name and steps of the recurrent product of a linear layer, and its rounded fields."""
        graph = self.cells[layer].graph
        (product,) = (v for v in _products(graph) if not isinstance(v.value, Input))
        step = self.steps[layer][product.name].detach().exp()
        found = self._orthogonal(layer)
        weight, actual, own = stable_weights(found["weight_hh"], step, self.bits.weights, found.get("own"))
        return product.name, actual, found | {"weight_hh": weight} | ({"own": own} if "own" in found else {})

    def _recurrent(self, layer: int) -> tuple[str, dict[str, Tensor]]:
        """Return the fields of a layer that are kept orthogonal, as they are computed with.

        With them comes the name of the product that is rounded already; empty where none is.
        """
        if str(layer) not in self.orthogonal:
            return "", {}
        if self.units is None:
            return "", self._orthogonal(layer)
        name, _, fields = self._stable(layer)
        return name, fields

    def graphs(self) -> list[TracedGraph]:
        """Return the graph of each layer, with rounded weights where the units are held."""
        found = []
        for k, (cell, layer) in enumerate(zip(self.cells, self.layers, strict=True)):
            stable, recurrent = self._recurrent(k)
            graph = trace(cell, {**dict(layer.items()), **recurrent})
            if self.units is not None:
                for product in _products(graph):
                    if product.name == stable or _is_exact(product):
                        continue
                    step: Any = self.steps[k][product.name].exp()
                    weight: Any = product.weight
                    bits = self._weight_bits(k, product)
                    product.weight = rounded_weights(weight, step, bits)  # type: ignore[assignment]  # a tensor in a traced graph
            found.append(graph)
        return found

    def forward(self, x: Tensor, state: Any = None, last_only: bool = False) -> tuple[Tensor, Any]:
        """Run sequences of indices (batch, T) or vectors (batch, T, m).

        Args:
            x: the sequences.
            state: the states before the first step, of each layer, of each of its states, (batch, n); None
                for the cells' own.
            last_only: return the logits of the last step only.

        Returns:
            The logits, (batch, T, p), or with ``last_only`` (batch, p), and the states after the last step.
        """
        graphs = self.graphs()
        if self.view:
            x = self.views[self.view](x)
        if torch.is_grad_enabled():
            return self._run(graphs, x, state, last_only)
        width = sum(sum(value.size for value in graph.values) for graph in graphs)
        part = max(1, HELD_MAX // (x.shape[1] * width))
        parts = []
        for start in range(0, len(x), part):
            chosen = slice(start, start + part)
            own = None if state is None else tuple(tuple(s[chosen] for s in one) for one in state)
            parts.append(self._run(graphs, x[chosen], own, last_only))
        logits = torch.cat([one for one, _ in parts])
        ends = tuple(
            tuple(torch.cat(states) for states in zip(*layers, strict=True))
            for layers in zip(*(end for _, end in parts), strict=True)
        )
        return logits, ends

    def _run(self, graphs: list[TracedGraph], x: Tensor, state: Any, last_only: bool) -> tuple[Tensor, Any]:
        y = x.transpose(0, 1).contiguous()
        ends = []
        for k, graph in enumerate(graphs):
            units = None if self.units is None else self.units[k]
            grids = None if units is None else units.grids(graph)
            indices = None if units is None else units.index_grids(self.bits.index)
            starts = self._starts(graph, grids, len(x)) if state is None else state[k]
            above = self.cells[k + 1 :]
            last = last_only and not any(cell.has_memory for cell in above)
            if last and self.cells[k].linear and (not grids or torch.is_grad_enabled()):
                y = self._last_of_linear(graph, y, starts[0], grids)
                end: tuple[Tensor, ...] = (y,)
            else:
                y, end = recur_graph(
                    graph,
                    y,
                    tuple(starts),
                    grids=grids,
                    indices=indices,
                    last_only=last,
                    workspace=self._workspaces[k] if torch.is_grad_enabled() else None,
                )
            # Layers without memory need the last step only.
            y = y.unsqueeze(0) if last and above else y
            ends.append(end)
        y = torch.relu(y) if self.output_relu else y
        weight: Tensor = self.output_weight
        if self.units is not None:
            weight = rounded_weights(weight, self.output_step.exp(), self.output_bits)
        logits = self.drop(y) @ weight.T + self.output_bias
        return (logits if last_only else logits.transpose(0, 1)), tuple(ends)

    @staticmethod
    def _last_of_linear(
        graph: TracedGraph, x: Tensor, start: Tensor, grids: dict[str, ValueGrid] | None
    ) -> Tensor:
        """Return the last state of a linear layer, with noise of the size of the roundings of all steps."""
        by_input = {isinstance(v.value, Input): v for v in _products(graph)}
        (total,) = graph.assigned.values()
        assert isinstance(total, Sum)
        recurrent: Any = by_input[False]
        weight, bias = torch.as_tensor(by_input[True].weight), torch.as_tensor(total.bias)
        if isinstance(recurrent, Hadamard):
            signs = torch.as_tensor(recurrent.signs)
            y = last_hadamard_state(signs, recurrent.block, weight, bias, x, start)
        else:
            matrix = torch.as_tensor(recurrent.weight)
            own = [c for c, v in total.terms if isinstance(v, CellState)]
            matrix = matrix + torch.diag(torch.as_tensor(own[0])) if own else matrix
            y = last_linear_state(matrix, weight, bias, x, start)
        if not grids:
            return y
        step = grids[graph.output].step
        return y + torch.randn_like(y) * (step * math.sqrt(len(x) / 12))

    @staticmethod
    def _starts(graph: TracedGraph, grids: dict[str, ValueGrid] | None, batch: int) -> list[Tensor]:
        found = []
        for state in graph.states:
            start: Any = state.initial
            if grids:
                # As the lowering: to the nearest, ties to even.
                grid = grids[state.name]
                start = ((start / grid.step).round() * grid.step).clamp(grid.low, grid.high)
            found.append(start.expand(batch, -1))
        return found


def _steps_of(product: Linear) -> Tensor:
    """Return the logarithms of the steps of a matrix: one a row, or one."""
    return torch.zeros(1 if product.one_step else product.size, 1)


def _parameters(cell: Cell) -> dict[str, nn.Parameter]:
    """Return every float field of a cell but its initial states."""
    found = {}
    for entry in fields(cell):
        value: Any = getattr(cell, entry.name)
        if entry.name.startswith("initial") or not isinstance(value, (float, np.ndarray)):
            continue
        found[entry.name] = nn.Parameter(torch.tensor(value, dtype=torch.float32))
    return found


def _check_gradients(cell: Cell, parameters: dict[str, Tensor]) -> None:
    """Raise a FormatError for a float field that the cell's graph does not depend on as a tensor."""
    graph = trace(cell, parameters)
    constants: list[Any] = []
    for value in graph.values:
        if isinstance(value, Linear):
            constants.append(value.weight)
        elif isinstance(value, Sum):
            constants += [value.bias, *(c for c, _ in value.terms)]
    reached = [c for c in constants if isinstance(c, Tensor) and c.requires_grad]
    gradients = torch.autograd.grad([c.sum() for c in reached], list(parameters.values()), allow_unused=True)
    for name, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            raise FormatError(
                f"{type(cell).__name__}.{name} must be used with operators in build to be trained, and has "
                "no effect there; a number that is no parameter must be an int"
            )


def _products(graph: CellGraph) -> list[Linear]:
    return [value for value in graph.values if isinstance(value, Linear)]


def _is_exact(product: Linear) -> bool:
    """Return whether rounding changes nothing: a row of one weight has a step of its own; signs are exact."""
    return isinstance(product, Hadamard) or (product.value.size == 1 and not product.one_step)


def _array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.detach().cpu().double().numpy()
