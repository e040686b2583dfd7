"""A network on the tile engine: what it refuses, where entries of states come, what is stored."""

from dataclasses import replace

import numpy as np
import pytest
from hand_networks import make_stack
from random_operations import draw_network
from tile_designs import design_of, draw, quantized_cells, sequences_of

from qornn_hw.compiler.engines.tile.layout import Shape, layout_of, least_multipliers, refusal
from qornn_hw.compiler.engines.tile.stages import lane_digits, lanes_of_a_unit
from qornn_hw.errors import FormatError
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.kinds import InputKind
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.stimuli import random_network

GRU = quantized_cells([("gru", 10)], 5)
SHAPE = Shape(columns=4, lanes=9, interval=3, multipliers=3)


def test_a_gru():
    """Three lanes a unit, two phases, three units a pass; the formulas of docs/tile.md."""
    p = layout_of(GRU, SHAPE)
    assert (p.digits, p.unit_lanes, p.pass_slots, p.used_lanes) == (2, 3, 3, 9)
    stage, readout = p.stages
    assert [(f.vector, f.columns, len(f.matrices)) for f in stage.phases] == [
        ("x", 5, 3),
        ("layer0.h", 10, 3),
    ]
    assert (p.issues(stage), p.passes(stage), p.pass_cycles(stage)) == (2 + 3, 4, 9)
    assert p.lane_latency == 3 + 2 + 1
    assert p.state_cycles == 5 + 6 + 3 * 9 + 0 * 3 + p.tails[0].end + 1
    assert (readout.slots, p.slot_logits) == (1, 3)


def test_a_unit_takes_as_many_lanes_as_its_widest_phase():
    """An LSTM four, a FastGRNN one."""
    counts = {"gru": 3, "lstm": 4, "fastgrnn": 1, "minGRU": 2, "gru, reset before": 3}
    for cell, lanes in counts.items():
        assert lanes_of_a_unit(quantized_cells([(cell, 4)], 3)) == lanes, cell


@pytest.mark.parametrize("bits", range(1, 9))
def test_lanes_have_the_digits_of_the_layers(bits):
    """V of more bits is taken in chunks, as a phase each."""
    network = quantized_cells([("gru", 4)], 3, weight_bits=(bits, bits, 8))
    digits = -(-bits // 2)
    p = layout_of(network, replace(SHAPE, interval=4))
    assert lane_digits(network) == digits
    assert len(p.stages[-1].phases) == -(-4 // digits)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"lanes": 2}, "^lanes must be at least 3, those of one unit, not 2$"),
        ({"multipliers": 2}, "^multipliers must suffice for a unit in 3 cycles, and 2 do not$"),
    ],
)
def test_shapes_that_are_too_small(change, message):
    """Lanes of less than a unit, too few multipliers."""
    with pytest.raises(FormatError, match=message):
        layout_of(GRU, replace(SHAPE, **change))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"columns": 3}, "^columns must be one of 1, 2, 4, 8, 16, 32, not 3$"),
        ({"columns": 0}, "^columns must be one of"),
        ({"lanes": 0}, "^lanes must be 1 to 256, not 0$"),
        ({"interval": 0}, "^interval must be 1 to 8, not 0$"),
        ({"multipliers": 0}, "^multipliers must be 1 to 32, not 0$"),
        ({"banks": -1}, "^banks must be 0 to 16, not -1$"),
        ({"banks": 10}, "^banks must be at most 9, not 10$"),
    ],
)
def test_numbers_that_no_shape_has(change, message):
    """Each number of a shape, and more large memories than the weights fill."""
    with pytest.raises(FormatError, match=message):
        layout_of(GRU, replace(SHAPE, **change))


def test_an_interval_that_is_too_short_is_not_blamed_on_the_multipliers():
    """An LSTM stores two states a unit, which the port of the states shows one by one."""
    network = quantized_cells([("lstm", 4)], 3)
    with pytest.raises(
        FormatError, match=r"^interval must be more than 1 cycle: more values go to the states than"
    ):
        layout_of(network, Shape(1, 4, 1, 32))
    assert least_multipliers(network, 1) is None and least_multipliers(network, 2) == 6


