"""The interpreter against plain NumPy on hand-lowered cells: GRU, LSTM, FastGRNN, leaky units, stacks."""

import numpy as np
import pytest
from hand_cells import CELLS, gru, lstm
from hand_networks import make_stack, random_inputs

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import Answer, Assign, Factor, MatVec, Requantize, Term


def check(stack, seed, batch=6, steps=12):
    """Assert that states, logits and classes are NumPy's; return the integers compared."""
    x = random_inputs(stack.network, batch, steps, seed)
    states, logits = stack.run(x)
    found = Interpreter(stack.network).run(x)
    for name, wanted in states.items():
        np.testing.assert_array_equal(found.states[name], wanted, err_msg=name)
    np.testing.assert_array_equal(found.logits, logits)
    np.testing.assert_array_equal(found.classes, np.argmax(logits, axis=-1))
    return sum(s.size for s in states.values()) + logits.size


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_cells(cell, seed):
    """One layer of each cell computes what its formulas in NumPy do."""
    assert check(make_stack(seed, [cell]), seed) > 70


@pytest.mark.parametrize("seed", range(40))
def test_stacks(seed):
    """Random stacks of one to three cells of random sizes."""
    check(make_stack(100 + seed), seed)


def test_states_move():
    """The cells of these tests are no constants: nearly every state takes many values."""
    for cell in CELLS:
        stack = make_stack(3, [cell], largest=20)
        states, _ = stack.run(random_inputs(stack.network, 20, 30, 0))
        for name, values in states.items():
            assert len(np.unique(values)) > 20, (cell.__name__, name)


def test_a_later_layer_reads_the_new_state():
    """Within a layer a state is the old one, in the next layer the new one."""
    one, zero = np.array([[1]]), np.array([0])
    keep = IntFormat(8, signed=True)

    def layer(k, source):
        row = MatVec(f"a{k}", (Term(source, one, 2), Term(f"h{k}", one, 2)), zero)
        tail = (Requantize(f"q{k}", (Factor(f"a{k}", np.array([1])),), 0, keep), Assign(f"h{k}", f"q{k}"))
        return Layer((State(f"h{k}", keep, zero),), (Group((row,), tail),))

    readout = Readout(
        MatVec("y", (Term("h1", one, 2),), zero), Answer("c", "y", OutputKind.LOGITS), OutputMode.EVERY_STEP
    )
    form = IntFormat(2, signed=False)
    net = Network(Input("x", InputKind.VECTOR, 1, form), (layer(0, "x"), layer(1, "h0")), readout, {"y": 1.0})
    run = Interpreter(net).run(np.ones((1, 4, 1), dtype=int))
    assert run.states["h0"].ravel().tolist() == [1, 2, 3, 4]
    assert run.logits.ravel().tolist() == [1, 3, 6, 10]


def test_two_states_can_change_places():
    """Assignments happen together: two states swap."""
    form, one = IntFormat(4, signed=True), np.array([[1]])
    row = MatVec("a", (Term("x", one, 2),), np.array([0]))
    layer = Layer(
        (State("h", form, np.array([3])), State("g", form, np.array([-5]))),
        (Group((row,), (Assign("h", "g"), Assign("g", "h"))),),
    )
    readout = Readout(
        MatVec("y", (Term("h", one, 2),), np.array([0])),
        Answer("c", "y", OutputKind.LOGITS),
        OutputMode.LAST_STEP,
    )
    net = Network(Input("x", InputKind.VECTOR, 1, IntFormat(1, signed=False)), (layer,), readout, {"y": 1.0})
    run = Interpreter(net).run(np.zeros((1, 3, 1), dtype=int))
    assert run.states["h"].ravel().tolist() == [-5, 3, -5]
    assert run.states["g"].ravel().tolist() == [3, -5, 3]


@pytest.mark.parametrize("mode", list(OutputMode))
def test_carried_state(mode):
    """Two runs with the states handed over are one run; answers are those of the run."""
    stack = make_stack(7, [gru, lstm], mode)
    model = Interpreter(stack.network)
    x = random_inputs(stack.network, 4, 10, 0)
    whole = model.run(x)
    first = model.run(x[:, :4])
    second = model.run(x[:, 4:], {name: s[:, -1] for name, s in first.states.items()})
    for name, states in whole.states.items():
        np.testing.assert_array_equal(second.states[name], states[:, 4:])
    np.testing.assert_array_equal(second.logits[:, -1], whole.logits[:, -1])
    np.testing.assert_array_equal(model.answers(x), whole.logits)
    assert whole.logits.shape[1] == (10 if mode is OutputMode.EVERY_STEP else 1)


