"""Random cells: graphs of any values, for what must hold for every cell."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph, Value, hard_sigmoid, hard_tanh, relu, sigmoid, tanh

FUNCTIONS = (sigmoid, tanh, relu, hard_tanh, hard_sigmoid)


@dataclass(frozen=True, eq=False)
class RandomCell(Cell):
    """A cell of one or two states whose step is drawn from a seed; every constant is a field.

    Attributes:
        weights: numbers of (count, n, max(m, n)), of which each matrix takes the next ones.
        constants: numbers of (count, n), likewise.
        seed: of the drawing.
        two_states: whether there is a second state.
    """

    weights: NDArray[np.float64]
    constants: NDArray[np.float64]
    seed: str
    two_states: bool

    def _shape(self, name, array, rows):
        return None

    def build(self, graph: CellGraph) -> Value:
        """Write the step; return the first state."""
        random = np.random.default_rng(int(self.seed))
        n, m = self.units, self.inputs
        weights, constants = iter(self.weights), iter(self.constants)
        states = [graph.state(name, n) for name in ("h", "c")[: 1 + self.two_states]]
        pool: list[Value] = list(states)

        def linear(value: Value) -> Value:
            return graph.linear(next(weights)[:, : m if value is graph.input else n], value)

        def any_of(values: list[Value]) -> Value:
            return values[random.integers(len(values))]

        pre = graph.linear(self.weight_ih, graph.input) + linear(states[0])
        pool.append(tanh(pre + next(constants)))
        if random.random() < 0.5:
            pool.append(sigmoid(pre + next(constants)))
        for _ in range(random.integers(3, 9)):
            kind = random.integers(7)
            a, b = any_of(pool), any_of(pool)
            if kind == 0:
                pool.append(any_of(FUNCTIONS)(linear(graph.input) + linear(a) + next(constants)))
            elif kind == 1:
                pool.append(any_of(FUNCTIONS)(linear(a) + b))
            elif kind == 2:
                pool.append(tanh(a * b - 0.5 * any_of(pool) + next(constants)).named(f"t{len(pool)}"))
            elif kind == 3:
                pool.append((a + next(constants) * b).named(f"s{len(pool)}"))
            elif kind == 4:
                pool.append(hard_tanh((a - b).named(f"d{len(pool)}")))
            elif kind == 5:
                pool.append((sigmoid(linear(a)) * (b - any_of(pool))).named(f"p{len(pool)}"))
            else:
                pool.append(any_of(FUNCTIONS)(a + b))
        # What is bounded, so that long sequences stay finite.
        bounded = [v for v in pool if v not in states and _bounded(v)]
        new = any_of(bounded)
        graph.assign(states[0], new)
        if self.two_states:
            # Another value, the same one, or the first state's old one.
            graph.assign(states[1], any_of([any_of(bounded), new, states[0]]))
        return states[0]


def _bounded(value: Value) -> bool:
    return getattr(value, "function", "") in ("sigmoid", "tanh", "hard_tanh", "hard_sigmoid")


def random_cell(seed: int) -> RandomCell:
    """Return a random cell of 2 to 5 units on 1 to 4 inputs."""
    random = np.random.default_rng(seed)
    n, m = int(random.integers(2, 6)), int(random.integers(1, 5))
    return RandomCell(
        random.normal(size=(n, m)),
        random.normal(size=(24, n, max(n, m))) * 0.5,
        random.normal(size=(16, n)) * 0.5,
        str(seed),
        bool(random.integers(2)),
    )
