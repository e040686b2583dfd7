"""Model files: both formats hold the same, nothing in them runs, and each complaint is one exact line."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import make_network

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.errors import CheckpointError, OutputError
from qornn_hw.files.checkpoint import Checkpoint, check_writable, load_checkpoint, save_checkpoint
from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.quantize import export

TENSORS = ("recurrent_weight", "input_weight", "output_weight", "bias", "output_bias", "multiplier")


def make(activation="relu", input="vector", **options):
    """Return a checkpoint of a small random network; that without options is made once."""
    return _made(activation, input) if not options else _make(activation, input, **options)


@cache
def _made(activation, input):
    return _make(activation, input)


def _make(activation, input, seed=0, **options):
    rng = np.random.default_rng(seed)
    n, m, p = 5, 3, 2
    x = rng.integers(0, m, (4, 9)) if input == "one_hot" else rng.normal(size=(4, 9, m))
    defaults = {
        "bias": rng.normal(size=n) * 0.1,
        "output_bias": rng.normal(size=p),
        "metrics": {"accuracy": 0.1, "list": [1, 2.5, None, True]},
        "provenance": {"seed": 3},
    }
    return export(
        np.linalg.qr(rng.normal(size=(n, n)))[0],
        rng.normal(size=(n, m)),
        rng.normal(size=(p, n)),
        activation=activation,
        calibration_inputs=x,
        input=input,
        **(defaults | options),
    )


def same(a: Checkpoint, b: Checkpoint):
    """Assert that two checkpoints hold the same."""
    x, y = a.network, b.network
    for name in (*TENSORS, "initial_state"):
        np.testing.assert_array_equal(getattr(x, name), getattr(y, name))
    assert (x.table is None) == (y.table is None)
    if x.table is not None:
        np.testing.assert_array_equal(x.table, y.table)
    for name in (
        "activation",
        "weight_bits",
        "state_bits",
        "input_kind",
        "input_format",
        "input_shift",
        "shift",
    ):
        assert getattr(x, name) == getattr(y, name), name
    assert (x.rounding, x.output_mode, x.output_kind) == (y.rounding, y.output_mode, y.output_kind)
    assert x.scales == y.scales
    assert (a.task, a.metrics, a.provenance) == (b.task, b.metrics, b.provenance)
    assert (a.float_weights is None) == (b.float_weights is None)
    if a.float_weights is not None:
        assert a.float_weights.keys() == b.float_weights.keys()
        for name, array in a.float_weights.items():
            assert array.dtype == b.float_weights[name].dtype
            np.testing.assert_array_equal(array, b.float_weights[name])


@pytest.mark.parametrize(
    "first, second", [(".pt", ".npz"), (".npz", ".pt"), (".pt", ".pt"), (".npz", ".npz")]
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "tanh"},
        {"activation": "modrelu", "input": "one_hot", "rounding": "half_even"},
        {"activation": "hardtanh", "input": "one_hot", "weight_bits": 1, "output_kind": "argmax"},
        {
            "activation": "identity",
            "state_bits": 16,
            "initial_state": np.arange(5.0),
            "output_mode": "last_step",
        },
        {"task": None, "metrics": None, "provenance": None},
    ],
)
def test_round_trip(tmp_path, first, second, options):
    """A checkpoint is the same bit for bit after a trip through either format and on into the other."""
    checkpoint = make(**options)
    save_checkpoint(tmp_path / f"a{first}", checkpoint)
    once = load_checkpoint(tmp_path / f"a{first}")
    same(checkpoint, once)
    save_checkpoint(tmp_path / f"b{second}", once)
    same(checkpoint, load_checkpoint(tmp_path / f"b{second}"))


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_round_trip_of_scales_by_channel(tmp_path, suffix):
    """Scales and offsets of each channel come back, and an offset of 0 is not in the header."""
    given = make().network.scales
    by_channel = replace(given, input=(0.1, 2.0, 1 / 3), input_offset=(0.0, -7.5, 1e4))
    for scales in (by_channel, replace(by_channel, input=0.1), replace(by_channel, input_offset=0.0)):
        checkpoint = make()
        checkpoint = replace(checkpoint, network=replace(checkpoint.network, scales=scales))
        save_checkpoint(tmp_path / f"a{suffix}", checkpoint)
        same(checkpoint, load_checkpoint(tmp_path / f"a{suffix}"))
    with np.load(tmp_path / "a.npz") if suffix == ".npz" else nullcontext({}) as archive:
        assert "input_offset" not in str(archive.get("header"))


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_digest_may_be_absent(tmp_path, suffix):
    """A file of an earlier release, or by hand, has no digest and loads; one that is written has it."""
    header, tensors = content(tmp_path, header_digest=None)
    write(tmp_path / f"a{suffix}", header, tensors)
    same(make(), load_checkpoint(tmp_path / f"a{suffix}"))
    with np.load(tmp_path / "good.npz") as archive:
        assert len(json.loads(str(archive["header"]))["digest"]) == 64


def test_task_is_checked_before_a_write(tmp_path):
    """A task that could not be read again is not written."""
    with pytest.raises(CheckpointError, match=r"a.npz: task.name must be one of .*, not 'mine'; for other "):
        save_checkpoint(tmp_path / "a.npz", make(task={"name": "mine"}))
    assert list(tmp_path.iterdir()) == []


def test_without_float_weights(tmp_path):
    """The float weights may be left out."""
    checkpoint = Checkpoint(make().network)
    for suffix in (".pt", ".npz"):
        save_checkpoint(tmp_path / f"a{suffix}", checkpoint)
        assert load_checkpoint(tmp_path / f"a{suffix}").float_weights is None


def test_smallest_dtypes(tmp_path):
    """Integers are stored in the smallest signed dtype that holds them."""
    save_checkpoint(tmp_path / "a.npz", make(activation="tanh"))
    with np.load(tmp_path / "a.npz") as archive:
        assert archive["recurrent_weight"].dtype == np.int8
        assert archive["table"].dtype == np.int8
        assert archive["multiplier"].dtype == np.int16
        assert archive["header"].dtype.kind == "U"


def test_import_needs_no_torch(tmp_path):
    """Neither import of the package and the loader nor reading and writing of both formats imports torch."""
    models = Path(__file__).parents[1] / "models"
    code = (
        "import sys, numpy as np, qornn_hw, qornn_hw.files.checkpoint, qornn_hw.evaluation.evaluate\n"
        "import qornn_hw.quantization.quantize\n"
        "import qornn_hw.training.task_configs\n"
        f"model = qornn_hw.load({str(models / 'mnist_rows.pt')!r})\n"
        f"qornn_hw.save({str(tmp_path / 'a.pt')!r}, model)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    light = "import sys, qornn_hw; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", light], check=True)


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def content(path=None, **changes):
    """Return header and tensors of a good file, changed by ``key=value``; None deletes, dots descend."""
    stream_path = path / "good.npz"
    save_checkpoint(stream_path, make())
    with np.load(stream_path) as archive:
        tensors = {name: archive[name] for name in archive.files}
    header = json.loads(str(tensors.pop("header")))
    for key, value in changes.items():
        if key.startswith("header_"):
            target = header
            *parents, last = key.removeprefix("header_").split("__")
            for parent in parents:
                target = target[parent]
        else:
            target, last = tensors, key.replace("float_", "float.")
        if value is None:
            del target[last]
        else:
            target[last] = value(target.get(last)) if callable(value) else value
    return header, tensors


def write(path, header, tensors):
    """Write a file without the checks of save_checkpoint."""
    if path.suffix == ".npz":
        np.savez(path, header=np.array(json.dumps(header)), **tensors)
    else:
        torch.save(
            {**header, "tensors": {k: torch.from_numpy(np.array(v)) for k, v in tensors.items()}}, path
        )


def other(kind):
    """Write a good file of the other kind under this name."""

    def make_file(path):
        save_checkpoint(path.with_name("other" + kind), make())
        path.with_name("other" + kind).rename(path)

    return make_file


def changed_pt(**changes):
    """Write a torch file with these entries changed, which no JSON could hold."""

    def make_file(path):
        header, tensors = content(path.parent)
        torch.save(header | {"tensors": {k: torch.from_numpy(v) for k, v in tensors.items()}} | changes, path)

    return make_file


def nested(depth):
    """Return a list in a list in a list."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


