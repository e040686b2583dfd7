"""Another width of the state for a network that is there."""

import numpy as np
import pytest
from data_sets import write_mnist, write_recordings

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.errors import FormatError
from qornn_hw.evaluation.evaluate import evaluate
from qornn_hw.quantization.float_model import dequantized, dequantized_inputs, run_real
from qornn_hw.quantization.quantize import export
from qornn_hw.quantization.requantize import calibration_inputs, requantized
from qornn_hw.tasks import (
    AddingTask,
    ArraysTask,
    CharactersTask,
    CopyTask,
    MnistTask,
    SpeechTask,
    mnist,
)

KINDS = [(a, one_hot, rows) for a in Activation for one_hot in (False, True) for rows in (False, True)]


def made(activation, one_hot, rows, state_bits=9, n=12):
    """Return a random network's checkpoint and integer inputs."""
    rng = np.random.default_rng(3)
    w = np.linalg.qr(rng.normal(size=(n, n)))[0] * 0.9
    x = rng.integers(0, 5, (8, 20)) if one_hot else rng.integers(0, 16, (8, 20, 3))
    checkpoint = export(
        w,
        rng.normal(size=(n, 5 if one_hot else 3)),
        rng.normal(size=(4, n)),
        activation=activation,
        bias=rng.normal(size=n) * 0.1,
        output_bias=rng.normal(size=4),
        calibration_inputs=x if one_hot else x / 16,
        weight_bits=5,
        state_bits=state_bits,
        per_row=rows,
        task={"name": "copy", "blank": 5},
        **({} if one_hot else {"input_bits": 4, "input_signed": False, "input_scale": 1 / 16}),
    )
    return checkpoint, x


@pytest.mark.parametrize("activation, one_hot, rows", KINDS)
def test_weights_stay(activation, one_hot, rows):
    """W and V keep their integers, U what it stands for, and the formats are those of the new width."""
    checkpoint, x = made(activation, one_hot, rows)
    for bits in (6, 9, 14):
        found = requantized(checkpoint, bits, x)
        assert found.network.state_bits == bits and found.provenance["requantized"] == bits
        old, new = checkpoint.network, found.network
        np.testing.assert_array_equal(new.recurrent_weight, old.recurrent_weight)
        np.testing.assert_array_equal(new.output_weight, old.output_weight)
        np.testing.assert_allclose(
            dequantized(new).recurrent_weight, dequantized(old).recurrent_weight, rtol=1e-9
        )
        if one_hot or activation in (Activation.IDENTITY, Activation.RELU, Activation.MODRELU):
            u, wanted = dequantized(new).input_weight, dequantized(old).input_weight
            # Columns at the accumulator's precision move by half its unit at most.
            np.testing.assert_allclose(u, wanted, atol=0.51 * new.scales.accumulator if one_hot else 1e-9)


@pytest.mark.parametrize("activation, one_hot, rows", KINDS)
def test_more_bits_are_nearer_to_the_real_network(activation, one_hot, rows):
    """The logits come nearer to those with real states the wider the states are."""
    checkpoint, x = made(activation, one_hot, rows)
    errors = []
    for bits in (5, 8, 14):
        network = requantized(checkpoint, bits, x).network
        wanted = run_real(dequantized(checkpoint.network), dequantized_inputs(network, x))[1]
        found = IntegerModel(network).run(x).logits * network.scales.output
        errors.append(np.sqrt(np.square(found - wanted).mean()))
    assert errors[0] > 2 * errors[1]
    # A tied step of U is chosen for each width anew, so the finest need not be the best there.
    assert errors[2] < errors[1] or activation in (Activation.TANH, Activation.HARDTANH)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("state_bits", [8, 12])
