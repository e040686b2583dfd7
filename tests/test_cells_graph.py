"""Graphs of cells: flat sums, names, and what a graph refuses."""

import numpy as np
import pytest

from qornn_hw.cells.graph import FUNCTIONS, CellGraph, Sum, evaluate, hard_sigmoid, relu, sigmoid, tanh
from qornn_hw.errors import FormatError


@pytest.fixture
def graph():
    """A graph of two inputs."""
    return CellGraph(2)


def test_sums_are_flat(graph):
    """`a - 2 (b + c) + 1` is one sum of three terms."""
    a, b, c = (graph.state(name, 3) for name in "abc")
    total = a - 2 * (b + c) + 1.0
    assert isinstance(total, Sum)
    assert [(float(k), v.name) for k, v in total.terms] == [(1, "a"), (-2, "b"), (-2, "c")]
    assert total.bias.tolist() == [1, 1, 1]


def test_a_named_sum_stays(graph):
    """A sum with a name is a term of another sum."""
    a, b = graph.state("a", 3), graph.state("b", 3)
    inner = (a + b).named("inner")
    assert [v.name for _, v in (inner + a).terms] == ["inner", "a"]


def test_constants_and_arrays(graph):
    """NumPy arrays stand on either side of an operator."""
    a = graph.state("a", 3)
    k = np.array([1.0, 2.0, 3.0])
    for total, coefficient, bias in (
        (k + a, 1, k),
        (k - a, -1, k),
        (a * k, k, 0),
        (k * a, k, 0),
        (-a, -1, 0),
    ):
        assert np.all(total.terms[0][0] == coefficient)
        assert np.all(total.bias == bias)


def test_values_that_nothing_reads_are_dropped(graph):
    """A checked graph holds what its new states depend on."""
    h = graph.state("h", 3)
    tanh(graph.linear(np.ones((3, 2)), graph.input)).named("unused")
    graph.assign(h, sigmoid(graph.linear(np.ones((3, 3)), h)).named("used"))
    graph.check()
    assert [v.name for v in graph.values if v.named_by_cell] == ["used"]


@pytest.mark.parametrize(
    ("function", "points", "expected"),
    [
        ("sigmoid", [-800.0, 0.0, 800.0], [0.0, 0.5, 1.0]),
        ("tanh", [-800.0, 0.0, 800.0], [-1.0, 0.0, 1.0]),
        ("relu", [-2.0, 0.0, 3.0], [0.0, 0.0, 3.0]),
        ("hard_tanh", [-2.0, 0.25, 3.0], [-1.0, 0.25, 1.0]),
        ("hard_sigmoid", [-2.0, 0.25, 3.0], [0.0, 0.25, 1.0]),
    ],
)
def test_functions(function, points, expected):
    """The element-wise functions, far out, too."""
    assert evaluate(function, np.array(points)).tolist() == expected
    assert function in FUNCTIONS


def test_hard_sigmoid_is_that_of_pytorch(graph):
    """`x / 6 + 1/2`, cut at 0 and 1."""
    a = graph.state("a", 1)
    value = hard_sigmoid(a)
    assert float(value.value.terms[0][0]) == pytest.approx(1 / 6)
    assert value.value.bias.tolist() == [0.5]


FAILURES = {
    "a weight of another width": (
        lambda g: g.linear(np.ones((3, 4)), g.input),
        r"^a weight of x must be a matrix of finite numbers with 2 columns, not of shape \(3, 4\)$",
    ),
    "a weight that is not finite": (
        lambda g: g.linear(np.full((3, 2), np.inf), g.input),
        r"^a weight of x must be a matrix of finite numbers",
    ),
    "sizes that differ": (
        lambda g: g.state("a", 2) * g.state("b", 3),
        r"^b must have 2 entries as a, not 3$",
    ),
    "sizes of a sum": (
        lambda g: g.state("a", 2) + g.state("b", 3),
        r"^b must have 2 entries to be added, not 3$",
    ),
    "a constant of another size": (
        lambda g: g.state("a", 2) + np.ones(3),
        r"^a constant must be a finite number or \(2,\) of them, not \(3,\)$",
    ),
    "assigning what is no state": (
        lambda g: g.assign(relu(g.state("a", 2)), g.state("b", 2)),
        r"must be a state that is assigned once$",
    ),
    "a state without a new value": (
        lambda g: (g.state("a", 2), g.check()),
        r"^state a must be assigned, and is not$",
    ),
    "two values of one name": (
        lambda g: (g.assign(h := g.state("h", 2), relu(relu(h).named("r")).named("r")), g.check()),
        r"^the name r must be that of one value, not of two$",
    ),
    "an unknown function": (lambda g: evaluate("softmax", np.ones(2)), r"^function must be one of sigmoid"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(graph, name):
    """One line says what must be what."""
    make, message = FAILURES[name]
    with pytest.raises(FormatError, match=message):
        make(graph)
