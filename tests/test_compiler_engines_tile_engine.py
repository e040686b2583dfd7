"""The tile engine beside the others: chosen for gated networks, the fastest shape that fits."""

from dataclasses import replace

import pytest
from random_operations import draw_network
from tile_designs import ENGINE, quantized_cells

from qornn_hw.boards.devices.ice40 import ICE40_HX_LP, ICE40_ULTRAPLUS
from qornn_hw.compiler.engines.tile.layout import Shape, refusal
from qornn_hw.compiler.engines.tile.schedule import TileSchedule
from qornn_hw.compiler.family import Resources
from qornn_hw.compiler.planner import considered, estimate_design, plan
from qornn_hw.compiler.request import Request
from qornn_hw.errors import CapacityError, FormatError
from qornn_hw.sim.stimuli import random_network

ROOM = Resources(lut=4780, ff=4780, bram=28, spram=4, dsp=8)
GRU = quantized_cells([("gru", 16)], 3)


@pytest.fixture(scope="module")
def request_():
    """Return a request of a GRU for an iCE40 UltraPlus."""
    return Request(network=GRU, available=ROOM, family=ICE40_ULTRAPLUS, name="the board")


def test_it_is_planned_for_gated_networks(request_):
    """Unasked, where lut and dsp cannot compute the network; its shape is the fastest that fits."""
    design = plan(request_)
    assert design.engine is ENGINE
    shown = considered(request_, design)
    assert [c.schedule.cycles_per_step for c in shown] == sorted(c.schedule.cycles_per_step for c in shown)
    assert design.schedule.cycles_per_step == shown[0].schedule.cycles_per_step
    assert not any(c.excess for c in shown)


def test_it_is_not_chosen_for_elman_networks(request_):
    """Unless it is asked for."""
    network = random_network(seed=1, hidden_size=6, input_size=2, output_size=3)
    asked = replace(request_, network=network)
    assert plan(asked).engine is not ENGINE
    assert plan(replace(asked, engine="tile")).engine is ENGINE


def test_a_smaller_device_gets_a_smaller_shape(request_):
    """Fewer cells, fewer multipliers; and the simple engine where nothing fits."""
    cycles = []
    for lut in (4780, 3300, 2600):
        design = plan(replace(request_, available=replace(ROOM, lut=lut)))
        assert design.engine is ENGINE
        assert ENGINE.cost(design.schedule, ICE40_ULTRAPLUS).lut <= lut
        cycles.append(design.schedule.cycles_per_step)
    assert cycles == sorted(set(cycles))
    one = plan(replace(request_, available=replace(ROOM, dsp=1)))
    assert one.schedule.layout.products == 1
    assert plan(replace(request_, available=replace(ROOM, lut=1000))).engine.name == "simple"


def test_lanes_are_a_limit(request_):
    """Multiply-accumulates in a cycle."""
    for lanes in (3, 12, 40):
        assert plan(replace(request_, lanes=lanes)).lanes <= lanes


def test_a_target_is_met_with_as_little_as_possible(request_):
    """Of the shapes that are fast enough the smallest."""
    fast, slow = plan(request_), plan(replace(request_, cycles=400))
    assert slow.schedule.cycles_per_step <= 400
    assert ENGINE.cost(slow.schedule, ICE40_ULTRAPLUS).lut < ENGINE.cost(fast.schedule, ICE40_ULTRAPLUS).lut


def test_of_equal_steps_one_with_an_early_answer_is_taken(request_):
    """A dense layer is computed for an answer only: more lanes shorten the wait for it, but no step."""
    network = quantized_cells(
        [("hadamard", 64), ("dense", 48)], 1, weight_bits=4, state_bits=8, output_mode="last_step"
    )
    asked = replace(request_, network=network)
    design = plan(asked)
    fitting = [ENGINE.compile(s) for s in ENGINE.plans(asked)]
    equal = [d for d in fitting if d.schedule.cycles_per_step == design.schedule.cycles_per_step]
    latencies = [d.schedule.answer_end_latency for d in equal]
    assert latencies[0] <= 2 * min(latencies) < max(latencies) / 2
    cells = [ENGINE.cost(d.schedule, ICE40_ULTRAPLUS).lut for d in equal]
    assert all(c >= cells[0] for c, t in zip(cells, latencies, strict=True) if t <= 2 * min(latencies))
    enough = plan(replace(asked, cycles=1000))
    assert ENGINE.cost(enough.schedule, ICE40_ULTRAPLUS).lut == min(
        ENGINE.cost(d.schedule, ICE40_ULTRAPLUS).lut for d in fitting if not d.schedule.shape.banks
    )


