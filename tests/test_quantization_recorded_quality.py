"""An export reports its quality: stored, warned of, and with a cure that works when it is followed."""

import warnings

import numpy as np
import pytest

from qornn_hw.errors import QualityWarning
from qornn_hw.importers.torch_import import export_torch_rnn
from qornn_hw.quantization.float_model import RealNetwork, run_real
from qornn_hw.quantization.quantize import export


def wide_network():
    """Return W, U, V and inputs of a relu network of a slow, large unit beside small ones.

    Unit 0 adds its inputs up to about 60 and says little; units 1 to 7 follow one input each, stay below 0.2,
    and decide the class. In 8 bits a unit of the state that holds 60 is as large as they are.
    """
    rng = np.random.default_rng(0)
    w, u, v = np.diag([0.99] + [0.5] * 7), np.zeros((8, 4)), np.zeros((4, 8))
    u[0], v[:, 0] = 0.5, [0.05, -0.05, 0.05, -0.05]
    for unit in range(1, 8):
        u[unit, unit % 4] = 0.1
        v[unit % 4, unit] = 1.0
    return w, u, v, rng.random((64, 60, 4))


OPTIONS = {"activation": "relu", "weight_bits": 8, "output_mode": "last_step"}


def measured(w, u, v, x, **options):
    """Return the checkpoint of an export on these inputs."""
    return export(w, u, v, calibration_inputs=x, **options)


