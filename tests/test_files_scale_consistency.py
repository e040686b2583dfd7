"""Scales and integers belong together: every exported network passes, every contradiction is one line."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import make_network

from qornn_hw.cells.elman_network import Activation, Scales
from qornn_hw.errors import CheckpointError, FormatError
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint
from qornn_hw.files.scale_consistency import check_scales, scales_for
from qornn_hw.quantization.quantize import export
from qornn_hw.quantization.requantize import requantized
from qornn_hw.sim.stimuli import random_network


@st.composite
def exports(draw):
    """Return a random export: any activation, widths, kind of input, and a step by row or for all."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    n, m, p = draw(st.integers(1, 9)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["one_hot", "vector"]))
    x = rng.integers(0, m, (3, 8)) if kind == "one_hot" else rng.normal(size=(3, 8, m)) + 0.1
    return export(
        rng.normal(size=(n, n)) * draw(st.sampled_from([0.05, 0.5])),
        np.vstack([np.ones((1, m)), rng.normal(size=(n - 1, m))]),
        rng.normal(size=(p, n)),
        activation=str(draw(st.sampled_from(Activation))),
        calibration_inputs=x,
        input=kind,
        # Above 0 for the first unit, whose U is, so that no relu network is dead, which export refuses.
        bias=np.abs(rng.normal(size=n) * 0.1),
        weight_bits=draw(st.integers(2, 8)),
        state_bits=draw(st.integers(4, 16)),
        multiplier_bits=draw(st.integers(4, 16)),
        per_row=draw(st.booleans()),
    )


@given(exports())
@settings(max_examples=20, deadline=None)
def test_exports(checkpoint):
    """Random exports pass, and with any scale 3 % off, or the shift one off, they do not."""
    network = checkpoint.network
    check_scales(network)
    for changes in (
        {"scales": replace(network.scales, accumulator=network.scales.accumulator * 1.5)},
        {"scales": replace(network.scales, state=network.scales.state * 1.6)},
        {"shift": network.shift + 1},
    ):
        wide = int(network.multiplier.max()) >= 16
        if wide and not network.activation.shape.indexed:
            with pytest.raises(FormatError, match=r"see docs/checkpoint.md, section 2$"):
                check_scales(replace(network, **changes))


@pytest.mark.parametrize("activation", list(Activation))
@pytest.mark.parametrize("seed", range(4))
def test_random_networks(activation, seed):
    """The random networks of the simulations have scales that belong to them."""
    check_scales(
        random_network(
            seed=seed, hidden_size=6, input_size=2, output_size=2, activation=activation,
            state_bits=(4, 8, 11, 16)[seed], index_bits=(3, None, 14, 10)[seed],
        )
    )  # fmt: skip


def test_requantized():
    """A network with another width of the state passes, too."""
    checkpoint = export(
        np.eye(4) * 0.5, np.ones((4, 2)), np.ones((2, 4)), activation="tanh",
        calibration_inputs=np.random.default_rng(0).normal(size=(2, 9, 2)), input_bits=8,
    )  # fmt: skip
    check_scales(requantized(checkpoint, 12, np.ones((2, 5, 2), np.int64)).network)


def tanh_network(**changes):
    """Return a tanh network of 8-bit states with a table of 64 entries from -3 to 3, and scales for it."""
    table = np.clip(np.rint(np.tanh(np.arange(-32, 32) * 3 / 32) * 128), -128, 127).astype(np.int64)
    scales = scales_for(Activation.TANH, 8, 200, 9, index_step=3 / 32)
    fields = {"activation": Activation.TANH, "table": table, "scales": scales, "shift": 9}
    return make_network(multiplier=np.array([200, 100, 50]), **(fields | changes))


