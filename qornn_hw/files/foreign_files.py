"""Identification of files of other programs that a user passes instead of a model file.

The message names the kind of the file and the next step. A file is identified by its first bytes, by the
directory of its zip archive, or by the names in its pickle, which is parsed and never executed. At most
:data:`MOST_BYTES` bytes are read.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from qornn_hw.errors import CheckpointError
from qornn_hw.storage.pickle_names import PickleNames, pickle_names
from qornn_hw.storage.regular_file import open_regular
from qornn_hw.storage.torch_archive import torch_root
from qornn_hw.storage.zip_archive import Archive

__all__ = ["describe"]

MOST_BYTES = 1 << 20
_MOST_MEMBERS = 1 << 16

_EXPORT_MODULE = "pass the module, or a bare RNN and its readout, to qornn_hw.quantize"
_EXPORT_ARRAYS = "pass W, U and V to qornn_hw.quantize"
_READ_ARRAYS = f"read its arrays with the library that wrote it, and {_EXPORT_ARRAYS}"
_MAKE = "make one with qornn_hw.quantize or `qornn-hw train`"
_UNPICKLE = "unpickling it could run code, so it is not done"
_KERAS = (
    "read the arrays of its SimpleRNN and Dense layers with get_weights(), and pass their transposes "
    "to qornn_hw.quantize"
)


@dataclass(frozen=True)
class _Magic:
    """The signature of one kind of files, at a fixed offset."""

    at: int
    signature: bytes
    reason: str


_MAGIC = (
    _Magic(0, b"\x89HDF\r\n\x1a\n", f"is an HDF5 file, such as Keras writes with the ending .h5: {_KERAS}"),
    _Magic(512, b"\x89HDF\r\n\x1a\n", f"is a MATLAB 7.3 file (HDF5): {_READ_ARRAYS}"),
    _Magic(0, b"MATLAB 5.0 MAT-file", f"is a MATLAB file: {_READ_ARRAYS}"),
    _Magic(
        4,
        b"TFL3",
        "is a TensorFlow Lite model, which is quantized for other arithmetic: take the network that it was "
        f"converted from, and {_EXPORT_ARRAYS}",
    ),
    _Magic(
        0,
        b"GGUF",
        "is a GGUF file of a language model, whose layers are not supported: train a recurrent network with "
        "`qornn-hw train`",
    ),
    _Magic(0, b"\x93NUMPY", f"is a .npy file, a single array and not a model: {_EXPORT_ARRAYS}"),
    _Magic(0, b"\x1f\x8b\x08", "is compressed with gzip: unpack it with gunzip"),
    _Magic(0, b"BZh", "is compressed with bzip2: unpack it with bunzip2"),
    _Magic(0, b"\xfd7zXZ\0", "is compressed with xz: unpack it with unxz"),
    _Magic(0, b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it with unzstd"),
    _Magic(0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
    _Magic(257, b"ustar", "is a tar archive: unpack it with tar -xf"),
    _Magic(0, b"\xff\x00\x00\xff\x7e\xaa\x99\x7e", "is a bitstream: give the model that it was built from"),
    _Magic(
        0,
        b"version https://git-lfs.github.com/spec/",
        "is a pointer of Git LFS, not the file itself: fetch that with `git lfs pull`",
    ),
)


def describe(path: str | Path) -> str | None:
    """Return the kind of a file that is not a model of qornn-hw, and the next step, as one line.

    Return None for every model file of qornn-hw, intact or damaged, for an unknown kind, and for a file that
    cannot be read.

    Args:
        path: the file, or a folder.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _folder(path)
        with open_regular(path, CheckpointError) as stream:
            begin = stream.read(MOST_BYTES)
            if not begin:
                return f"is empty: copy or create it again, or {_MAKE}"
            if begin.startswith(b"PK\x03\x04"):
                return _zip(stream)
    except (CheckpointError, OSError):
        return None
    for magic in _MAGIC:
        if begin.startswith(magic.signature, magic.at):
            return magic.reason
    # Kinds without a signature; the most reliable test comes first.
    for found in (_safetensors(begin), _pickle(begin), _onnx(begin, path), _text(begin)):
        if found is not None:
            return found
    return None


def _folder(path: Path) -> str | None:
    if (path / "saved_model.pb").exists():
        return f"is a folder with a TensorFlow SavedModel: load it, and {_KERAS}"
    return None


def _shown(names: Iterable[str], most: int = 3) -> str:
    """Return names for a message: at most ``most``, shortened, without control characters."""
    names = list(names)
    short = ["".join(c if c.isprintable() else "?" for c in name)[:60] for name in names[:most]]
    return ", ".join(short + ["..."] * (len(names) > most))


# -- zip archives ------------------------------------------------------------------------------------


