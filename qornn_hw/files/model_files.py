"""The two formats of model files, ``.npz`` and ``.pt``, as a header and arrays, without torch.

:mod:`qornn_hw.files.checkpoint` interprets header and arrays. This module reads untrusted files in this
order: the directory of the zip archive, the headers of the arrays, then the arrays themselves, within the
limits of :mod:`qornn_hw.files.model_limits` and with their CRCs checked. Nothing in a file is executed.
"""

import io
import json
import pickletools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import CheckpointError
from qornn_hw.files.model_limits import (
    HEADER_BYTES,
    HEADER_CHARACTERS,
    HEADER_DEPTH,
    MODEL_BYTES,
    check_sizes,
)
from qornn_hw.storage import npy_format
from qornn_hw.storage.regular_file import open_regular
from qornn_hw.storage.torch_archive import Tensor, read_torch_archive, torch_root
from qornn_hw.storage.torch_writing import write_torch_archive
from qornn_hw.storage.zip_archive import Archive

__all__ = ["FLOAT_PREFIX", "INTEGERS", "file_bytes", "read_content", "smallest", "suffix_of"]

Arrays = dict[str, NDArray[Any]]
CheckHeader = Callable[[dict[str, Any]], Collection[str]]

# Prefix of the arrays of real numbers; all other arrays hold integers.
FLOAT_PREFIX = "float."
# The integer arrays of an Elman network.
INTEGERS = (
    "recurrent_weight",
    "input_weight",
    "output_weight",
    "bias",
    "output_bias",
    "multiplier",
    "initial_state",
    "table",
    "pieces",
)
NO_CHECKPOINT = "not a qornn-hw checkpoint"
RUNS_CODE = (
    "holds pickled Python objects other than tensors; unpickling them could run code, so it is not done"
)
# The first bytes of a file that torch.save wrote before version 1.6.
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_ZIP = b"PK\x03\x04"
# Upper bound for the pickle of a header: its text, plus instructions for each character.
_PICKLE_BYTES = 8 * HEADER_CHARACTERS
_LOOKED_AT = 1 << 16
_NPY = ".npy"


def suffix_of(path: Path) -> str:
    """Return the lower-case suffix of a model file, ``.pt`` or ``.npz``.

    Raises:
        CheckpointError: the suffix is another.
    """
    suffix = path.suffix.lower()
    if suffix not in (".pt", ".npz"):
        raise CheckpointError(f"{path}: a model file must end in .pt or .npz, not {path.suffix!r}")
    return suffix


