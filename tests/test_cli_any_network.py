"""The commands with a file of two layers of gated cells: described, planned, simulated, exported."""

import json

import numpy as np
import pytest
from hand_cells import gru
from hand_networks import make_stack

from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.data.inference import answer_words
from qornn_hw.files.checkpoint import save_any
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.sim.stimuli import random_sequences

STACKS = (make_stack(seed, [gru, gru], mode=OutputMode.LAST_STEP, largest=4).network for seed in range(9))
NET = next(net for net in STACKS if net.output_size > 2)


@pytest.fixture
def model(tmp_path):
    """The path of a model file."""
    path = tmp_path / "stack.npz"
    save_any(path, NetworkCheckpoint(NET))
    return path


def test_info(run, model):
    """What it is, as a table and as JSON."""
    code, output, _ = run("info", model, "--json")
    assert code == 0 and json.loads(output)["layers"] == 2
    code, output, _ = run("info", model)
    assert code == 0 and "states.layer1.h.units" in output


def test_estimate_and_boards(run, model):
    """The engine that can, what it takes, and what fits a board; a chain is refused in one line."""
    code, output, _ = run("estimate", model, "--json", "--explain")
    value = json.loads(output)
    assert code == 0 and value["engine"] == "tile" and value["model"]["activation"] is None
    assert {row["engine"] for row in value["considered"]} == {"tile"}
    code, output, _ = run("boards", model, "--board", "upduino", "--json")
    assert code == 0 and json.loads(output)["boards"][0]["fits"]
    code, _, errors = run("estimate", model, "--engine", "dsp")
    assert code == 2 and errors.count("\n") == 1
    assert "network must be one Elman layer and a readout for the dsp engine" in errors


def test_sim_and_export(run, model, tmp_path):
    """The Verilog is simulated and exported."""
    code, output, _ = run("sim", model, "--sequences", "1", "--steps", "3", "--json")
    assert code == 0 and json.loads(output)["mismatches"] == 0
    assert json.loads(output)["integers_compared"] > 3 * sum(s.size for s in NET.states.values())
    code, output, _ = run("export", model, "--out", tmp_path / "core", "--json")
    assert code == 0 and (tmp_path / "core" / "qornn_core.v").exists()


def test_eval_of_own_sequences(run, model, tmp_path):
    """Accuracy of the integers on targets; without targets, and with a page, it is refused."""
    x = random_sequences(NET, batch=6, steps=5, seed=0)
    classes = np.array([words[0, -1] for words in answer_words(NET, x)])
    classes[0] = (classes[0] + 1) % NET.output_size
    np.savez(tmp_path / "data.npz", inputs=np.stack(x), targets=classes)
    code, output, _ = run("eval", model, "--data", tmp_path / "data.npz", "--json")
    assert code == 0 and json.loads(output)["integer"] == {"accuracy": pytest.approx(5 / 6, abs=1e-6)}
    code, _, errors = run("eval", model, "--data", tmp_path / "data.npz", "--html", tmp_path / "a.html")
    assert code == 2 and "--html must come with a network of one Elman layer" in errors
    np.save(tmp_path / "data.npy", np.stack(x))
    code, _, errors = run("eval", model, "--data", tmp_path / "data.npy")
    assert code == 2 and "--data must hold targets" in errors


def test_an_engine_that_cannot_is_never_replaced(run, model):
    """`sim` and `export` refuse a named engine as `estimate` does, and simulate no other one."""
    for command in (
        ["sim", model, "--sequences", "1", "--steps", "2"],
        ["export", model, "--out", model.parent],
    ):
        code, output, errors = run(*command, "--engine", "lut")
        assert (code, output, errors.count("\n")) == (2, "", 1)
        assert "network must be one Elman layer and a readout for the lut engine" in errors


def test_no_room_for_other_weights(run, model):
    """`build --reloadable` says why the engine has no room."""
    code, _, errors = run("build", model, "--reloadable", "--out", model.parent / "out")
    assert code == 2 and "the tile engine must have the constants of one network" in errors


def test_commands_for_one_elman_layer(run, model, tmp_path):
    """They say what to do with another network; a file that is missing is named."""
    np.save(tmp_path / "data.npy", np.stack(random_sequences(NET, batch=2, steps=5, seed=0)))
    code, _, errors = run("compare", model, "--data", tmp_path / "data.npy")
    assert code == 2 and "quantize the trained model again" in errors
    code, _, errors = run("eval", model, "--data", tmp_path / "nothing")
    assert code == 2 and "data must be a file or folder that exists" in errors