@pytest.mark.parametrize("mode", list(OutputMode))
def test_lengths(mode):
    """Padded sequences answer as each of them alone, and repeat their last answer behind their end."""
    stack = make_stack(8, [lstm], mode)
    model = Interpreter(stack.network)
    x = random_inputs(stack.network, 5, 9, 1)
    lengths = np.array([9, 1, 4, 8, 2])
    run = model.run(x, lengths=lengths)
    for b, length in enumerate(lengths):
        alone = model.run(x[b : b + 1, :length])
        for name, states in alone.states.items():
            np.testing.assert_array_equal(run.states[name][b, :length], states[0])
            assert np.all(run.states[name][b, length:] == states[0, -1])
        if mode is OutputMode.EVERY_STEP:
            np.testing.assert_array_equal(run.logits[b, :length], alone.logits[0])
        np.testing.assert_array_equal(run.logits[b, -1], alone.logits[0, -1])


@pytest.mark.parametrize("mode", list(OutputMode))
@pytest.mark.parametrize("kind", list(InputKind))
def test_logits_of_the_input(kind, mode):
    """The logits may read the input: a batch answers as each of its sequences does, step by step."""
    weights = np.arange(-3, 3).reshape(2, 3)
    bits = 2 if kind is InputKind.ONE_HOT else 4
    given = Input("x", kind, 3, IntFormat(bits, signed=False), 1.0, 0.0)
    state = State("h", IntFormat(4, signed=True), np.array([1, -2]))
    row = MatVec("z", (Term("x", weights, 4, 0, kind is InputKind.ONE_HOT),), np.zeros(2, dtype=np.int64))
    new = Requantize("q", (Factor("z", np.array([1, 1])),), 0, state.format)
    layer = Layer((state,), (Group((row,), (new, Assign("h", "q"))),))
    logits = MatVec("y", (*row.terms, Term("h", np.eye(2, dtype=np.int64), 4)), np.array([0, 9]))
    readout = Readout(logits, Answer("answer", "y", OutputKind.BOTH), mode)
    model = Interpreter(Network(given, (layer,), readout, {"y": 1.0}))
    shape = (4, 6) if kind is InputKind.ONE_HOT else (4, 6, 3)
    x = np.random.default_rng(3).integers(0, 1 << bits, shape)
    lengths = np.array([6, 2, 1, 5])
    run, padded = model.run(x), model.run(x, lengths=lengths)
    np.testing.assert_array_equal(run.logits, model.answers(x))
    for b, length in enumerate(lengths):
        alone = model.run(x[b : b + 1, :length])
        np.testing.assert_array_equal(padded.logits[b, -1], alone.logits[0, -1])


def test_threshold_class():
    """A network of one logit answers 1 above its threshold."""
    own = next(n for n in (make_stack(s, [gru]).network for s in range(99)) if n.output_size == 1)
    x = random_inputs(own, 20, 10, 0)
    middle = int(np.median(Interpreter(own).run(x).logits))
    answer = Answer("answer", "logits", OutputKind.ARGMAX, middle)
    readout = Readout(own.readout.logits, answer, OutputMode.EVERY_STEP, own.readout.tail)
    run = Interpreter(Network(own.input, own.layers, readout, own.scales)).run(x)
    np.testing.assert_array_equal(run.classes, run.logits[..., 0] > middle)
    assert 0.2 < run.classes.mean() < 0.8


def fixed_network():
    """Return a GRU of 6 units with a vector input of two entries of 2 bits, signed."""
    layer, _ = gru(0, "layer0", 6, "x", 2)
    logits = MatVec("logits", (Term("layer0.h", np.ones((1, 6), dtype=int), 2),), np.array([0]))
    readout = Readout(logits, Answer("answer", "logits", OutputKind.LOGITS), OutputMode.EVERY_STEP)
    form = IntFormat(2, signed=True)
    return Network(Input("x", InputKind.VECTOR, 2, form), (layer,), readout, {"logits": 1.0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": np.zeros((1, 3), int)}, "inputs must have shape (batch, steps, 2), not (1, 3)"),
        ({"inputs": np.zeros((1, 3, 2))}, "inputs must be integers, not float64"),
        ({"inputs": np.full((1, 3, 2), 99)}, "inputs must lie in -2 to 1, not 99 to 99"),
        ({"lengths": [1]}, "lengths must be integers of shape (2,), not int64 of (1,)"),
        ({"lengths": [0, 3]}, "lengths must lie in 1 to 3, not in 0 to 3"),
        ({"lengths": [1, 4]}, "lengths must lie in 1 to 3, not in 1 to 4"),
        ({"initial_state": {}}, "the states must be layer0.h, not "),
        (
            {"initial_state": {"layer0.h": np.zeros((1, 3), int)}},
            "state layer0.h must be integers of shape (2, 6), not int64 of shape (1, 3)",
        ),
        (
            {"initial_state": {"layer0.h": np.full((2, 6), 128)}},
            "state layer0.h must lie in -128 to 127, what it can be, not in 128 to 128",
        ),
    ],
)
def test_errors(arguments, message):
    """Inputs, lengths and states of another form are refused in one line."""
    with pytest.raises(FormatError) as error:
        Interpreter(fixed_network()).run(**({"inputs": np.zeros((2, 3, 2), int)} | arguments))
    assert str(error.value) == message