def nan_at_1(array):
    """Return the array with its second entry NaN."""
    array = array.copy()
    array.flat[1] = np.nan
    return array


NO_FORMAT = (
    "not a qornn-hw checkpoint: entry 'format' must be 'qornn-hw', not absent; "
    "make one with qornn_hw.quantize or as docs/checkpoint.md says"
)
BROKEN = [
    ({"header_format": "other"}, NO_FORMAT.replace("not absent", "not 'other'")),
    ({"header_version": 3}, "version must be 1 or 2, not 3; a newer file needs a newer qornn-hw"),
    ({"header_version": "1"}, "version must be 1 or 2, not '1'; a newer file needs a newer qornn-hw"),
    ({"header_version": None}, "version must be 1 or 2, not absent; a newer file needs a newer qornn-hw"),
    ({"header_more": 1}, "unexpected entry 'more'"),
    ({"header_network__more": 1}, "unexpected entry 'network.more'"),
    ({"header_network__scales__more": 1}, "unexpected entry 'network.scales.more'"),
    ({"header_network__weight_bits__state": 8}, "unexpected entry 'network.weight_bits.state'"),
    ({"header_network__input_format__scale": 1.0}, "unexpected entry 'network.input_format.scale'"),
    ({"header_network__scales__accumulator": lambda a: a * 1.1},
     r"scales.accumulator must be scales.state \* max\(multiplier\) / 2\*\*shift = .*"),
    ({"header_network__scales__state": lambda a: a * 0.9},
     r"scales.accumulator must be scales.state \* max\(multiplier\) / 2\*\*shift = .*"),
    ({"header_network__shift": lambda a: a + 1},
     r"scales.accumulator must be scales.state \* max\(multiplier\) / 2\*\*shift = .*"),
    ({"header_task": {"name": "mine"}}, "task.name must be one of adding, .*, not 'mine'; for other data .*"),
    ({"header_task": {"blank": 5}}, "task.name must be one of adding, .*, not None; for other data .*"),
    ({"header_task": {"name": "copy"}}, "task.blank of the copy task is missing"),
    ({"header_task": {"name": "copy", "blank": 10**400}}, "task.blank must be .*"),
    ({"header_task": {"name": "copy", "blank": 5}},
     "a network of the copy task must have 10 one_hot inputs and 9 outputs, not 3 vector inputs and 2 .*"),
    ({"header_digest": "0" * 64}, "digest must be that of the network, [0-9a-f]{16}..., not '0{59}: .*"),
    ({"header_digest": None, "header_more": 1}, "unexpected entry 'more'"),
    ({"header_digest": 3}, "digest must be that of the network, .*, not 3: the file is damaged or was .*"),
    ({"header_network__rounding": "half_even"}, "digest must be that of the network, .*"),
    ({"header_network__output_kind": "logits"}, "digest must be that of the network, .*"),
    ({"header_network__scales__input": 1.0}, "digest must be that of the network, .*"),
    ({"bias": lambda a: a + 1}, "digest must be that of the network, .*"),
    ({"recurrent_weight": lambda a: a[::-1]}, "digest must be that of the network, .*"),
    ({"header_network": None}, "entry 'network' is missing"),
    ({"header_network": 3}, "network must be a dictionary, not 3"),
    ({"header_task": None}, "entry 'task' is missing"),
    ({"header_network__shift": None}, "entry 'network.shift' is missing"),
    ({"header_network__shift": True}, "network.shift must be an integer, not True"),
    ({"header_network__shift": 48}, "shift must be 0 to 47, not 48"),
    ({"header_network__input_shift": 32}, "input_shift must be 0 to 31, not 32"),
    ({"header_network__state_bits": 3}, "state_bits must be 4 to 16, not 3"),
    ({"header_network__state_bits": 8.0}, "network.state_bits must be an integer, not 8.0"),
    ({"header_network__activation": "gelu"},
     f"network.activation must be one of {', '.join(Activation)}, not 'gelu'"),
    ({"header_network__activation": "tanh"}, "tensor 'table' is missing"),
    ({"header_network__rounding": "floor"},
     "network.rounding must be one of half_up, half_even, not 'floor'"),
    ({"header_network__weight_bits__recurrent": 0}, "weight_bits.recurrent must be 1 to 8, not 0"),
    ({"header_network__weight_bits__input": 9}, "weight_bits.input must be 1 to 8, not 9"),
    ({"header_network__weight_bits__output": None}, "entry 'network.weight_bits.output' is missing"),
    ({"header_network__input_format__bits": 17}, "input_format.bits must be 1 to 16, not 17"),
    ({"header_network__input_format__signed": 1}, "network.input_format.signed must be true or false, not 1"),
    ({"header_network__scales__state": float("nan")}, "scales.state must be positive and finite, not nan"),
    ({"header_network__scales__input": float("inf")}, "scales.input must be positive and finite, not inf"),
    ({"header_network__scales__output": 0}, "scales.output must be positive and finite, not 0.0"),
    (
        {"header_network__scales__state": 10**400},
        "network.scales.state must fit into 64 bits, but needs 1330",
    ),
    ({"header_network__shift": -(10**400)}, "network.shift must fit into 64 bits, but needs 1330"),
    ({"header_network__scales__output": "1"}, "network.scales.output must be a number, not '1'"),
    ({"header_metrics": [1]}, r"metrics must be a dictionary, not \[1\]"),
    ({"bias": None}, "tensor 'bias' is missing"),
    ({"recurrent_weight": None}, "tensor 'recurrent_weight' is missing"),
    ({"table": np.arange(8)}, "unexpected tensor 'table'"),
    ({"extra": np.arange(8)}, "unexpected tensor 'extra'"),
    ({"\x1b[2J": np.arange(8)}, r"unexpected tensor '\\x1b\[2J'"),
    ({"float.\x1b[2J": np.arange(8.0)}, r"unexpected tensor 'float.\\x1b\[2J'"),
    ({"header_\x1b[2J": 1}, r"unexpected entry '\\x1b\[2J'"),
    ({"header_network__\n": 1}, r"unexpected entry 'network.\\n'"),
    ({"bias": np.full(5, 2**64 - 1, np.uint64)},
     r"bias must lie in 0 to 9223372036854775807, not 18446744073709551615 at \[0\]"),
    ({"float_extra": np.arange(8.0)}, "unexpected tensor 'float.extra'"),
    ({"float_bias": None}, r"tensor 'float.bias' is missing; give all of float.\* or none"),
    ({"float_bias": nan_at_1}, r"float.bias must be finite, not nan at \[1\]"),
    ({"float_bias": lambda a: a[:2]}, r"float.bias must have shape \(5,\), not \(2,\)"),
    ({"float_bias": lambda a: a.astype(np.int32)}, "float.bias must be float32 or float64, not int32"),
    ({"input_weight": lambda a: a.astype(np.float32)}, "input_weight must hold integers, not float32"),
    ({"input_weight": lambda a: a[:4]}, r"input_weight must have shape \(5, 3\), not \(4, 3\)"),
    ({"input_weight": lambda a: a * 0 + 8}, r"input_weight must lie in -8 to 7, not 8 at \[0, 0\]"),
    ({"output_weight": lambda a: a[:, :4]}, r"output_weight must have shape \(2, 5\), not \(2, 4\)"),
    ({"recurrent_weight": lambda a: a[0]},
     "recurrent_weight, input_weight and output_weight must be matrices"),
    ({"recurrent_weight": lambda a: a[:0, :0]}, "a network must have at least 1 of its hidden units, not 0"),
    ({"output_weight": lambda a: a[:0]}, "a network must have at least 1 of its outputs, not 0"),
    ({"multiplier": lambda a: a * 0}, r"multiplier must lie in 1 to 65535, not 0 at \[0\]"),
    ({"initial_state": lambda a: a * 0 + 128 if a is None else np.full(5, 128)},
     r"initial_state must lie in -128 to 127, not 128 at \[0\]"),
    ({"header_network__input_shift": 31, "header_network__input_format__bits": 16},
     "the accumulator must fit 48 bits, not [0-9]+"),
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
@pytest.mark.parametrize("changes, message", BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_broken_content(tmp_path, suffix, changes, message):
    """Each defect of a file's content is named in one line, the same in both formats."""
    header, tensors = content(tmp_path, **changes)
    path = tmp_path / f"a{suffix}"
    write(path, header, tensors)
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(path))}: {message}$"):
        load_checkpoint(path)


