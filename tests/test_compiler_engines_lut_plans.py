"""The chain that the lut engine plans, and its refusals."""

import re
from dataclasses import replace

import numpy as np
import pytest
from networks import make_network
from plans import planned

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.cells.elman_network import WeightBits
from qornn_hw.compiler.engines.lut import ENGINE
from qornn_hw.compiler.engines.lut.cost import lut_cost
from qornn_hw.compiler.family import Resources
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import CapacityError, FormatError

ROOM = Resources(lut=4860, ff=5280, bram=29, spram=4, dsp=8)
NO_SPRAM = replace(ROOM, spram=0)


def plan(network, available, **asked):
    """Return the best chain of the lut engine."""
    return planned(network, available, engine="lut", **asked)


def chain_for_lanes(network, lanes):
    """Return columns of an element and elements of the usual chain."""
    chain = ENGINE.usual_schedule(network, lanes).chain
    return chain.columns_per_element, chain.elements


def test_plan_fits_and_is_the_fastest():
    """The planned chain fits the room, and no larger number of lanes is slower."""
    net = make_network(n=64, m=28, p=10)
    design = plan(net, ROOM)
    assert not lut_cost(design.schedule, ICE40_ULTRAPLUS).excess(ROOM)
    assert design.lanes >= 16
    cycles = [plan(net, ROOM, lanes=n).schedule.cycles_per_step for n in (1, 4, 8, 16, 32, 1000)]
    assert cycles == sorted(cycles, reverse=True)
    assert design.schedule.cycles_per_step == min(cycles)


def test_lanes_are_a_limit():
    """A plan with a limit on lanes keeps it."""
    net = make_network(n=20, m=3)
    for lanes in (1, 2, 3, 7, 16):
        assert plan(net, ROOM, lanes=lanes).lanes <= lanes
        columns, elements = chain_for_lanes(net, lanes)
        assert columns * elements <= lanes


@pytest.mark.parametrize("lanes", [0, -3])
def test_lanes_must_be_positive(lanes):
    """No lanes at all is refused by both ways to ask."""
    with pytest.raises(FormatError, match=rf"^lanes must be at least 1, not {lanes}$"):
        plan(make_network(), ROOM, lanes=lanes)
    with pytest.raises(FormatError, match=rf"^lanes must be at least 1, not {lanes}$"):
        chain_for_lanes(make_network(), lanes)


def test_refusal_says_by_how_much_and_what_would_fit():
    """A network that does not fit is refused with the excess, and what is proposed does fit."""
    net = make_network(
        n=150,
        m=4,
        p=10,
        weight_bits=WeightBits(8, 8, 8),
        recurrent_weight=np.full((150, 150), -128),
        input_weight=np.full((150, 4), -128),
        output_weight=np.full((10, 150), -128),
    )
    with pytest.raises(CapacityError) as error:
        plan(net, NO_SPRAM)
    message = str(error.value)
    found = re.fullmatch(
        r"network must fit here, but its smallest design \(\d+ lanes\) needs about (\d+) block RAMs "
        r"where the core may use 29 \((\d+) too many\); (\d)-bit weights or (\d+) hidden units would fit",
        message,
    )
    assert found, message
    need, over, bits, hidden = map(int, found.groups())
    assert need - 29 == over > 0
    smaller = make_network(
        n=hidden,
        m=4,
        p=10,
        weight_bits=WeightBits(8, 8, 8),
        recurrent_weight=np.full((hidden, hidden), -128),
        input_weight=np.full((hidden, 4), -128),
        output_weight=np.full((10, hidden), -128),
    )
    plan(smaller, NO_SPRAM)
    low = -(1 << (bits - 1))
    narrower = make_network(
        n=150,
        m=4,
        p=10,
        weight_bits=WeightBits(bits, bits, bits),
        recurrent_weight=np.full((150, 150), low),
        input_weight=np.full((150, 4), low),
        output_weight=np.full((10, 150), low),
    )
    plan(narrower, NO_SPRAM)


def test_weights_go_into_spram_where_no_design_fits_without():
    """What fits block RAM needs no loading, however fast it were with it; what does not fit needs it."""
    small, large = make_network(n=64, m=1, p=4), make_network(n=150, m=1, p=4)
    design = plan(small, ROOM)
    assert design.schedule.store is WeightStore.BLOCK_RAM
    assert design.digest == plan(small, NO_SPRAM).digest
    with pytest.raises(CapacityError, match=r"^network must fit here, .* block RAMs .* would fit$"):
        plan(large, NO_SPRAM)
    s = plan(large, ROOM).schedule
    assert s.store is WeightStore.SPRAM and 0 < s.chain.spram_elements <= ROOM.spram
    assert not lut_cost(s, ICE40_ULTRAPLUS).excess(ROOM)
    assert s.cycles_per_step < plan(large, ROOM, lanes=s.lanes - 1).schedule.cycles_per_step


def test_a_refusal_counts_on_spram_where_there_is_some():
    """What is proposed to one who has SPRAM fits with it, and not without."""
    net = make_network(n=400, m=1, p=2)
    with pytest.raises(CapacityError, match=r"(\d+) hidden units would fit$") as error:
        plan(net, replace(ROOM, lut=1800))
    hidden = int(re.search(r"(\d+) hidden units", str(error.value))[1])
    plan(make_network(n=hidden, m=1, p=2), replace(ROOM, lut=1800))
    with pytest.raises(CapacityError):
        plan(make_network(n=hidden, m=1, p=2), replace(NO_SPRAM, lut=1800))
