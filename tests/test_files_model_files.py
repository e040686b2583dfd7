"""Untrusted model files: bombs, hidden or repeated members, and pipes are refused in one line."""

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import make_network

from qornn_hw.errors import CheckpointError
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from qornn_hw.files.model_limits import HEADER_CHARACTERS, check_sizes

MODELS = Path(__file__).parents[1] / "models"


def members(path):
    """Return the members of a zip file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, change, method=zipfile.ZIP_DEFLATED):
    """Write a small shipped model to ``path`` with its members changed by ``change``, right CRCs and all."""
    found = list(members(MODELS / f"mnist_rows_tanh{path.suffix}").items())
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in change(found):
            archive.writestr(name, data)


def npy(array):
    """Return the bytes of an array's file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def replaced(name, data):
    """Return a change that gives one member other bytes."""
    return lambda found: [(key, data if key == name else old) for key, old in found]


def added(name, data):
    """Return a change that appends one member."""
    return lambda found: [*found, (name, data)]


def header_text(change):
    """Return a change of the header's JSON text."""

    def apply(found):
        text = str(np.load(io.BytesIO(dict(found)["header.npy"])))
        return replaced("header.npy", npy(np.array(change(text))))(found)

    return apply


def in_task(text):
    """Return a change that puts this JSON text into the header's task."""
    return header_text(lambda header: header.replace('"task": {', '"task": {"x": ' + text + ", ", 1))


HUGE = npy(np.zeros(0, np.int8)).replace(b"(0,), }" + b" " * 16, b"(900000, 900000), }" + b" " * 4)
SURROGATE = npy(np.array("x")).replace(b"x\0\0\0", b"\x00\xd8\x00\x00")
NPZ = [
    (added("recurrent_weight", b"x"), "unexpected member 'recurrent_weight'"),
    (added("recurrent_weight.npy/", b""), "unexpected member 'recurrent_weight.npy/'"),
    (added("more.npy", npy(np.arange(3))), "unexpected tensor 'more'"),
    (added("zeros.npy", bytes(1 << 28)), "unexpected tensor 'zeros'"),
    (replaced("bias.npy", npy(np.zeros(70_000, np.int8))), "bias must have at most 65,536 .*, not 70,000"),
    (replaced("bias.npy", HUGE), "bias must have at most 65,536 entries, not 810,000,000,000"),
    (replaced("bias.npy", npy(np.zeros(48, np.int8)) + b"\0"), "bias must have 176 bytes, .* not 177"),
    (replaced("recurrent_weight.npy", npy(np.zeros((4097, 1), np.int8))),
     "a network must have at most 4,096 hidden units, not 4,097"),
    (replaced("input_weight.npy", npy(np.zeros((1, 65_537), np.int8))),
     "a network must have at most 65,536 inputs, not 65,537"),
    (replaced("output_weight.npy", npy(np.zeros((65_537, 1), np.int8))),
     "a network must have at most 65,536 outputs, not 65,537"),
    (replaced("recurrent_weight.npy", npy(np.zeros((4096, 4883), np.int8))),
     "recurrent_weight must have at most 20,000,000 entries, not 20,000,768"),
    (replaced("header.npy", npy(np.array("x" * (HEADER_CHARACTERS + 1024)))),
     "member 'header.npy' must have at most .* bytes, but declares .*"),
    (replaced("header.npy", npy(np.array([1.5]))), "not a qornn-hw checkpoint: entry 'header' must be .*"),
    (replaced("header.npy", SURROGATE), "entry 'header' must be JSON: .*"),
    (in_task('"\\ud800"'), r"a string must be Unicode without surrogates, not '\\ud800'"),
    (in_task('1, "x": 2'), "entry 'x' must occur once, not twice"),
    (header_text(lambda text: text[:-1] + ', "task": {}}'), "entry 'task' must occur once, not twice"),
    (in_task("[" * 80 + "]" * 80), "the header must be nested at most 64 deep, but is deeper"),
    (in_task("9" * 5000), "entry 'header' must be JSON: .*"),
]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("change, message", NPZ, ids=[str(i) for i in range(len(NPZ))])
def test_npz(tmp_path, change, message):
    """Each hidden, repeated, huge or malformed part of a .npz file is refused in one line."""
    path = tmp_path / "a.npz"
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(path))}: {message}$"):
        load_checkpoint(path)


