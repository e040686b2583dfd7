"""The recurrence of any cell equals a plain loop that torch differentiates itself."""

import numpy as np
import pytest
import torch
from random_cells import random_cell
from torch import Tensor

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import CellGraph, CellState, Function, Input, Linear, Product, Sum
from qornn_hw.cells.registry import CELLS
from qornn_hw.training.graph_forward import ValueGrid
from qornn_hw.training.graph_recurrence import recur_graph
from qornn_hw.training.recurrence import Workspace
from qornn_hw.training.traced_graph import trace

FUNCTIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "hard_tanh": lambda z: z.clamp(-1, 1),
    "hard_sigmoid": lambda z: z.clamp(0, 1),
}


def rounded(value: Tensor, grid: ValueGrid, masked: bool) -> Tensor:
    """Return a value on its grid; the gradient passes, and is 0 where the rounded value is at an end."""
    with torch.no_grad():
        found = ((value / grid.step + 0.5).floor() * grid.step).clamp(grid.low, grid.high)
        inside = (found > grid.low + grid.step / 2) & (found < grid.high - grid.step / 2)
    passed = value * inside if masked else value
    return passed + (found - passed).detach()


class RoundedFunction(torch.autograd.Function):
    """A function whose gradient is that at its rounded result."""

    @staticmethod
    def forward(ctx, z, name, grid):
        """Return the rounded result."""
        y = rounded(FUNCTIONS[name](z), grid, False)
        ctx.save_for_backward(y)
        ctx.name, ctx.grid = name, grid
        return y

    @staticmethod
    def backward(ctx, gradient):
        """Return the gradient at the rounded result."""
        (y,) = ctx.saved_tensors
        if ctx.name in ("sigmoid", "tanh"):
            slope = y * (1 - y) if ctx.name == "sigmoid" else 1 - y * y
        else:
            # A saturating sum: the gradient passes between the ends of its grid, and of the function.
            low, high = {"relu": (0.0, 1e9), "hard_tanh": (-1.0, 1.0), "hard_sigmoid": (0.0, 1.0)}[ctx.name]
            low, high = max(low, ctx.grid.low), min(high, ctx.grid.high)
            slope = ((y > low) & (y < high)).float()
        return gradient * slope, None, None


def plain(graph: CellGraph, x: Tensor, starts, grids, indices):
    """Run the graph value by value."""
    states = {state.name: start for state, start in zip(graph.states, starts, strict=True)}
    outputs = []
    for entry in x:
        found = {}
        for value in graph.values:
            name = value.name
            match value:
                case Input():
                    found[name] = entry
                case CellState():
                    found[name] = states[name]
                case Linear() if isinstance(value.value, Input) and entry.ndim == 1:
                    found[name] = value.weight.T[entry]
                case Linear():
                    found[name] = found[value.value.name] @ value.weight.T
                case Sum():
                    found[name] = sum(c * found[term.name] for c, term in value.terms) + value.bias
                case Product():
                    found[name] = found[value.a.name] * found[value.b.name]
                case Function():
                    z = found[value.value.name]
                    if name in indices:
                        z = rounded(z, indices[name], False)
                    if name in grids:
                        found[name] = RoundedFunction.apply(z, value.function, grids[name])
                    else:
                        found[name] = FUNCTIONS[value.function](z)
                    continue
            if name in grids and not isinstance(value, CellState):
                found[name] = rounded(found[name], grids[name], True)
        states = {state: found[value.name] for state, value in graph.assigned.items()}
        # What a state takes has the state's unit; a value that is rounded to it already does not change.
        states = {
            state: rounded(new, grids[state], False) if state in grids else new
            for state, new in states.items()
        }
        outputs.append(states[graph.output])
    return torch.stack(outputs), tuple(states[state.name] for state in graph.states)


def results(run, cell: Cell, x: Tensor, grids, indices, last_only=False):
    """Return outputs, last states and all gradients of a loss that weighs everything differently."""
    fields = {
        name: torch.tensor(value, dtype=torch.float32, requires_grad=True)
        for name, value in vars(cell).items()
        if isinstance(value, (float, np.ndarray))
    }
    graph = trace(cell, fields)
    generator = torch.Generator().manual_seed(0)
    batch = x.shape[1]
    starts = tuple(
        torch.rand(batch, state.size, generator=generator).requires_grad_() for state in graph.states
    )
    x = x.clone().requires_grad_() if x.is_floating_point() else x
    output, ends = run(graph, x, starts, grids, indices)
    if last_only and output.ndim == 3:
        output = output[-1]
    parts = [output, *ends]
    loss = sum((part * torch.rand(part.shape, generator=generator)).sum() for part in parts)
    wanted = [*starts, *fields.values(), *([x] if x.is_floating_point() else [])]
    gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
    return parts, [torch.zeros_like(t) if g is None else g for t, g in zip(wanted, gradients, strict=True)]


def compare(cell: Cell, x: Tensor, grids=None, indices=None, last_only=False) -> None:
    """Compare values and gradients of both ways."""

    def fast(graph, x, starts, grids, indices):
        return recur_graph(graph, x, starts, grids=grids, indices=indices, last_only=last_only)

    grids, indices = grids or {}, indices or {}
    for one, other in zip(
        results(plain, cell, x, grids, indices, last_only),
        results(fast, cell, x, grids, indices, last_only),
        strict=True,
    ):
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(b, a, rtol=2e-4, atol=2e-4 * max(1.0, float(a.detach().abs().max())))


