"""The accumulators of a cell's graph in one matrix, so that a step has one product for each operand.

Every ``weight @ value`` of the graph has columns of one array, the accumulators. A product with the input and
one with a state that are only ever added together share their columns: ``W x + U h`` is one sum. The input's
products are computed for all steps at once, those of an operand for each step. Where one sum only reads an
accumulator, that sum's bias is part of the input's product.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from qornn_hw.cells.graph import CellGraph, Function, Input, Linear, Sum, Value

__all__ = ["Block", "Layout", "functions_alone", "is_one", "layout_of"]


@dataclass(frozen=True, eq=False)
class Block:
    """The accumulators of one operand other than the input.

    Attributes:
        operand: the value.
        columns: of the accumulators.
        weight: (columns, entries of the operand).
        first: the first product of the block in the order of computation.
    """

    operand: Value
    columns: slice
    weight: Tensor
    first: Linear


@dataclass(eq=False)
class Layout:
    """Where the products of a graph are, and what is part of them.

    Attributes:
        columns: the accumulators' columns, by the product's name.
        width: columns in all.
        input_weight: of the input's products, (width, m); None where the input is not read.
        bias: part of the input's products, (width,); None where there is none.
        blocks: by the operand's name.
        paired: the input's products that share the columns of another one.
        folded: the sums whose bias is part of the input's products.
    """

    columns: dict[str, slice]
    width: int
    input_weight: Tensor | None
    bias: Tensor | None
    blocks: dict[str, Block]
    paired: set[str]
    folded: set[str] = field(default_factory=set)

    def terms(self, value: Sum) -> list[tuple[Any, Value]]:
        """Return the terms of a sum that are computed step by step; a pair of products is one term."""
        return [(c, v) for c, v in value.terms if v.name not in self.paired]

    def is_accumulator(self, value: Value) -> bool:
        """Return whether a value is one accumulator as it stands."""
        if isinstance(value, Linear):
            return True
        if not isinstance(value, Sum) or value.name not in self.folded:
            return False
        terms = self.terms(value)
        return len(terms) == 1 and is_one(terms[0][0])

    def accumulator(self, value: Value) -> slice:
        """Return the columns of a value that is an accumulator."""
        if isinstance(value, Sum):
            ((_, value),) = self.terms(value)
        return self.columns[value.name]


def is_one(coefficient: Any) -> bool:
    """Return whether a coefficient is the number 1, not a tensor."""
    return isinstance(coefficient, float) and coefficient == 1.0


def _partner(graph: CellGraph, product: Linear) -> Linear | None:
    """Return the other product that is added to one of the input wherever it is read."""
    users = list(graph.users(product))
    sums = [user for user in users if isinstance(user, Sum)]
    if len(sums) != len(users) or not sums:
        return None
    for _, other in sums[0].terms:
        if not isinstance(other, Linear) or isinstance(other.value, Input) or other.size != product.size:
            continue
        if {id(u) for u in graph.users(other)} == {id(u) for u in sums} and all(
            _both_once(one, product, other) for one in sums
        ):
            return other
    return None


def _both_once(value: Sum, one: Linear, other: Linear) -> bool:
    """Return whether a sum adds two products once each, with the coefficient 1."""
    coefficients = ([c for c, v in value.terms if v is product] for product in (one, other))
    return all(len(found) == 1 and is_one(found[0]) for found in coefficients)


def layout_of(graph: CellGraph) -> Layout:
    """Return the layout of a graph of tensors."""
    products = [value for value in graph.values if isinstance(value, Linear)]
    pairs: dict[str, Linear] = {}
    for product in products:
        if isinstance(product.value, Input):
            other = _partner(graph, product)
            if other is not None and other.name not in {p.name for p in pairs.values()}:
                pairs[product.name] = other
    order = [p for p in products if isinstance(p.value, Input) and p.name not in pairs]
    operands: dict[str, list[Linear]] = {}
    for product in products:
        if not isinstance(product.value, Input):
            operands.setdefault(product.value.name, []).append(product)
    columns: dict[str, slice] = {}
    width = 0
    for product in (*order, *(p for group in operands.values() for p in group)):
        columns[product.name] = slice(width, width + product.size)
        width += product.size
    for name, other in pairs.items():
        columns[name] = columns[other.name]
    blocks = {
        name: Block(
            group[0].value,
            slice(columns[group[0].name].start, columns[group[-1].name].stop),
            torch.cat([torch.as_tensor(p.weight) for p in group]),
            group[0],
        )
        for name, group in operands.items()
    }
    found = Layout(columns, width, None, None, blocks, set(pairs))
    _fold(graph, found)
    _join_inputs(graph, products, found)
    return found


def _fold(graph: CellGraph, layout: Layout) -> None:
    """Find the sums whose bias can be part of an accumulator: the only reader of the only accumulator."""
    for value in graph.values:
        if not isinstance(value, Sum):
            continue
        products = [(c, v) for c, v in layout.terms(value) if isinstance(v, Linear)]
        if len(products) == 1 and is_one(products[0][0]) and len(list(graph.users(products[0][1]))) == 1:
            layout.folded.add(value.name)


def _join_inputs(graph: CellGraph, products: list[Linear], layout: Layout) -> None:
    """Set the input's weight and the bias of all columns."""
    weights: dict[int, Tensor] = {}
    biases: dict[int, Tensor] = {}
    for product in products:
        start = layout.columns[product.name].start
        if isinstance(product.value, Input):
            weights[start] = torch.as_tensor(product.weight)
    for value in graph.values:
        if isinstance(value, Sum) and value.name in layout.folded:
            ((_, product),) = ((c, v) for c, v in layout.terms(value) if isinstance(v, Linear))
            biases[layout.columns[product.name].start] = torch.as_tensor(value.bias)
    starts = sorted({c.start: c.stop - c.start for c in layout.columns.values()}.items())
    if weights:
        inputs = graph.input.size
        layout.input_weight = torch.cat(
            [weights.get(start, torch.zeros(size, inputs)) for start, size in starts]
        )
    if biases:
        layout.bias = torch.cat([biases.get(start, torch.zeros(size)) for start, size in starts])


def functions_alone(graph: CellGraph, value: Value) -> Function | None:
    """Return the function that is the only reader of a value."""
    users = list(graph.users(value))
    return users[0] if len(users) == 1 and isinstance(users[0], Function) else None
