"""Fine-tuning: the forms of model and data, the result, and that it is never worse than the start."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import qornn_hw
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cli.main import app
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.errors import DataError, FormatError
from qornn_hw.evaluation.evaluate import evaluate
from qornn_hw.files.checkpoint import load_checkpoint, save_checkpoint
from qornn_hw.importers.torch_import import export_torch_rnn
from qornn_hw.quantization.quantize import export
from qornn_hw.training.finetune import FinetuneConfig, finetune

STEPS, N = 8, 12
QUICK = {"epochs": 6, "finetune_epochs": 3, "batch": 30}
# Rates with which nothing is learned and everything is forgotten.
RUINOUS = dict.fromkeys(("learning_rate_recurrent", "learning_rate_input", "learning_rate_output"), 3.0)


def sequences(count=400, seed=0):
    """Return inputs of channels in units of their own, and whether the first channel's sum is above 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, STEPS, 2))
    return (x * [500.0, 0.3] + [0.0, 290.0]).astype(np.float32), (x[..., 0].sum(axis=1) > 0).astype(np.int64)


@pytest.fixture(scope="module")
def trained():
    """Return, by nonlinearity and outputs, a plain PyTorch network that has learned the sequences."""
    found = {}

    def make(nonlinearity, outputs=2):
        key = (nonlinearity, outputs)
        if key in found:
            return found[key]
        torch.manual_seed(1)
        x, y = sequences()
        rnn, readout = nn.RNN(2, N, nonlinearity=nonlinearity, batch_first=True), nn.Linear(N, outputs)
        inputs = torch.from_numpy((x - [0.0, 290.0]) / [500.0, 0.3]).float()
        targets = torch.from_numpy(y)
        optimizer = torch.optim.Adam([*rnn.parameters(), *readout.parameters()], lr=1e-2)
        for _ in range(60):
            logits = readout(rnn(inputs)[0][:, -1])
            wanted = targets if outputs > 1 else targets.float()
            loss = (
                nn.functional.cross_entropy(logits, wanted)
                if outputs > 1
                else nn.functional.binary_cross_entropy_with_logits(logits[:, 0], wanted)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            # From here on it takes the real units.
            rnn.weight_ih_l0.div_(torch.tensor([500.0, 0.3]))
            rnn.bias_ih_l0.sub_(rnn.weight_ih_l0 @ torch.tensor([0.0, 290.0]))
        found[key] = (rnn, readout)
        return found[key]

    return make


@pytest.mark.parametrize("nonlinearity, outputs", [("tanh", 2), ("relu", 2), ("tanh", 1)])
def test_module_is_tuned(trained, nonlinearity, outputs):
    """With 1-bit weights, training recovers most of the loss of rounding."""
    made = finetune(trained(nonlinearity, outputs), sequences(), bits=1, **QUICK | {"epochs": 20})
    metrics = made.metrics
    assert made.provenance["kept"] == "tuned" and made.provenance["float_weights"] == "latent"
    assert metrics["start"]["accuracy"] >= 0.9
    lost = metrics["start"]["accuracy"] - metrics["rounded"]["accuracy"]
    assert lost > 0.08
    assert metrics["integer"]["accuracy"] > metrics["start"]["accuracy"] - lost / 2
    net = made.network
    assert (net.weight_bits.recurrent, net.weight_bits.input, net.weight_bits.output) == (1, 1, 8)
    assert (net.state_bits, net.output_size) == (8, outputs)
    # The user's units: a scale for each channel, an offset where zero is far away.
    assert abs(net.scales.input_offsets(2)[0]) < 300 < net.scales.input_steps(2)[0] * 200
    assert net.scales.input_offsets(2)[1] == pytest.approx(290, abs=1)


def test_start_is_the_module_itself(trained):
    """The first row of the metrics is what the module's own forward gets."""
    rnn, readout = trained("tanh")
    x, y = sequences()
    made = finetune((rnn, readout), (x, y), input_bits=16, **QUICK | {"epochs": 1, "finetune_epochs": 0})
    chosen = np.arange(400) % 10 == 5
    with torch.no_grad():
        answers = readout(rnn(torch.from_numpy(x[chosen]))[0][:, -1]).argmax(-1).numpy()
    assert made.metrics["start"]["accuracy"] == pytest.approx((answers == y[chosen]).mean())
    assert made.metrics["sequences"] == 40
    quality = made.metrics["quality"]
    assert (quality["reference"], quality["answers"]) == ("float network", 40)
    integers = quantize_inputs(made.network, x[chosen]).integers
    found = IntegerModel(made.network).answers(integers)[:, -1].argmax(-1)
    assert quality["agreement"] == pytest.approx((found == answers).mean())


def test_start_gets_the_numbers_themselves(trained):
    """With 1-bit inputs the first row is still the module's, and clipped inputs are in the report."""
    rnn, readout = trained("tanh")
    x, y = sequences()
    before = export_torch_rnn(rnn, readout, x[:50] * 0.5 + 145, weight_bits=8, output_mode="last_step")
    made = finetune(before, (x, y), **QUICK | {"epochs": 1, "finetune_epochs": 0})
    chosen = np.arange(400) % 10 == 5
    with torch.no_grad():
        answers = readout(rnn(torch.from_numpy(x[chosen]))[0][:, -1]).argmax(-1).numpy()
    assert made.metrics["start"]["accuracy"] == pytest.approx((answers == y[chosen]).mean())
    clipped = quantize_inputs(before.network, x[chosen]).clipped
    assert clipped.sum() > 0
    assert made.metrics["quality"]["inputs"]["clipped"] == {str(i): n for i, n in enumerate(clipped) if n}


def test_answers_unlike_the_start_are_judged_by_the_metric(trained, monkeypatch):
    """A good network far from the given one is no warning; a worse one is, with what to do."""
    monkeypatch.setattr("qornn_hw.quantization.quality.RELRMS_MOST", 0.1)
    good = finetune(trained("tanh"), sequences(), bits=1, **QUICK | {"epochs": 20}).metrics
    assert good["start"]["accuracy"] - good["integer"]["accuracy"] < 0.03
    assert good["quality"]["relrms"] > 0.1 and good["quality"]["warnings"] == []
    bad = finetune(trained("tanh"), sequences(), bits=1, **QUICK, **RUINOUS).metrics
    assert bad["start"]["accuracy"] - bad["integer"]["accuracy"] > 0.05
    assert bad["quality"]["warnings"][-1].startswith("accuracy on the test sequences is 0.")
    assert "cure: more bits of the weights (bits)" in bad["quality"]["warnings"][-1]


def test_nothing_worse_is_returned(trained):
    """If training makes the network worse, the rounded network or the given one is returned."""
    data = sequences()
    rounded = finetune(trained("tanh"), data, bits=4, **QUICK, **RUINOUS)
    assert rounded.provenance["kept"] == "rounded" and rounded.provenance["float_weights"] == "fitted"
    assert rounded.metrics["integer"] == rounded.metrics["rounded"]
    tuned = finetune(trained("tanh"), data, bits=2, **QUICK | {"epochs": 20})
    again = finetune(tuned, data, bits=2, **QUICK, **RUINOUS)
    assert again.provenance["kept"] == "given"
    np.testing.assert_array_equal(again.network.recurrent_weight, tuned.network.recurrent_weight)
    assert again.metrics["integer"] == again.metrics["start"] == tuned.metrics["integer"]


def test_checkpoint_keeps_its_formats(trained, tmp_path):
    """State bits, input grid and activation of a checkpoint, given as a file, stay."""
    x, y = sequences()
    rnn, readout = trained("relu")
    before = export_torch_rnn(
        rnn, readout, x[:50], weight_bits=8, state_bits=10, input_bits=12, output_mode="last_step"
    )
    path = tmp_path / "before.pt"
    save_checkpoint(path, before)
    made = qornn_hw.finetune(path, (x, y), bits=3, **QUICK)
    assert made.network.weight_bits.recurrent == 3 and made.network.state_bits == 10
    assert made.network.input_format == before.network.input_format
    np.testing.assert_array_equal(made.network.scales.input_steps(2), before.network.scales.input_steps(2))
    assert str(made.network.activation) == "relu"
    assert made.provenance["command"].startswith("qornn-hw finetune MODEL --data FILE --batch 30 --bits 3 ")


def test_forms_of_the_data_are_one(trained, tmp_path):
    """Every form of the same data gives the same network."""
    x, y = sequences()
    place = np.arange(len(x)) % 10
    parts = {"test": place == 5, "validation": place == 9, "train": (place != 5) & (place != 9)}
    named = {f"{k}_{p}": v[chosen] for p, chosen in parts.items() for k, v in (("inputs", x), ("targets", y))}
    np.savez(tmp_path / "pair.npz", inputs=x, targets=y)
    quick = QUICK | {"epochs": 1, "finetune_epochs": 1}
    forms = [(x, y), [torch.from_numpy(x), torch.from_numpy(y)], {"inputs": x, "targets": y}, named]
    made = [finetune(trained("tanh"), data, **quick) for data in [*forms, tmp_path / "pair.npz"]]
    for one in made[1:]:
        np.testing.assert_array_equal(one.network.recurrent_weight, made[0].network.recurrent_weight)
        assert one.metrics == made[0].metrics


def test_sequences_of_different_lengths(trained):
    """Lists of arrays, and padded arrays with lengths, are the same data."""
    x, y = sequences(100)
    lengths = np.random.default_rng(0).integers(3, STEPS + 1, 100)
    padded = np.where(np.arange(STEPS)[None, :, None] < lengths[:, None, None], x, np.nan)
    quick = QUICK | {"epochs": 1, "finetune_epochs": 1}
    first = finetune(trained("tanh"), ([one[:n] for one, n in zip(x, lengths, strict=True)], y), **quick)
    second = finetune(trained("tanh"), (padded, y, lengths), **quick)
    np.testing.assert_array_equal(first.network.recurrent_weight, second.network.recurrent_weight)
    assert first.metrics == second.metrics


def test_command(trained, tmp_path, capsys):
    """The command writes the network that the function returns, and its table has the networks before it."""
    x, y = sequences()
    np.savez(tmp_path / "data.npz", inputs=x, targets=y)
    rnn, readout = trained("tanh")
    before = export_torch_rnn(rnn, readout, x[:50], weight_bits=8, output_mode="last_step")
    save_checkpoint(tmp_path / "before.pt", before)
    words = [
        "finetune", str(tmp_path / "before.pt"), "--data", str(tmp_path / "data.npz"), "--bits", "1",
        "--epochs", "20", "--finetune-epochs", "3", "-o", str(tmp_path / "after.pt"),
    ]  # fmt: skip
    app(words, standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("test of arrays: 40 sequences; without any input: accuracy ")
    assert [line.split("  ")[0] for line in lines[2:4]] == ["before", "before, rounded to integers"]
    assert lines[-1] == f"wrote {tmp_path / 'after.pt'}"
    wanted = finetune(tmp_path / "before.pt", tmp_path / "data.npz", bits=1, epochs=20, finetune_epochs=3)
    found = load_checkpoint(tmp_path / "after.pt")
    np.testing.assert_array_equal(found.network.recurrent_weight, wanted.network.recurrent_weight)
    app([*words, "--json"], standalone_mode=False)
    value = json.loads(capsys.readouterr().out)
    assert value["kept"] == "tuned" and value["integer"] == wanted.metrics["integer"]


def test_result_is_evaluated_again(trained, tmp_path):
    """`eval` with the file of the arrays task finds the metrics of the integers again."""
    x, y = sequences()
    file = tmp_path / "data.npz"
    np.savez(file, inputs_train=x[:300], targets_train=y[:300], inputs_test=x[300:], targets_test=y[300:])
    made = finetune(trained("tanh"), file, **QUICK)
    assert evaluate(made, file)["integer"] == made.metrics["integer"]


@pytest.mark.parametrize(
    "data, options, kind, message",
    [
        (3, {}, DataError, "data must be a .npz file, arrays by name, "),
        ((np.ones((5, 4, 2)), np.ones(5, int)), {}, DataError, "inputs must hold at least 10 sequences"),
        (
            (np.ones((20, 4, 2)), np.ones(19, int)),
            {},
            DataError,
            "targets must be those of 20 sequences, not",
        ),
        (
            (np.ones((20, 4, 3)), np.ones(20, int)),
            {},
            DataError,
            "inputs_train must have shape (count, steps, 2)",
        ),
        ((np.ones((20, 4, 2)), np.arange(20)), {}, DataError, "targets_"),
        (
            (np.ones((20, 4), int), np.ones(20, int)),
            {},
            DataError,
            "inputs must be vector, as the network's, not one_hot",
        ),
        ((np.ones((20, 4, 2)), np.arange(20) % 2), {"bits": 9}, FormatError, "bits must be 1 to 8, not 9"),
        (
            (np.ones((20, 4, 2)), np.arange(20) % 2),
            {"epoch": 9},
            FormatError,
            "finetune has no option 'epoch'",
        ),
    ],
)
def test_what_cannot_be_is_refused(data, options, kind, message):
    """Data and options that do not fit are named in one line."""
    rng = np.random.default_rng(0)
    before = export(
        np.eye(4), rng.normal(size=(4, 2)), rng.normal(size=(2, 4)), activation="relu",
        calibration_inputs=rng.random((10, 4, 2)), output_mode="last_step",
    )  # fmt: skip
    with pytest.raises(kind) as caught:
        finetune(before, data, **options)
    assert str(caught.value).startswith(message)


def test_defaults_are_the_documented_ones():
    """The rates and lengths that docs/training.md gives."""
    config = FinetuneConfig()
    assert (config.learning_rate_recurrent, config.quantized_rate, config.finetune_rate) == (1e-3, 1.0, 0.5)
    assert (config.float_epochs, config.epochs, config.finetune_epochs) == (0, None, None)