def test_large_memories_help_where_block_ram_is_short(request_):
    """The GRU of 64 units has more weights than fit the block RAM beside the rest."""
    network = quantized_cells([("gru", 64)], 3, 10, output_mode="last_step", input_bits=4)
    asked = replace(request_, network=network)
    design = plan(asked)
    assert design.schedule.weight_banks == 4 and len(design.weight_banks) == 4
    assert design.schedule.cycles_per_step <= 330
    assert design.schedule.portable().weight_banks == 0
    assert plan(replace(asked, available=replace(ROOM, bram=60, spram=0))).weight_banks == ()


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"room": True}, FormatError, "must have the constants of one network, and has no room for"),
        (
            {"available": replace(ROOM, bram=3)},
            CapacityError,
            r"^network must fit the board with the tile engine, which lacks \d+ block RAMs; take fewer",
        ),
        (
            {"network": next(n for s in range(200) if refusal(n := draw_network(s, largest=4)))},
            CapacityError,
            "^the tile engine cannot compute the network: .* must ",
        ),
        ({"lanes": 2}, CapacityError, "^lanes must be at least 3, those of one unit, not 2$"),
    ],
)
def test_refusals(change, error, message, request_):
    """Room for other weights, a device that is too small, another kind of network, too few lanes."""
    with pytest.raises(error, match=message):
        plan(replace(request_, engine="tile", **change))


def test_cost(request_):
    """Block RAMs are those of the memories; without hard multipliers the products take logic cells."""
    design = plan(request_)
    need = estimate_design(design, ICE40_ULTRAPLUS)
    assert need.bram == sum(ENGINE.memory_blocks(design, ICE40_ULTRAPLUS).values())
    assert need.dsp == design.schedule.layout.products
    without = ENGINE.cost(design.schedule, ICE40_HX_LP)
    assert (without.dsp, without.lut > need.lut + 300) == (0, True)


def test_a_schedule_for_no_board():
    """Four columns; of as many lanes as are allowed."""
    assert ENGINE.usual_schedule(GRU, None).shape.columns == 4
    assert ENGINE.usual_schedule(GRU, 24).lanes == 24
    assert ENGINE.usual_schedule(GRU, 5).lanes == 3
    for lanes, message in ((0, "^lanes must be at least 1, not 0$"), (2, "^lanes must be at least 3, those")):
        with pytest.raises(FormatError, match=message):
            ENGINE.usual_schedule(GRU, lanes)


def test_another_network_in_the_same_hardware():
    """Only if its stages have the same plan."""
    design = ENGINE.compile(ENGINE.usual_schedule(GRU, None))
    assert ENGINE.refit(design.schedule.plan, GRU, GRU).digest == design.digest
    with pytest.raises(FormatError, match=r"^network must have stages of the widths and constants"):
        ENGINE.refit(design.schedule.plan, GRU, quantized_cells([("gru", 17)], 3))


def test_faults_reach_every_memory_of_constants():
    """Wrong addresses of each, and the constants of each stage in the memory of that stage."""
    network = quantized_cells([("hadamard", 40), ("gru", 3)], 3, weight_bits=4, state_bits=8)
    schedule = TileSchedule(network, ENGINE, Shape(8, 8, 6, 2))
    design, layout = ENGINE.compile(schedule), schedule.layout
    assert layout.constant_memories == ((0,), (1, 2))
    wires = {wire.name for wire in ENGINE.wrong_wires(design)}
    assert {"constants_0 address", "constants_1 address"} <= wires
    found = ENGINE.sites(schedule)
    for number, tail in enumerate(layout.tails):
        for (node, operand), place in tail.places.items():
            site = found[f"{layout.stages[number].name}.{node}.{operand}"]
            assert site.memory == f"constants_{number}"
            memory = design.memory(site.memory)
            value = tail.node(node).reads[operand][0].values[0]
            word = memory.value(site.address, "word") >> place.low
            assert word & (1 << place.bits) - 1 == value & (1 << place.bits) - 1


def test_it_says_what_its_memories_hold():
    """Every memory of the core has a meaning, or one by the beginning of its name."""
    design = ENGINE.compile(ENGINE.usual_schedule(GRU, None))
    known = set(ENGINE.memory_meanings)
    names = {memory.name.replace("constants_0", "constants_*") for memory in design.memories}
    assert {"weights", "operands", "constants_*"} <= names & known
