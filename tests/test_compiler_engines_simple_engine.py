"""The simple engine beside the others: asked for by name only, one schedule, no room for other weights."""

from dataclasses import replace

import pytest

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.compiler.engines import engine_named
from qornn_hw.compiler.family import Resources
from qornn_hw.compiler.planner import considered, estimate_design, plan
from qornn_hw.compiler.request import Request
from qornn_hw.errors import CapacityError, FormatError
from qornn_hw.sim.stimuli import random_network

ROOM = Resources(lut=4000, ff=4000, bram=28, spram=4, dsp=8)
ENGINE = engine_named("simple")


@pytest.fixture(scope="module")
def request_():
    """Return a request of a small network for an iCE40 UltraPlus, with the engine."""
    network = random_network(seed=1, hidden_size=6, input_size=2, output_size=3)
    return Request(
        network=network, available=ROOM, family=ICE40_ULTRAPLUS, name="the board", engine=ENGINE.name
    )


def test_it_is_planned_if_asked_for(request_):
    """Its design has three memories and one lane."""
    design = plan(request_)
    assert design.engine is ENGINE
    assert [memory.name for memory in design.memories] == ["program", "coefficients", "values"]
    assert (design.lanes, design.schedule.passes, design.weight_banks) == (1, 1, ())
    assert "one multiplier, digits of 4 bits" in design.schedule.described()


def test_it_is_never_chosen_unasked(request_):
    """Neither chosen nor shown beside what is chosen, even if all else is too large."""
    design = plan(replace(request_, engine=None))
    assert design.engine is not ENGINE
    assert all(c.schedule.engine is not ENGINE for c in considered(request_, design))
    with pytest.raises(CapacityError):
        plan(replace(request_, engine=None, available=replace(ROOM, lut=350)))


def test_it_explains_its_choice(request_):
    """The one schedule, with what it takes."""
    own = [c for c in considered(request_, plan(request_)) if c.schedule.engine is ENGINE]
    assert len(own) == 1 and not own[0].excess


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"lanes": 0}, FormatError, "^lanes must be at least 1, not 0"),
        (
            {"room": True},
            FormatError,
            "must have the program of one network, and has no room for",
        ),
        (
            {"available": replace(ROOM, bram=2)},
            CapacityError,
            r"^network must fit the board with the simple engine, which lacks \d+ block RAMs; take fewer",
        ),
    ],
)
def test_refusals(change, error, message, request_):
    """No lanes, room for other weights, a device that is too small."""
    with pytest.raises(error, match=message):
        plan(replace(request_, **change))


def test_several_lanes_are_refused(request_):
    """It has one multiplier."""
    asked = replace(request_, lanes=4)
    with pytest.raises(CapacityError, match=r"^lanes must be 1 with the simple engine, not 4$"):
        ENGINE.check_lanes(plan(asked).schedule, asked)
    ENGINE.check_lanes(plan(request_).schedule, replace(request_, lanes=1))


def test_cost(request_):
    """Block RAMs are those of the memories; without hard multipliers the product takes logic cells."""
    design = plan(request_)
    need = estimate_design(design, ICE40_ULTRAPLUS)
    assert need.bram == sum(ENGINE.memory_blocks(design, ICE40_ULTRAPLUS).values()) and need.dsp in (1, 2)
    without = ENGINE.cost(design.schedule, replace(ICE40_ULTRAPLUS, has_multipliers=False))
    assert (without.dsp, without.lut > need.lut) == (0, True)


def test_another_network_in_the_same_hardware(request_):
    """Only if its program has the same shape."""
    design, network = plan(request_), request_.network
    assert ENGINE.refit(design.schedule.plan, network, network).digest == design.digest
    larger = random_network(seed=1, hidden_size=7, input_size=2, output_size=3)
    with pytest.raises(FormatError, match=r"^network must have a program of the shape"):
        ENGINE.refit(design.schedule.plan, network, larger)
    with pytest.raises(ValueError, match=r"^the plan must be that of the network's program"):
        ENGINE.check_plan(design.schedule.plan, larger)
    ENGINE.check_plan(design.schedule.plan, network)