def test_an_index_selects_weights():
    """A one-hot input has no phase; each of its rows is a memory."""
    network = random_network(seed=0, hidden_size=4, input_size=5, output_size=2, input_kind=InputKind.ONE_HOT)
    p = layout_of(network, SHAPE)
    assert [phase.vector for phase in p.stages[0].phases] == ["state"] and len(p.symbols) == 1
    design = design_of(network, SHAPE)
    assert design.memory(f"symbols_{p.symbols[0].row}").depth == 4 << 3
    simulate_core_in_python(design, sequences_of(design.operations, [4, 1, 2], 0))


def test_a_group_without_a_vector_is_refused():
    """A minGRU on an index has no product; so it is with a readout of the index."""
    found = {refusal(draw_network(seed, largest=4)) for seed in range(200)}
    wanted = ("must multiply a vector, and none does", "must multiply a vector, not an index")
    for end in wanted:
        assert any(reason and reason.endswith(end) for reason in found), end


def test_what_is_refused_says_which_value():
    """Of random networks those with values that a group cannot reach."""
    reasons = {refusal(draw_network(seed, largest=4)) for seed in range(60)} - {None}
    assert reasons
    for reason in reasons:
        assert " must " in reason


@pytest.mark.parametrize("seed", range(12))
def test_the_order_of_the_states_is_that_of_the_port(seed):
    """Each entry that every step computes, once; the port of the hardware shows them in this order."""
    design = draw(seed, units=6)
    order = design.schedule.state_order
    network = design.operations
    states = [state for layer in network.layers[: network.step_layers] for state in layer.states]
    assert sorted(order) == sorted((s.name, unit) for s in states for unit in range(s.size))
    (sequence,) = sequences_of(design.operations, [2], seed)
    simulate_core_in_python(design, [sequence])


def test_stored_values_are_those_that_something_reads():
    """A GRU whose reset gate comes first stores r h for its second group, and z for the second tail."""
    p = layout_of(quantized_cells([("gru, reset before", 4)], 3), replace(SHAPE, interval=4))
    assert p.kept.operands == {"layer0.h", "layer0.rh"}
    assert "layer0.z" in p.kept.loaded and "layer0.h" in p.kept.loaded
    assert layout_of(GRU, SHAPE).kept.loaded == {"layer0.h"}


def test_the_total_of_cycles_is_that_of_the_stages():
    """Each stage begins where the one before has stored its last value."""
    p = layout_of(make_stack(3).network, Shape(2, 12, 4, 4))
    assert p.state_cycles == sum(p.stage_cycles(k) for k in range(len(p.tails)))


def test_a_relu_in_front_of_the_readout_is_part_of_the_last_tail():
    """The interpreter's logits come out."""
    network = next(n for s in range(20) if (n := make_stack(s).network).readout.tail)
    design = design_of(network, Shape(2, 12, 4, 4))
    assert network.readout.tail[0].name in layout_of(network, Shape(2, 12, 4, 4)).kept.operands
    sequences = sequences_of(network, [3], 0)
    result = simulate_core_in_python(design, sequences)
    assert result.integers_compared >= np.size(Interpreter(network).run(sequences[0][None]).logits)


def test_an_input_waits_for_the_stores_of_each_step_only():
    """They share a port with the input's words. A dense layer for an answer stores nothing in other steps."""
    layers = [("hadamard", 16), ("dense", 40)]
    last = quantized_cells(layers, 60, weight_bits=4, state_bits=8, output_mode="last_step")
    every = quantized_cells(layers, 60, weight_bits=4, state_bits=8, output_mode="every_step")
    shape = Shape(columns=4, lanes=8, interval=2, multipliers=4)
    assert layout_of(last, shape).input_cycles == 60 + 16
    assert layout_of(every, shape).input_cycles == 60 + 16 + 40
