"""Which engine, how many multipliers and which memory a network gets."""

from dataclasses import replace

import pytest
from plans import planned, request

from qornn_hw.boards.devices.ecp5 import ECP5
from qornn_hw.boards.devices.ice40 import ICE40_HX_LP, ICE40_ULTRAPLUS
from qornn_hw.boards.estimation import explanation, plan_for
from qornn_hw.boards.icebreaker import BOARD
from qornn_hw.cells.any_network import macs_per_step
from qornn_hw.cells.elman_network import Activation, OutputKind, OutputMode
from qornn_hw.compiler.engines import engine_named
from qornn_hw.compiler.engines.lut import plans as lut_plans
from qornn_hw.compiler.engines.lut.cost import lut_cost
from qornn_hw.compiler.estimate import memory_blocks
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.planner import estimate_design
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import CapacityError
from qornn_hw.files.checkpoint import load_checkpoint
from qornn_hw.ir.formats import IntFormat
from qornn_hw.sim.stimuli import random_network

SMALL = random_network(seed=1, hidden_size=12, input_size=2, output_size=3)
LARGE = random_network(
    seed=1, hidden_size=128, input_size=1, output_size=10, weight_bits=8, output_kind=OutputKind.LOGITS
)


def considered_dsp(network):
    """Return what the dsp engine shows beside another that was chosen."""
    return engine_named("dsp").considered(request(network, BOARD.for_core), chosen=False)


def test_lut_is_taken_where_it_fits():
    """Nothing changes for a network that had a design before."""
    assert planned(SMALL, BOARD.for_core).engine.name == "lut"


def test_dsp_is_taken_where_lut_does_not_fit():
    """128 units of 8 bits outgrow the block RAM, and with so few logic cells there is no chain at all."""
    design = planned(LARGE, replace(BOARD.for_core, lut=900))
    assert (design.engine.name, design.lanes) == ("dsp", 8)
    assert design.schedule.store is WeightStore.SPRAM


def test_the_faster_engine_is_taken_where_weights_are_loaded():
    """Where weights are loaded anyway, a chain with some in SPRAM or multipliers, whichever takes less."""
    there = BOARD.for_core
    dsp = planned(LARGE, there, engine="dsp").schedule
    lut = planned(LARGE, there)
    assert (lut.engine.name, lut.schedule.store) == ("lut", WeightStore.SPRAM)
    assert lut.schedule.cycles_per_step < dsp.cycles_per_step
    # The least that is fast enough for both is that of the multipliers.
    assert planned(LARGE, there, cycles=dsp.cycles_per_step).engine.name == "dsp"


def test_chain_whose_memories_cannot_hold_w_is_not_looked_at(monkeypatch):
    """An estimate of a network is to be there in two seconds: only chains with weights in SPRAM are tried."""
    plain, estimate = [], lut_plans.lut_cost
    monkeypatch.setattr(
        lut_plans,
        "lut_cost",
        lambda s, family: plain.append(s.store is WeightStore.BLOCK_RAM) or estimate(s, family),
    )
    assert planned(LARGE, BOARD.for_core).engine.name == "lut"
    assert plain and not any(plain)


def test_columns_that_do_not_vary_take_no_block_ram():
    """Synthesis leaves them out: of 20 bits of which 4 vary, a block RAM, of which none varies, none."""
    design = planned(SMALL, BOARD.for_core)
    rows, high = range(design.memory("constants").depth), 0xA << 16
    found = [
        design.with_memory(Memory.plain("constants", 20, (high | row % bound for row in rows)))
        for bound in (16, 1)
    ]
    assert [d.engine.memory_blocks(d, ICE40_ULTRAPLUS)["constants"] for d in found] == [1, 0]
    least, whole = estimate_design(found[1], ICE40_ULTRAPLUS), lut_cost(design.schedule, ICE40_ULTRAPLUS)
    assert whole.bram - least.bram == memory_blocks(design.schedule, ICE40_ULTRAPLUS)["constants"]


def test_answers_wait_in_registers_where_block_ram_is_short():
    """Pmnist has just one block RAM too many; with one more, or RAM of logic cells, none do."""
    network, there = load_checkpoint("models/pmnist.npz").network, BOARD.for_core
    s = planned(network, there).schedule
    assert (s.chain.answer_registers, s.cycles_per_step, s.chain.spram_elements) == (True, 680, 4)
    s = planned(network, replace(there, bram=there.bram + 1)).schedule
    assert (s.chain.answer_registers, s.cycles_per_step) == (False, 680)
    assert not planned(
        network, replace(there, bram=20), name="ulx3s", family=ECP5
    ).schedule.chain.answer_registers


def test_170_units_of_4_bits_take_less_than_15_us():
    """At 48 MHz, a pixel a step, an answer at the end: weights of four elements in SPRAM."""
    network = random_network(
        seed=1, hidden_size=170, input_size=1, output_size=10, activation=Activation.RELU,
        output_mode=OutputMode.LAST_STEP, output_kind=OutputKind.LOGITS, shared_multiplier=True,
    )  # fmt: skip
    # A row's constant and its weight of U are a word of one block RAM.
    network = replace(network, bias=network.bias.clip(-400, 400))
    s = planned(network, BOARD.for_core).schedule
    assert (s.engine.name, s.chain.spram_elements) == ("lut", 4)
    assert s.cycles_per_step / 48 <= 15


def test_dsp_on_request_keeps_its_weights_in_the_bitstream_where_they_fit():
    """A small network needs no loading."""
    design = planned(SMALL, BOARD.for_core, engine="dsp")
    assert (design.engine.name, design.schedule.store) == ("dsp", WeightStore.BLOCK_RAM)
    assert planned(SMALL, BOARD.for_core, lanes=3, engine="dsp").lanes == 3


def test_the_utilisation_of_the_lanes_is_at_least_nine_tenths():
    """128 units, 8-bit weights and states, one input, ten outputs at every step."""
    s = planned(LARGE, BOARD.for_core, engine="dsp").schedule
    assert macs_per_step(LARGE) / (s.lanes * s.cycles_per_step) >= 0.9


def test_the_copy_network_of_256_units_takes_less_than_200_us():
    """At 48 MHz, from SPRAM."""
    network = load_checkpoint("models/copy_256.npz").network
    s = planned(network, BOARD.for_core).schedule
    assert s.store is WeightStore.SPRAM
    assert s.cycles_per_step / 48 <= 200


def test_what_the_multipliers_cannot_compute_is_not_considered():
    """An explanation shows the chains of such a network, and no dsp design beside them."""
    wide = random_network(seed=1, hidden_size=4, input_size=2, output_size=2, state_bits=16)
    wide = replace(wide, input_format=IntFormat(16, signed=False))
    assert considered_dsp(wide) == []
    assert all(row["engine"] == "lut" for row in explanation(plan_for(wide, BOARD), BOARD))
    assert len(considered_dsp(SMALL)) > 0


def test_what_cannot_be_is_refused():
    """Another family, too many units; with what would do."""
    for family in (ICE40_HX_LP, ECP5):
        with pytest.raises(
            CapacityError,
            match=r"^the dsp engine must have the hard cells mac16 and spram, and the family \w+ has",
        ):
            planned(SMALL, BOARD.for_core, name="x", family=family, engine="dsp")
    with pytest.raises(CapacityError, match=r"^network must fit x, .* would fit$"):
        planned(LARGE, replace(BOARD.for_core, spram=0), name="x", engine="lut")
