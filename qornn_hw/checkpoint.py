"""Model files: an integer network with what is known of its training, as ``.pt`` or as ``.npz``.

Both formats hold the same content (docs/checkpoint.md lists every key); a ``.npz`` needs no torch. Nothing
in a model file is ever executed: ``.pt`` is read with ``weights_only=True``, ``.npz`` with
``allow_pickle=False``.
"""

import io
import json
import os
import pickletools
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qornn_hw.bounds import accumulator_bounds
from qornn_hw.errors import CheckpointError, FormatError, OutputError
from qornn_hw.fixed import IntFormat, Rounding
from qornn_hw.network import (
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    Scales,
    WeightBits,
)

__all__ = ["FORMAT", "VERSION", "Checkpoint", "check_writable", "load_checkpoint", "save_checkpoint"]

FORMAT = "qornn-hw"
VERSION = 1

_TENSORS = (
    "recurrent_weight",
    "input_weight",
    "output_weight",
    "bias",
    "output_bias",
    "multiplier",
    "initial_state",
)
_FLOAT_PREFIX = "float."
_FLOATS = ("recurrent_weight", "input_weight", "output_weight", "bias", "output_bias")
_OPTIONAL_FLOATS = ("initial_state",)
_HEADER = ("format", "version", "network", "task", "metrics", "provenance")
_NETWORK = (
    "activation",
    "weight_bits",
    "state_bits",
    "input_kind",
    "input_format",
    "input_shift",
    "shift",
    "rounding",
    "output_mode",
    "output_kind",
    "scales",
)

FloatArray = NDArray[np.floating[Any]]
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """An integer network, the real-valued network that it came from, and how it was trained.

    Attributes:
        network: what the hardware is built from.
        float_weights: the trained network before its weights were quantized, in the units of the trained
            network: recurrent_weight (n, n), input_weight (n, m), output_weight (p, n), bias (n,),
            output_bias (p,) and, if not zero, initial_state (n,); None where it is not known.
        task: name and parameters of the task whose test set `qornn-hw eval` uses; empty if none.
        metrics: what was measured after training.
        provenance: how the network was made: command, seed, versions.
    """

    network: IntegerNetwork
    float_weights: Mapping[str, FloatArray] | None = None
    task: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("task", "metrics", "provenance"):
            object.__setattr__(self, name, _plain(name, getattr(self, name)))
        if self.float_weights is not None:
            object.__setattr__(self, "float_weights", _checked_floats(self.float_weights, self.network))

    def with_metrics(self, metrics: dict[str, Any]) -> "Checkpoint":
        """Return the same checkpoint with these metrics."""
        return replace(self, metrics=metrics)


def _shown(value: Any) -> str:
    """Return a value of a file as a message shows it: short, in one line, without control characters."""
    try:
        return " ".join(repr(value).split())[:60]
    # It is nested too deep, or an integer of too many digits.
    except (RecursionError, ValueError):
        return f"one too large to show ({type(value).__name__})"


def _plain(name: str, value: Any) -> dict[str, Any]:
    """Return ``value`` as it comes back from JSON, so that both file formats hold the same."""
    if not isinstance(value, dict):
        raise CheckpointError(f"{name} must be a dictionary, not {type(value).__name__}")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{name} must hold only finite numbers, strings, lists and such: {error}"
        ) from None
    return plain


def _checked_floats(floats: Mapping[str, FloatArray], network: IntegerNetwork) -> dict[str, FloatArray]:
    n, m, p = network.hidden_size, network.input_size, network.output_size
    shapes: dict[str, tuple[int, ...]] = {
        "recurrent_weight": (n, n),
        "input_weight": (n, m),
        "output_weight": (p, n),
        "bias": (n,),
        "output_bias": (p,),
        "initial_state": (n,),
    }
    for name in _FLOATS:
        if name not in floats:
            raise CheckpointError(f"tensor '{_FLOAT_PREFIX}{name}' is missing; give all of float.* or none")
    checked: dict[str, FloatArray] = {}
    for name in (*_FLOATS, *_OPTIONAL_FLOATS):
        if name not in floats:
            continue
        array = np.asarray(floats[name])
        if array.dtype not in (np.float32, np.float64):
            raise CheckpointError(f"{_FLOAT_PREFIX}{name} must be float32 or float64, not {array.dtype}")
        if array.shape != shapes[name]:
            raise CheckpointError(f"{_FLOAT_PREFIX}{name} must have shape {shapes[name]}, not {array.shape}")
        if not np.all(np.isfinite(array)):
            at = [int(i) for i in np.argwhere(~np.isfinite(array))[0]]
            raise CheckpointError(f"{_FLOAT_PREFIX}{name} must be finite, not {array[tuple(at)]} at {at}")
        array = array.copy()
        array.setflags(write=False)
        checked[name] = array
    for name in floats:
        if name not in checked:
            raise CheckpointError(f"unexpected tensor {_shown(f'{_FLOAT_PREFIX}{name}')}")
    return checked


