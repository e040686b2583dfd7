"""Stacks quantized for a user: formats chosen, quality said, options checked."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from real_cells import real_cell

import qornn_hw
from qornn_hw.errors import FormatError, QualityWarning
from qornn_hw.quantization.quantize_stack import quantized_stack
from qornn_hw.quantization.stack import RealStack

RNG = np.random.default_rng(0)
STACK = RealStack(
    (real_cell("gru", 8, 3, RNG), real_cell("lstm", 6, 8, RNG)), RNG.normal(size=(4, 6)), np.zeros(4)
)
X = RNG.normal(size=(20, 12, 3))


def test_a_good_network_is_silent():
    """With 8 bits the report is good, and no warning is given."""
    made = quantized_stack(STACK, X, weight_bits=8, state_bits=12, gate_bits=12, index_bits=11, input_bits=10)
    quality = made.metrics["quality"]
    assert quality["agreement"] > 0.98
    assert quality["relrms"] < 0.05
    assert quality["warnings"] == []
    assert quality["shapes"] == {
        "sequences": 20, "measured": 20, "steps": [12, 12], "inputs": 3, "input": "vector", "outputs": 4,
        "output_mode": "every_step",
    }  # fmt: skip
    assert quality["bits"]["weights"] == {"recurrent": 8, "input": 8, "output": 8}


def test_a_bad_network_is_announced():
    """With 1-bit weights the answers differ, and a warning says by how much."""
    with pytest.warns(QualityWarning, match="the integer network must answer as the float network does"):
        made = quantized_stack(STACK, X, weight_bits=1, state_bits=3)
    assert made.metrics["quality"]["warnings"]


def test_the_report_is_that_of_the_integers():
    """Agreement and relrms, computed again from the network's own answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        made = quantized_stack(STACK, X, weight_bits=3)
    found, wanted = made(X), STACK.run(X)
    quality = made.metrics["quality"]
    assert quality["agreement"] == pytest.approx((found.argmax(-1) == wanted.argmax(-1)).mean(), abs=1e-5)
    spread = np.sqrt(np.mean((wanted - wanted.mean(axis=(0, 1))) ** 2))
    relrms = np.sqrt(np.mean((found - wanted) ** 2)) / spread
    assert quality["relrms"] == pytest.approx(relrms, rel=1e-4)


def test_clipped_inputs_are_counted():
    """A scale that is too fine clips, which is counted and said."""
    with pytest.warns(QualityWarning, match="clipped"):
        made = quantized_stack(STACK, X, weight_bits=8, input_scale=1 / 512, input_bits=8)
    assert sum(made.metrics["quality"]["inputs"]["clipped"].values()) > 100


def test_a_given_scale_takes_the_bits_that_hold_the_inputs():
    """Without input_bits nothing of the calibration inputs is clipped."""
    made = quantized_stack(STACK, X, weight_bits=8, input_scale=1 / 128)
    assert made.metrics["quality"]["inputs"]["clipped"] == {}
    assert made.network.input.format.bits == 10


@pytest.mark.parametrize(("signed", "bits"), [(None, 8), (False, 8), (True, 9)])
def test_the_bits_that_hold_the_inputs_count_the_sign(signed, bits):
    """Inputs from 0 to 255 take 8 bits without a sign, 9 with one, and none is clipped."""
    x = np.repeat(RNG.integers(0, 256, (20, 12, 1)).astype(float), 3, axis=2)
    x[0, :2] = [[0.0] * 3, [255.0] * 3]
    scaled = replace(
        STACK, cells=(replace(STACK.cells[0], weight_ih=STACK.cells[0].weight_ih / 255), STACK.cells[1])
    )
    made = quantized_stack(scaled, x, weight_bits=8, input_scale=1.0, input_signed=signed)
    assert (made.network.input.format.bits, made.network.input.format.signed) == (bits, bool(signed))
    assert made.metrics["quality"]["inputs"]["clipped"] == {}


@pytest.mark.parametrize("form", ["list", "indices"])
def test_sequences_of_different_lengths(form):
    """Lists of sequences are calibrated and measured as they are."""
    stack = STACK if form == "list" else replace(STACK, one_hot=True)
    lengths = [3, 12, 7]
    x = [RNG.normal(size=(k, 3)) if form == "list" else RNG.integers(0, 3, k) for k in lengths]
    made = quantized_stack(stack, x, weight_bits=8)
    assert made.metrics["quality"]["answers"] == sum(lengths)


def test_from_torch_to_a_file(tmp_path):
    """A GRU of torch is quantized, saved, loaded, and answers as the module does."""
    torch.manual_seed(0)
    rnn, readout = torch.nn.GRU(3, 10, num_layers=2, batch_first=True), torch.nn.Linear(10, 4)
    net = qornn_hw.quantize((rnn, readout), X, weight_bits=8, state_bits=12, gate_bits=10)
    qornn_hw.save(tmp_path / "gru.npz", net)
    back = qornn_hw.load(tmp_path / "gru.npz")
    assert np.array_equal(back.integers(X), net.integers(X))
    with torch.no_grad():
        wanted = readout(rnn(torch.tensor(X, dtype=torch.float32))[0]).numpy()
    assert (back(X).argmax(-1) == wanted.argmax(-1)).mean() > 0.97
    assert "agreement" in str(back.quality)


FAILURES = {
    "an option of Elman networks": (
        {"per_row": True},
        r"^option per_row must be one of those for gated and stac",
    ),
    "input bits": ({"input_bits": 17}, r"^input_bits must be an integer from 1 to 16, not 17$"),
    "an offset alone": (
        {"input_offset": 1.0},
        r"^input_scale must be given with input_offset or input_signed$",
    ),
    "a scale of zero": ({"input_scale": 0.0}, r"^input_scale must be positive and finite$"),
    "a scale that is too fine": (
        {"input_scale": 1e-6},
        r"^input_scale must be coarser: the inputs need \d\d bits",
    ),
    "weights": (
        {"weight_bits": (4, 8, 8)},
        r"^weight_bits must be a number, or three with the first two equal",
    ),
    "states": ({"state_bits": 17}, r"^bits of states must be an integer from 2 to 16, not 17$"),
    "gates": ({"gate_bits": 1}, r"^bits of gates must be an integer from 2 to 17, not 1$"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(name):
    """One line says what must be what."""
    options, message = FAILURES[name]
    with pytest.raises(FormatError, match=message):
        quantized_stack(STACK, X, **options)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (X[..., :2], r"^calibration_inputs must be vectors \(count, steps, 3\), not sequences of shape"),
        (np.full((1, 2, 3), np.nan), r"calibration_inputs"),
    ],
)
def test_inputs_that_are_refused(inputs, message):
    """Another number of channels, and numbers that are not finite."""
    with pytest.raises(qornn_hw.QornnError, match=message):
        quantized_stack(STACK, inputs)


def test_a_cell_without_a_recurrent_matrix():
    """A minGRU alone: its recurrent matrices have 0 bits."""
    stack = RealStack((real_cell("minGRU", 5, 3, RNG),), RNG.normal(size=(2, 5)), np.zeros(2))
    made = quantized_stack(stack, X, weight_bits=8, state_bits=10)
    assert made.metrics["quality"]["bits"]["weights"] == {"recurrent": 0, "input": 8, "output": 8}


@pytest.mark.parametrize("option", ["output_mode", "output_kind"])
def test_an_unknown_choice_is_named(option):
    """The message lists what there is."""
    with pytest.raises(FormatError, match=f"^{option} must be one of .*, not 'threshold'"):
        quantized_stack(STACK, X, **{option: "threshold"})