def shared(depth):
    """Return lists of lists in which each one stands twice: 2**depth of them when written out."""
    value = ["x"]
    for _ in range(depth):
        value = [value, value]
    return value


def deep(depth):
    """Return a list in a list in a list."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


def torch_file(path, changes):
    """Write a model with torch.save, its entries and tensors changed."""
    content = torch.load(MODELS / "mnist_rows_tanh.pt", weights_only=True)
    for name, value in changes.items():
        (content["tensors"] if name in content["tensors"] else content)[name] = value
    torch.save(content, path)


PT = [
    ({"recurrent_weight": torch.zeros(1, dtype=torch.int8).expand(90_000, 90_000)},
     "a tensor must not repeat entries, but one of shape (90000, 90000) has a storage of .*"),
    ({"recurrent_weight": torch.zeros(12_000, 1, dtype=torch.int8)},
     "a network must have at most 4,096 hidden units, not 12,000"),
    ({"output_weight": torch.zeros(65_537, 1, dtype=torch.int8)},
     "a network must have at most 65,536 outputs, not 65,537"),
    ({"bias": torch.zeros(65_537, dtype=torch.int8)}, "bias must have at most 65,536 entries, not 65,537"),
    ({"task": {"x": shared(40)}}, "the header must have at most 1,048,576 characters, but has more"),
    ({"task": {"x": deep(70)}}, "the header must be nested at most 64 deep, but is deeper"),
    ({"task": {3: 1}}, "an entry's name must be a string, not 3"),
    ({"task": {"x": torch.zeros(1)}}, "the header must hold plain data, not Tensor(.*"),
    ({"task": {"x": torch.eye(2).to_sparse()}}, "the header must hold plain data, not <torch._utils._.*"),
    ({3: 1}, "unexpected entry 3"),
]  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("changes, message", PT, ids=[str(i) for i in range(len(PT))])
def test_pt(tmp_path, changes, message):
    """Expanded tensors, shared lists, and what is no plain data, are refused in one line."""
    path = tmp_path / "a.pt"
    torch_file(path, changes)
    assert path.stat().st_size < 1 << 20
    pattern = re.escape(message.removesuffix(".*")) + (".*" if message.endswith(".*") else "")
    with pytest.raises(CheckpointError, match=f"^{re.escape(str(path))}: {pattern}$"):
        load_checkpoint(path)


def test_other_files(tmp_path):
    """A pipe, bytes in front of an archive, and torch's old format are named."""
    path = tmp_path / "a.npz"
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match=r"a.npz: must be a regular file, not a named pipe$"):
        load_checkpoint(path)
    for suffix in (".npz", ".pt"):
        path = tmp_path / f"b{suffix}"
        path.write_bytes(b"#!/bin/sh\n" + (MODELS / f"copy{suffix}").read_bytes())
        with pytest.raises(CheckpointError, match=r"from its first byte, but has 10 other bytes in front$"):
            load_checkpoint(path)
    path = tmp_path / "c.pt"
    torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"c.pt: is in torch's format before version 1.6, which has "):
        load_checkpoint(path)


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_every_kind_of_damage_is_found(tmp_path, suffix):
    """One flipped bit anywhere in a file: the same network, or a refusal (torch's reader checks no CRC)."""
    rng = np.random.default_rng(0)
    data = (MODELS / f"mnist_rows_tanh{suffix}").read_bytes()
    good = load_checkpoint(MODELS / f"mnist_rows_tanh{suffix}").network
    path, refused = tmp_path / f"a{suffix}", 0
    for bit in rng.choice(8 * len(data), 300, replace=False):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << int(bit) % 8
        path.write_bytes(changed)
        try:
            found = load_checkpoint(path).network
        except CheckpointError:
            refused += 1
            continue
        for name in ("recurrent_weight", "input_weight", "output_weight", "bias", "table", "multiplier"):
            np.testing.assert_array_equal(getattr(found, name), getattr(good, name))
        assert found.scales == good.scales
    assert refused > 150


