"""Every operation, and networks of them drawn at random, as programs in plain Python."""

import numpy as np
import pytest
from hand_networks import make_stack, random_inputs
from program_model import ProgramModel
from random_operations import draw_inputs, draw_network

from qornn_hw.compiler.engines.simple.lowering import assemble
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import OPERATIONS, Add, Answer, Assign, MatVec, Summand, Term

# pytest -m slow: further random networks.
FEW, MANY = 120, 1500


def differences(network, program, inputs, restarts=()):
    """Return the steps in which a program gives other states, answers or cycles than it should."""
    model, machine, kind = Interpreter(network), ProgramModel(program), network.readout.answer.kind
    state, wrong = model.initial_state(1), []
    for step in range(inputs.shape[1]):
        first = step == 0 or step in restarts
        answered = program.every_step or step % 2 == 1
        state, values = model.step(model.initial_state(1) if first else state, inputs[:, step])
        logits = model.logits(values)
        answer = logits[0].tolist() if kind.has_logits else []
        answer += [int(model.classes(logits)[0])] if kind.has_argmax else []
        states = [int(v) for name in network.states for v in state[name][0]]
        found, answers, cycles = machine.step(np.atleast_1d(inputs[0, step]).tolist(), first, answered)
        begin, update, readout = program.part_cycles
        due = begin * first + update + readout * answered
        # Small answers wait for their port, which the model does not know.
        if (found, answers) != (states, answer * answered) or not 0 <= due - cycles <= 5 * len(answer):
            wrong.append(step)
    return wrong


@pytest.mark.parametrize(
    "seed", [s if s < FEW else pytest.param(s, marks=pytest.mark.slow) for s in range(MANY)]
)
def test_any_network(seed):
    """Every state and every answer of a random network, with digits of any size; a sequence begins anew."""
    network = draw_network(seed)
    program = assemble(network, None if seed % 2 else 2 + seed % 9)
    assert not differences(network, program, draw_inputs(network, 6, seed), restarts=(3,))


@pytest.mark.parametrize("seed", range(12))
def test_stacks_of_cells(seed):
    """GRUs, LSTMs, FastGRNNs, leaky units and minGRUs, one to three of them."""
    network = make_stack(seed).network
    assert not differences(network, assemble(network), random_inputs(network, 1, 5, seed))


def test_every_operation_is_drawn():
    """Among the random networks there is each operation that there is."""
    drawn = {op.op for seed in range(30) for op in draw_network(seed).operations}
    assert drawn == set(OPERATIONS)


def one_layer(layer, readout=None, m=1):
    """Return a network of one layer with a vector of 4 bits, signed."""
    source = Input("x", InputKind.VECTOR, m, IntFormat(4, signed=True))
    read = readout or Readout(
        MatVec("y", (Term(layer.states[0].name, np.array([[1]]), 2),), np.array([0])),
        Answer("answer", "y", OutputKind.LOGITS),
        OutputMode.EVERY_STEP,
    )
    return Network(source, (layer,), read, {read.logits.name: 1.0})


def test_states_that_change_places():
    """Each state becomes what another one was, all at once."""
    form = IntFormat(4, signed=True)
    states = tuple(State(name, form, np.array([k])) for k, name in enumerate("abc"))
    row = MatVec("z", (Term("x", np.array([[1]]), 2),), np.array([0]))
    tail = tuple(Assign(name, value) for name, value in zip("abc", "bca", strict=True))
    network = one_layer(Layer(states, (Group((row,), tail),)))
    program = assemble(network)
    machine = ProgramModel(program)
    assert [machine.step([0], t == 0, True)[0] for t in range(3)] == [[1, 2, 0], [2, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    "rounding, results", [(Rounding.HALF_UP, (-1, 0, 1, 2)), (Rounding.HALF_EVEN, (-2, 0, 0, 2))]
)
def test_ties(rounding, results):
    """A quarter of -6, -2, 2 and 6, which are half way between two integers."""
    form = IntFormat(4, signed=True)
    state = State("h", form, np.array([0]))
    row = MatVec("z", (Term("x", np.array([[1]]), 2),), np.array([0]))
    tail = (Add("q", (Summand("z"),), form, shift=2, rounding=rounding), Assign("h", "q"))
    program = assemble(one_layer(Layer((state,), (Group((row,), tail),))))
    machine = ProgramModel(program)
    assert tuple(machine.step([x], x == -6, True)[0][0] for x in (-6, -2, 2, 6)) == results


def test_a_network_that_could_overflow_is_refused():
    """As the interpreter refuses it."""
    form = IntFormat(8, signed=True)
    state = State("h", form, np.array([0]))
    row = MatVec("z", (Term("x", np.array([[127]]), 8, 10),), np.array([0]))
    network = one_layer(Layer((state,), (Group((row,), (Assign("h", "z"),)),)))
    with pytest.raises(FormatError, match="saturate it to that format"):
        assemble(network)
