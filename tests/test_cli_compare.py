"""`qornn-hw compare` and `qornn-hw eval --data FILE` as their users meet them."""

import json
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from qornn_hw.cli import main as cli
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from qornn_hw.quantization.float_model import RealNetwork, run_real
from qornn_hw.quantization.quantize import export

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (30, 8, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a model of no task, and data with the float network's classes as targets."""
    checkpoint = export(
        RNG.normal(size=(8, 8)) * 0.3,
        RNG.normal(size=(8, 3)),
        RNG.normal(size=(4, 8)),
        activation="tanh",
        calibration_inputs=X,
        weight_bits=8,
    )
    save_checkpoint(tmp_path / "m.npz", checkpoint)
    targets = run_real(RealNetwork.trained(checkpoint), X)[1].argmax(-1)
    np.savez(tmp_path / "d.npz", inputs=X, targets=targets)
    np.save(tmp_path / "x.npy", X)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """A function that runs the command line and returns exit code, output and error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["qornn-hw", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return call


def test_compare_prints_a_table_and_writes_its_pages(folder, run):
    """Text has a row a width; the plot is an SVG and the page is complete."""
    code, out, _ = run("compare", "m.npz", "--data", "d.npz", "--plot", "new/p.svg", "--html", "p.html")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "understood: 30 sequences of 8 steps of 3 inputs, 4 outputs after every step"
    assert [line.split("  ")[0] for line in lines[2:10]] == [
        "float",
        *(f"{k}-bit weights, {a}-bit states" for k in (4, 6, 8) for a in (8, 12)),
        "as given",
    ]
    assert "100.00 %" in lines[2]
    assert ET.fromstring((folder / "new/p.svg").read_text()).tag.endswith("svg")
    assert "8-bit weights, 12-bit states" in (folder / "p.html").read_text()


def test_compare_as_json(folder, run):
    """The JSON has what the Python call gives."""
    code, out, _ = run("compare", "m.npz", "--data", "x.npy", "--bits", "2,8", "--state-bits", "8", "--json")
    value = json.loads(out)
    assert code == 0 and value["score"] is None
    assert [row["weight_bits"] for row in value["rows"]] == [None, 2, 8, 8]
    assert value["rows"][1]["relrms"] > value["rows"][2]["relrms"] > 0
    limited = json.loads(run("compare", "m.npz", "--data", "x.npy", "--limit", "5", "--json")[1])
    assert limited["rows"][1]["quality"]["shapes"]["sequences"] == 5


@pytest.mark.parametrize(
    "words, message",
    [
        (["--data", "no.npy"], "no.npy: no such file"),
        (["--data", "none.npz"], "none.npz: inputs must hold sequences"),
        (["--data", "x.npy", "--bits", "4;6"], "--bits must be numbers of bits with commas between them"),
        (["--data", "x.npy", "--bits", "9"], "--bits must be 1 to 8, not 9"),
        (["--data", "x.npy", "--state-bits", "8,20"], "--state-bits must be 4 to 16, not 20"),
        (["--data", "x.npy", "--limit", "0"], "--limit must be at least 1, not 0"),
        (["--data", "symbols.npy"], "inputs must be vectors (count, steps, 3)"),
        (["--data", "wide.npy"], "inputs[0] must hold integers of the network's input format"),
        (["--data", "x.npy", "--html", "m.npz/p.html"], "m.npz/p.html: cannot be written"),
    ],
)
def test_compare_refuses(folder, run, words, message):
    """A wrong file or option is one line and exit code 2; zero sequences are never a success."""
    np.savez(folder / "none.npz", inputs=np.zeros((0, 8, 3)))
    np.save(folder / "symbols.npy", np.zeros((2, 8), dtype=int))
    np.save(folder / "wide.npy", np.full((2, 8, 3), 70000))
    code, _, err = run("compare", "m.npz", *words)
    assert code == 2 and err.count("\n") == 1
    assert err.startswith(f"qornn-hw: error: {message}")


def test_compare_needs_a_float_network(folder, run):
    """A file without float weights is refused in one line."""
    network = load_checkpoint(folder / "m.npz").network
    save_checkpoint(folder / "bare.npz", Checkpoint(network))
    code, _, err = run("compare", "bare.npz", "--data", "x.npy")
    assert code == 2 and "MODEL must hold the weights of a float network" in err