def start_of(name: str, units: int = 6, inputs: int = 3) -> Cell:
    """Return a cell of the registry with random numbers in every field."""
    random = np.random.default_rng(7)
    cell = CELLS[name].start(inputs, units, random, 6.0)
    noise = {
        k: v + 0.3 * random.normal(size=v.shape) for k, v in vars(cell).items() if isinstance(v, np.ndarray)
    }
    return type(cell)(**{k: v for k, v in vars(cell).items() if k != "graph"} | noise)


def vectors(steps: int, batch: int, inputs: int, seed: int = 0) -> Tensor:
    """Return random inputs."""
    return torch.randn(steps, batch, inputs, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("last_only", [False, True])
def test_a_cell_on_vectors_equals_the_plain_loop(name, last_only):
    """Outputs, last states, and gradients of starts, parameters and inputs are those of torch."""
    compare(start_of(name), vectors(6, 4, 3), last_only=last_only)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_on_indices_equals_the_plain_loop(name):
    """An index selects a column of the input's matrix."""
    index = torch.randint(3, (6, 4), generator=torch.Generator().manual_seed(1))
    compare(start_of(name), index)


@pytest.mark.parametrize("seed", range(200))
def test_a_random_cell_equals_the_plain_loop(seed):
    """Any graph of the language: shared values, two states, several matrices, unnamed and named sums."""
    cell = random_cell(seed)
    compare(cell, vectors(5, 3, cell.inputs, seed))


@pytest.mark.parametrize("seed", range(200))
def test_a_random_cell_on_grids_equals_the_plain_loop(seed):
    """Rounded values: each stored value has a grid that saturates some of them."""
    cell = random_cell(seed)
    random = np.random.default_rng(seed)
    graph = cell.graph
    grids = {}
    for value in graph.values:
        alone = isinstance(value, Sum) and all(isinstance(user, Function) for user in graph.users(value))
        if isinstance(value, (Input, Linear)) or (alone and not value.named_by_cell):
            continue
        step = 2.0 ** -int(random.integers(4, 8))
        grids[value.name] = ValueGrid(step, -1.5, 1.5 - step)
    for state, value in graph.assigned.items():
        grids[state] = grids[value.name]
        if state == "c" and random.integers(2):
            # A state may have a coarser unit than the value that it takes.
            grids[state] = ValueGrid(2.0**-3, -1.5, 1.5 - 2.0**-3)
    indices = {
        v.name: ValueGrid(2.0**-5, -1.0, 1.0 - 2.0**-5)
        for v in graph.values
        if isinstance(v, Function) and v.function in ("sigmoid", "tanh") and random.integers(2)
    }
    compare(cell, vectors(5, 3, cell.inputs, seed), grids, indices)


def test_a_wrong_gradient_is_found():
    """The comparison fails for a gradient that is a hundredth too large."""
    cell = start_of("gru")

    def wrong(graph, x, starts, grids, indices):
        output, ends = recur_graph(graph, x, starts)
        return output * 1.01 - 0.01 * output.detach(), ends

    good, bad = (results(run, cell, vectors(5, 3, 3), {}, {})[1] for run in (plain, wrong))
    assert any(not torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in zip(good, bad, strict=True))


def test_a_workspace_is_reused_and_changes_nothing():
    """Two passes with one workspace, of other lengths, give what fresh memory gives."""
    cell = start_of("lstm", 5)
    workspace = Workspace()
    with torch.no_grad():
        graph = trace(cell, {})
        for steps in (5, 3, 5):
            x, starts = vectors(steps, 2, 3, steps), tuple(torch.zeros(2, 5) for _ in graph.states)
            fresh = recur_graph(graph, x, starts)[0]
            torch.testing.assert_close(recur_graph(graph, x, starts, workspace=workspace)[0], fresh)


def test_the_gradient_is_zero_where_a_rectifier_saturates():
    """A relu and hard functions at the ends of their grids, and of themselves, pass nothing on."""
    grid = ValueGrid(2.0**-6, -1.0, 1.0 - 2.0**-6)
    for name, cell in (("relu", "rnn"), ("hard_tanh", "rnn")):
        base = CELLS[cell].start(1, 3, np.random.default_rng(0))
        fields = {k: v for k, v in vars(base).items() if k != "graph"}
        made = type(base)(**fields | {"activation": name, "weight_hh": np.zeros((3, 3))})
        for bias, slope in ((0.5, 1.0), (50.0, 0.0), (-50.0, 0.0)):
            given = torch.full((3,), bias, requires_grad=True)
            graph = trace(made, {"bias": given})
            output, _ = recur_graph(graph, torch.zeros(1, 1, 1), (torch.zeros(1, 3),), grids={"new": grid})
            output.sum().backward()
            assert given.grad.tolist() == [slope] * 3


def test_an_index_saturates():
    """A table's index stays within its bits, whatever the sum in front of it is."""
    base = CELLS["rnn"].start(1, 2, np.random.default_rng(0))
    graph = trace(base, {"bias": torch.full((2,), 100.0)})
    index = {"new": ValueGrid(0.25, -2.0, 1.75)}
    output, _ = recur_graph(graph, torch.zeros(1, 1, 1), (torch.zeros(1, 2),), indices=index)
    torch.testing.assert_close(output, torch.full((1, 1, 2), 1.75).tanh())
