"""Fine-tuning of gated and several layers, from modules and files."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from array_tasks import arrays
from torch import nn

import qornn_hw
from qornn_hw.cells.cell import Cell
from qornn_hw.cells.graph import sigmoid, tanh
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


@dataclass(frozen=True, eq=False)
class Odd(Cell):
    """Cells of a newcomer, each with something that no shipped cell has."""

    weight_ih: np.ndarray
    weight_hh: np.ndarray
    kind: str

    def build(self, graph):
        """Write the step of the kind."""
        h = graph.state("h", self.units)
        pre = graph.linear(self.weight_ih, graph.input) + graph.linear(self.weight_hh, h)
        if self.kind == "low rank":
            inner = graph.linear(self.weight_hh[:2], h)
            pre = pre + graph.linear(self.weight_hh[:, :2], inner)
            graph.assign(h, tanh(pre).named("new"))
        elif self.kind == "a state of one product":
            c = graph.state("c", self.units)
            graph.assign(c, graph.linear(self.weight_hh, tanh(pre).named("t")))
            graph.assign(h, tanh(pre + 0.5 * c).named("new"))
        elif self.kind == "a small sigmoid as the state":
            graph.assign(h, sigmoid(pre - 3.0).named("new"))
        else:
            gate = sigmoid(pre).named("gate")
            graph.assign(h, tanh(gate * graph.linear(self.weight_hh, h) + pre).named("new"))
        return h


@pytest.mark.parametrize(
    "kind", ["low rank", "a state of one product", "a small sigmoid as the state", "a gated product"]
)
def test_a_newcomer_s_cell_is_tuned(kind):
    """Its integers answer as the trained module does, and it learns."""
    random = np.random.default_rng(1)
    x, y = sequences()
    cell = Odd(random.normal(size=(6, 2)) * 0.5, random.normal(size=(6, 6)) * 0.4, kind)
    stack = RealStack((cell,), random.normal(size=(2, 6)), np.zeros(2))
    real = (x - [0.0, 290.0]) / [500.0, 0.3]
    made = finetune(stack, (real, y), learning_rate=1e-2, **QUICK | {"epochs": 20})
    assert made.metrics["integer"]["accuracy"] > 0.6
    assert made.provenance["kept"] == "tuned"
    with pytest.raises(
        FormatError, match=r"^Odd must have a bias bias_ih that takes the offset of its inputs"
    ):
        finetune(stack, (x, y), **QUICK)


@pytest.mark.parametrize("function", ["product", "sum", "function", "state"])
def test_an_input_without_a_matrix_is_refused(function):
    """Each channel has a unit of its own, so only a matrix can read it."""

    @dataclass(frozen=True, eq=False)
    class Bare(Cell):
        weight_ih: np.ndarray

        def build(self, graph):
            h = graph.state("h", self.units)
            pre = graph.linear(self.weight_ih, graph.input)
            value = {
                "product": lambda: tanh(pre) * graph.input,
                "sum": lambda: tanh(pre + graph.input),
                "function": lambda: pre + tanh(graph.input),
                "state": lambda: graph.input,
            }[function]()
            graph.assign(h, value)
            return h

    with pytest.raises(FormatError, match=r"^the input x must go through a matrix, but "):
        _ = Bare(np.ones((3, 3))).graph


def test_the_kept_network_is_chosen_by_validation(monkeypatch):
    """Test sequences with wrong targets do not change the choice."""
    x, y = sequences()
    random = np.random.default_rng(0)
    cell = CELLS["gru"].start(2, 6, random, 4.0)
    stack = RealStack((cell,), random.normal(size=(2, 6)), np.zeros(2))
    real = (x - [0.0, 290.0]) / [500.0, 0.3]
    wrong = np.where(np.arange(len(y)) % 10 == 5, 1 - y, y)
    made = finetune(stack, (real, wrong), learning_rate=1e-2, **QUICK | {"epochs": 20})
    assert made.provenance["kept"] == "tuned"
    # The better the network, the worse its score on the wrong targets.
    assert made.metrics["integer"]["accuracy"] < 0.4


def test_the_call_that_made_the_network_is_recorded(trained):
    """With all options, which the command line has not."""
    made = finetune(trained, sequences(), gate_bits=9, **QUICK | {"epochs": 1})
    command = made.provenance["command"]
    assert command == (
        "qornn_hw.finetune(MODEL, DATA, batch=30, bits=4, epochs=1, gate_bits=9, output_bits=8)"
    )
    assert made.provenance["imported"]["difference"] < 1e-4


def test_one_output_needs_logits():
    """The argmax of one output is always 0."""
    x, y = sequences()
    random = np.random.default_rng(0)
    stack = RealStack((CELLS["gru"].start(2, 4, random),), random.normal(size=(1, 4)), np.zeros(1))
    with pytest.raises(FormatError, match=r"^output_kind must be logits or both for one output"):
        finetune(stack, (x, y.astype(float)[:, None]), output_kind="argmax", **QUICK)


def test_the_data_are_summarized(trained, capsys):
    """As for one Elman layer: what is trained with, and what is clipped."""
    finetune(trained, sequences(), quiet=False, **QUICK | {"epochs": 1})
    assert "finetune: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["inputs", "targets"])
def test_half_of_the_data_are_refused(trained, name):
    """Inputs have targets, and targets inputs."""
    with pytest.raises(DataError, match=rf"^data with {name} must have "):
        finetune(trained, {name: np.zeros((20, 3, 2))}, **QUICK)


def test_an_option_of_gated_layers_is_refused_for_one_elman_layer():
    """It is named."""
    with pytest.raises(FormatError, match=r"^gate_bits must be left out for one Elman layer"):
        finetune((nn.RNN(2, 4, batch_first=True), nn.Linear(4, 2)), sequences(), gate_bits=9, **QUICK)
