"""The quality report: every figure against its formula, written out here with NumPy alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, OutputKind, OutputMode, Scales
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.float_model import dequantized
from qornn_hw.quantization.quality import Cure, quality_lines, quality_of, real_reference

TABLE = np.clip(np.arange(-512, 512) // 4, -100, 90)
ACTIVATIONS = {
    Activation.IDENTITY: {},
    Activation.RELU: {},
    Activation.MODRELU: {},
    Activation.HARDTANH: {},
    Activation.TANH: {"table": TABLE},
}


def network_of(activation=Activation.IDENTITY, one_hot=False, m=3, **changes):
    """Return a network of 6 units whose states reach the ends of their format."""
    fields = {
        "scales": Scales((0.5, 0.25, 0.125)[:m] if not one_hot and m <= 3 else 1.0, 0.1, 0.01, 0.03),
        "activation": activation,
        **ACTIVATIONS[activation],
        **(one_hot_fields(m) if one_hot else {}),
        **changes,
    }
    return make_network(6, m, fields.pop("p", 4), 3, **fields)


def inputs_of(network, count=10, steps=7, seed=0):
    """Return real vectors of which some leave the format, or indices."""
    rng = np.random.default_rng(seed)
    if not network.vector_input:
        return rng.integers(0, network.input_size, (count, steps))
    return rng.uniform(-0.5, 5.0, (count, steps, network.input_size))


def integers_of(network, inputs):
    """Return real inputs as the integers of the definition, and which entries were clipped."""
    if not network.vector_input:
        return inputs, np.zeros(1)
    form = network.input_format
    units = np.rint(inputs / network.scales.input_steps(network.input_size))
    clipped = ((units < form.min) | (units > form.max)).sum(axis=(0, 1))
    return np.clip(units, form.min, form.max).astype(np.int64), clipped


@pytest.mark.parametrize("mode", OutputMode)
@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("p", [1, 4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_figure_is_its_formula(activation, p, one_hot, mode):
    """relrms, agreement, ends, clipping, dead units and histogram equal their definitions."""
    network = network_of(activation, one_hot, p=p, output_mode=mode)
    x = inputs_of(network)
    integers, clipped = integers_of(network, x)
    trace = IntegerModel(network).run(integers)
    y = trace.logits * 0.03 + np.random.default_rng(1).normal(size=trace.logits.shape) * 20
    y[0] *= -1
    found = quality_of(network, x, y)
    error = np.sqrt(np.mean((trace.logits * 0.03 - y) ** 2)) / np.std(y)
    assert found.relrms == pytest.approx(error, rel=1e-9)
    same = (trace.logits > 0) == (y > 0) if p == 1 else trace.logits.argmax(-1) == y.argmax(-1)
    assert 0 < found.agreement < 1
    assert found.agreement == pytest.approx(same.mean()) and found.answers == same.size
    high = 90 if activation is Activation.TANH else 127
    low = {Activation.TANH: -100, Activation.RELU: -129}.get(activation, -128)
    ends = (trace.states >= high) | (trace.states <= low)
    np.testing.assert_allclose(found.ends_by_unit, ends.mean(axis=(0, 1)))
    assert found.ends_share == pytest.approx(ends.mean())
    np.testing.assert_allclose(found.ends_by_time, ends.mean(axis=(0, 2)))
    steps = np.flatnonzero(ends.any(axis=(0, 2)))
    assert found.first_end == (steps[0] if len(steps) else None)
    assert found.saturating is (activation not in (Activation.TANH, Activation.HARDTANH))
    np.testing.assert_array_equal(found.clipped, clipped)
    np.testing.assert_array_equal(
        found.histogram, np.bincount((trace.states.ravel() + 128) // 4, minlength=64)
    )
    flat = trace.states.reshape(-1, 6)
    constant = np.flatnonzero((flat == flat[0]).all(axis=0))
    assert list(found.constant_units) == list(constant)
    assert list(found.zero_units) == [u for u in constant if flat[0, u] == 0]


@pytest.mark.parametrize("mode", OutputMode)
def test_all_forms_say_the_same(mode):
    """Arrays, lists, padded arrays and functions of the same sequences give one report."""
    network = network_of(output_mode=mode)
    x = inputs_of(network)
    reference = real_reference(dequantized(network))
    logits = reference(x)
    wanted = quality_of(network, x, reference).to_metrics()
    padded = np.concatenate([x, np.full((10, 2, 3), 99.0)], axis=1)
    assert quality_of(network, x, logits).to_metrics() == wanted
    assert quality_of(network, list(x), list(logits)).to_metrics() == wanted
    assert quality_of(network, padded, logits, lengths=[7] * 10).to_metrics() == wanted
    if mode is OutputMode.LAST_STEP:
        assert quality_of(network, x, logits[:, 0]).to_metrics() == wanted
        every = real_reference(replace(dequantized(network), output_mode=OutputMode.EVERY_STEP))
        assert quality_of(network, x, every).to_metrics() == wanted


@pytest.mark.parametrize("mode", OutputMode)
def test_sequences_of_different_lengths(mode):
    """Each sequence counts with its own steps and answers, in whatever order the batches come."""
    network = network_of(output_mode=mode)
    sequences = [inputs_of(network, 1, steps, seed=steps)[0] for steps in (4, 9, 1, 4, 30)]
    reference = real_reference(dequantized(network))
    found = quality_of(network, sequences, reference)
    assert found.steps == (1, 30) and found.sequences == found.measured == 5
    assert found.answers == (48 if mode is OutputMode.EVERY_STEP else 5)
    assert found.entries == 48
    by_hand = quality_of(network, sequences, [reference(one[None])[0] for one in sequences])
    assert by_hand.to_metrics() == found.to_metrics()
    errors, values, ends = [], [], []
    for one in sequences:
        trace = IntegerModel(network).run(integers_of(network, one[None])[0])
        y = reference(one[None])
        errors.append((trace.logits * 0.03 - y).ravel())
        values.append(y.ravel())
        ends.append(np.abs(trace.states + 0.5) > 127)
    relrms = np.sqrt(np.mean(np.concatenate(errors) ** 2)) / np.std(np.concatenate(values))
    assert found.relrms == pytest.approx(relrms, rel=1e-9)
    assert found.ends_share == pytest.approx(sum(e.sum() for e in ends) / (48 * 6))


def test_equal_networks_agree_in_everything():
    """Against its own logits an integer network has relrms 0, agreement 1 and no warning."""
    network = network_of(input_format=IntFormat(8, signed=True))
    x = inputs_of(network)
    logits = IntegerModel(network).run(integers_of(network, x)[0]).logits * 0.03
    found = quality_of(network, x, logits)
    assert found.relrms == 0 and found.agreement == 1 and not found.bad and found.warnings == ()


def test_units_that_never_change_are_named():
    """A unit without weights stays 0 and one with a bias alone stays at another value: both are dead."""
    fields = network_of()
    weights, drive = np.array(fields.recurrent_weight), np.array(fields.input_weight)
    weights[[1, 4]], drive[[1, 4]] = 0, 0
    network = replace(
        fields,
        recurrent_weight=weights,
        input_weight=drive,
        bias=np.array([0, 0, 0, 0, 40, 0]),
        multiplier=np.full(6, 128),
    )
    found = quality_of(network, inputs_of(network), real_reference(dequantized(network)))
    assert found.constant_units == (1, 4) and found.zero_units == (1,)
    assert ("dead units", "2 never change (1 always 0): 1, 4") in quality_lines(found.to_metrics())


def test_clipped_channels_are_warned_of():
    """A channel whose entries leave the format is named with its range, also where the answers agree."""
    network = network_of(scales=Scales((0.5, 0.5, 0.01), 0.1, 0.01, 0.03))
    x = np.abs(inputs_of(network))
    logits = IntegerModel(network).run(integers_of(network, x)[0]).logits * 0.03
    found = quality_of(network, x, logits)
    assert found.clipped[2] > 60 and found.bad and not found.inaccurate
    (sentence,) = found.warnings
    assert "most of them in channel 2" in sentence and "takes 0 to 0.15" in sentence
    assert found.to_metrics()["inputs"]["clipped"] == {"2": int(found.clipped[2])}


def test_saturated_states_are_part_of_the_warning():
    """If the answers are wrong, saturation is told with its share, unit and first step."""
    network = network_of(Activation.RELU)
    x = inputs_of(network)
    found = quality_of(network, x, np.random.default_rng(0).normal(size=(10, 7, 4)))
    assert found.inaccurate
    assert any("states saturate" in one and "8-bit format, most in unit" in one for one in found.warnings)
    hardtanh = quality_of(
        network_of(Activation.HARDTANH), x, np.random.default_rng(0).normal(size=(10, 7, 4))
    )
    assert hardtanh.inaccurate and hardtanh.ends_share > 0
    assert not any("saturate" in one for one in hardtanh.warnings)


@pytest.mark.parametrize(
    "kind, relrms, agreement, bad",
    [
        (OutputKind.BOTH, 0.24, 0.96, False),
        (OutputKind.BOTH, 0.26, 1.0, True),
        (OutputKind.BOTH, 0.1, 0.94, True),
        (OutputKind.ARGMAX, None, 0.94, True),
        (OutputKind.LOGITS, 0.1, 0.5, False),
        (OutputKind.LOGITS, 0.3, 1.0, True),
        (OutputKind.BOTH, None, 1.0, False),
    ],
)
def test_what_is_bad(kind, relrms, agreement, bad):
    """A network is bad beyond a relrms of 0.25, or below 95 % agreement where argmax is an answer."""
    network = network_of(output_kind=kind, input_format=IntFormat(8, signed=True))
    found = quality_of(network, inputs_of(network), real_reference(dequantized(network)))
    found = replace(found, relrms=relrms, agreement=agreement)
    assert found.bad is bad and bool(found.warnings) is bad


def test_ends_by_part_of_sequences_of_different_lengths():
    """Each sequence's steps go to eight equal parts of it; the first end is the earliest step of all."""
    still = np.zeros(6, dtype=np.int64)
    network = network_of(bias=still, initial_state=still)
    sequences = [inputs_of(network, 1, steps, seed=steps)[0] for steps in (3, 8, 20, 33)]
    # Nothing drives the first steps of the short ones to an end of the state's format.
    sequences[0][:2] = sequences[1][:4] = 0.0
    found = quality_of(network, sequences, real_reference(dequantized(network)))
    ends, states, first = np.zeros(8), np.zeros(8), []
    for one in sequences:
        trace = IntegerModel(network).run(integers_of(network, one[None])[0])
        at_end = np.abs(trace.states[0] + 0.5) > 127
        first += list(np.flatnonzero(at_end.any(axis=1))[:1])
        for t, row in enumerate(at_end):
            ends[8 * t // len(one)] += row.sum()
            states[8 * t // len(one)] += row.size
    np.testing.assert_allclose(found.ends_by_time, ends / states)
    assert found.first_end == min(first) < max(first)


@pytest.mark.parametrize("count, bad", [(1, False), (2, True)])
def test_the_worst_channel_decides_on_clipping(count, bad):
    """More than 1 % of one channel is reported, however few all channels have together."""
    network = network_of(input_format=IntFormat(8, signed=True))
    x = np.zeros((10, 10, 3))
    x[:count, 0, 1] = 1e6
    found = quality_of(network, x, IntegerModel(network).run(integers_of(network, x)[0]).logits * 0.03)
    assert found.clipped.tolist() == [0, count, 0] and found.clipped_share == count / 100
    assert not found.inaccurate and found.bad is bad
    assert bool(found.warnings) is bad


def test_a_reference_of_zeros_has_no_relrms():
    """If the reference is 0 everywhere, relrms is undefined, never infinite."""
    network = network_of()
    found = quality_of(network, inputs_of(network), np.zeros((10, 7, 4)))
    assert found.relrms is None
    assert json.loads(json.dumps(found.to_metrics(), allow_nan=False))["relrms"] is None
    assert "undefined" in found.table()


@pytest.mark.parametrize("noise", [0.0, 1e-15])
def test_a_constant_reference_is_its_own_unit(noise):
    """A reference that is constant up to rounding gives the error over its magnitude, and a warning."""
    network = network_of(output_kind=OutputKind.LOGITS, input_format=IntFormat(8, signed=True))
    x = inputs_of(network)
    logits = IntegerModel(network).run(integers_of(network, x)[0]).logits * network.scales.output
    reference = np.full(logits.shape, -2.5) + noise * np.random.default_rng(0).normal(size=logits.shape)
    found = quality_of(network, x, reference)
    assert found.relrms == pytest.approx(np.sqrt(np.square(logits + 2.5).mean()) / 2.5)
    assert found.relrms > 0.25
    assert found.bad


def test_a_large_mean_costs_no_digits():
    """The spread of a reference far from 0 is that of its differences."""
    network = network_of()
    x = inputs_of(network)
    y = 1e9 + np.random.default_rng(0).normal(size=(10, 7, 4))
    assert quality_of(network, x, y).relrms == pytest.approx(1e9 / np.std(y), rel=1e-6)


def test_only_as_many_as_the_work_allows():
    """Beyond the work, sequences are left out evenly, and the report says how many were run."""
    network = network_of()
    x = inputs_of(network, count=100)
    found = quality_of(network, x, real_reference(dequantized(network)), work=10 * 7 * 6 * 9)
    assert found.sequences == 100 and found.measured == 10 and found.answers == 70
    assert found.table().splitlines()[0].endswith("; 10 measured")
    part = x[np.linspace(0, 99, 10).round().astype(int)]
    assert found.relrms == quality_of(network, part, real_reference(dequantized(network))).relrms
    one = quality_of(network, x, real_reference(dequantized(network)), work=1)
    assert one.measured == 1


def test_shapes_are_said():
    """The first line of the table says what shape was understood as what."""
    vectors, symbols = network_of(), network_of(one_hot=True, m=5, output_mode=OutputMode.LAST_STEP)
    text = [
        quality_of(net, inputs_of(net), real_reference(dequantized(net))).table().splitlines()[0]
        for net in (vectors, symbols)
    ]
    assert text[0].endswith("10 sequences of 7 steps of 3 inputs, 4 outputs after every step")
    assert text[1].endswith("10 sequences of 7 steps of 1 of 5 symbols, 4 outputs after the last step")


def test_metrics_are_plain_json():
    """The stored report survives JSON and has bits, scales by channel and the cure."""
    network = network_of()
    found = quality_of(network, inputs_of(network), real_reference(dequantized(network)))
    found = replace(found, cure=Cure({"state_bits": 12}, 0.1, 0.99, enough=True))
    metrics = found.to_metrics()
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert metrics["scales"]["input"] == [0.5, 0.25, 0.125]
    assert metrics["bits"] == {
        "weights": {"recurrent": 4, "input": 4, "output": 4},
        "state": 8,
        "input": 4,
        "input_signed": False,
    }
    assert metrics["cure"] == {
        "options": {"state_bits": 12}, "relrms": 0.1, "agreement": 0.99, "enough": True
    }  # fmt: skip


@pytest.mark.parametrize(
    "cure, text",
    [
        (
            Cure({"state_bits": 12, "per_row": True}, 0.0123, 0.9991, enough=True),
            "cure: state_bits=12, per_row=True gives 99.9 % agreement, relrms 0.012 on the same inputs",
        ),
        (
            Cure({"state_bits": 12}, 0.3, 0.9, enough=False),
            "the best that was tried: state_bits=12 gives 90.0 % agreement, relrms 0.3 on the same inputs;",
        ),
        (Cure({}, 0.3, 0.9, enough=False), "no number of bits that was tried is enough: train the network"),
    ],
)
def test_cures_in_words(cure, text):
    """A cure is told with what it gave; without one, training is."""
    assert str(cure).startswith(text)


@pytest.mark.parametrize(
    "inputs, reference, message",
    [
        (np.zeros((0, 7, 3)), np.zeros((0, 7, 4)), r"^inputs must hold sequences"),
        (np.zeros((2, 7, 2)), np.zeros((2, 7, 4)), r"^inputs must have 3 channels"),
        (np.full((2, 7, 3), np.nan), np.zeros((2, 7, 4)), r"^inputs must be finite"),
        (
            np.zeros((2, 7, 3)),
            np.zeros((3, 7, 4)),
            r"^reference must have the logits of 2 sequences, not of 3",
        ),
        (np.zeros((2, 7, 3)), np.zeros((2, 1, 4)), r"^reference must have logits of shape \(2, 7, 4\)"),
        (np.zeros((2, 7, 3)), np.zeros((2, 7, 5)), r"^reference must have logits of shape \(2, 7, 4\)"),
        (np.zeros((2, 7, 3)), np.full((2, 7, 4), np.inf), r"^reference must be finite, not inf"),
        (np.zeros((2, 7, 3)), lambda x: x, r"^reference must have logits of shape"),
    ],
)
def test_refusals(inputs, reference, message):
    """Nothing compared is never a success, and a reference of another network is refused."""
    with pytest.raises(FormatError, match=message):
        quality_of(network_of(), inputs, reference)
