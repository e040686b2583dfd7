"""Networks from `.keras` files: what Keras computes, or a refusal that names the layer."""

import io
import json
import os
import zipfile

import numpy as np
import pytest

os.environ["KERAS_BACKEND"] = "torch"

import keras
from keras import layers

from qornn_hw.errors import FormatError
from qornn_hw.importers.keras_import import read_keras
from qornn_hw.ir.kinds import OutputMode

# Keras' own, with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

INPUTS, UNITS, SYMBOLS = 3, 5, 9
MODELS = {
    "rnn": [layers.SimpleRNN(UNITS, return_sequences=True)],
    "rnn of relu": [layers.SimpleRNN(UNITS, activation="relu", return_sequences=True)],
    "gru": [layers.GRU(UNITS, return_sequences=True)],
    "gru, reset before": [layers.GRU(UNITS, reset_after=False, return_sequences=True)],
    "lstm": [layers.LSTM(UNITS, return_sequences=True)],
    "without biases": [layers.GRU(UNITS, use_bias=False, return_sequences=True)],
    "the last step": [layers.LSTM(UNITS)],
    "dropout": [
        layers.GRU(UNITS, dropout=0.5, recurrent_dropout=0.2, return_sequences=True),
        layers.Dropout(0.5),
    ],
    "three layers": [
        layers.GRU(6, return_sequences=True, name="first"),
        layers.LSTM(7, return_sequences=True),
        layers.GRU(UNITS),
    ],
    "linear layers around": [
        layers.Normalization(mean=[1.0, 2, 3], variance=[1.0, 4, 9]),
        layers.Dense(4),
        layers.Rescaling(0.5, offset=0.1),
        layers.GRU(6, return_sequences=True),
        layers.Dense(7),
        layers.LSTM(UNITS, return_sequences=True),
    ],
    "an embedding": [layers.Embedding(SYMBOLS, 4), layers.GRU(UNITS)],
    "a rescaling behind a layer": [layers.GRU(UNITS, return_sequences=True), layers.Rescaling(2.0)],
    "a relu in front of the readout": [layers.GRU(UNITS, return_sequences=True), layers.ReLU()],
    "an activation in front of the readout": [layers.LSTM(UNITS), layers.Activation("relu")],
}


def built(parts, last="linear", functional=False):
    """Return a model of the layers and a Dense, with random weights, its biases included."""
    indices = isinstance(parts[0], layers.Embedding)
    entry = keras.Input((None,), dtype="int32") if indices else keras.Input((None, INPUTS))
    copies = [type(part).from_config(part.get_config()) for part in parts]
    dense = layers.Dense(4, activation=last)
    model = keras.Sequential([entry, *copies, dense])
    if functional:
        x = entry
        for layer in (*copies, layers.TimeDistributed(dense)):
            x = layer(x)
        model = keras.Model(entry, x)
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(size=variable.shape) / np.sqrt(variable.shape[-1]))
    return model


def answers(model, x):
    """Return what Keras computes."""
    return keras.ops.convert_to_numpy(model(x))


def inputs_for(parts):
    """Return random inputs of a model."""
    rng = np.random.default_rng(4)
    if isinstance(parts[0], layers.Embedding):
        return rng.integers(0, SYMBOLS, (3, 11)).astype(np.int32)
    return rng.normal(size=(3, 11, INPUTS)).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_equal_to_keras(name, tmp_path):
    """Logits are those of Keras, to 1e-5."""
    parts = MODELS[name]
    model = built(parts)
    model.save(tmp_path / "model.keras")
    found = read_keras(tmp_path / "model.keras")
    x = inputs_for(parts)
    logits, wanted = found.stack.run(x), answers(model, x)
    last = wanted.ndim == 2
    assert (found.mode is OutputMode.LAST_STEP) == last
    assert np.abs((logits[:, -1] if last else logits) - wanted).max() < 1e-5
    assert found.notes == ()


def test_a_functional_model(tmp_path):
    """A chain of calls with a TimeDistributed readout."""
    parts = MODELS["gru"]
    model = built(parts, functional=True)
    model.save(tmp_path / "model.keras")
    x = inputs_for(parts)
    assert np.abs(read_keras(tmp_path / "model.keras").stack.run(x) - answers(model, x)).max() < 1e-5


def test_a_softmax_is_left_out(tmp_path):
    """The logits' softmax is what Keras answers, and a note says so."""
    parts = MODELS["lstm"]
    model = built(parts, "softmax")
    model.save(tmp_path / "model.keras")
    found = read_keras(tmp_path / "model.keras")
    e = np.exp(found.stack.run(inputs_for(parts)))
    assert np.abs(e / e.sum(axis=-1, keepdims=True) - answers(model, inputs_for(parts))).max() < 1e-5
    assert "softmax" in found.notes[0]


