"""Files of other programs instead of a model: the message names kind and next step, and nothing runs."""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import make_network
from torch import nn

from qornn_hw.errors import CheckpointError
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from qornn_hw.files.foreign_files import describe


class Net(nn.Module):
    """A user's module, which makes a folder when it is unpickled by `torch.load` with code."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(3, 4)
        self.readout = nn.Linear(4, 2)

    def forward(self, x):
        """Return the logits."""
        return self.readout(self.rnn(x)[0])

    def __setstate__(self, state):
        Path(os.environ["FOREIGN_FILES_RAN"]).mkdir()


def saved(value, **options):
    """Return the bytes that torch.save writes."""
    data = io.BytesIO()
    torch.save(value, data, **options)
    return data.getvalue()


def torch_script():
    """Return the bytes of a TorchScript archive."""
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(3, 2))), data)
    return data.getvalue()


def training_checkpoint():
    """Return what a training loop saves."""
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    return {"epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict()}


def safetensors(**arrays):
    """Return the bytes of a safetensors file."""
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values())


def zip_of(**members):
    """Return the bytes of a zip archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def npz(**arrays):
    """Return the bytes of an .npz file."""
    data = io.BytesIO()
    np.savez(data, **arrays)
    return data.getvalue()


def tar():
    """Return the bytes of a tar archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model.pt"), io.BytesIO())
    return data.getvalue()


STATE = Net().state_dict()
WEIGHTS = {"rnn.weight_ih_l0": np.zeros((4, 3), np.float32), "rnn.weight_hh_l0": np.zeros((4, 4), np.float32)}
ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.4.0" + bytes(100)
KERAS = zip_of(**{"metadata.json": "{}", "config.json": "{}", "model.weights.h5": "x"})
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12345\n"
SKLEARN = b"\x80\x02csklearn.neural_network\nMLPClassifier\n)\x81}b."
STATE_KEYS = "(rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, ...)"
FILES = {
    "state dict": (
        "a.pt",
        lambda: saved(STATE),
        f"holds a PyTorch state dict {STATE_KEYS}: load it into its",
    ),
    "state dict, protocol 4": ("a.pt", lambda: saved(STATE, pickle_protocol=4), f"state dict {STATE_KEYS}"),
    "state dict, protocol 0": ("a.pt", lambda: saved(STATE, pickle_protocol=0), "holds a PyTorch state dict"),
    "state dict, other suffix": ("a.pth", lambda: saved(STATE), f"holds a PyTorch state dict {STATE_KEYS}"),
    "parameters": ("a.pt", lambda: saved(dict(Net().named_parameters())), f"state dict {STATE_KEYS}"),
    "training checkpoint": (
        "a.pt",
        lambda: saved(training_checkpoint()),
        f"holds a training checkpoint with a PyTorch state dict {STATE_KEYS}",
    ),
    "lightning": (
        "a.ckpt",
        lambda: saved({"pytorch-lightning_version": "2.4", "state_dict": STATE}),
        "holds a PyTorch Lightning checkpoint",
    ),
    "module": (
        "a.pt",
        lambda: saved(Net()),
        f"holds a whole pickled module ({Net.__module__}.Net); unpickling it could run code",
    ),
    "module of torch": (
        "a.pt",
        lambda: saved(nn.RNN(3, 4)),
        "holds a whole pickled module (torch.nn.modules.rnn.RNN)",
    ),
    "module, bare pickle": ("a.pt", lambda: pickle.dumps(nn.RNN(3, 4)), "(torch.nn.modules.rnn.RNN)"),
    "torch script": ("a.pt", torch_script, "is a TorchScript archive"),
    "sklearn": (
        "a.pt",
        lambda: SKLEARN,
        "holds a pickled object of sklearn (sklearn.neural_network.MLPClass",
    ),
    "safetensors": (
        "a.safetensors",
        lambda: safetensors(**WEIGHTS),
        "is a safetensors file (rnn.weight_ih_l0, rnn.weight_hh_l0)",
    ),
    "safetensors as pt": ("a.pt", lambda: safetensors(**WEIGHTS), "is a safetensors file"),
    "onnx": ("a.onnx", lambda: ONNX, "is an ONNX model by pytorch"),
    "onnx as pt": ("a.pt", lambda: ONNX, "is an ONNX model by pytorch"),
    "onnx without producer": ("a.onnx", lambda: b"\x08\x07\x3a\x10" + bytes(20), "is an ONNX model: take"),
    "hdf5": ("a.h5", lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"),
    "keras": ("a.keras", lambda: KERAS, "is a Keras model"),
    "keras json": ("a.json", lambda: b'{"class_name": "Sequential"}', "is the JSON text of a Keras model"),
    "tflite": ("a.tflite", lambda: b"\x1c\0\0\0TFL3" + bytes(50), "is a TensorFlow Lite model"),
    "gguf": ("a.gguf", lambda: b"GGUF\x03\0\0\0" + bytes(50), "is a GGUF file"),
    "matlab": ("a.mat", lambda: b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "is a MATLAB file"),
    "matlab 7.3": ("a.mat", lambda: bytes(512) + b"\x89HDF\r\n\x1a\n", "is a MATLAB 7.3 file"),
    "gzip": ("a.npz", lambda: gzip.compress(b"model"), "is compressed with gzip: unpack it with gunzip"),
    "tar": ("a.pt", tar, "is a tar archive"),
    "npy": (
        "a.npy",
        lambda: b"\x93NUMPY\x01\0v\0" + bytes(100),
        "is a .npy file, a single array and not a model",
    ),
    "data": (
        "a.npz",
        lambda: npz(inputs_train=[1], targets_train=[0]),
        "holds arrays (inputs_train, targets",
    ),
    "zip": (
        "a.npz",
        lambda: zip_of(**{"docs/readme.txt": "x"}),
        "is a zip archive of other files (docs/readme",
    ),
    "bitstream": ("a.bin", lambda: b"\xff\0\0\xff\x7e\xaa\x99\x7e" + bytes(9), "is a bitstream"),
    "pointer": ("a.npz", lambda: LFS, "is a pointer of Git LFS"),
    "web page": ("a.pt", lambda: b"<!DOCTYPE html>\n<html>404</html>", "is a web page"),
    "report": ("a.json", lambda: b'{"design_digest": "0123", "board": "x"}', "is the report of a build"),
    "json": ("a.pt", lambda: b'\xef\xbb\xbf{"a": 1}', "is a JSON file, not a model"),
    "text": ("a.py", lambda: b"import torch\n", "is a text file, not a model"),
    "long text": ("a.csv", lambda: "0,\u20ac\n".encode() * 5000, "is a text file, not a model"),
    "empty": ("a.pt", lambda: b"", "is empty"),
}


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Return the folder that code in the pickled module would make."""
    monkeypatch.setenv("FOREIGN_FILES_RAN", str(tmp_path / "ran"))
    return tmp_path / "ran"


