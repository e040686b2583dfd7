"""Fine-tuning of gated and several layers, from modules and files."""

import numpy as np
import pytest
import torch
from array_tasks import arrays
from torch import nn

import qornn_hw
from qornn_hw.cells.registry import CELLS
from qornn_hw.errors import DataError, FormatError
from qornn_hw.evaluation.evaluate import evaluate_on
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.importers.affine import AffineMap
from qornn_hw.importers.folding import with_front
from qornn_hw.quantization.stack import RealStack
from qornn_hw.tasks import ArraysTask
from qornn_hw.training.finetune import finetune

QUICK = {"epochs": 6, "batch": 30}
STEPS = 8


def sequences(count=400, seed=0):
    """Return inputs of channels in units of their own, and whether the first channel's sum is above 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, STEPS, 2))
    return (x * [500.0, 0.3] + [0.0, 290.0]).astype(np.float32), (x[..., 0].sum(axis=1) > 0).astype(np.int64)


class Gated(nn.Module):
    """Two recurrent layers on real units, logits after the last step."""

    def __init__(self, kind=nn.GRU, layers=2):
        super().__init__()
        self.rnn = kind(2, 8, num_layers=layers, batch_first=True)
        self.readout = nn.Linear(8, 2)

    def forward(self, x):
        """Return the logits."""
        return self.readout(self.rnn(x)[0][:, -1])


@pytest.fixture(scope="module")
def trained():
    """Return a module that has learned the sequences."""
    torch.manual_seed(1)
    x, y = sequences()
    module = Gated()
    inputs, targets = torch.from_numpy((x - [0.0, 290.0]) / [500.0, 0.3]).float(), torch.from_numpy(y)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(module(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        # From here on it takes the real units.
        module.rnn.weight_ih_l0.div_(torch.tensor([500.0, 0.3]))
        module.rnn.bias_ih_l0.sub_(module.rnn.weight_ih_l0 @ torch.tensor([0.0, 290.0]))
    return module.eval()


def test_a_module_is_tuned(trained):
    """With 1-bit weights, training recovers most of the loss of rounding, in the user's units."""
    made = finetune(trained, sequences(), bits=1, **QUICK | {"epochs": 25})
    assert isinstance(made, NetworkCheckpoint)
    metrics = made.metrics
    assert made.provenance["kept"] == "tuned"
    assert metrics["start"]["accuracy"] >= 0.9
    lost = metrics["start"]["accuracy"] - metrics["rounded"]["accuracy"]
    assert lost > 0.08
    assert metrics["integer"]["accuracy"] > metrics["start"]["accuracy"] - lost / 2
    assert made.network.input.offset[1] == pytest.approx(290, abs=1)
    assert len(made.network.layers) == 2


def test_the_start_is_the_module_itself(trained):
    """The first row of the metrics is what the module's own forward gets."""
    x, y = sequences()
    made = finetune(trained, (x, y), input_bits=16, **QUICK | {"epochs": 1})
    chosen = np.arange(400) % 10 == 5
    with torch.no_grad():
        answers = trained(torch.from_numpy(x[chosen])).argmax(-1).numpy()
    assert made.metrics["start"]["accuracy"] == pytest.approx((answers == y[chosen]).mean())
    assert made.metrics["quality"]["answers"] == 40
    net = qornn_hw.api.network.Network(made)
    found = net.integers(x[chosen])[:, -1].argmax(-1)
    assert made.metrics["quality"]["agreement"] == pytest.approx((found == answers).mean(), abs=1e-6)


def test_nothing_worse_is_returned(trained):
    """A learning rate that ruins the network leaves the rounded one."""
    made = finetune(trained, sequences(), learning_rate=30.0, **QUICK)
    assert made.metrics["integer"] == made.metrics["rounded"]
    assert made.metrics["integer"]["accuracy"] > 0.9


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("answers", ["classes", "series"])
def test_each_cell_is_tuned_on_every_step(name, answers):
    """A float stack of any cell in the user's units, with values or classes after each step."""
    data = arrays(answers, True)
    outputs = 2 if answers == "classes" else 1
    random = np.random.default_rng(0)
    plain = CELLS[name].start(2, 6, random, 4.0)
    cell = with_front(plain, AffineMap(np.diag([1 / 500, 1 / 0.3]), np.array([0.0, -290 / 0.3])))
    stack = RealStack((cell,), random.normal(size=(outputs, 6)), np.zeros(outputs))
    made = finetune(stack, data, learning_rate=1e-2, **QUICK | {"epochs": 12})
    metric = "accuracy" if answers == "classes" else "mse"
    better = made.metrics["integer"][metric] - made.metrics["start"][metric]
    assert better > 0 if metric == "accuracy" else better < 0
    task = ArraysTask(None, 8, inputs=2, outputs=outputs, arrays=data)
    task.load()
    assert evaluate_on(made, task)["integer"] == made.metrics["integer"]


def test_a_worse_result_is_said(trained, monkeypatch):
    """Where the metric on the test sequences falls, the quality has a warning with its cure."""
    monkeypatch.setattr("qornn_hw.training.finetune_stack.is_worse", lambda *_: True)
    made = finetune(trained, sequences(), **QUICK | {"epochs": 1})
    assert made.metrics["quality"]["warnings"][0].startswith("accuracy on the test sequences is ")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"per_row": True}, FormatError, "per_row must be left out for gated and several layers"),
        ({"hidden": 3}, FormatError, "hidden must be left out"),
        ({"epochs": 0}, FormatError, "epochs must be at least 1"),
        ({"gate_bits": 99}, FormatError, "gate_bits must be 2 to 17"),
    ],
)
def test_what_cannot_be_is_refused(trained, options, error, message):
    """One line names the option."""
    with pytest.raises(error, match=f"^{message}"):
        finetune(trained, sequences(), **QUICK | options)


def test_data_of_another_kind_are_refused(trained):
    """A network on vectors is not tuned on indices."""
    x = np.random.default_rng(0).integers(0, 2, size=(40, 8))
    with pytest.raises((DataError, FormatError)):
        finetune(trained, (x, x[:, 0]), **QUICK)


def test_integers_alone_are_refused(trained, tmp_path):
    """A file of version 2 has no float network to train on from."""
    made = finetune(trained, sequences(), **QUICK | {"epochs": 1})
    qornn_hw.save(tmp_path / "model.npz", made)
    for model in (made, tmp_path / "model.npz"):
        with pytest.raises(FormatError, match=r"^model must hold the float network"):
            finetune(model, sequences(), **QUICK)


def test_the_command_tunes_a_file(trained, tmp_path, run):
    """`qornn-hw finetune model.safetensors` writes a model of version 2."""
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(trained.state_dict(), tmp_path / "gru.safetensors")
    x, y = sequences()
    np.savez(tmp_path / "data.npz", inputs=x, targets=np.tile(y[:, None], (1, STEPS)))
    out = tmp_path / "tuned.npz"
    words = ("--data", tmp_path / "data.npz", "--epochs", 1, "-o", out)
    code, output, error = run("finetune", tmp_path / "gru.safetensors", *words)
    assert code == 0, error
    assert "wrote" in output
    assert qornn_hw.load(out).network.layers[1]
    code, _, error = run("finetune", tmp_path / "gru.safetensors", *words, "--per-row")
    assert code == 2
    assert "--per-row must be left out for gated and several layers" in error