def test_limits_are_not_written(tmp_path):
    """A file that could not be read again is not written: a long header, and a network that is too large."""
    path = tmp_path / "a.npz"
    long = Checkpoint(make_network(), provenance={"text": "x" * HEADER_CHARACTERS})
    with pytest.raises(CheckpointError, match=r"a.npz: the header must have at most 1,048,576 char"):
        save_checkpoint(path, long)
    big = {"recurrent_weight": (4096, 4096), "input_weight": (4096, 400), "output_weight": (400, 4096)}
    message = r"at most 20,000,000 weights in all matrices together, not 20,054,016$"
    with pytest.raises(CheckpointError, match=message):
        check_sizes(big)
    assert list(tmp_path.iterdir()) == []


MEASURE = """
import sys
from pathlib import Path
from qornn_hw.files.checkpoint import load_checkpoint
from qornn_hw.errors import CheckpointError
try:
    load_checkpoint(sys.argv[1])
except (CheckpointError, MemoryError) as error:
    print(type(error).__name__, error)
# Not of getrusage, which also counts the process before its exec.
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def peak_megabytes(path):
    """Return what a process printed that loads a file, and its largest memory in megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True, timeout=100
    )
    *lines, kilobytes = done.stdout.splitlines()
    return lines, int(kilobytes) // 1024


def test_inflating_gigabytes(tmp_path):
    """A file of a megabyte that inflates to one gigabyte is refused in little memory."""
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("header.npy", members(MODELS / "mnist_rows_tanh.npz")["header.npy"])
        with archive.open("recurrent_weight.npy", "w", force_zip64=True) as member:
            for _ in range(1024):
                member.write(bytes(1 << 20))
    assert path.stat().st_size < 8 << 20
    lines, megabytes = peak_megabytes(path)
    assert lines[0].startswith("CheckpointError") and megabytes < 200


def test_memory_that_is_not_there(tmp_path, monkeypatch):
    """A machine without the memory for a model says so in one line."""

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("qornn_hw.files.checkpoint.read_content", exhausted)
    with pytest.raises(CheckpointError, match=r"must fit into the memory of this machine, but does not$"):
        load_checkpoint(tmp_path / "a.npz")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_largest_model(tmp_path, suffix):
    """A network as large as the limits, as 64-bit integers, loads in less than a gigabyte."""
    n, m, p = 4096, 392, 393
    rng = np.random.default_rng(0)
    arrays = {
        "recurrent_weight": rng.integers(-1, 2, (n, n)), "input_weight": rng.integers(-1, 2, (n, m)),
        "output_weight": rng.integers(-1, 2, (p, n)), "bias": np.zeros(n, np.int64),
        "output_bias": np.zeros(p, np.int64), "multiplier": np.ones(n, np.int64),
        "initial_state": np.zeros(n, np.int64),
    }  # fmt: skip
    header = json.loads(str(np.load(io.BytesIO(members(MODELS / "copy.npz")["header.npy"]))))
    header["network"] |= {"input_kind": "vector", "shift": 3}
    header["network"]["scales"] |= {"state": 1.0, "accumulator": 0.125}
    header["task"] = {}
    # The digest of the network whose header this is.
    del header["digest"]
    floats = {
        f"float.{k}": v.astype(float) for k, v in arrays.items() if k not in ("multiplier", "initial_state")
    }
    path = tmp_path / f"a{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, header=np.array(json.dumps(header)), **arrays, **floats)
    else:
        tensors = {k: torch.from_numpy(v) for k, v in (arrays | floats).items()}
        torch.save({**header, "tensors": tensors}, path)
    lines, megabytes = peak_megabytes(path)
    assert lines == [] and megabytes < 1000, (lines, megabytes)