@pytest.mark.parametrize("name", FILES)
def test_kind_is_named(run, tmp_path, ran, name):
    """Each kind of file is named with the next step, in one line, by Python and the command line."""
    file, make, reason = FILES[name]
    path = tmp_path / file
    path.write_bytes(make())
    with pytest.raises(CheckpointError) as found:
        load_checkpoint(path)
    message = str(found.value)
    assert message.startswith(f"{path}: ") and reason in message
    assert ": " in message.removeprefix(f"{path}: "), "the next step follows the kind"
    assert "--" not in message and len(message.splitlines()) == 1 and message.isprintable()
    assert run("info", path) == (2, "", f"qornn-hw: error: {message}\n")
    assert not ran.exists()


def test_pickled_module_would_run_code(tmp_path, ran):
    """The pickled module of the table does run code when it is unpickled without care."""
    torch.load(io.BytesIO(saved(Net())), weights_only=False)
    assert ran.exists()


def test_saved_model_folder(tmp_path):
    """A folder is described where it is a SavedModel of TensorFlow only."""
    assert describe(tmp_path) is None
    (tmp_path / "saved_model.pb").touch()
    assert "SavedModel" in describe(tmp_path)


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_own_files_are_not_foreign(tmp_path, suffix):
    """A model of qornn-hw is not described, intact, truncated, or with a changed header."""
    path = tmp_path / f"a{suffix}"
    save_checkpoint(path, Checkpoint(make_network()))
    data = path.read_bytes()
    assert describe(path) is None
    for count in range(4, len(data), 97):
        path.write_bytes(data[:count])
        assert describe(path) is None, count


def test_what_cannot_be_read_is_not_described(tmp_path):
    """An absent file, a pipe, and bytes without a pattern have no description, and none waits."""
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "a.pt").write_bytes(bytes(range(128, 256)) * 8)
    assert [describe(tmp_path / name) for name in ("absent.pt", "pipe.pt", "a.pt")] == [None] * 3


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "x" * 500, "\udc80", "a\nb", "[/red]"])
def test_names_are_shown_safely(tmp_path, name):
    """A name from a file is short, in one line, and without control characters."""
    path = tmp_path / "a.pt"
    path.write_bytes(zip_of(**{"a/data.pkl": pickle_with_key(name)}))
    found = describe(path)
    assert found.startswith("holds a PyTorch state dict (") and found.isprintable() and len(found) < 250


def pickle_with_key(name):
    """Return a pickle of one tensor with this key, in the bytes that a pickler would write."""
    key = name.encode("utf-8", "surrogatepass")
    text = b"X" + struct.pack("<I", len(key)) + key
    return b"\x80\x02}" + text + b"ctorch._utils\n_rebuild_tensor_v2\n)Rs."


def test_every_beginning_has_an_answer(tmp_path):
    """A file that is cut off anywhere is described or not; there is no other error."""
    path = tmp_path / "a.pt"
    for _, make, _ in FILES.values():
        data = make()
        for count in range(0, len(data), max(1, len(data) // 25)):
            path.write_bytes(data[:count])
            assert describe(path) is None or isinstance(describe(path), str)


ALL = [make() for _, make, _ in FILES.values()]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(ALL) - 1), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8))
def test_mutants_have_an_answer(tmp_path_factory, index, changes):
    """A file with changed bytes is described in one printable line, or not at all."""
    data = bytearray(ALL[index])
    for place, value in changes:
        if data:
            data[min(len(data) - 1, int(place * len(data)))] = value
    path = tmp_path_factory.mktemp("mutant") / "a.pt"
    path.write_bytes(data)
    found = describe(path)
    assert found is None or found.isprintable()
