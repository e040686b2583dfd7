"""Networks from ONNX files: what onnxruntime computes, or a refusal that names the node."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from onnx_models import INPUTS, OUTPUTS, UNITS, Model

from qornn_hw.errors import FormatError
from qornn_hw.importers import onnx_import
from qornn_hw.importers.onnx_import import read_onnx
from qornn_hw.ir.kinds import OutputMode

SWAP = {"perm": [1, 0, 2]}


def chain(*kinds, **given):
    """Return a model of recurrent layers on (batch, steps, m) with a readout at every step."""
    model = Model().node("Transpose", **SWAP)
    for k, kind in enumerate(kinds):
        model.recurrent(kind, INPUTS if k == 0 else UNITS, **given)
    return model.node("Transpose", **SWAP).dense()


MODELS = {
    "rnn": lambda: chain("RNN"),
    "rnn of relu": lambda: chain("RNN", activations=["Relu"]),
    "gru, reset after": lambda: chain("GRU", linear_before_reset=1),
    "gru, reset before": lambda: chain("GRU"),
    "lstm": lambda: chain("LSTM"),
    "without biases": lambda: chain("GRU", biases=False),
    "an initial state": lambda: chain("LSTM", initial=True),
    "three layers": lambda: chain("GRU", "LSTM", "RNN"),
    "batch first": lambda: Model().recurrent("RNN", layout=1).dense(),
    "the last step": lambda: Model().node("Transpose", **SWAP).recurrent("GRU").last_step(0).dense(),
    "steps first": lambda: Model(shape=("steps", "batch", INPUTS)).recurrent("LSTM").dense(),
    "a normalization in front": lambda: (
        (m := Model())
        .node("Sub", m.constant([1, -2, 3]))
        .node("Div", m.constant([2.0, 4.0, 0.5]))
        .node("Transpose", **SWAP)
        .recurrent("GRU")
        .node("Transpose", **SWAP)
        .dense()
    ),
    "linear layers around": lambda: (
        (m := Model())
        .node("MatMul", m.weights(INPUTS, 6))
        .node("Mul", m.constant([0.5]))
        .node("Transpose", **SWAP)
        .recurrent("LSTM", 6)
        .node("MatMul", m.weights(UNITS, 7))
        .recurrent("RNN", 7)
        .node("Transpose", **SWAP)
        .dense()
    ),
    "a relu in front of the readout": lambda: (
        Model().node("Transpose", **SWAP).recurrent("GRU").node("Relu").node("Transpose", **SWAP).dense()
    ),
    "a relu at the end": lambda: (
        Model().node("Transpose", **SWAP).recurrent("GRU").node("Relu").node("Transpose", **SWAP)
    ),
    "a softmax at the end": lambda: chain("GRU").node("Softmax", axis=-1),
    "an embedding": lambda: (
        (m := Model(shape=("batch", "steps"), kind=TensorProto.INT64))
        .node("Gather", m.weights(9, INPUTS), position=1)
        .node("Transpose", **SWAP)
        .recurrent("GRU")
        .node("Transpose", **SWAP)
        .dense()
    ),
}


def inputs_for(model, batch=2, steps=11):
    """Return random inputs of a model, which the file does not fix."""
    rng = np.random.default_rng(5)
    if model.input.type.tensor_type.elem_type == TensorProto.INT64:
        return rng.integers(0, 9, (batch, steps))
    return rng.normal(size=(batch, steps, INPUTS)).astype(np.float32)


def compared(name, folder):
    """Return the import of a model, its logits, and those of onnxruntime."""
    model = MODELS[name]()
    path = model.save(folder / "model.onnx")
    found = read_onnx(path)
    x = inputs_for(model)
    swapped = name == "steps first"
    # onnxruntime has no layout 1; the reference evaluator of the import does.
    if name == "batch first":
        wanted = onnx.reference.ReferenceEvaluator(str(path)).run(None, {"x": x})[0]
    else:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        wanted = session.run(None, {"x": x.swapaxes(0, 1) if swapped else x})[0]
    logits = found.stack.run(x)
    if found.mode is OutputMode.LAST_STEP:
        logits = logits[:, -1]
    elif swapped:
        logits = logits.swapaxes(0, 1)
    if "softmax" in name:
        logits = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return found, logits, wanted


@pytest.mark.parametrize("name", MODELS)
def test_equal_to_onnxruntime(name, tmp_path):
    """Logits of 11 steps are those of onnxruntime, to 2e-5 of the largest."""
    found, logits, wanted = compared(name, tmp_path)
    if "softmax" in name:
        assert "Softmax was left out" in found.notes[0]
    assert logits.shape == wanted.shape
    assert np.abs(logits - wanted).max() < 2e-5 * max(1.0, np.abs(wanted).max())
    assert (found.mode is OutputMode.LAST_STEP) == (name == "the last step")


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("layers", [1, 2])
def test_exports_of_torch(kind, layers, tmp_path):
    """Files of `torch.onnx.export` answer as the module does."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = getattr(torch.nn, kind)(INPUTS, UNITS, layers, batch_first=True)
            self.out = torch.nn.Linear(UNITS, OUTPUTS)

        def forward(self, x):
            return self.out(self.rnn(x)[0])

    torch.manual_seed(0)
    module = Net().eval()
    path = tmp_path / "model.onnx"
    with pytest.warns():
        torch.onnx.export(
            module,
            (torch.randn(2, 7, INPUTS),),
            str(path),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "batch", 1: "steps"}},
        )
    found = read_onnx(path)
    x = np.random.default_rng(1).normal(size=(3, 9, INPUTS))
    with torch.no_grad():
        wanted = module(torch.tensor(x, dtype=torch.float32)).numpy()
    assert np.abs(found.stack.run(x) - wanted).max() < 1e-5
    assert found.notes == ()


