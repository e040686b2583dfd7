"""Model files of version 2: any network, as operations; and version 1 read as operations."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hand_cells import CELLS, gru, lstm
from hand_networks import make_stack, random_inputs
from networks import make_network
from shipped_models import ELMAN, MODELS
from test_cells_elman import inputs_of, random_network

from qornn_hw.cells.elman import STATE, lower
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.errors import CheckpointError
from qornn_hw.files.checkpoint import (
    Checkpoint,
    NetworkCheckpoint,
    load_checkpoint,
    load_network,
    save_checkpoint,
    save_network,
)
from qornn_hw.files.network_entry import network_digest as elman_digest
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.network import Input, Network, State
from qornn_hw.ir.serial import network_digest

SUFFIXES = pytest.mark.parametrize("suffix", [".npz", ".pt"])


def header_of(path):
    """Return the header of a .npz file."""
    return json.loads(str(np.load(path)["header"]))


@SUFFIXES
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_round_trip(tmp_path, cell, suffix):
    """Every cell comes back with the same digest and the same integers."""
    stack = make_stack(2, [cell, lstm])
    made = NetworkCheckpoint(stack.network, metrics={"a": [1, None]}, provenance={"by": "hand"})
    path = tmp_path / f"a{suffix}"
    save_network(path, made)
    found = load_network(path)
    assert network_digest(found.network) == network_digest(stack.network)
    assert (found.task, found.metrics, found.provenance) == ({}, made.metrics, made.provenance)
    x = random_inputs(stack.network, 3, 6, 0)
    np.testing.assert_array_equal(Interpreter(found.network).run(x).logits, stack.run(x)[1])


def test_both_formats_hold_the_same(tmp_path):
    """A .pt file holds what a .npz file does; torch reads it as plain tensors."""
    torch = pytest.importorskip("torch")
    network = make_stack(5).network
    for suffix in (".npz", ".pt"):
        save_network(tmp_path / f"a{suffix}", NetworkCheckpoint(network))
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    tensors = content.pop("tensors")
    assert content == header_of(tmp_path / "a.npz")
    arrays = np.load(tmp_path / "a.npz")
    assert set(tensors) == set(arrays.files) - {"header"}
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor.numpy(), arrays[name])


@pytest.mark.parametrize("path", [MODELS / f"{stem}.npz" for stem in ELMAN])
def test_shipped_models(path):
    """A file of version 1 is read as operations that give the same integers."""
    checkpoint, operations = load_checkpoint(path), load_network(path)
    assert header_of(path)["version"] == 1
    assert (operations.task, operations.metrics) == (checkpoint.task, checkpoint.metrics)
    x = inputs_of(checkpoint.network, 4, 12, 0)
    run = Interpreter(operations.network).run(x)
    trace = IntegerModel(checkpoint.network).run(x)
    np.testing.assert_array_equal(run.states[STATE], trace.states)
    np.testing.assert_array_equal(run.logits, trace.logits)


@SUFFIXES
@pytest.mark.parametrize("seed", range(5))
def test_elman_in_version_2(tmp_path, seed, suffix):
    """The operations of an Elman network are read as one, and can be saved as version 1 again."""
    network = random_network(5 * seed + 1)
    path = tmp_path / f"a{suffix}"
    save_network(path, NetworkCheckpoint(lower(network)))
    found = load_checkpoint(path).network
    assert elman_digest(found) == elman_digest(network)
    save_checkpoint(tmp_path / "b.npz", Checkpoint(found))
    assert header_of(tmp_path / "b.npz")["version"] == 1


@SUFFIXES
def test_another_network_is_no_checkpoint_of_an_elman_network(tmp_path, suffix):
    """load_checkpoint names the network in a file of another kind, and what to do."""
    path = tmp_path / f"a{suffix}"
    save_network(path, NetworkCheckpoint(make_stack(2, [gru]).network))
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(path)
    assert str(error.value).startswith(
        f"{path}: must hold one Elman layer and a readout for this, not Network(vector input of "
    )
    assert str(error.value).endswith(": quantize the trained model again with the other bits")


def saved(tmp_path, **changes):
    """Return the path of a saved network after changes of the header; the digest stays."""
    path = tmp_path / "a.npz"
    save_network(path, NetworkCheckpoint(make_stack(2, [gru]).network))
    arrays = dict(np.load(path))
    header = json.loads(str(arrays["header"]))
    for key, value in changes.items():
        if value is None:
            del header[key]
        else:
            header[key] = value
    np.savez(path, **(arrays | {"header": np.array(json.dumps(header))}))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digest": "0" * 64}, "digest must be that of the network, "),
        ({"version": 1}, "tensor 'recurrent_weight' is missing"),
        ({"network": None}, "entry 'network' is missing"),
        ({"network": 3}, "network must be a dictionary, not 3"),
        ({"task": None}, "entry 'task' is missing"),
        ({"task": {"name": "copy", "blank": 7}}, "a network of the copy task must have "),
        ({"more": 1}, "unexpected entry 'more'"),
    ],
)
def test_broken_headers(tmp_path, changes, message):
    """A header with another digest, version, task or entry is refused."""
    path = saved(tmp_path, **changes)
    with pytest.raises(CheckpointError) as error:
        load_network(path)
    if changes == {"version": 1}:
        assert "unexpected" in str(error.value) or "is missing" in str(error.value)
    else:
        assert str(error.value).startswith(f"{path}: {message}")


def test_the_digest_may_be_absent(tmp_path):
    """A file without a digest is accepted."""
    assert network_digest(load_network(saved(tmp_path, digest=None)).network)


def test_changed_integers_are_seen(tmp_path):
    """One weight more or less is another digest."""
    path = saved(tmp_path)
    arrays = dict(np.load(path))
    name = next(n for n in arrays if ".weights." in n)
    arrays[name] = arrays[name] ^ 1
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="digest must be that of the network"):
        load_network(path)


def test_widths_are_proved_on_both_ways(tmp_path):
    """A network whose state could leave its format is neither written nor read."""
    good = lower(make_network())
    (layer,) = good.layers
    narrow = State(STATE, IntFormat(4, signed=True), np.zeros(3, int))
    bad = Network(good.input, (type(layer)((narrow,), layer.groups),), good.readout, good.scales)
    with pytest.raises(CheckpointError, match=r"must lie in -8 to 7, the format of state"):
        save_network(tmp_path / "a.npz", NetworkCheckpoint(bad))
    assert not (tmp_path / "a.npz").exists()


def test_names_of_real_weights_are_kept_free(tmp_path):
    """No value may be named so that its arrays look like real weights."""
    good = make_stack(0, [gru]).network
    layer, _ = gru(0, "float", 3, "x", good.input.size)
    logits = good.readout.logits
    term = type(logits.terms[0])("float.h", np.ones((logits.rows, 3), int), 2)
    readout = type(good.readout)(type(logits)("logits", (term,), logits.bias), good.readout.answer,
                                 good.readout.mode)  # fmt: skip
    network = Network(Input("x", good.input.kind, good.input.size, good.input.format), (layer,), readout,
                      good.scales)  # fmt: skip
    with pytest.raises(CheckpointError, match=r"must not begin with 'float\.', the prefix of real weights"):
        save_network(tmp_path / "a.npz", NetworkCheckpoint(network))


def test_too_large(tmp_path):
    """A matrix beyond the limits is refused by its declared shape, before a number is read."""
    path = saved(tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = next(n for n in members if ".weights." in n)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|i1", "fortran_order": False, "shape": (9000, 9000)}
    )
    members[name] = head.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    with pytest.raises(CheckpointError, match=r"must have at most 20,000,000 entries, not 81,000,000$"):
        load_network(path)


def test_written_by_hand(tmp_path, monkeypatch):
    """The file of docs/checkpoint.md, section 5, computes what its formula says."""
    text = (Path(__file__).parents[1] / "docs" / "checkpoint.md").read_text()
    code = text.split("```python\n# by hand, version 2")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    exec("#" + code, {})
    network = load_network("leaky.npz").network
    x = random_inputs(network, 5, 40, 0)
    h = np.tile([0, 16], (5, 1))
    for t in range(x.shape[1]):
        total = h @ np.array([[0, -8], [7, 0]]) + 8 * x[:, t] @ np.array([[7, 3]]) + [0, 4]
        h = (7 * h + np.clip(total, -100, 100) + 4) // 8
        run = Interpreter(network).run(x[:, : t + 1])
        np.testing.assert_array_equal(run.states["h"][:, -1], h)
        np.testing.assert_array_equal(run.logits[:, -1, 0], h[:, 0] - h[:, 1])
        np.testing.assert_array_equal(run.classes[:, -1], h[:, 0] - h[:, 1] > 20)