def file_bytes(suffix: str, header: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> memoryview:
    """Return the bytes of a model file, ``.pt`` or ``.npz`` by ``suffix``.

    Raises:
        CheckpointError: header or arrays exceed the limits within which files are read.
    """
    text = json.dumps(header)
    if len(text) > HEADER_CHARACTERS:
        raise CheckpointError(
            f"the header must have at most {HEADER_CHARACTERS:,} characters as JSON, not {len(text):,}; "
            "shorten task, metrics or provenance"
        )
    _check_plain(header)
    check_sizes({name: array.shape for name, array in arrays.items()})
    data = io.BytesIO()
    if suffix == ".pt":
        write_torch_archive(data, {**header, "tensors": dict(arrays)})
    else:
        members: dict[str, Any] = {"header": np.array(text), **arrays}
        np.savez_compressed(data, **members)
    return data.getbuffer()


def read_content(path: Path, check_header: CheckHeader) -> tuple[dict[str, Any], Arrays]:
    """Return header and arrays of a model file.

    Args:
        path: the file; its suffix gives the format.
        check_header: checks the header, and returns the names of the arrays that belong to it. It is called
            before any array is read.

    Raises:
        CheckpointError: the file is not a model file, is damaged, or exceeds the limits.
        OSError: the file cannot be read.
    """
    suffix = suffix_of(path)
    # A deflated member can be slightly longer than its contents.
    with open_regular(path, CheckpointError, MODEL_BYTES + MODEL_BYTES // 100) as stream:
        begin = stream.read(_LOOKED_AT)
        if not begin.startswith(_ZIP):
            _refuse_other_file(begin, suffix, stream)
        archive = Archive(stream, CheckpointError)
        kind = _kind(archive)
        if kind not in (None, suffix):
            raise CheckpointError(f"this is a {kind} file; rename it to end in {kind}")
        read = _read_pt if suffix == ".pt" else _read_npz
        return read(archive, check_header)


def _kind(archive: Archive) -> str | None:
    """Return ``.pt`` or ``.npz`` from the member names of a zip archive; None if they show neither."""
    if torch_root(archive.members) is not None:
        return ".pt"
    return ".npz" if any(name.endswith(_NPY) for name in archive.members) else None


def _refuse_other_file(begin: bytes, suffix: str, stream: BinaryIO) -> None:
    """Raise a CheckpointError that names the kind of a file that does not begin as a zip archive."""
    if begin.startswith(_LEGACY):
        raise CheckpointError(
            "is in torch's format before version 1.6, which has no checksums; save it again with torch: "
            "torch.save(torch.load(FILE, weights_only=True), NEW)"
        )
    if suffix == ".pt" and _is_pickle(begin):
        raise CheckpointError(RUNS_CODE)
    if begin:
        # The archive reader names the number of bytes in front of an archive.
        try:
            Archive(stream, CheckpointError)
        except CheckpointError as error:
            if "in front" in str(error):
                raise
    if suffix == ".pt":
        raise CheckpointError(f"{NO_CHECKPOINT}: it is not a torch file, or is damaged")
    raise CheckpointError(
        f"{NO_CHECKPOINT}: a .npz file must be a zip archive, but this is not, or is damaged"
    )


def _is_pickle(data: bytes) -> bool:
    """Return whether a file begins like a pickle of any protocol; it is parsed, not executed."""
    codes = pickletools.genops(io.BytesIO(data))
    count = 0
    try:
        while next(codes)[0].name != "STOP":
            count += 1
        return True
    # ``genops`` raises exceptions of many classes for invalid or truncated data.
    except Exception:
        return len(data) == _LOOKED_AT and count > 100


# -- .npz --------------------------------------------------------------------------------------------


def _read_npz(archive: Archive, check_header: CheckHeader) -> tuple[dict[str, Any], Arrays]:
    if "header.npy" not in archive.members:
        raise CheckpointError(f"{NO_CHECKPOINT}: entry 'header' must be one string, see docs/checkpoint.md")
    header = _npz_header(archive)
    names = [f"{name}{_NPY}" for name in check_header(header)]
    for name in archive.members:
        if name != "header.npy" and name not in names:
            what = "tensor" if name.endswith(_NPY) else "member"
            raise CheckpointError(f"unexpected {what} {_shown(name.removesuffix(_NPY))}")
    present = {name.removesuffix(_NPY): name for name in names if name in archive.members}
    declared = {
        name: npy_format.parse_header(archive.beginning(member, npy_format.HEADER_BYTES), _of(name))
        for name, member in present.items()
    }
    check_sizes({name: array.shape for name, array in declared.items()})
    for name, head in declared.items():
        if (size := archive.members[present[name]].file_size) != head.bytes:
            raise CheckpointError(
                f"{name} must have {head.bytes:,} bytes, because of its shape, not {size:,}"
            )
    archive.require(lambda name: MODEL_BYTES, MODEL_BYTES)
    arrays: Arrays = {}
    for name, member in present.items():
        array = npy_format.parse_array(archive.read(member), _of(name))
        # Compact each array at once: all arrays at their stored width can be eight times as large.
        arrays[name] = _compact(name, array)
    return header, arrays


def _of(name: str) -> Callable[[str], CheckpointError]:
    return lambda reason: CheckpointError(f"tensor {_shown(name)} {reason}")


def _npz_header(archive: Archive) -> dict[str, Any]:
    archive.require(lambda name: HEADER_BYTES if name == "header.npy" else MODEL_BYTES, MODEL_BYTES)

    def wrong(reason: str) -> CheckpointError:
        return CheckpointError(f"entry 'header' {reason}")

    array = npy_format.parse_array(archive.read("header.npy"), wrong)
    if array.shape != () or array.dtype.kind != "U":
        raise CheckpointError(f"{NO_CHECKPOINT}: entry 'header' must be one string, see docs/checkpoint.md")
    try:
        # NumPy does not check that the code points are valid Unicode.
        text = array.reshape(1).view(np.uint32).astype("<u4").tobytes().decode("utf-32-le").rstrip("\0")
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"entry 'header' must be JSON: {error}") from None
    if not isinstance(header, dict):
        raise CheckpointError("entry 'header' must be a JSON object")
    _check_plain(header)
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise CheckpointError(f"entry {_shown(twice)} must occur once, not twice")
    return found


# -- .pt ---------------------------------------------------------------------------------------------


def _read_pt(archive: Archive, check_header: CheckHeader) -> tuple[dict[str, Any], Arrays]:
    if torch_root(archive.members) is None:
        raise CheckpointError(f"{NO_CHECKPOINT}: it is not a torch file, or is damaged")
    content = read_torch_archive(archive, _PICKLE_BYTES, MODEL_BYTES)
    if not isinstance(content, dict):
        raise CheckpointError(f"{NO_CHECKPOINT}: must hold a dictionary, not {type(content).__name__}")
    header = {key: value for key, value in content.items() if key != "tensors"}
    names = check_header(header)
    _check_plain(header)
    tensors = content.get("tensors")
    if not isinstance(tensors, dict):
        raise CheckpointError("entry 'tensors' must be a dictionary of tensors")
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise CheckpointError(f"unexpected tensor {_shown(name)}")
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"tensor {_shown(name)} must be a plain dense tensor, not {_shown(tensor)}")
        if name not in names:
            raise CheckpointError(f"unexpected tensor {_shown(name)}")
    check_sizes({name: tensor.array.shape for name, tensor in tensors.items()})
    return header, {name: _compact(name, tensor.numpy()) for name, tensor in tensors.items()}