def state_dict(path):
    """Write a plain state dictionary."""
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)


def evil_pt(path):
    """Write a torch file that would run code."""
    torch.save({"format": "qornn-hw", "x": Evil(path.with_name("ran"))}, path)


def evil_pickle(path):
    """Write a pickle that would run code."""
    path.write_bytes(pickle.dumps(Evil(path.with_name("ran"))))


def evil_npz(path):
    """Write an archive whose header would run code."""
    np.savez(path, header=np.array([Evil(path.with_name("ran"))], dtype=object))


def zipped(path):
    """Write a zip file that is something else."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def npz_header(text):
    """Write an archive that holds only this header."""
    return lambda path: np.savez(path, header=np.array(text))


def tensor_pt(path):
    """Write a torch file that holds one tensor."""
    torch.save(torch.zeros(3), path)


def tensors_missing(path):
    """Write a torch file without tensors."""
    torch.save({"format": "qornn-hw", "version": 1}, path)


def sparse_pt(path):
    """Write a torch file with a number in a tensor's place."""
    header, tensors = content(path.parent)
    as_torch = {k: torch.from_numpy(v) for k, v in tensors.items()}
    torch.save({**header, "tensors": as_torch | {"bias": 3}}, path)


def truncated(path):
    """Write the first half of a good file."""
    whole = path.with_name("whole" + path.suffix)
    save_checkpoint(whole, make())
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])