def _zip(stream: BinaryIO) -> str | None:
    archive = Archive(stream, CheckpointError, _MOST_MEMBERS)
    names = list(archive.members)
    if (root := torch_root(names)) is not None:
        if f"{root}/constants.pkl" in names or any(name.startswith(f"{root}/code/") for name in names):
            return (
                "is a TorchScript archive, a program without its Python module: load it with torch.jit.load, "
                "copy its state_dict into the Python module that it was made from, and "
                f"{_EXPORT_MODULE}"
            )
        return _torch_pickle(pickle_names(archive.beginning(f"{root}/data.pkl", MOST_BYTES)))
    if "header.npy" in names:
        return None
    if "config.json" in names and any(name.endswith((".weights.h5", "metadata.json")) for name in names):
        return f"is a Keras model: load it, {_KERAS}"
    arrays = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]
    if arrays and len(arrays) == len(names):
        return (
            f"holds arrays ({_shown(arrays)}) without a model's header: to make a model from weights, "
            f"{_EXPORT_ARRAYS}; pass data of a task as data"
        )
    if any(name.endswith("/") or "/" in name or "." in name for name in names):
        return f"is a zip archive of other files ({_shown(names)}): unpack it, or {_MAKE}"
    return None


def _torch_pickle(names: PickleNames) -> str | None:
    """Return the kind of a torch file from the names in its pickle."""
    # A damaged model of qornn-hw has a more specific message.
    if "qornn-hw" in names.strings or "recurrent_weight" in names.tensors:
        return None
    if {"_parameters", "_modules"} <= names.strings:
        kinds = [name for name in names.globals if not name.startswith(("torch._", "collections."))]
        kinds = [name for name in kinds if not name.endswith("Storage")]
        return (
            f"holds a whole pickled module ({_shown(kinds[:1])}); {_UNPICKLE}: if you trust it, load it "
            f"with torch.load(FILE, weights_only=False), and {_EXPORT_MODULE}"
        )
    if not names.tensors:
        return None
    if "pytorch-lightning_version" in names.strings:
        return (
            f"holds a PyTorch Lightning checkpoint ({_shown(names.tensors)}): load it with "
            f"load_from_checkpoint of its class, and {_EXPORT_MODULE}"
        )
    what = "a training checkpoint with a PyTorch state dict" if "param_groups" in names.strings else ""
    return (
        f"holds {what or 'a PyTorch state dict'} ({_shown(names.tensors)}): load it into its module with "
        f"load_state_dict, and {_EXPORT_MODULE}"
    )


# -- files without a signature -----------------------------------------------------------------------


def _safetensors(begin: bytes) -> str | None:
    length = int.from_bytes(begin[:8], "little")
    if begin[8:9] != b"{" or length > 100_000_000:
        return None
    names: list[str] = []
    try:
        header = json.loads(begin[8 : 8 + length])
        names = [name for name in header if name != "__metadata__"]
    # The header is longer than the bytes that were read.
    except (ValueError, RecursionError):
        names = re.findall(r'"([^"\\]{1,60})":\{"dtype"', begin[8:].decode("utf-8", "replace"))
    if not names:
        return None
    return (
        f"is a safetensors file ({_shown(names)}), arrays without their module: load it into its module "
        f"with safetensors.torch.load_model, and {_EXPORT_MODULE}"
    )


def _pickle(begin: bytes) -> str | None:
    """Return the kind of a plain pickle, which is not a torch file."""
    if begin[:1] != b"\x80":
        return None
    names = pickle_names(begin)
    if {"_parameters", "_modules"} <= names.strings:
        return _torch_pickle(names)
    for library in ("sklearn", "keras", "tensorflow", "xgboost", "lightgbm"):
        kinds = [name for name in names.globals if name.split(".")[0] == library]
        if kinds:
            return (
                f"holds a pickled object of {library} ({_shown(kinds[:1])}); {_UNPICKLE}: load it with "
                f"{library}, and if it is a recurrent network, {_EXPORT_ARRAYS}"
            )
    return None


def _onnx(begin: bytes, path: Path) -> str | None:
    # A protocol buffer: field 1 is the version, a small number; field 2 is the producer's name.
    if len(begin) < 4 or begin[0] != 0x08 or not 1 <= begin[1] <= 20:
        return None
    producer = begin[4 : 4 + begin[3]] if begin[2] == 0x12 else b""
    named = bool(producer) and producer.isascii() and producer.decode().isprintable()
    if not named and path.suffix.lower() != ".onnx":
        return None
    by = f" by {_shown([producer.decode()])}" if named else ""
    return (
        f"is an ONNX model{by}: take the network that it was exported from, and {_EXPORT_MODULE}, or read "
        f"its initializers with onnx.numpy_helper.to_array, and {_EXPORT_ARRAYS}"
    )


def _text(begin: bytes) -> str | None:
    """Return the kind of a text file from its first characters."""
    try:
        text = begin[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < min(len(begin), 4096) - 3:
            return None
        text = begin[: error.start].decode("utf-8")
    text = text.lstrip("\ufeff").lstrip()
    if any(not c.isprintable() and c not in "\r\n\t\f" for c in text):
        return None
    for kind, step in _text_kinds(text):
        if kind:
            return f"is {kind}: {step}"
    return f"is a text file, not a model: {_MAKE}"


def _text_kinds(text: str) -> Iterator[tuple[str, str]]:
    lower = text[:200].lower()
    yield (
        "a web page, such as a failed download leaves behind"
        if lower.startswith(("<!doctype", "<html"))
        else "",
        "get the file itself",
    )
    json_text = text[:1] in ("{", "[")
    report = '"design_digest"' in text and json_text
    yield ("the report of a build" if report else ""), "give the model that it was built from"
    keras = json_text and '"class_name"' in text
    yield ("the JSON text of a Keras model, which has no weights" if keras else ""), f"load it, {_KERAS}"
    yield ("a JSON file, not a model" if json_text else ""), _MAKE