# -- both --------------------------------------------------------------------------------------------


def smallest(array: NDArray[Any]) -> NDArray[np.signedinteger[Any]]:
    """Return integers in the smallest signed dtype that holds all of them, at most int64."""
    low, high = int(array.min()), int(array.max())
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array.astype(np.int64)


def _compact(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an integer array in its smallest dtype; real arrays are returned as they are."""
    real = name.startswith(FLOAT_PREFIX)
    return smallest(array) if not real and array.dtype.kind == "i" and array.size > 0 else array


def _check_plain(header: Mapping[str, Any]) -> None:
    """Refuse a header that is not plain data, is too large, or is nested too deeply.

    A list that is referenced several times counts each time, as in its JSON text.
    """
    left = HEADER_CHARACTERS
    todo: list[tuple[Any, int]] = [(header, 0)]
    while todo:
        value, depth = todo.pop()
        left -= 1 + (len(value) if isinstance(value, str) else 0)
        if depth > HEADER_DEPTH:
            raise CheckpointError(f"the header must be nested at most {HEADER_DEPTH} deep, but is deeper")
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise CheckpointError(f"an entry's name must be a string, not {_shown(key)}")
            parts = [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple)):
            parts = list(value)
        else:
            _check_leaf(value)
            continue
        if left < len(parts):
            raise CheckpointError(
                f"the header must have at most {HEADER_CHARACTERS:,} characters, but has more"
            )
        todo += [(part, depth + 1) for part in parts]


def _check_leaf(value: Any) -> None:
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise CheckpointError(f"a string must be Unicode without surrogates, not {_shown(value)}")
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise CheckpointError(f"the header must hold plain data, not {_shown(value)}")


def _shown(value: Any) -> str:
    """Return a value for a message: short, in one line, without control characters."""
    try:
        return " ".join(repr(value).split())[:60]
    # The value is nested too deeply, or is an integer of too many digits.
    except (RecursionError, ValueError):
        return f"a value too large to show ({type(value).__name__})"