def damaged_npz(path):
    """Write a good file with zeros over some of its compressed bytes."""
    save_checkpoint(path, make())
    data = bytearray(path.read_bytes())
    start = data.index(b"recurrent_weight.npy") + 60
    data[start : start + 40] = bytes(40)
    path.write_bytes(bytes(data))


SPARSE = torch.eye(2).to_sparse()
NO_TORCH_FILE = "not a qornn-hw checkpoint: it is not a torch file, or is damaged"
DAMAGED = "is damaged or incomplete and must be copied or created again: "
NO_ZIP = "not a qornn-hw checkpoint: a .npz file must be a zip archive, but this is not, or is damaged"
RUNS_CODE = (
    "holds pickled Python objects other than tensors; unpickling them could run code, so it is not done"
)
FILES = [
    ("a.pt", lambda path: None, "no such file"),
    ("a.npz", lambda path: None, "no such file"),
    ("a.pt", Path.mkdir, "must be a regular file, not a directory"),
    ("a.npz", Path.mkdir, "must be a regular file, not a directory"),
    ("a.pt", lambda path: path.write_bytes(os.urandom(1000)), NO_TORCH_FILE),
    ("a.npz", lambda path: path.write_bytes(os.urandom(1000)), NO_ZIP),
    ("a.pt", Path.touch, "is empty: .*"),
    ("a.npz", Path.touch, "is empty: .*"),
    ("a.pt", zipped, "is a zip archive of other files (.*"),
    ("a.npz", zipped, "is a zip archive of other files (.*"),
    ("a.pt", truncated, DAMAGED + "it does not end with a zip directory"),
    ("a.npz", truncated, DAMAGED + "it does not end with a zip directory"),
    ("a.npz", damaged_npz, DAMAGED + "member 'recurrent_weight.npy' cannot be read"),
    ("a.pt", state_dict, "holds a PyTorch state dict (.*"),
    ("a.npz", npz_header("{}"), NO_FORMAT),
    ("a.npz", npz_header("[]"), "entry 'header' must be a JSON object"),
    ("a.npz", npz_header("{"), "entry 'header' must be JSON: .*"),
    ("a.pt", evil_pt, RUNS_CODE),
    ("a.pt", evil_pickle, RUNS_CODE),
    (
        "a.npz",
        evil_npz,
        "entry 'header' holds pickled Python objects; unpickling them could run code, so it is not done",
    ),
    ("a.npz", evil_pickle, NO_ZIP),
    ("a.pt", tensor_pt, "not a qornn-hw checkpoint: must hold a dictionary, not Tensor"),
    ("a.pt", tensors_missing, "entry 'tensors' must be a dictionary of tensors"),
    ("a.pt", sparse_pt, "tensor 'bias' must be a plain dense tensor, not 3"),
    ("a.npz", npz_header("[" * 100000), "entry 'header' must be JSON: .*"),
    ("a.npz", npz_header('{"version": ' + "9" * 5000 + "}"), "entry 'header' must be JSON: .*"),
    ("a.pt", changed_pt(version=10**400), f"version must be 1 or 2, not 1{'0' * 59}; a newer file needs .*"),
    ("a.pt", changed_pt(tensors={3: torch.zeros(1)}), "unexpected tensor 3"),
    (
        "a.pt",
        changed_pt(tensors={"\x1b[2J": SPARSE}),
        "tensor '\\x1b[2J' must be a plain dense tensor, not .*",
    ),
    ("a.npz", other(".pt"), "this is a .pt file; rename it to end in .pt"),
    ("a.pt", other(".npz"), "this is a .npz file; rename it to end in .npz"),
    ("a.NPZ", other(".pt"), "this is a .pt file; rename it to end in .pt"),
    ("a.onnx", lambda path: path.write_bytes(b"\0"), "a model file must end in .pt or .npz, not '.onnx'"),
    ("a", lambda path: path.write_bytes(b"\0"), "a model file must end in .pt or .npz, not ''"),
]


