"""Tails in time: no unit is used twice in a phase, and nothing is read before it is there."""

import pytest
from hand_networks import make_stack
from tile_designs import quantized_cells

from qornn_hw.compiler.engines.tile.layout import Shape, layout_of
from qornn_hw.compiler.engines.tile.nodes import Constant, Load, Lookup, MultiplyAdd, Slice, Store
from qornn_hw.compiler.engines.tile.tail_schedule import RAM_WIDTH, NoMultiplierError, schedule_tail
from qornn_hw.errors import FormatError

NETWORKS = {
    "gru": quantized_cells([("gru", 6)], 3),
    "lstm": quantized_cells([("lstm", 6)], 3),
    "fastgrnn": quantized_cells([("fastgrnn", 6)], 3),
    "reset before": quantized_cells([("gru, reset before", 6)], 3),
    "wide constants": quantized_cells([("gru", 40)], 3, weight_bits=8, state_bits=12),
} | {f"stack {seed}": make_stack(seed).network for seed in range(8)}


def tails():
    """Yield the tails of all networks at all intervals, with few multipliers and with many."""
    for name, network in NETWORKS.items():
        for interval in range(1, 9):
            for multipliers in (1, 3, 12):
                try:
                    layout = layout_of(network, Shape(1, 24, interval, multipliers))
                except FormatError:
                    continue
                yield from ((name, interval, tail) for tail in layout.tails)


def test_shared_units_are_used_once_a_phase():
    """Multipliers, ports of tables, the port of the operands, and that of the states."""
    count = 0
    for name, interval, tail in tails():
        used = []
        for node in tail.nodes:
            phase = tail.starts[node.name] % interval
            if isinstance(node, MultiplyAdd):
                used.append(("multiplier", tail.multipliers[node.name], phase))
            elif isinstance(node, Lookup):
                used.append(("table", node.table, tail.ports[node.name], phase))
            elif isinstance(node, Store):
                used += [("operands", phase)] * node.is_operand + [("states", phase)] * node.is_state
        assert len(used) == len(set(used)), (name, interval)
        count += 1
    assert count > 100


def test_operands_are_there_when_they_are_read():
    """Each operand's register shows it, or a copy behind it does."""
    for name, interval, tail in tails():
        for node in tail.nodes:
            for operand, at in node.reads:
                if isinstance(operand, Constant):
                    continue
                source = tail.node(operand.node if isinstance(operand, Slice) else operand)
                assert tail.copy(source, tail.starts[node.name] + at) >= 0, (name, interval, node)


def test_a_value_is_stored_behind_the_last_cycle_in_which_the_old_one_is_read():
    """A memory shows a unit's word for an interval."""
    for _, interval, tail in tails():
        loads = {node.value: tail.starts[node.name] for node in tail.nodes if isinstance(node, Load)}
        for node in tail.nodes:
            if isinstance(node, Store):
                assert tail.starts[node.name] >= max(1, loads.get(node.target, -interval) + interval)


def test_constants_do_not_overlap_and_are_held_until_they_are_read():
    """The words of a phase hold its constants side by side; a copy shows them at the right time."""
    for _, interval, tail in tails():
        bits, known = {}, {}
        for (name, number), place in tail.places.items():
            node = tail.node(name)
            operand, at = node.reads[number]
            assert place.bits == operand.bits
            taken = bits.setdefault(place.phase, set())
            own = set(range(place.low, place.low + place.bits))
            if (place.phase, id(operand)) in known:
                assert known[place.phase, id(operand)] == place.low
            else:
                known[place.phase, id(operand)] = place.low
                assert not own & taken
                taken |= own
            there = place.phase + 1
            # The word shows it for a cycle, the copies for an interval each.
            time = tail.starts[name] + at
            if place.copies == 0:
                assert time == there
            else:
                assert there + (place.copies - 1) * interval < time <= there + place.copies * interval


def test_the_widest_word_of_constants_is_no_wider_than_it_must_be():
    """The GRU's ten constants fill three words evenly, up to a block RAM's width."""
    (tail,) = layout_of(quantized_cells([("gru", 20)], 3), Shape(1, 3, 3, 3)).tails
    widths = [sum(p.bits for p in tail.places.values() if p.phase == phase) for phase in range(3)]
    assert max(widths) <= sum(widths) / 3 + RAM_WIDTH


def test_a_factor_of_a_product_in_parts_is_stored_once():
    """The accumulator of 512 inputs is wider than a multiplier: both parts read the same factor."""
    network = quantized_cells([("linear", 200)], 1, weight_bits=8, state_bits=16)
    (tail,) = layout_of(network, Shape(8, 8, 1, 8)).tails
    parts = [n for n in tail.nodes if isinstance(n, MultiplyAdd) and isinstance(n.b, Constant)]
    read = [(n.b, tail.places[n.name, 1]) for n in parts if not n.b.is_shared]
    assert len(read) > len({id(b) for b, _ in read}) == len({place.low for _, place in read}) > 0


@pytest.mark.parametrize("interval, multipliers", [(1, 7), (3, 2)])
def test_too_few_multipliers_are_refused(interval, multipliers):
    """A GRU has eight products a unit."""
    nodes = layout_of(NETWORKS["gru"], Shape(1, 3, 4, 2)).tails[0].nodes
    with pytest.raises(NoMultiplierError):
        schedule_tail(nodes, interval, multipliers)
    assert schedule_tail(nodes, interval, -(-8 // interval)).end > 0


def test_more_multipliers_or_a_longer_interval_are_never_slower_by_much():
    """The chain of a GRU's operations has 22 cycles; sharing costs at most an interval."""
    ends = {
        (g, m): layout_of(NETWORKS["gru"], Shape(1, 3, g, m)).tails[0].end
        for g, m in ((1, 8), (2, 4), (3, 3), (4, 2), (8, 1))
    }
    assert ends[1, 8] == min(ends.values()) and ends[3, 3] <= ends[1, 8] + 3, ends
