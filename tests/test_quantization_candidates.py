"""The network of each choice: its integers obey the equations of the scales, whatever is chosen."""

from dataclasses import replace

import numpy as np
import pytest
from export_searches import search_of
from real_networks import arrays

from qornn_hw.cells.activations.registry import BOUNDED
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, WeightBits
from qornn_hw.errors import FormatError
from qornn_hw.files.scale_consistency import check_scales
from qornn_hw.quantization import candidates as candidates_module
from qornn_hw.quantization.candidates import Choice
from qornn_hw.quantization.float_model import accumulator_scales, dequantized, dequantized_inputs
from qornn_hw.quantization.input_grids import InputForm
from qornn_hw.quantization.recurrent_grids import steps_by_row

KINDS = [(str(a), kind) for a in Activation for kind in ("vector", "one_hot")]


def uneven(activation, kind, seed, bits, **options):
    """Return the search of a network with uneven rows of W and channels of different size and middle."""
    rng = np.random.default_rng(seed)
    (w, u, v), rest = arrays(seed=seed, input=kind, gain=0.9)
    w = w * rng.uniform(0.02, 1, (12, 1))
    if kind == "vector":
        sizes = 10.0 ** rng.uniform(-2, 2, 5)
        middles = sizes * rng.normal(size=5) * 5 * (activation != "modrelu")
        u = u / sizes
        rest["bias"] = rest["bias"] - u @ middles
        rest["calibration_inputs"] = rest["calibration_inputs"] * sizes + middles
    else:
        rest["calibration_inputs"][0, :5] = range(5)
    return search_of(w, u, v, activation=activation, weight_bits=bits, per_row=True, **(rest | options))


def choices(search, rng, count):
    """Return random choices of those that a search may try."""
    candidates = search.candidates
    forms = candidates.forms()
    for _ in range(count):
        form, offset = forms[rng.integers(len(forms))]
        yield Choice(
            bits=8 if candidates.inputs is None else int(rng.choice(candidates.inputs.bits)),
            form=form,
            offset=offset,
            recurrent=str(rng.choice(list(candidates.recurrent_rules))),
            by_row=bool(rng.integers(2)),
            drive=int(rng.integers(-2, 5)),
            spare=int(rng.integers(-1, 4)),
            output=str(rng.choice(list(candidates.output_rules))),
        )