def test_a_dropped_attribute_is_noted(tmp_path):
    """A GRU of PyTorch without linear_before_reset is read as it stands, with a note."""
    found = read_onnx(chain("GRU").save(tmp_path / "model.onnx", producer="pytorch"))
    assert "linear_before_reset = 0" in found.notes[0]


@pytest.mark.parametrize("gate_order", [(0, 1, 2), (2, 1, 0)])
def test_a_wrong_gate_order_is_caught(gate_order, monkeypatch, tmp_path):
    """With the gates of a GRU in another order the answers differ, and the import is refused."""
    from qornn_hw.importers import recurrent_weights

    monkeypatch.setitem(recurrent_weights.GATE_ORDERS["onnx"], "gru", gate_order)
    with pytest.raises(
        FormatError, match=r"^the layers that were found must answer as the model does, but di"
    ):
        read_onnx(chain("GRU").save(tmp_path / "model.onnx"))


def test_a_missing_bias_is_caught(monkeypatch, tmp_path):
    """If a layer's constants were forgotten, the answers would differ."""
    original = onnx_import.recurrent_cell

    def without_bias(node, where, values):
        values = {k: np.zeros_like(v) if k == node.input[3] else v for k, v in values.items()}
        return original(node, where, values)

    monkeypatch.setattr(onnx_import, "recurrent_cell", without_bias)
    with pytest.raises(FormatError, match=r"^the layers that were found must answer"):
        read_onnx(chain("LSTM").save(tmp_path / "model.onnx"))


def relu_between():
    """Return a model with an activation between two layers."""
    return Model().node("Transpose", **SWAP).recurrent("GRU").node("Relu").recurrent("GRU", UNITS).dense()


FAILURES = {
    "backwards": (lambda: chain("GRU", direction="reverse"), r"^GRU n1 must go forward, not reverse"),
    "clipping": (lambda: chain("LSTM", clip=3.0), r"^LSTM n1 must not clip its sums, but clips at 3$"),
    "peepholes": (lambda: chain("LSTM", peepholes=True), r"^LSTM n1 must have no peepholes, but has them$"),
    "coupled gates": (lambda: chain("LSTM", input_forget=1), r"^LSTM n1 must have a forget gate of its own"),
    "other activations": (
        lambda: chain("GRU", activations=["HardSigmoid", "Tanh"]),
        r"^GRU n1 must have the activations sigmoid, tanh, not hardsigmoid, tanh$",
    ),
    "lengths": (
        lambda: chain("GRU", lengths=[3, 7]),
        r"^GRU n1 must run over all steps, but is given lengths",
    ),
    "a relu in front": (
        lambda: Model().node("Relu").node("Transpose", **SWAP).recurrent("GRU").dense(),
        r"^Relu n0 is not supported: a relu must stand between the last recurrent layer",
    ),
    "a relu behind the readout": (
        lambda: chain("GRU").node("Relu"),
        r"^Relu n\d is not supported: a relu must stand between the last recurrent layer",
    ),
    "a relu between layers": (
        relu_between,
        r"^a relu must stand between the last recurrent layer and the linear layer behind it, not in front",
    ),
    "no recurrent layer": (lambda: Model().dense(INPUTS), r"^the model must have an RNN, GRU or LSTM node"),
    "rank 2": (
        lambda: Model(shape=("batch", INPUTS)).dense(INPUTS),
        r"^the model must have an RNN, GRU or LSTM node",
    ),
    "open features": (
        lambda: Model(shape=("batch", "steps", "features")).recurrent("GRU").dense(),
        r"^x must have a fixed number of entries in its last axis$",
    ),
    "states of all steps averaged": (
        lambda: (
            (m := Model().node("Transpose", **SWAP).recurrent("GRU"))
            .node("ReduceMean", m.constant([0], np.int64))
            .dense()
        ),
        r"^ReduceMean n3 is not supported: the states of all steps are averaged",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(name, tmp_path):
    """One line names the node and what is in the way."""
    make, message = FAILURES[name]
    with pytest.raises(FormatError, match=message):
        read_onnx(make().save(tmp_path / "model.onnx"))


def test_a_file_that_is_no_model(tmp_path):
    """Other bytes are refused in one line."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model at all")
    with pytest.raises(FormatError, match=r"model\.onnx must be an ONNX model, but cannot be read"):
        read_onnx(path)


def test_weights_in_another_folder(tmp_path):
    """Weights outside the model's folder are not read."""
    path = chain("GRU").save(tmp_path / "model.onnx")
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert read_onnx(path).difference < 1e-4
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../weights.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(
        FormatError, match=r"in itself or in a file beside it, but it is in '\.\./weights\.bin'$"
    ):
        read_onnx(path)