def test_a_network_that_loses_its_answers_is_warned_of_with_a_cure_that_works():
    """8-bit states lose more than 50 points; the warning's options, followed, give a good network."""
    w, u, v, x = wide_network()
    with pytest.warns(QualityWarning, match=r"agreement, relrms .* cure: .*state_bits=\d+") as caught:
        poor = measured(w, u, v, x, state_bits=8, **OPTIONS).metrics["quality"]
    assert len(caught) == 1
    assert poor["agreement"] < 0.5
    assert poor["cure"]["enough"] and poor["cure"]["options"]["state_bits"] > 8
    assert str(caught[0].message) == "; ".join(poor["warnings"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        good = measured(w, u, v, x, **{"state_bits": 8, **OPTIONS, **poor["cure"]["options"]})
    assert good.metrics["quality"]["agreement"] == pytest.approx(poor["cure"]["agreement"], abs=1e-6)
    assert good.metrics["quality"]["agreement"] > poor["agreement"] + 0.5
    assert good.metrics["quality"]["warnings"] == [] and "cure" not in good.metrics["quality"]


def test_a_good_network_is_not_warned_of():
    """No warning, no cure, and the metrics that were there stay."""
    w, u, v, x = wide_network()
    made = measured(w, u, v, x, state_bits=16, metrics={"mine": 1}, **OPTIONS)
    assert made.metrics["mine"] == 1
    assert made.metrics["quality"]["warnings"] == []


@pytest.mark.parametrize("activation", ["tanh", "hardtanh"])
def test_a_single_answer_is_judged_by_its_own_magnitude(activation):
    """One sequence with one logit has no spread; an error of twice the logit is warned of all the same."""
    rng = np.random.default_rng(0)
    w, u, v, x = (rng.normal(size=s) for s in ((8, 8), (8, 2), (1, 8), (1, 12, 2)))
    options = {"activation": activation, "output_mode": "last_step", "output_kind": "logits", "state_bits": 4}
    options |= {"weight_bits": 1, "input_bits": 16, "input_scale": 0.001}
    with pytest.warns(QualityWarning, match=r"relrms 2\.\d in 1 answers; .*cure: weight_bits="):
        made = measured(0.3 * w, u, v, x, **options)
    act = np.tanh if activation == "tanh" else lambda z: np.clip(z, -1, 1)
    h = np.zeros(8)
    for step in x[0]:
        h = act(0.3 * w @ h + u @ step)
    (wanted,) = v @ h
    error = abs(made(x)[0, 0, 0] - wanted) / abs(wanted)
    assert made.metrics["quality"]["relrms"] == pytest.approx(error, rel=1e-4)
    cure = made.metrics["quality"]["cure"]
    assert measured(0.3 * w, u, v, x, **options | cure["options"]).metrics["quality"]["warnings"] == []


def test_clipped_inputs_have_a_cure():
    """A given scale that clips most inputs is warned of, and more bits at that scale, or another, mend it."""
    rng = np.random.default_rng(0)
    w, u, v = rng.normal(size=(6, 6)) * 0.2, rng.normal(size=(6, 2)), rng.normal(size=(3, 6))
    x = rng.uniform(-1, 1, (32, 10, 2))
    options = {"activation": "tanh", "weight_bits": 8, "input_bits": 4, "input_scale": 1 / 64}
    with pytest.warns(QualityWarning, match="input entries lay outside the input's format"):
        poor = measured(w, u, v, x, **options).metrics["quality"]
    assert set(poor["inputs"]["clipped"]) == {"0", "1"}
    assert poor["cure"]["enough"] and set(poor["cure"]["options"]) <= {"input_bits", "input_scale"}
    assert measured(w, u, v, x, **{**options, **poor["cure"]["options"]}).metrics["quality"]["warnings"] == []


def test_without_a_cure_training_is_named():
    """Weights that are quantized already and too few bits of them leave only a training, and that is said."""
    rng = np.random.default_rng(0)
    w, u, v = rng.normal(size=(6, 6)) * 0.4, rng.normal(size=(6, 2)), rng.normal(size=(3, 6))
    x = rng.uniform(-1, 1, (32, 10, 2))
    steps = (1.0, 1.0, 1.0)
    with pytest.warns(QualityWarning, match="train the network with quantized weights"):
        poor = measured(
            w, u, v, x, activation="tanh", weight_bits=2, weight_steps=steps
        ).metrics["quality"]  # fmt: skip
    assert not poor["cure"]["enough"]


def test_the_warning_names_the_callers_line():
    """The warning points at the line that called the package, however deep the export was."""
    w, u, v, x = wide_network()
    with pytest.warns(QualityWarning) as caught:
        measured(w, u, v, x, state_bits=8, **OPTIONS)
    assert caught[0].filename == __file__


def test_without_quality_nothing_is_measured():
    """quality=False leaves the metrics as they are and does not warn."""
    w, u, v, x = wide_network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = measured(w, u, v, x, state_bits=8, quality=False, metrics={"mine": 1}, **OPTIONS)
    assert made.metrics == {"mine": 1}


def test_a_reference_of_ones_own():
    """The caller's own logits are what the integers are compared with, as an array or as a function."""
    w, u, v, x = wide_network()
    options = {**OPTIONS, "state_bits": 16}
    made = measured(w, u, v, x, **options)
    logits = run_real(RealNetwork.trained(made), x)[1]
    same = measured(w, u, v, x, reference=logits, **options)
    name = {"reference": "network of the given reference"}
    assert same.metrics["quality"] == made.metrics["quality"] | name
    wrong = -logits
    for reference in (wrong, lambda batch: -run_real(RealNetwork.trained(made), batch)[1]):
        with pytest.warns(QualityWarning, match="no number of bits that was tried is enough"):
            found = measured(w, u, v, x, reference=reference, **options).metrics["quality"]
        assert found["agreement"] < 0.1 and found["relrms"] == pytest.approx(2, abs=0.5)


def test_sequences_of_different_lengths():
    """A list of sequences is calibrated on, measured, and cured as an array is."""
    w, u, v, x = wide_network()
    sequences = [one[: (30, 45, 60)[i % 3]] for i, one in enumerate(x)]
    with pytest.warns(QualityWarning, match="cure: "):
        poor = measured(w, u, v, sequences, state_bits=8, **OPTIONS).metrics["quality"]
    assert poor["shapes"]["steps"] == [30, 60] and poor["cure"]["enough"]
    good = measured(w, u, v, sequences, **{**OPTIONS, **poor["cure"]["options"]}).metrics["quality"]
    assert good["warnings"] == []


def test_a_torch_module_is_reported():
    """export_torch_rnn stores the same report and warns as export does."""
    torch = pytest.importorskip("torch")
    w, u, v, x = wide_network()
    rnn = torch.nn.RNN(4, 8, nonlinearity="relu", batch_first=True)
    readout = torch.nn.Linear(8, 4)
    with torch.no_grad():
        for parameter, values in ((rnn.weight_hh_l0, w), (rnn.weight_ih_l0, u), (readout.weight, v)):
            parameter.copy_(torch.from_numpy(values))
        for bias in (rnn.bias_hh_l0, rnn.bias_ih_l0, readout.bias):
            bias.zero_()
    options = {"weight_bits": 8, "output_mode": "last_step"}
    with pytest.warns(QualityWarning, match="cure: ") as caught:
        poor = export_torch_rnn(rnn, readout, x, state_bits=8, **options).metrics["quality"]
    assert caught[0].filename == __file__
    assert poor["agreement"] < 0.5
    cure = poor["cure"]["options"]
    good = export_torch_rnn(rnn, readout, x, **{"state_bits": 8, **options, **cure}).metrics["quality"]
    assert good["warnings"] == [] and good["agreement"] > poor["agreement"] + 0.5