@pytest.mark.parametrize("name, make_file, message", FILES, ids=[f"{i}-{f[0]}" for i, f in enumerate(FILES)])
def test_broken_files(tmp_path, name, make_file, message):
    """A file that is not a checkpoint is refused in one line, and nothing in it runs."""
    path = tmp_path / name
    make_file(path)
    pattern = re.escape(message.removesuffix(".*")) + (".*" if message.endswith(".*") else "")
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(path))}: {pattern}$"):
        load_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def test_evil_files_would_run(tmp_path):
    """The dangerous files of the table do run when they are unpickled without care."""
    evil_pickle(tmp_path / "a.pt")
    pickle.loads((tmp_path / "a.pt").read_bytes())
    assert (tmp_path / "ran").is_dir()


def test_without_torch(tmp_path, monkeypatch):
    """Without torch both formats are written and read, and what is written is the same as with torch."""
    checkpoint = make()
    save_checkpoint(tmp_path / "with.pt", checkpoint)
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("a.pt", "a.npz"):
        check_writable(tmp_path / name)
        save_checkpoint(tmp_path / name, checkpoint)
        same(checkpoint, load_checkpoint(tmp_path / name))
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "with.pt").read_bytes()
    (tmp_path / "a.npz").rename(tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match=r"this is a .npz file; rename it to end in .npz$"):
        load_checkpoint(tmp_path / "b.pt")


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_write_is_whole_or_not_at_all(tmp_path, monkeypatch, suffix):
    """A write that fails leaves the old file as it was and no partial file behind."""
    path = tmp_path / f"a{suffix}"
    save_checkpoint(path, make())
    before = path.read_bytes()

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    for target in (path, tmp_path / "new" / "folders" / path.name):
        message = re.escape(f"{target}: cannot be written: No space left on device; choose another path")
        with pytest.raises(OutputError, match=f"^{message}$"):
            save_checkpoint(target, make(seed=1))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".PT", ".Npz"])
