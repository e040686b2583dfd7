"""Whatever form a stack comes in: module, pair, file, state dict."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qornn_hw.errors import FormatError
from qornn_hw.importers.any_stack import READERS, imported_stack
from qornn_hw.importers.state_dict import Description
from qornn_hw.ir.kinds import OutputMode

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 9, 3))


def pair(kind="GRU", **given):
    """Return a recurrent layer and its readout."""
    torch.manual_seed(0)
    return getattr(torch.nn, kind)(3, 5, batch_first=True, **given), torch.nn.Linear(5, 2)


def wanted(rnn, readout):
    """Return the logits of the pair."""
    with torch.no_grad():
        return readout(rnn(torch.tensor(X, dtype=torch.float32))[0]).numpy()


def test_a_pair():
    """A layer and a readout answer every step."""
    rnn, readout = pair()
    found = imported_stack((rnn, readout), X)
    assert found.mode is OutputMode.EVERY_STEP
    assert np.abs(found.stack.run(X) - wanted(rnn, readout)).max() < 1e-5


def test_a_state_dict():
    """The arrays of a module by name."""
    rnn, readout = pair("RNN", nonlinearity="relu", num_layers=2)
    state = torch.nn.ModuleDict({"rnn": rnn, "fc": readout}).state_dict()
    found = imported_stack(dict(state), X, Description(activation="relu"))
    assert np.abs(found.stack.run(X) - wanted(rnn, readout)).max() < 1e-5


def test_a_file(tmp_path):
    """A safetensors file by its path, as text or as a Path."""
    rnn, readout = pair("LSTM")
    path = tmp_path / "model.safetensors"
    save_file(torch.nn.ModuleDict({"rnn": rnn, "fc": readout}).state_dict(), path)
    for form in (path, str(path)):
        assert np.abs(imported_stack(form, X).stack.run(X) - wanted(rnn, readout)).max() < 1e-5


@pytest.mark.parametrize(
    "model",
    [pair("RNN"), (np.ones((2, 2)), np.ones((2, 1)), np.ones((1, 2))), torch.nn.Linear(2, 2), 7],
    ids=["one layer", "arrays", "no recurrent layer", "a number"],
)
def test_what_is_no_stack(model):
    """Other importers take these."""
    assert imported_stack(model, X) is None


def test_files_that_are_refused(tmp_path):
    """Another suffix, and a file that is not there."""
    with pytest.raises(FormatError, match=r"^model must be an existing file, but .*gone\.onnx is not$"):
        imported_stack(tmp_path / "gone.onnx", X)
    (tmp_path / "model.tflite").write_bytes(b"")
    message = r"^model must be a file of \.onnx, \.keras or \.safetensors to be imported, not model\.tflite$"
    with pytest.raises(FormatError, match=message):
        imported_stack(tmp_path / "model.tflite", X)
    assert set(READERS) == {".onnx", ".keras"}


class Plain(torch.nn.Module):
    """A tanh layer with a relu that forward calls, or does not."""

    def __init__(self, called):
        super().__init__()
        self.rnn, self.out = pair("RNN")
        self.relu, self.called = torch.nn.ReLU(), called

    def forward(self, x):
        """Answer at every step."""
        h = self.rnn(x)[0]
        return self.out(self.relu(h) if self.called else h)


def test_a_relu_that_is_not_called():
    """A plain layer stays an Elman network, which has faster engines, unless its forward calls the relu."""
    assert imported_stack(Plain(called=False), X) is None
    found = imported_stack(Plain(called=True), X)
    assert found.stack.output_relu and len(found.stack.cells) == 1


def test_a_relu_elsewhere_is_left_to_the_elman_import():
    """Its message names the layer."""
    module = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.RNN(3, 5, batch_first=True))
    assert imported_stack(module, X) is None
