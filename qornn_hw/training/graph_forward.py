"""The forward pass of a cell's graph over all steps: memory, and in-place operations of one step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from qornn_hw.cells.graph import CellGraph, CellState, Function, Input, Linear, Product, Sum, Value
from qornn_hw.training.graph_functions import FUNCTIONS
from qornn_hw.training.graph_layout import Layout, functions_alone, is_one
from qornn_hw.training.recurrence import Workspace

__all__ = ["ForwardPass", "Plan", "StepOperation", "ValueGrid"]

# A part of a step, computed when it is called with the step's number.
StepOperation: TypeAlias = Callable[[int], object]


@dataclass(frozen=True)
class ValueGrid:
    """The numbers that a value can be in hardware: multiples of ``step`` from ``low`` to ``high``."""

    step: float
    low: float
    high: float

    def put(self, value: Tensor) -> None:
        """Round and saturate in place."""
        value.mul_(1.0 / self.step).add_(0.5).floor_().mul_(self.step).clamp_(self.low, self.high)


class Plan:
    """A graph with its layout, and its constants in one list."""

    def __init__(
        self, graph: CellGraph, layout: Layout, grids: dict[str, ValueGrid], indices: dict[str, ValueGrid]
    ) -> None:
        self.graph, self.layout, self.grids, self.indices = graph, layout, grids, indices
        self.constants: list[Tensor] = []
        self.input_weight = None if layout.input_weight is None else self._constant(layout.input_weight)
        self.bias = None if layout.bias is None else self._constant(layout.bias)
        self.weights = {name: self._constant(block.weight) for name, block in layout.blocks.items()}
        self.biases: dict[str, int] = {}
        self.coefficients: dict[tuple[str, int], int] = {}
        for value in graph.values:
            if isinstance(value, Sum):
                self._constants_of(value)

    def same_grid(self, name: str, other: str) -> bool:
        """Return whether two values are rounded alike, except at the lower end, or neither of them."""
        one, two = self.grids.get(name), self.grids.get(other)
        if one is None or two is None:
            return one is two
        return (one.step, one.high) == (two.step, two.high)

    def _constant(self, tensor: Any) -> int:
        self.constants.append(torch.as_tensor(tensor))
        return len(self.constants) - 1

    def _constants_of(self, value: Sum) -> None:
        bias: Any = value.bias
        if value.name not in self.layout.folded and (bias.requires_grad or bool(bias.any())):
            self.biases[value.name] = self._constant(bias)
        for k, (coefficient, _) in enumerate(self.layout.terms(value)):
            if isinstance(coefficient, Tensor):
                self.coefficients[value.name, k] = self._constant(coefficient)


class ForwardPass:
    """One pass over a batch: memory of all steps, and the operations of a step."""

    def __init__(
        self,
        plan: Plan,
        workspace: Workspace,
        x: Tensor,
        starts: tuple[Tensor, ...],
        constants: tuple[Tensor, ...],
    ) -> None:
        self.plan, self.workspace = plan, workspace
        self.graph, self.layout = plan.graph, plan.layout
        self.constants = constants
        self.x = x
        self.steps, self.batch = x.shape[0], starts[0].shape[0]
        self.like = starts[0]
        self.slabs: dict[str, Tensor] = {}
        self.storage: dict[str, list[Tensor]] = {}
        # The values that matrices read, by the operand's name.
        self.operands: dict[str, list[Tensor]] = {}
        self.ops: list[StepOperation] = []
        for state, start in zip(self.graph.states, starts, strict=True):
            slab = self.slab(f"state {state.name}", state.size, self.steps + 1)
            slab[0] = start
            self.slabs[state.name] = slab
            self.storage[state.name] = list(slab.unbind(0))
        self.new = {name: self.storage[name][1:] for name in self.graph.assigned}
        # The value that is written to a state's memory directly; other assignments are copies.
        self.homes: dict[str, str] = {}
        for state_name, value in self.graph.assigned.items():
            computed = not isinstance(value, (CellState, Input)) and not self.layout.is_accumulator(value)
            if computed and plan.same_grid(value.name, state_name):
                self.homes.setdefault(value.name, state_name)
        self.accumulators = self.slab("accumulators", self.layout.width, self.steps)

    def slab(self, name: str, size: int, steps: int) -> Tensor:
        """Return memory of some steps, (steps, batch, size)."""
        return self.workspace.tensor(name, self.like, steps, self.batch, size)

    def columns(self, array: Tensor, columns: slice) -> list[Tensor]:
        """Return some columns of an array of the accumulators' shape, step by step."""
        return list(array[:, :, columns].unbind(0))

    def every_step(self, name: str) -> Tensor:
        """Return a value of all steps, (steps, batch, size)."""
        if name in self.slabs:
            return self.slabs[name][: self.steps]
        if (home := self.homes.get(name)) is not None:
            return self.slabs[home][1:]
        return torch.stack(self.operands[name])

    def same(self, size: int) -> list[Tensor]:
        """Return one memory for all steps, step by step."""
        return [self.like.new_empty(self.batch, size)] * self.steps

    # -- forward --------------------------------------------------------------------------------------

    def run(self) -> None:
        """Compute all steps."""
        self._drive()
        for value in self.graph.values:
            self._emit(value)
        for state, value in self.graph.assigned.items():
            if self.homes.get(value.name) != state:
                self._emit_copy(self.factor(value), self.new[state])
                if state in self.plan.grids:
                    self._round(self.new[state], self.plan.grids[state])
        ops = self.ops
        for t in range(self.steps):
            for op in ops:
                op(t)
        self.ops = []

    def _drive(self) -> None:
        """Write the input's products of all steps, with the folded biases, to the accumulators."""
        flat = self.accumulators.view(self.steps * self.batch, -1)
        bias = None if self.plan.bias is None else self.constants[self.plan.bias]
        if self.plan.input_weight is None:
            flat.zero_() if bias is None else flat.copy_(bias.expand_as(flat))
            return
        weight = self.constants[self.plan.input_weight]
        if self.x.ndim == 2:
            torch.index_select(weight.T.contiguous(), 0, self.x.reshape(-1), out=flat)
            if bias is not None:
                flat.add_(bias)
            return
        entries = self.x.reshape(len(flat), -1)
        if bias is None:
            torch.mm(entries, weight.T, out=flat)
        else:
            torch.addmm(bias, entries, weight.T, out=flat)

    def _emit_copy(self, source: list[Tensor], target: list[Tensor]) -> None:
        self.ops.append(lambda t: target[t].copy_(source[t]))

    def _round(self, target: list[Tensor], grid: ValueGrid) -> None:
        self.ops.append(lambda t: grid.put(target[t]))

    def _emit(self, value: Value) -> None:
        match value:
            case CellState():
                pass
            case Input():
                if self.x.ndim == 3:
                    self.storage[value.name] = list(self.x.unbind(0))
            case Linear():
                self._emit_linear(value)
                return
            case Sum():
                self._emit_sum(value)
            case Product():
                a, b = self.factor(value.a), self.factor(value.b)
                out = self._place(value)
                self.ops.append(lambda t: torch.mul(a[t], b[t], out=out[t]))
            case Function():
                self._emit_function(value)
        if value.name in self.plan.grids and not isinstance(value, CellState):
            self._round(self.storage[value.name], self.plan.grids[value.name])

    def _place(self, value: Value) -> list[Tensor]:
        """Choose the memory of a value that is computed, for all steps."""
        if (home := self.homes.get(value.name)) is not None:
            found = self.new[home]
        else:
            slab = self.slab(f"value {value.name}", value.size, self.steps)
            self.slabs[value.name] = slab
            found = list(slab.unbind(0))
        self.storage[value.name] = found
        return found

    def factor(self, value: Value) -> list[Tensor]:
        """Return the memory of a factor; an accumulator with a grid is rounded for it."""
        grid = self.plan.grids.get(value.name)
        if not isinstance(value, Linear) or grid is None:
            return self.storage[value.name]
        name = f"{value.name} rounded"
        if name not in self.storage:
            slab = self.slab(f"value {name}", value.size, self.steps)
            self.storage[name] = list(slab.unbind(0))
            self._emit_copy(self.storage[value.name], self.storage[name])
            self._round(self.storage[name], grid)
        return self.storage[name]

    def _emit_linear(self, value: Linear) -> None:
        columns = self.layout.columns[value.name]
        self.storage[value.name] = self.columns(self.accumulators, columns)
        if isinstance(value.value, Input):
            return
        block = self.layout.blocks[value.value.name]
        if block.first is value:
            weight = self.constants[self.plan.weights[value.value.name]].T.contiguous()
            places = self.columns(self.accumulators, block.columns)
            operand = self.operands[value.value.name] = self.factor(value.value)
            self.ops.append(lambda t: places[t].addmm_(operand[t], weight))

    def _emit_sum(self, value: Sum) -> None:
        if self.layout.is_accumulator(value):
            columns = self.columns(self.accumulators, self.layout.accumulator(value))
            # A rounded sum needs a place of its own only where others read the accumulator; none do.
            self.storage[value.name] = columns
            return
        reader = functions_alone(self.graph, value)
        if reader is not None and value.name not in self.plan.grids and value.name not in self.homes:
            # The function works in place.
            out = self._place(reader)
            self.storage[value.name] = out
        else:
            out = self._place(value)
        self._emit_terms(value, out)

    def _emit_terms(self, value: Sum, out: list[Tensor]) -> None:
        terms = [
            (self._coefficient(value, k, c), self.storage[v.name])
            for k, (c, v) in enumerate(self.layout.terms(value))
        ]
        # A term with the coefficient 1 goes first: it needs no operation of its own.
        terms.sort(key=lambda term: not is_one(term[0]))
        index = self.plan.biases.get(value.name)
        bias = None if index is None else self.constants[index]
        if is_one(terms[0][0]) and len(terms) > 1:
            (_, start), (c, other), *rest = terms
            self._emit_added(start, c, other, out)
            if bias is not None:
                self.ops.append(lambda t: out[t].add_(bias))
        elif bias is not None:
            (c, other), *rest = terms
            self._emit_added([bias] * self.steps, c, other, out)
        else:
            (c, only), *rest = terms
            self._emit_scaled(c, only, out)
        for c, other in rest:
            self._emit_added(out, c, other, out)

    def _emit_scaled(self, c: Any, value: list[Tensor], out: list[Tensor]) -> None:
        """Emit ``out = c * value``."""
        self.ops.append(lambda t: torch.mul(value[t], c, out=out[t]))

    def _emit_added(self, start: list[Tensor], c: Any, other: list[Tensor], out: list[Tensor]) -> None:
        """Emit ``out = start + c * other``."""
        if isinstance(c, Tensor):
            self.ops.append(lambda t: torch.addcmul(start[t], other[t], c, out=out[t]))
        else:
            self.ops.append(lambda t: torch.add(start[t], other[t], alpha=c, out=out[t]))

    def _coefficient(self, value: Sum, k: int, given: Any) -> Any:
        index = self.plan.coefficients.get((value.name, k))
        return given if index is None else self.constants[index]

    def _emit_function(self, value: Function) -> None:
        inner = value.value
        source = self.storage[inner.name]
        if value.name in self.storage:
            out = self.storage[value.name]
        elif (
            self.layout.is_accumulator(inner)
            and len(list(self.graph.users(inner))) == 1
            and value.name not in self.homes
            and inner.name not in self.plan.grids
        ):
            out = self.storage[value.name] = source
        else:
            out = self._place(value)
        if source is not out and source[0].data_ptr() != out[0].data_ptr():
            self._emit_copy(source, out)
        if (grid := self.plan.indices.get(value.name)) is not None:
            self._round(out, grid)
        function = FUNCTIONS[value.function]
        self.ops.append(lambda t: function.apply(out[t]))