def test_folders_and_upper_case(tmp_path, suffix):
    """Folders that are not there are made, and the case of the suffix does not matter."""
    path = tmp_path / "new" / "folders" / f"a{suffix}"
    checkpoint = make()
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    save_checkpoint(path, checkpoint)
    same(checkpoint, load_checkpoint(path))
    before = path.read_bytes()
    check_writable(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("write_to", [check_writable, lambda path: save_checkpoint(path, make())])
def test_unwritable_places(tmp_path, write_to):
    """A directory in the file's place, a file in the folder's, a name too long: one line, nothing left."""
    (tmp_path / "a.npz").mkdir()
    (tmp_path / "file").touch()
    places = [
        (tmp_path / "a.npz", "it is a directory"),
        (tmp_path / "file" / "a.npz", f"{tmp_path / 'file'} is not a folder"),
        (tmp_path / "file" / "b" / "a.pt", f"{tmp_path / 'file'} is not a folder"),
        (tmp_path / "new" / f"{'a' * 300}.npz", "File name too long"),
        (tmp_path / "new" / ("b" * 300) / "a.npz", "File name too long"),
    ]
    for path, reason in places:
        message = f"{path}: cannot be written: {reason}; choose another path"
        with pytest.raises(OutputError, match=f"^{re.escape(message)}$"):
            write_to(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "file"]
    with pytest.raises(CheckpointError, match=r"a model file must end in .pt or .npz, not '.txt'$"):
        write_to(tmp_path / "a.txt")


def test_folder_without_permission(tmp_path, monkeypatch):
    """A folder that may not be written to is an output error before and at the write."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "new" / "a.npz"
    monkeypatch.setattr(Path, "open", refuse)
    for write_to in (check_writable, lambda path: save_checkpoint(path, make())):
        with pytest.raises(
            OutputError, match=r": cannot be written: Permission denied; choose another path$"
        ):
            write_to(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_accumulator_is_proved_before_a_write(tmp_path, suffix):
    """A network that could not be loaded again is not written."""
    wide = make_network(input_shift=31, input_format=IntFormat(16, signed=False))
    path = tmp_path / f"a{suffix}"
    message = f"{re.escape(str(path))}: the accumulator must fit 48 bits, not [0-9]+"
    with pytest.raises(CheckpointError, match=f"^{message}$"):
        save_checkpoint(path, Checkpoint(wide))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("task", {"x": np.float32(1)}, "task must hold only finite numbers, strings, .*"),
        (
            "metrics",
            {"x": float("nan")},
            "metrics must hold only finite numbers, strings, .*",
        ),
        ("task", nested(100_000), "task must be a dictionary, not list"),
        ("task", {"x": nested(100_000)}, "task must hold only finite numbers, strings, .*"),
        ("task", {"x": 10**5000}, "task must hold only finite numbers, strings, .*"),
        ("provenance", [1], "provenance must be a dictionary, not list"),
    ],
)
def test_plain_data_only(field, value, message):
    """Task, metrics and provenance must be what JSON can hold."""
    with pytest.raises(CheckpointError, match=f"^{message}$"):
        Checkpoint(make().network, **{field: value})


def test_written_by_hand(tmp_path):
    """The example of docs/checkpoint.md is a file that loads."""
    text = (Path(__file__).parents[1] / "docs" / "checkpoint.md").read_text()
    code = re.search(r"```python\n(# by hand.*?)```", text, re.DOTALL).group(1)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    network = load_checkpoint(tmp_path / "hand.npz").network
    assert (network.hidden_size, network.input_size, network.output_size) == (2, 3, 2)
    buffer = io.BytesIO((tmp_path / "hand.npz").read_bytes())
    assert zipfile.is_zipfile(buffer)
