"""Widths that are given: another network on the hardware of one, and what does not fit it."""

import json
from dataclasses import replace

import numpy as np
import pytest

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, InputKind, OutputKind, OutputMode, WeightBits
from qornn_hw.compiler.chain_plan import ChainPlan
from qornn_hw.compiler.chain_refit import schedule_of, with_room, with_shift
from qornn_hw.compiler.design import compile_schedule
from qornn_hw.compiler.engines import dsp, lut
from qornn_hw.compiler.refit import refit
from qornn_hw.compiler.weight_image import LoadStatus, WeightFormat, check_image, encode_image
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.stimuli import corner_sequences, random_network, random_sequences

SIZES = {"hidden_size": 7, "input_size": 3, "output_size": 2}


def roomy(network, engine="lut"):
    """Return a plan with room for any weights."""
    if engine != "dsp":
        schedule = lut.schedule(network, 2, 2, spram_elements=int(engine == "lut, SPRAM"))
    else:
        schedule = dsp.schedule(network, 3, store=WeightStore.BLOCK_RAM)
    return with_room(schedule).plan


@pytest.mark.sampled(8)
@pytest.mark.parametrize("engine", ["lut", "lut, SPRAM", "dsp"])
@pytest.mark.parametrize(
    "settings",
    [
        {"activation": Activation.IDENTITY},
        {"activation": Activation.RELU, "state_bits": 12},
        {"activation": Activation.MODRELU, "input_kind": InputKind.ONE_HOT},
        {"activation": Activation.HARDTANH, "weight_bits": WeightBits(1, 2, 3)},
        {"activation": Activation.TANH, "output_kind": OutputKind.ARGMAX},
        # The table of 64 has 65 words with the one that keeps its columns: an address outgrows an index.
        {"activation": Activation.TANH, "state_bits": 4},
    ],
)
def test_hardware_with_room_computes_any_network(settings, engine):
    """Built for one network, with the weights of another: every integer of the other, corners included."""
    one, other = (random_network(seed=seed, **SIZES, **settings) for seed in (1, 2))
    plan = roomy(one, engine)
    design = refit(plan, one, other)
    assert design.schedule.plan == plan
    sequences = [
        *random_sequences(other, batch=2, steps=4, seed=3),
        *corner_sequences(other, steps=2).values(),
    ]
    # Compared with the network as it came, not with its requantizer at another shift.
    simulate_core_in_python(design, sequences)
    np.testing.assert_array_equal(
        IntegerModel(design.network).run(np.stack(sequences[:2])).states,
        IntegerModel(other).run(np.stack(sequences[:2])).states,
    )


@pytest.mark.parametrize(
    "plain", [lambda n: dsp.schedule(n, 3), lambda n: lut.schedule(n, 2, 2, spram_elements=2)]
)
def test_weights_that_are_loaded_need_no_room_in_their_image(plain):
    """Two networks for the same hardware have images of the same size, and no words but the weights."""
    one, other = (random_network(seed=seed, **SIZES) for seed in (1, 2))
    first = compile_schedule(with_room(plain(one)))
    second = refit(first.schedule.plan, one, other)
    assert first.weight_banks == compile_schedule(plain(one)).weight_banks
    form = WeightFormat.of(first)
    images = [encode_image(design, form.digest) for design in (first, second)]
    assert images[0] != images[1]
    assert [check_image(form, image) for image in images] == [LoadStatus.LOADED] * 2


def test_a_plan_survives_json():
    """What is written is what is read."""
    for engine in ("lut", "lut, SPRAM"):
        plan = roomy(random_network(seed=1, **SIZES), engine)
        assert ChainPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_answers_in_registers_stay_there():
    """With room for any weights, in the plan, and for another network on the same hardware."""
    network = random_network(seed=1, output_mode=OutputMode.LAST_STEP, **SIZES)
    schedule = lut.schedule(network, 2, 2, answer_registers=True)
    assert with_room(schedule).chain.answer_registers
    plan = schedule.plan
    assert ChainPlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert plan.chain.answer_registers and schedule_of(plan, network).chain.answer_registers


def test_a_plan_from_before_spram_elements_is_read():
    """Builds that are there can be reloaded."""
    plan = roomy(random_network(seed=1, **SIZES))
    value = json.loads(json.dumps(plan.to_json()))
    del value["spram_elements"], value["answer_registers"]
    assert ChainPlan.from_json(value) == plan


def test_the_same_network_fits_its_own_hardware():
    """Without room a network fits what it was built for, bit for bit."""
    network = random_network(seed=1, **SIZES)
    design = compile_schedule(lut.schedule(network, 2, 2, readout_lanes=1))
    again = refit(design.schedule.plan, network, network)
    assert [i.words for i in again.memories] == [i.words for i in design.memories]
    assert again.digest == design.digest


def test_another_shift_is_the_same_network():
    """M times a power of two and a longer shift give the same integers; where there is none, it is said."""
    network = random_network(seed=1, **SIZES)
    model, shifted = IntegerModel(network), IntegerModel(with_shift(network, network.shift + 3))
    x = np.stack(random_sequences(network, batch=3, steps=5, seed=0))
    np.testing.assert_array_equal(model.run(x).states, shifted.run(x).states)
    assert with_shift(shifted.network, network.shift).multiplier.tolist() == network.multiplier.tolist()
    odd = replace(network, multiplier=network.multiplier | 1)
    with pytest.raises(
        FormatError, match=r"^the requantizer's shift must be \d+ or less, it is \d+ and M is no"
    ):
        with_shift(odd, network.shift - 1)
    with pytest.raises(FormatError, match=r"^M must be at most 65535, it is \d+ with a shift of "):
        with_shift(network, network.shift + 10)


BASE = {"activation": Activation.IDENTITY}
MISFITS = {
    "another size": ({"hidden_size": 6}, r"^hidden units must be 7, not 6$"),
    "several things": (
        {"input_size": 4, "state_bits": 9},
        r"^inputs must be 3, not 4; bits of the state must be 8, not 9",
    ),
    "other weights": ({"weight_bits": WeightBits(5, 4, 4)}, r"bits of W must be 4, not 5$"),
    "another activation": ({"activation": Activation.RELU}, r"^the activation must be identity, not relu$"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_another_shape_is_refused(name):
    """Everything that differs is named."""
    change, message = MISFITS[name]
    built = random_network(seed=1, **SIZES, **BASE)
    with pytest.raises(FormatError, match=message):
        refit(roomy(built), built, random_network(seed=2, **(SIZES | BASE | change)))


def test_wider_sums_are_refused_without_room():
    """Weights that need more bits than were proved for others are named; so are constants in logic."""
    small = random_network(seed=1, **SIZES)
    small = replace(small, recurrent_weight=small.recurrent_weight // 4)
    plan = lut.schedule(small, 2, 2).plan
    with pytest.raises(FormatError, match=r"^bits of the \w+ .*must be at most \d+, not \d+; bits of "):
        refit(plan, small, random_network(seed=2, **SIZES))
    shared = random_network(seed=1, **SIZES, shared_multiplier=True)
    plan = lut.schedule(shared, 2, 2, readout_lanes=1).plan
    other = replace(shared, multiplier=shared.multiplier + 2, output_bias=shared.output_bias + 1)
    with pytest.raises(
        FormatError, match=r"M must be \d+ in all units, not \d+; the readout's biases of the logi"
    ):
        refit(plan, shared, other)