@pytest.mark.parametrize(
    "network, message",
    [
        (make_network(multiplier=np.array([3, 1, 2]), shift=4, scales=scales_for(Activation.RELU, 8, 3, 5)),
         "scales.accumulator must be scales.state * max(multiplier) / 2**shift = 0.1875, not 0.09375"),
        (make_network(activation=Activation.HARDTANH, scales=scales_for(Activation.RELU, 8, 3, 5)),
         "scales.state of hardtanh must be 2**(1 - state_bits) = 0.0078125, not 1"),
        (tanh_network(scales=scales_for(Activation.TANH, 9, 200, 9, index_step=3 / 32)),
         "scales.state of tanh must be 2**(1 - state_bits) = 0.0078125, not 0.00390625"),
        (tanh_network(scales=scales_for(Activation.TANH, 8, 200, 9, index_step=3.5 / 32)),
         "table must be tanh at the spacing scales.accumulator * 2**shift / max(multiplier) = 0.109375, "),
        (tanh_network(table=np.arange(-64, 0)), "table must be tanh at the spacing "),
        (tanh_network(table=-tanh_network().table), "table must be tanh at the spacing "),
    ],
)  # fmt: skip
def test_contradictions(network, message, tmp_path):
    """Scales of another network, and a table of another function, are neither accepted nor written."""
    with pytest.raises(FormatError) as error:
        check_scales(network)
    assert str(error.value).startswith(message)
    with pytest.raises(CheckpointError):
        save_checkpoint(tmp_path / "a.npz", Checkpoint(network))
    assert list(tmp_path.iterdir()) == []


def test_usual_forms_pass():
    """A full scale of 2**(a-1) - 1 units, and scales of three digits, are accepted."""
    check_scales(tanh_network())
    top = np.rint(np.tanh(np.arange(-32, 32) * 3 / 32) * 127).astype(np.int64)
    scales = scales_for(Activation.TANH, 8, 200, 9, index_step=3 / 32)
    check_scales(tanh_network(table=top, scales=replace(scales, state=1 / 127)))
    rounded = float(f"{scales.accumulator:.3g}")
    check_scales(tanh_network(scales=replace(scales, accumulator=rounded)))


def with_end(value):
    """Return the network of :func:`tanh_network` with another first entry of the table, which is -127."""
    return tanh_network(table=np.r_[value, tanh_network().table[1:]])


def with_accumulator(multiplier, factor):
    """Return a relu network whose accumulator's scale is ``factor`` times that of its multiplier."""
    scales = scales_for(Activation.RELU, 8, multiplier, 5)
    scales = replace(scales, accumulator=scales.accumulator * factor)
    return make_network(multiplier=np.array([multiplier, 1, 2]), shift=5, scales=scales)


def with_state(scale):
    """Return a hardtanh network of 8-bit states with this scale of the state, and an accumulator for it."""
    scales = Scales(1.0, scale, scale * 3 / 32, 1.0)
    fields = {"activation": Activation.HARDTANH, "scales": scales, "shift": 5}
    return make_network(multiplier=np.array([3, 1, 2]), **fields)


@pytest.mark.parametrize(
    "inside, outside",
    [
        # 1 %, or half a unit of a small M: 16.7 % of 3.
        (with_accumulator(200, 1.009), with_accumulator(200, 1.011)),
        (with_accumulator(200, 0.991), with_accumulator(200, 0.989)),
        (with_accumulator(3, 1.16), with_accumulator(3, 1.17)),
        (with_accumulator(3, 0.84), with_accumulator(3, 0.83)),
        # 1.5 units beyond the values that are rounded to the index: tanh(-31.5 * 0.99 * 3 / 32) * 128 + 1.5
        # is -125.8.
        (with_end(-126), with_end(-125)),
        # A full scale of 2**(a-1) units, to two of them.
        (with_state(1.015 / 128), with_state(1.017 / 128)),
    ],
)
def test_the_tolerances_are_the_documented_ones(inside, outside):
    """A deviation just inside of a tolerance passes, and one just outside is refused."""
    check_scales(inside)
    with pytest.raises(FormatError, match=r"see docs/checkpoint.md, section 2$"):
        check_scales(outside)
