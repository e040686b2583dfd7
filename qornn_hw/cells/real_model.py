"""The float model of a cell's graph: what the trained network computes, in float64."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.graph import CellGraph, CellState, Function, Input, Linear, Product, Sum, Value, evaluate

__all__ = ["initial_states", "real_step", "run_cell"]

FloatArray = NDArray[np.float64]
Values: TypeAlias = dict[str, FloatArray]


def initial_states(graph: CellGraph, batch: int) -> Values:
    """Return every state before the first step, (batch, n) each."""
    return {state.name: np.tile(state.initial, (batch, 1)) for state in graph.states}


def real_step(graph: CellGraph, states: Mapping[str, FloatArray], x: NDArray[np.generic]) -> Values:
    """Compute a step.

    Args:
        graph: of the cell.
        states: every state by name, (batch, n).
        x: vectors (batch, m), or indices (batch,).

    Returns:
        Every value by name, (batch, n); the states' names mean their values before the step.
    """
    found: Values = {}
    for value in graph.values:
        if not isinstance(value, Input):
            found[value.name] = _computed(value, found, states, x)
        elif x.ndim > 1:
            found[value.name] = x.astype(np.float64)
    return found


def _computed(
    value: Value, found: Values, states: Mapping[str, FloatArray], x: NDArray[np.generic]
) -> FloatArray:
    match value:
        case CellState():
            return states[value.name]
        case Linear(value=Input()) if x.ndim == 1:
            return _looked_up(value.weight, x)
        case Linear():
            return np.asarray(found[value.value.name] @ value.weight.T)
        case Sum():
            parts = [coefficient * found[term.name] for coefficient, term in value.terms]
            return np.asarray(sum(parts) + value.bias)
        case Product():
            return found[value.a.name] * found[value.b.name]
        case Function():
            return evaluate(value.function, found[value.value.name])
    raise AssertionError(f"{value!r} has no float model")


def _looked_up(weight: FloatArray, index: NDArray[np.generic]) -> FloatArray:
    """Return the columns of indices, and zeros for an index that selects none."""
    inside = index < weight.shape[1]
    return np.where(inside[:, None], weight.T[np.where(inside, index, 0)], 0.0)


def run_cell(graph: CellGraph, inputs: NDArray[np.generic]) -> tuple[Values, Values]:
    """Run whole sequences.

    Args:
        graph: of the cell.
        inputs: (batch, steps, m) vectors, or (batch, steps) indices.

    Returns:
        Every value of every step, (batch, steps, n), and the new states, likewise.
    """
    batch, steps = inputs.shape[:2]
    states = initial_states(graph, batch)
    kept: list[Values] = []
    new: list[Values] = []
    for t in range(steps):
        values = real_step(graph, states, inputs[:, t])
        states = {name: values[value.name] for name, value in graph.assigned.items()}
        kept.append(values)
        new.append(states)
    return _stacked(kept), _stacked(new)


def _stacked(steps: list[Values]) -> Values:
    return {name: np.stack([values[name] for values in steps], axis=1) for name in steps[0]}