def test_scales_and_offsets_by_channel_stay(activation, state_bits):
    """The inputs keep scale and offset of each channel, and the integers of U where the step of U is kept."""
    rng = np.random.default_rng(3)
    sizes, middles = np.array([100.0, 0.2, 3.0]), np.array([500.0, 0.0, -9.0])
    w, u = np.linalg.qr(rng.normal(size=(12, 12)))[0] * 0.9, rng.normal(size=(12, 3)) / sizes
    x = rng.normal(size=(16, 20, 3)) * sizes + middles
    checkpoint = export(
        w, u, rng.normal(size=(4, 12)), activation=activation, bias=-u @ middles, calibration_inputs=x,
        weight_bits=8, state_bits=9,
    )  # fmt: skip
    old = checkpoint.network
    assert len(old.scales.input) == 3 and np.any(old.scales.input_offset)
    integers = quantize_inputs(old, x).integers
    new = requantized(checkpoint, state_bits, integers).network
    assert (new.scales.input, new.scales.input_offset) == (old.scales.input, old.scales.input_offset)
    np.testing.assert_array_equal(new.recurrent_weight, old.recurrent_weight)
    half = 0.51 * new.scales.accumulator if activation == "relu" else 0.1
    np.testing.assert_allclose(dequantized(new).bias, dequantized(old).bias, atol=half)
    if activation == "relu":
        np.testing.assert_allclose(dequantized(new).input_weight, dequantized(old).input_weight, rtol=1e-9)
    wanted = run_real(dequantized(old), dequantized_inputs(old, integers))[1]
    found = IntegerModel(new).run(integers).logits * new.scales.output
    assert np.sqrt(np.square(found - wanted).mean()) < (0.03 if state_bits == 8 else 0.02) * wanted.std()


def test_refusals():
    """A width that is none is refused."""
    checkpoint, x = made(Activation.RELU, True, False)
    with pytest.raises(FormatError, match="state_bits must be 4 to 16, not 17"):
        requantized(checkpoint, 17, x)


def test_calibration_inputs_fit_in_memory():
    """As many sequences as a calibration can hold, at least 16."""
    assert calibration_inputs(CopyTask(5), 64).shape == (1000, 25)
    assert calibration_inputs(CopyTask(5000), 1024).shape == (16, 5020)


def test_calibration_inputs_of_a_short_text(tmp_path):
    """A text gives as many parallel streams as it has room for, not as many as it has windows."""
    (tmp_path / "input.txt").write_text("".join(f"line {i * 7919 % 10007} of a text.\n" for i in range(500)))
    for window in (1, 20, 150):
        task = CharactersTask(tmp_path, window)
        most = task.most_sequences()
        assert task.batches_per_epoch(most) == 1
        with pytest.raises(FormatError, match="batch must be 1 to"):
            task.batches_per_epoch(most + 1)
        assert calibration_inputs(task, 64).shape == (min(most, 1000), window)


def test_calibration_sees_no_test_data(tmp_path, monkeypatch):
    """No task is asked for its test or validation set, and a fixed set is not asked for more than it has."""
    (tmp_path / "input.txt").write_text("a text of some words\n" * 300)
    monkeypatch.setattr(mnist, "COUNTS", {"train": 300, "test": 100})
    write_mnist(tmp_path)
    write_recordings(tmp_path)
    x = np.arange(24.0).reshape(12, 2, 1)
    tasks = (
        AddingTask(9),
        ArraysTask.from_arrays(x, np.arange(12) % 2, x[:3], np.arange(3) % 2),
        CharactersTask(tmp_path, 20),
        CopyTask(5),
        MnistTask(tmp_path),
        SpeechTask(tmp_path, bands=5, frames=12, hop=80),
        SpeechTask(tmp_path, bands=5, frames=12, hop=80, train_all=True),
    )

    def refuse(*_):
        raise AssertionError("calibration must not look at these")

    for task in tasks:
        task.load()
        for name in ("test", "validation"):
            monkeypatch.setattr(task, name, refuse)
        most = task.most_sequences()
        assert len(calibration_inputs(task, 16)) == min(1000, most or 1000)
    assert [task.most_sequences() for task in tasks] == [None, 11, 256, None, 275, 40, 90]


def test_evaluation_knows_the_task():
    """A requantized network is evaluated on the task it had."""
    rng = np.random.default_rng(0)
    checkpoint = export(
        np.linalg.qr(rng.normal(size=(6, 6)))[0], rng.normal(size=(6, 10)), rng.normal(size=(9, 6)),
        activation="identity", calibration_inputs=calibration_inputs(CopyTask(5), 6),
        task={"name": "copy", "blank": 5},
    )  # fmt: skip
    found = requantized(checkpoint, 6, calibration_inputs(CopyTask(5), 6))
    assert evaluate(found, limit=10)["sequences"] == 10
