"""Rows beside those of Hadamard cells: which have a transform, and a core is right with and without one."""

import numpy as np
import pytest
from tile_designs import design_of

from qornn_hw.compiler.engines.tile.layout import Shape
from qornn_hw.compiler.engines.tile.transform import transformed_rows
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import Add, Answer, Assign, Factor, HadamardTerm, MatVec, Requantize, Summand, Term
from qornn_hw.sim.amaranth_bench import simulate_core_in_python

UNITS = 8
FORM = IntFormat(6, signed=True)
RNG = np.random.default_rng(3)
SIGNS = 2 * RNG.integers(0, 2, UNITS) - 1


def hadamard(state="h", block=UNITS, shift=1):
    """Return a term of a state's transform."""
    return HadamardTerm(state, SIGNS, block, shift)


def matrix(value, rows=UNITS, columns=UNITS):
    """Return a term with a matrix of 4 bits."""
    return Term(value, RNG.integers(-8, 8, (rows, columns)), 4)


def row(name, *terms):
    """Return a row with a bias."""
    return MatVec(name, terms, RNG.integers(-9, 10, terms[0].rows))


def sum_of(name, *rows):
    """Return a requantizer of some rows."""
    return Requantize(name, tuple(Factor(r, RNG.integers(1, 10, UNITS)) for r in rows), 5, FORM)


def network(states, *groups):
    """Return a network of one layer."""
    logits = row("logits", *(matrix(state.name, 2) for state in states))
    answer = Answer("answer", "logits", OutputKind.BOTH)
    return Network(
        Input("x", InputKind.VECTOR, 2, IntFormat(4, signed=True)),
        (Layer(tuple(states), groups),),
        Readout(logits, answer, OutputMode.EVERY_STEP),
        {"logits": 1.0},
    )


def zeros(name):
    """Return a state that begins with zeros."""
    return State(name, FORM, np.zeros(UNITS, dtype=int))


def one_row():
    """W h and U x."""
    rows = (row("z", hadamard()), row("u", matrix("x", UNITS, 2)))
    return network([zeros("h")], Group(rows, (sum_of("q", "z", "u"), Assign("h", "q"))))


def another_term():
    """A row with a matrix, too."""
    rows = (row("z", hadamard(), matrix("x", UNITS, 2)), row("u", matrix("x", UNITS, 2)))
    return network([zeros("h")], Group(rows, (sum_of("q", "z", "u"), Assign("h", "q"))))


def initial_state():
    """A state that begins with other numbers."""
    state = State("h", FORM, RNG.integers(-20, 21, UNITS))
    rows = (row("z", hadamard()), row("u", matrix("x", UNITS, 2)))
    return network([state], Group(rows, (sum_of("q", "z", "u"), Assign("h", "q"))))


def two_of_a_state():
    """Two rows of the same state, in two groups."""
    first = Group((row("z", hadamard()), row("u", matrix("x", UNITS, 2))), (sum_of("q", "z", "u"),))
    rows = (row("y", hadamard(block=2)), row("v", matrix("q")))
    return network([zeros("h")], first, Group(rows, (sum_of("w", "y", "v"), Assign("h", "w"))))


def no_vector():
    """No row of the group multiplies a vector by a matrix."""
    rows = (row("z", hadamard()),)
    first = Group((row("u", matrix("x", UNITS, 2)),), (sum_of("q", "u"),))
    tail = (Requantize("w", (Factor("z", np.full(UNITS, 3)), Factor("q", np.full(UNITS, 5))), 4, FORM),)
    return network([zeros("h")], first, Group(rows, (*tail, Assign("h", "w"))))


def two_in_a_group():
    """Two states, whose rows are in the same group."""
    rows = (row("y", hadamard("a")), row("z", hadamard("b", 4)), row("u", matrix("x", UNITS, 2)))
    tail = (sum_of("p", "y", "u"), sum_of("q", "z", "u"), Assign("a", "p"), Assign("b", "q"))
    return network([zeros("a"), zeros("b")], Group(rows, tail))


def read_later():
    """A later group reads the row in other ways."""
    first = Group((row("z", hadamard()), row("u", matrix("x", UNITS, 2))), (sum_of("q", "z", "u"),))
    rows = (row("y", matrix("q"), matrix("z")),)
    total = Add("w", (Summand("z"), Summand("y")), FORM, 0, 4)
    return network([zeros("h")], first, Group(rows, (total, Assign("h", "w"))))


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (one_row, ["z"]),
        (read_later, ["z"]),
        (two_in_a_group, ["y"]),
        (another_term, []),
        (initial_state, []),
        (two_of_a_state, []),
        (no_vector, []),
    ],
)
def test_rows(made, found):
    """The rows with a transform are found, and the core computes every integer."""
    given = made()
    assert list(transformed_rows(given)) == found
    design = design_of(given, Shape(columns=2, lanes=3, interval=3, multipliers=8))
    sequences = [RNG.integers(-8, 8, (steps, 2)) for steps in (4, 1, 2)]
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step == design.schedule.cycles_per_step


def test_the_widest_result_with_a_sign():
    """All entries at the least value, and every sign -1: minus that takes another bit."""
    wide = IntFormat(14, signed=True)
    rows = (
        MatVec("z", (HadamardTerm("h", -np.ones(UNITS, dtype=int), UNITS),), np.zeros(UNITS, dtype=int)),
        MatVec("u", (Term("x", np.ones((UNITS, 2), dtype=int), 4),), np.zeros(UNITS, dtype=int)),
    )
    factors = (Factor("z", np.ones(UNITS, dtype=int)), Factor("u", np.arange(UNITS) + 3))
    tail = (
        Requantize("q", factors, 4, wide, Rounding.HALF_UP),
        Add("least", (Summand("q", 0, True),), FORM, -2000),
        Assign("h", "least"),
        Assign("seen", "q"),
    )
    seen = State("seen", wide, np.zeros(UNITS, dtype=int))
    given = network([zeros("h"), seen], Group(rows, tail))
    assert list(transformed_rows(given)) == ["z"]
    design = design_of(given, Shape(columns=2, lanes=3, interval=3, multipliers=4))
    simulate_core_in_python(design, [RNG.integers(-8, 8, (4, 2)) for _ in range(2)])