@pytest.mark.parametrize("activation, kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_integers_obey_the_equations_of_the_scales(activation, kind, seed):
    """Dequantized weights on the inputs that the integers stand for are the integer accumulators, exactly.

    W, U and b times states and inputs, in units of each row's accumulator scale, give the integers of the
    accumulator; M / 2**s is the step from that scale to the state's, or to the table's.
    """
    rng = np.random.default_rng(seed)
    bits = WeightBits(*(int(k) for k in rng.integers(1, 9, 3)))
    options = {"state_bits": int(rng.integers(4, 17)), "multiplier_bits": int(rng.integers(4, 17))}
    search = uneven(activation, kind, seed, bits, **options)
    seen = 0
    for choice in choices(search, rng, 8):
        try:
            network = search.candidates.network(choice)
            model = IntegerModel(network)
        except FormatError:
            continue
        seen += 1
        check_scales(network)
        s_acc, scales = accumulator_scales(network), network.scales
        factor = network.multiplier / 2.0**network.shift
        if activation == "tanh":
            width = s_acc / factor
            table = np.rint(np.tanh(np.arange(-3, 4) * width[0]) / scales.state)
            middle = len(network.table) // 2
            limits = network.state_format
            table = np.clip(table, limits.min, limits.max)
            np.testing.assert_array_equal(network.table[middle - 2 : middle + 2], table[1:5])
        elif not Activation(activation).shape.indexed:
            np.testing.assert_allclose(s_acc / scales.state, factor, rtol=1e-12)
        x = search._integers(choice)[0][:4, 0]
        state = rng.integers(network.state_format.min, network.state_format.max, (len(x), 12))
        real = dequantized(network)
        inputs = dequantized_inputs(network, x)
        drive = inputs @ real.input_weight.T if kind == "vector" else real.input_weight.T[inputs]
        z = state * scales.state @ real.recurrent_weight.T + drive
        if activation != "modrelu":
            z = z + real.bias
        wanted = model.step(state, x).accumulator
        tolerance = 1e-9 * (np.abs(z / s_acc).max() + np.abs(network.bias).max() + 1)
        np.testing.assert_allclose(z / s_acc, wanted, rtol=1e-9, atol=tolerance + 1e-3)
    assert seen >= 4


@pytest.mark.parametrize("activation, kind", KINDS)
def test_choices_keep_within_bits(activation, kind):
    """No choice gives W, U or V more bits than were asked for, but for U's columns at full precision."""
    search = uneven(activation, kind, 3, WeightBits(3, 4, 5))
    for choice in choices(search, np.random.default_rng(0), 12):
        bits = search.candidates.network(choice).weight_bits
        assert (bits.recurrent, bits.output) == (3, 5)
        free = kind == "one_hot" and activation in BOUNDED
        assert bits.input <= (32 if free else 4)


def test_modrelu_takes_no_offset():
    """With modrelu no form with offsets is among the candidates."""
    search = uneven("modrelu", "vector", 0, 8)
    assert all(not offset for _, offset in search.candidates.forms())


def test_rows_of_given_steps_are_kept():
    """If the steps are given, the integers of W, U and V do not depend on what else is chosen."""
    (w, u, v), rest = arrays()
    steps = (1 / 64, 1 / 16, 1 / 16)
    search = search_of(w, u, v, activation="relu", weight_bits=6, weight_steps=steps, **rest)
    one, other = (
        search.candidates.network(Choice(bits=4, recurrent=rule, output=rule, spare=spare, drive=drive))
        for rule, spare, drive in (("full", 0, 0), ("half", 1, 3))
    )
    for name in ("recurrent_weight", "input_weight", "output_weight", "multiplier"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert other.scales.state == one.scales.state / 2


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_rules_clip_what_they_say(bits):
    """The rule full clips no weight; half is q_k's and clips a largest positive weight by one unit."""
    (w, u, v), rest = arrays()
    w[0, 0] = np.abs(w).max() * 1.01
    search = search_of(w, u, v, activation="relu", weight_bits=bits, multiplier_bits=16, **rest)
    full, half = (search.candidates.network(Choice(recurrent=rule)) for rule in ("full", "half"))
    top = 2 ** (bits - 1) - 1
    assert full.recurrent_weight[0, 0] == half.recurrent_weight[0, 0] == top
    kept = [dequantized(network).recurrent_weight[0, 0] / w[0, 0] for network in (full, half)]
    assert kept == pytest.approx([1, top / (top + 1)], rel=1e-4)


def test_every_form_has_its_own_grid():
    """Forms of the scales give different steps to channels of different size."""
    search = uneven("tanh", "vector", 1, WeightBits(8, 3, 8))
    scales = {form: search.candidates.network(Choice(form=form)).scales.input_steps(5) for form in InputForm}
    assert np.ptp(scales[InputForm.ONE]) == 0
    assert np.all(scales[InputForm.CHANNEL] <= scales[InputForm.HALF_EVEN])
    assert np.all(scales[InputForm.HALF_EVEN] <= scales[InputForm.EVEN])
    assert replace(Choice(), form=InputForm.EVEN) != Choice()


@pytest.mark.parametrize("activation", ["identity", "relu", "hardtanh", "tanh"])
@pytest.mark.parametrize("offset", [False, True])
def test_the_bias_takes_up_the_offsets(activation, offset):
    """The integer bias is b + U o over the accumulator's scale, and the first state is rounded half up."""
    first = np.linspace(-0.9, 0.9, 12)
    search = uneven(activation, "vector", 1, WeightBits(8, 8, 8), initial_state=first)
    network = search.candidates.network(Choice(form=InputForm.CHANNEL, offset=offset))
    real, o = search.candidates.arguments.network, network.scales.input_offsets(5)
    assert o.any() == offset
    wanted = (real.bias + real.input_weight @ o) / accumulator_scales(network)
    np.testing.assert_allclose(network.bias, wanted, atol=0.5 + 1e-9 * np.abs(wanted).max())
    form = network.state_format
    states = np.clip(np.floor(first / network.scales.state + 0.5), form.min, form.max)
    np.testing.assert_array_equal(network.initial_state, states)


@pytest.mark.parametrize("offset", [False, True])
def test_rows_are_weighed_by_the_integers_of_the_inputs(monkeypatch, offset):
    """The mean squares that weigh U's rows are those of the inputs less their offsets, in U's own units."""
    problems = []

    def spy(problem):
        problems.append(problem)
        return steps_by_row(problem)

    monkeypatch.setattr(candidates_module, "steps_by_row", spy)
    search = uneven("relu", "vector", 1, WeightBits(4, 4, 4))
    choice = Choice(form=InputForm.CHANNEL, offset=offset, by_row=True)
    network = search.candidates.network(choice)
    scales = network.scales
    sample = np.concatenate([x.reshape(-1, 5) for x in search.candidates._sample.batches])
    units = (sample - scales.input_offsets(5)) / scales.input_steps(5)
    tau = scales.state * 2.0**network.input_shift
    assert scales.input_offsets(5).any() == offset
    np.testing.assert_allclose(problems[-1].inputs_squared, np.square(units).mean(axis=0) * tau**2, rtol=1e-6)


@pytest.mark.parametrize("finer", [2, 5, 8])
def test_a_recurrent_matrix_below_u_keeps_its_bits(finer):
    """W whose weights are 2**-finer of U's still has integers up to the top of its bits."""
    (w, u, v), rest = arrays()
    w = w * 2.0**-finer * np.abs(u).max() / np.abs(w).max()
    search = search_of(w, u, v, activation="relu", weight_bits=8, state_bits=16, multiplier_bits=16, **rest)
    network = search.candidates.network(Choice())
    assert np.abs(network.recurrent_weight).max() >= 126


def test_a_shift_of_more_than_31_bits_is_refused():
    """A range of the state far below the inputs asks for a shift that is refused with what to change."""
    (w, u, v), rest = arrays()
    rest |= {"bias": np.zeros(len(w)), "output_bias": np.zeros(len(v))}
    search = search_of(w, u, v, activation="relu", weight_bits=8, **rest)
    shifts, refused = set(), 0
    for spare in range(48):
        try:
            shifts.add(search.candidates.network(Choice(spare=spare)).input_shift)
        except FormatError as error:
            refused += 1
            assert str(error).startswith("the input shift must be at most 31, not ")
    assert max(shifts) == 31 and refused
