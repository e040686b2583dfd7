"""The nodes of tails against the interpreter: the same integers, computed node by node."""

from dataclasses import replace

import numpy as np
import pytest
from hand_networks import make_stack
from random_operations import draw_inputs, draw_network
from tail_model import run_step
from tile_designs import quantized_cells

from qornn_hw.compiler.engines.tile.layout import Shape, layout_of
from qornn_hw.compiler.engines.tile.nodes import Constant, Lookup, MultiplyAdd, Round, Slice, Sum
from qornn_hw.compiler.engines.tile.tail_builder import FACTOR_BITS, constant
from qornn_hw.errors import FormatError
from qornn_hw.ir.interpreter import Interpreter

ROOMY = Shape(columns=1, lanes=40, interval=8, multipliers=12)


def compare(network, steps, seed):
    """Assert that states and logits of each step are the interpreter's; return the integers compared."""
    layout, model = layout_of(network, ROOMY), Interpreter(network)
    inputs = draw_inputs(network, steps, seed)[0]
    state = {name: s.initial for name, s in network.states.items()}
    wanted, compared = model.initial_state(1), 0
    for x in inputs:
        state, logits = run_step(layout, x, state)
        wanted, values = model.step(wanted, np.asarray(x)[None])
        for name in state:
            assert np.array_equal(state[name], wanted[name][0]), name
            compared += len(state[name])
        assert np.array_equal(logits, model.logits(values)[0])
        compared += len(logits)
    return compared


def test_random_operations():
    """Every operation: at least half of 80 random networks are of the engine's kind."""
    compared = refused = 0
    for seed in range(80):
        network = draw_network(seed, largest=4)
        try:
            compared += compare(network, 3, seed)
        except FormatError:
            refused += 1
    assert compared > 800 and refused < 40


@pytest.mark.parametrize("seed", range(6))
def test_hand_written_cells(seed):
    """Stacks of cells."""
    assert compare(make_stack(seed).network, 3, seed)


@pytest.mark.parametrize(
    "cell", ["gru", "gru, reset before", "lstm", "fastgrnn", "minGRU", "leaky hard tanh"]
)
def test_quantized_cells(cell):
    """What quantization makes of the known cells, with a relu in front of nothing."""
    assert compare(quantized_cells([(cell, 5), (cell, 4)], 3), 3, 0)


def test_a_fault_of_a_node_is_seen():
    """A shift that is one too small, in any rounding of the tail."""
    network = quantized_cells([("gru", 4)], 3)
    layout, inputs = layout_of(network, ROOMY), draw_inputs(network, 5, 0)[0]
    (tail,) = layout.tails

    def states(nodes):
        faulty = replace(layout, tails=(replace(tail, nodes=tuple(nodes)),))
        state, found = {name: s.initial for name, s in network.states.items()}, []
        for x in inputs:
            state, _ = run_step(faulty, x, state)
            found += [entry for entries in state.values() for entry in entries]
        return found

    right = states(tail.nodes)
    shifts = [node for node in tail.nodes if isinstance(node, Round) and node.shift]
    assert len(shifts) >= 5
    for node in shifts:
        wrong = replace(node, shift=node.shift - 1)
        assert states(wrong if other is node else other for other in tail.nodes) != right, node


def test_a_requantizer_takes_the_bias_and_what_accumulators_lack():
    """No node adds a constant to an accumulator that only requantizers read."""
    tail = layout_of(quantized_cells([("lstm", 4)], 3), ROOMY).tails[0]
    sums = [node for node in tail.nodes if isinstance(node, Sum)]
    accumulators = {node.name for node in tail.nodes if node.name.startswith("acc.")}
    assert not [s for s in sums for part in s.summands if part.operand in accumulators]


def test_tables_are_shared():
    """A sigmoid is tanh's table with an offset."""
    layout = layout_of(quantized_cells([("gru", 4)], 3), ROOMY)
    lookups = [node for node in layout.tails[0].nodes if isinstance(node, Lookup)]
    assert len(layout.tables) == 1 and sorted(node.offset for node in lookups) == [0, 128, 128]


def test_wide_factors_are_cut():
    """No factor of a multiplier has more bits than a hard one takes."""
    network = quantized_cells([("gru", 40)], 3, weight_bits=8, state_bits=12)
    nodes = [node for node in layout_of(network, ROOMY).tails[0].nodes if isinstance(node, MultiplyAdd)]
    bits = {node.name: node.bits for node in layout_of(network, ROOMY).tails[0].nodes}
    assert any(isinstance(node.a, Slice) for node in nodes)
    for node in nodes:
        for factor in (node.a, node.b):
            assert (bits[factor] if isinstance(factor, str) else factor.bits) <= FACTOR_BITS


def test_constants():
    """Shared where all units have the same number; as narrow as the widest of them."""
    assert constant(np.array([5, 5, 5])) == Constant((5,), 4)
    assert constant(np.array([5, -9])) == Constant((5, -9), 5)
    assert constant(0).is_shared