FAILURES = {
    "two directions": (
        [layers.Bidirectional(layers.GRU(UNITS))],
        r"^Bidirectional \w+ is not supported: the second direction begins at the end of the sequence$",
    ),
    "backwards": ([layers.GRU(UNITS, go_backwards=True)], r"^GRU \w+ must go forward, not backwards$"),
    "another activation": (
        [layers.LSTM(UNITS, activation="relu")],
        r"^LSTM \w+ must have the activation tanh, not relu$",
    ),
    "another gate": (
        [layers.GRU(UNITS, recurrent_activation="hard_sigmoid")],
        r"^GRU \w+ must have the recurrent activation sigmoid, not hard_sigmoid$",
    ),
    "masking": ([layers.Masking(), layers.GRU(UNITS)], r"^Masking \w+ is not supported: masked steps"),
    "a mask of symbols": (
        [layers.Embedding(SYMBOLS, 4, mask_zero=True), layers.GRU(UNITS)],
        r"^Embedding \w+ must not mask the symbol 0",
    ),
    "a relu with an end": (
        [layers.GRU(UNITS, return_sequences=True), layers.ReLU(max_value=0)],
        r"^ReLU \w+ is not supported",
    ),
    "an activation between": (
        [layers.Dense(4, activation="relu"), layers.GRU(UNITS)],
        r"^Dense \w+ is not supported: a relu must stand between the last recurrent layer and the linear",
    ),
    "no recurrent layer": (
        [layers.Dense(4)],
        r"^the model must have a SimpleRNN, GRU or LSTM layer, but has n",
    ),
    "pooling": (
        [layers.GRU(UNITS, return_sequences=True), layers.GlobalAveragePooling1D()],
        r"^GlobalAveragePooling1D \w+ is not supported: answer from the last step",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(name, tmp_path):
    """One line names the layer and what is in the way."""
    parts, message = FAILURES[name]
    built(parts).save(tmp_path / "model.keras")
    with pytest.raises(FormatError, match=message):
        read_keras(tmp_path / "model.keras")


def test_branches_are_refused(tmp_path):
    """A layer that reads two others is no chain."""
    entry = keras.Input((None, INPUTS))
    a, b = layers.GRU(UNITS, name="a")(entry), layers.GRU(UNITS, name="b")(entry)
    keras.Model(entry, layers.Add(name="both")([a, b])).save(tmp_path / "model.keras")
    with pytest.raises(FormatError, match=r"^b must read a alone, not input_layer\w*$"):
        read_keras(tmp_path / "model.keras")


def changed(path, member, edit):
    """Rewrite a member of a zip file."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content[member] = edit(content[member])
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)


DAMAGE = {
    "no settings": ("config.json", lambda data: None, r"must hold config\.json, as files of Keras 3 do"),
    "settings that are no JSON": ("config.json", lambda data: data[:-5], r"must hold a model's config\.json"),
    "no weights": ("model.weights.h5", lambda data: None, r"must hold model\.weights\.h5"),
    "damaged weights": (
        "model.weights.h5",
        lambda data: data[:100],
        r"must hold its weights in model\.weights",
    ),
    "a class of one's own": (
        "config.json",
        lambda data: json.dumps({"class_name": "MyModel", "config": {}}).encode(),
        r"^the model must be a Sequential or a functional model of layers, not MyModel",
    ),
    "a layer without weights": (
        "config.json",
        lambda data: data.replace(b'"name": "gru', b'"name": "lost_gru'),
        r"^the file must hold the weights of lost_gru\w*, but does not$",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files(name, tmp_path):
    """One line says what the file lacks."""
    member, edit, message = DAMAGE[name]
    path = tmp_path / "model.keras"
    built(MODELS["gru"]).save(path)
    changed(path, member, edit)
    with pytest.raises(FormatError, match=message):
        read_keras(path)


def test_a_transposed_kernel_gives_other_answers(tmp_path):
    """If a square recurrent kernel was not transposed, the answers would differ."""
    import h5py

    path = tmp_path / "model.keras"
    model = built(MODELS["rnn"])
    model.save(path)

    def transposed(data):
        buffer = io.BytesIO(data)
        with h5py.File(buffer, "r+") as file:
            kernel = file["layers/simple_rnn/cell/vars/1"]
            kernel[...] = np.asarray(kernel).T
        return buffer.getvalue()

    changed(path, "model.weights.h5", transposed)
    x = inputs_for(MODELS["rnn"])
    assert np.abs(read_keras(path).stack.run(x) - answers(model, x)).max() > 0.01