def _smallest(array: NDArray[np.int64]) -> NDArray[np.signedinteger[Any]]:
    """Return ``array`` in the smallest signed dtype that holds it (torch lacks most unsigned ones)."""
    low, high = int(array.min()), int(array.max())
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array


def _to_content(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the header (JSON-able) and the tensors of a checkpoint."""
    net = checkpoint.network
    bits, scales = net.weight_bits, net.scales
    header = {
        "format": FORMAT,
        "version": VERSION,
        "network": {
            "activation": str(net.activation),
            "weight_bits": {"recurrent": bits.recurrent, "input": bits.input, "output": bits.output},
            "state_bits": net.state_bits,
            "input_kind": str(net.input_kind),
            "input_format": {"bits": net.input_format.bits, "signed": net.input_format.signed},
            "input_shift": net.input_shift,
            "shift": net.shift,
            "rounding": str(net.rounding),
            "output_mode": str(net.output_mode),
            "output_kind": str(net.output_kind),
            "scales": {
                "input": float(scales.input),
                "state": float(scales.state),
                "accumulator": float(scales.accumulator),
                "output": float(scales.output),
            },
        },
        "task": checkpoint.task,
        "metrics": checkpoint.metrics,
        "provenance": checkpoint.provenance,
    }
    tensors: dict[str, NDArray[Any]] = {name: _smallest(getattr(net, name)) for name in _TENSORS}
    if net.table is not None:
        tensors["table"] = _smallest(net.table)
    for name, array in (checkpoint.float_weights or {}).items():
        tensors[_FLOAT_PREFIX + name] = array
    return header, tensors


def _entry(mapping: Any, key: str, kind: type, where: str) -> Any:
    """Return ``mapping[key]`` if it is there and of the right kind (true is no integer, 1 is a number)."""
    if not isinstance(mapping, dict):
        raise CheckpointError(f"{where.rstrip('.')} must be a dictionary, not {type(mapping).__name__}")
    if key not in mapping:
        raise CheckpointError(f"entry '{where}{key}' is missing")
    value = mapping[key]
    right = type(value) in (int, float) if kind is float else type(value) is kind
    if not right:
        names = {
            int: "an integer",
            float: "a number",
            str: "a string",
            bool: "true or false",
            dict: "a dictionary",
        }
        raise CheckpointError(f"{where}{key} must be {names[kind]}, not {_shown(value)}")
    if type(value) is int and value.bit_length() > 63:
        raise CheckpointError(f"{where}{key} must fit 64 bits, not take {value.bit_length() + 1}")
    return value


def _choice(network: dict[str, Any], key: str, choices: type[Choice]) -> Choice:
    value = _entry(network, key, str, "network.")
    if value not in list(choices):
        raise CheckpointError(f"network.{key} must be one of {', '.join(choices)}, not {_shown(value)}")
    return choices(value)


def _from_content(header: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Checkpoint:
    """Check header and tensors and build the checkpoint; the inverse of :func:`_to_content`."""
    found = header.get("format")
    if found != FORMAT:
        raise CheckpointError(
            f"not a qornn-hw checkpoint: entry 'format' must be {FORMAT!r}, "
            f"not {'absent' if found is None else _shown(found)}; "
            "make one with qornn_hw.export or after docs/checkpoint.md"
        )
    version = header.get("version")
    if type(version) is not int or version != VERSION:
        raise CheckpointError(
            f"version must be {VERSION}, not {'absent' if version is None else _shown(version)}; "
            "a newer file needs a newer qornn-hw"
        )
    for key in header:
        if key not in _HEADER:
            raise CheckpointError(f"unexpected entry {_shown(key)}")
    spec = _entry(header, "network", dict, "")
    for key in spec:
        if key not in _NETWORK:
            raise CheckpointError(f"unexpected entry {_shown(f'network.{key}')}")
    activation = _choice(spec, "activation", Activation)
    names = [*_TENSORS, "table"] if activation is Activation.TANH else [*_TENSORS]
    for name in names:
        if name not in tensors:
            raise CheckpointError(f"tensor '{name}' is missing")
    floats = {
        name.removeprefix(_FLOAT_PREFIX): a for name, a in tensors.items() if name.startswith(_FLOAT_PREFIX)
    }
    for name in tensors:
        if name not in names and not name.startswith(_FLOAT_PREFIX):
            raise CheckpointError(f"unexpected tensor {_shown(name)}")
    bits, form, scales = (
        _entry(spec, key, dict, "network.") for key in ("weight_bits", "input_format", "scales")
    )
    network = IntegerNetwork(
        activation=activation,
        weight_bits=WeightBits(
            **{k: _entry(bits, k, int, "network.weight_bits.") for k in ("recurrent", "input", "output")}
        ),
        state_bits=_entry(spec, "state_bits", int, "network."),
        input_kind=_choice(spec, "input_kind", InputKind),
        input_format=IntFormat(
            _entry(form, "bits", int, "network.input_format."),
            _entry(form, "signed", bool, "network.input_format."),
        ),
        input_shift=_entry(spec, "input_shift", int, "network."),
        shift=_entry(spec, "shift", int, "network."),
        rounding=_choice(spec, "rounding", Rounding),
        output_mode=_choice(spec, "output_mode", OutputMode),
        output_kind=_choice(spec, "output_kind", OutputKind),
        scales=Scales(
            **{
                k: float(_entry(scales, k, float, "network.scales."))
                for k in ("input", "state", "accumulator", "output")
            }
        ),
        **{name: tensors[name] for name in names},
    )
    # A network whose accumulator cannot be proved to fit must not get past this point.
    accumulator_bounds(network)
    return Checkpoint(
        network=network,
        float_weights=floats or None,
        **{key: _entry(header, key, dict, "") for key in ("task", "metrics", "provenance")},
    )


def _suffix(path: Path) -> str:
    """Return ``.pt`` or ``.npz``, in whatever case the path has it."""
    suffix = path.suffix.lower()
    if suffix not in (".pt", ".npz"):
        raise CheckpointError(f"{path}: a model file must end in .pt or .npz, not {path.suffix!r}")
    return suffix


def _torch(path: Path) -> Any:
    """Import torch, which only ``.pt`` needs."""
    try:
        import torch
    except ImportError:
        raise CheckpointError(
            f"{path}: a .pt file needs torch, which is not installed: pip install 'qornn-hw[train]', "
            "or use the .npz file of the same model"
        ) from None
    return torch


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a model file, ``.pt`` or ``.npz`` by the suffix of ``path``, whole or not at all.

    Folders that are not there are made.

    Raises:
        CheckpointError: another suffix, ``.pt`` without torch, or a network that no file may hold, since its
            accumulator needs more than 48 bits.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    suffix = _suffix(path)
    try:
        accumulator_bounds(checkpoint.network)
    except FormatError as error:
        raise CheckpointError(f"{path}: {error}") from None
    header, tensors = _to_content(checkpoint)
    data = io.BytesIO()
    if suffix == ".pt":
        torch = _torch(path)
        torch.save({**header, "tensors": {k: torch.from_numpy(a.copy()) for k, a in tensors.items()}}, data)
    else:
        arrays: dict[str, Any] = {"header": np.array(json.dumps(header)), **tensors}
        np.savez_compressed(data, **arrays)
    with _neighbour(path) as partial:
        with partial.open("xb") as stream:
            stream.write(data.getbuffer())
        partial.replace(path)


def check_writable(path: str | Path) -> None:
    """Refuse a path that :func:`save_checkpoint` could not write to; for the time before a long training.

    A file is made beside it and removed again, and so are folders that are not there.

    Raises:
        CheckpointError: neither ``.pt`` nor ``.npz``, or ``.pt`` without torch.
        OutputError: nothing can be written there.
    """
    path = Path(path)
    if _suffix(path) == ".pt":
        _torch(path)
    with _neighbour(path, keep_folders=False) as partial:
        partial.open("xb").close()


@contextmanager
def _neighbour(path: Path, keep_folders: bool = True) -> Iterator[Path]:
    """A name beside ``path``, to write to and rename, so that no reader ever sees half a file.

    Folders that are not there are made, and removed again if nothing came of it or without ``keep_folders``.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    made: list[Path] = []
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a directory")
        made = [folder for folder in path.parents if not folder.exists()]
        for folder in path.parents:
            if folder.exists() and not folder.is_dir():
                raise NotADirectoryError(None, f"{folder} is not a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
    except OSError as error:
        keep_folders = False
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; choose another path"
        ) from None
    except BaseException:
        keep_folders = False
        raise
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        # Only what is empty: another process may have begun to use a folder.
        for folder in () if keep_folders else made:
            with suppress(OSError):
                folder.rmdir()


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a model file, ``.pt`` or ``.npz``, and check everything in it.

    Raises:
        CheckpointError: the file is absent, unreadable, incomplete or inconsistent.
    """
    path = Path(path)
    suffix = _suffix(path)
    try:
        if path.is_dir():
            raise CheckpointError("is a directory, not a model file")
        if not path.exists():
            raise CheckpointError("no such file")
        header, tensors = _read_pt(path) if suffix == ".pt" else _read_npz(path)
        return _from_content(header, tensors)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (CheckpointError, FormatError) as error:
        message = str(error)
        raise CheckpointError(message if message.startswith(str(path)) else f"{path}: {message}") from None


_NO_CHECKPOINT = "not a qornn-hw checkpoint"
_RUNS_CODE = (
    "holds pickled Python objects other than tensors; unpickling them could run code, so it is not done"
)


def _kind(path: Path) -> str | None:
    """Return ``.pt`` or ``.npz`` where the names in a zip archive show which it is."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except OSError:
        raise
    # The directory of a damaged archive leads the reader to errors of many kinds.
    except Exception:
        return None
    if any(name.endswith("/data.pkl") for name in names):
        return ".pt"
    return ".npz" if any(name.endswith(".npy") for name in names) else None


def _require_kind(path: Path, suffix: str) -> None:
    kind = _kind(path)
    if kind is not None and kind != suffix:
        raise CheckpointError(f"this is a {kind} file; rename it to end in {kind}")


def _read_npz(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    _require_kind(path, ".npz")
    if not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{_NO_CHECKPOINT}: a .npz file must be a zip archive, this is none, or a damaged one"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
    except OSError:
        raise
    # As with a torch file, damage shows itself in errors of many kinds.
    except Exception as error:
        reason = _RUNS_CODE if "allow_pickle" in str(error) else f"{_NO_CHECKPOINT}, or a damaged one"
        raise CheckpointError(reason) from None
    header = content.pop("header", None)
    if not isinstance(header, np.ndarray) or header.shape != () or header.dtype.kind != "U":
        raise CheckpointError(f"{_NO_CHECKPOINT}: entry 'header' must be one string, see docs/checkpoint.md")
    try:
        parsed = json.loads(str(header))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"entry 'header' must be JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise CheckpointError("entry 'header' must be a JSON object")
    # A member that is no array comes out of the archive as bytes.
    for name, array in content.items():
        if not isinstance(array, np.ndarray):
            raise CheckpointError(f"unexpected member {_shown(name)}")
    return parsed, content


def _is_pickle(path: Path) -> bool:
    """Return whether a file is one whole pickle of any protocol; it is parsed, not executed."""
    try:
        with path.open("rb") as stream:
            return sum(1 for _ in pickletools.genops(stream)) > 0
    # The parser trips over foreign bytes in many ways.
    except Exception:
        return False


def _read_pt(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    _require_kind(path, ".pt")
    torch = _torch(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    # The unpickler raises whatever a damaged file leads it to.
    except Exception as error:
        runs_code = "GLOBAL" in str(error) or _is_pickle(path)
        reason = _RUNS_CODE if runs_code else f"{_NO_CHECKPOINT}: not a torch file, or a damaged one"
        raise CheckpointError(reason) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{_NO_CHECKPOINT}: must hold a dictionary, not {type(content).__name__}")
    header = {key: value for key, value in content.items() if key != "tensors"}
    if content.get("format") == FORMAT and not isinstance(content.get("tensors"), dict):
        raise CheckpointError("entry 'tensors' must be a dictionary of tensors")
    tensors: dict[str, NDArray[Any]] = {}
    for name, tensor in content.get("tensors", {}).items() if content.get("format") == FORMAT else ():
        if not isinstance(name, str):
            raise CheckpointError(f"unexpected tensor {_shown(name)}")
        try:
            tensors[name] = tensor.detach().numpy()
        except (AttributeError, TypeError, RuntimeError):
            raise CheckpointError(
                f"tensor {_shown(name)} must be a plain dense one, not {_shown(tensor)}"
            ) from None
    return header, tensors
