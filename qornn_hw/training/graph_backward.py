"""Back-propagation through a cell's graph over all steps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qornn_hw.cells.graph import CellState, Function, Input, Linear, Product, Sum, Value
from qornn_hw.training.graph_forward import ForwardPass, StepOperation, ValueGrid
from qornn_hw.training.graph_functions import FUNCTIONS
from qornn_hw.training.graph_layout import functions_alone, is_one

__all__ = ["BackwardPass"]


class BackwardPass:
    """Back-propagation through a run."""

    def __init__(self, run: ForwardPass) -> None:
        self.forward, self.plan, self.graph, self.layout = run, run.plan, run.graph, run.layout
        self.steps = run.steps
        self.deltas = run.slab("deltas", self.layout.width, self.steps)
        self.ops: list[StepOperation] = []
        self.grads: dict[str, list[Tensor]] = {}
        self.sums: dict[int, Tensor] = {}
        # The accumulators whose gradient has been written.
        self.written: set[int] = set()
        self.carries = {}
        for state in self.graph.states:
            pair = [run.like.new_zeros(run.batch, state.size) for _ in range(2)]
            self.carries[state.name] = [pair[t & 1] for t in range(self.steps + 1)]
        for state_name, value in self.graph.assigned.items():
            self._give(value, self.carries[state_name][1:])
        for value in reversed(self.graph.values):
            self._emit(value)
        for columns in self.layout.columns.values():
            assert columns.start in self.written
        for name in self.carries:
            if name not in self.grads:
                # No value reads the state.
                self._emit_zeros(self.carries[name])

    def _emit_zeros(self, target: list[Tensor]) -> None:
        self.ops.append(lambda t: target[t].zero_())

    def run(self, outer: Tensor, ends: Sequence[Tensor | None], last_only: bool) -> None:
        """Propagate through all steps."""
        for state, end in zip(self.graph.states, ends, strict=True):
            if end is not None:
                self.carries[state.name][self.steps].copy_(end)
        carry = self.carries[self.graph.output]
        last = self.steps - 1
        every = None if last_only else outer.unbind(0)
        if every is None:
            carry[self.steps].add_(outer)
        ops = self.ops
        for t in range(last, -1, -1):
            if every is not None:
                carry[t + 1].add_(every[t])
            for op in ops:
                op(t)

    def gradients(self, wants_x: bool) -> tuple[Tensor | None, list[Tensor], list[Tensor | None]]:
        """Return the gradients after the last step."""
        run, plan = self.forward, self.plan
        found: list[Tensor | None] = [None] * len(run.constants)
        flat = self.deltas.view(self.steps * run.batch, -1)
        d_x = None
        if plan.input_weight is not None:
            weight = run.constants[plan.input_weight]
            if run.x.ndim == 2:
                chosen = run.x.reshape(-1)
                found[plan.input_weight] = torch.zeros_like(weight.T).index_add_(0, chosen, flat).T
            else:
                found[plan.input_weight] = flat.T @ run.x.reshape(len(flat), -1)
                if wants_x:
                    d_x = (flat @ weight).view_as(run.x)
        if plan.bias is not None:
            found[plan.bias] = flat.sum(0)
        for name, index in plan.weights.items():
            block = self.layout.blocks[name]
            found[index] = flat[:, block.columns].T @ run.every_step(name).reshape(len(flat), -1)
        for place, total in self.sums.items():
            found[place] = total.sum(0) if run.constants[place].ndim else total.sum()
        starts = [self.carries[state.name][0] for state in self.graph.states]
        return d_x, starts, found

    # -- gradients of values --------------------------------------------------------------------------

    def _target(self, value: Value) -> tuple[list[Tensor], bool]:
        """Return the memory of a value's gradient, and whether it holds something already."""
        if self.layout.is_accumulator(value):
            columns = self.layout.accumulator(value)
            held = columns.start in self.written
            self.written.add(columns.start)
            if value.name not in self.grads:
                self.grads[value.name] = self.forward.columns(self.deltas, columns)
            return self.grads[value.name], held
        if value.name in self.grads:
            return self.grads[value.name], True
        if isinstance(value, CellState):
            found = self.carries[value.name][: self.steps]
        elif (delta := self._delta_of(value)) is not None:
            found = self.forward.columns(self.deltas, delta)
        else:
            found = self.forward.same(value.size)
        self.grads[value.name] = found
        return found, False

    def _delta_of(self, value: Value) -> slice | None:
        """Return the accumulator whose gradient is that of a sum, if nothing has been written to it.

        The sum must be consumed before another one adds to the accumulator: its only reader follows it.
        """
        if not isinstance(value, Sum) or value.name in self.plan.grids:
            return None
        place = self.graph.values.index(value)
        reader = functions_alone(self.graph, value)
        if reader is None or self.graph.values[place + 1] is not reader:
            return None
        for c, v in self.layout.terms(value):
            if isinstance(v, Linear) and is_one(c) and self.layout.columns[v.name].start not in self.written:
                return self.layout.columns[v.name]
        return None

    def _give(self, value: Value, gradient: list[Tensor], alias: bool = True) -> bool:
        """Add a gradient to that of a value; return whether the memory itself became the value's."""
        if isinstance(value, Input):
            return False
        plain = not isinstance(value, CellState) and not self.layout.is_accumulator(value)
        if alias and plain and value.name not in self.grads:
            self.grads[value.name] = gradient
            return True
        target, held = self._target(value)
        if held:
            self.ops.append(lambda t: target[t].add_(gradient[t]))
        else:
            self.ops.append(lambda t: target[t].copy_(gradient[t]))
        return False

    def _give_product(self, value: Value, gradient: list[Tensor], factor: Any) -> None:
        """Add ``gradient * factor`` to the gradient of a value; the factor is a list by step, or one."""
        if isinstance(value, Input):
            return
        by_step = factor if isinstance(factor, list) else [factor] * self.steps
        target, held = self._target(value)
        if held:
            self.ops.append(lambda t: target[t].addcmul_(gradient[t], by_step[t]))
        else:
            self.ops.append(lambda t: torch.mul(gradient[t], by_step[t], out=target[t]))

    def _emit(self, value: Value) -> None:
        if isinstance(value, Linear):
            self._emit_linear(value)
            return
        if isinstance(value, (Input, CellState)):
            return
        gradient = self.grads[value.name]
        grid = self.plan.grids.get(value.name)
        # The gradient of a table is that at the rounded result.
        by_table = isinstance(value, Function) and FUNCTIONS[value.function].by_table
        if grid is not None and not by_table:
            self._mask(gradient, self.forward.storage[value.name], grid)
        match value:
            case Sum():
                self._emit_sum(value, gradient)
            case Product():
                a, b = (self.forward.factor(factor) for factor in (value.a, value.b))
                self._give_product(value.a, gradient, b)
                self._give_product(value.b, gradient, a)
            case Function():
                self._emit_function(value, gradient)

    def _mask(self, gradient: list[Tensor], stored: list[Tensor], grid: ValueGrid) -> None:
        low, high = grid.low + 0.5 * grid.step, grid.high - 0.5 * grid.step
        backward = torch.ops.aten.hardtanh_backward.grad_input
        self.ops.append(lambda t: backward(gradient[t], stored[t], low, high, grad_input=gradient[t]))

    def _emit_linear(self, value: Linear) -> None:
        if isinstance(value.value, Input):
            return
        block = self.layout.blocks[value.value.name]
        if block.first is not value:
            return
        weight = self.forward.constants[self.plan.weights[value.value.name]]
        deltas = self.forward.columns(self.deltas, block.columns)
        target, held = self._target(value.value)
        if held:
            self.ops.append(lambda t: target[t].addmm_(deltas[t], weight))
        else:
            self.ops.append(lambda t: torch.mm(deltas[t], weight, out=target[t]))

    def _accumulate(self, index: int, gradient: list[Tensor], factor: list[Tensor] | None) -> None:
        """Add up the gradient of a constant over all steps."""
        if not self.forward.constants[index].requires_grad and not self.plan.constants[index].requires_grad:
            return
        if index not in self.sums:
            self.sums[index] = torch.zeros_like(gradient[0])
        total = self.sums[index]
        if factor is None:
            self.ops.append(lambda t: total.add_(gradient[t]))
        else:
            self.ops.append(lambda t: total.addcmul_(gradient[t], factor[t]))

    def _emit_sum(self, value: Sum, gradient: list[Tensor]) -> None:
        if self.layout.is_accumulator(value):
            return
        storage = self.forward.storage
        if (index := self.plan.biases.get(value.name)) is not None:
            self._accumulate(index, gradient, None)
        for k, (c, other) in enumerate(self.layout.terms(value)):
            index = self.plan.coefficients.get((value.name, k))
            if index is not None:
                self._accumulate(index, gradient, storage[other.name])
                self._give_product(other, gradient, self.forward.constants[index])
            elif not is_one(c):
                self._give_scaled(other, gradient, c)
        plain = [other for c, other in self.layout.terms(value) if is_one(c)]
        given = [other for other in plain if not self._is_delta(other, gradient)]
        # One value may take the memory of the gradient, and change it, unless an accumulator has it.
        alias = len(given) == len(plain)
        for other in given:
            alias = not self._give(other, gradient, alias=alias) and alias

    def _is_delta(self, value: Value, gradient: list[Tensor]) -> bool:
        """Return whether a gradient lies in the memory of an accumulator's gradient already."""
        if not self.layout.is_accumulator(value):
            return False
        columns = self.layout.accumulator(value)
        mine = self.deltas[0][:, columns]
        if gradient[0].data_ptr() != mine.data_ptr():
            return False
        self.written.add(columns.start)
        return True

    def _give_scaled(self, value: Value, gradient: list[Tensor], c: float) -> None:
        if isinstance(value, Input):
            return
        target, held = self._target(value)
        if held:
            self.ops.append(lambda t: target[t].add_(gradient[t], alpha=c))
        else:
            self.ops.append(lambda t: torch.mul(gradient[t], c, out=target[t]))

    def _emit_function(self, value: Function, gradient: list[Tensor]) -> None:
        target, held = self._target(value.value)
        place = self.forward.same(value.size) if held else target
        y = self.forward.storage[value.name]
        function = FUNCTIONS[value.function]
        self.ops.append(lambda t: function.differentiate(gradient[t], y[t], place[t]))
        if held:
            self.ops.append(lambda t: target[t].add_(place[t]))
