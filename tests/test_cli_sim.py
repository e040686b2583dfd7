"""The command sim: through the core, through the pins, of files; mismatches."""

import json
from dataclasses import replace

import numpy as np
import pytest
from networks import make_network

from qornn_hw.api import design
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint


def save(path, **changes):
    """Write a checkpoint of a small random network."""
    network = make_network(**changes)
    save_checkpoint(path, Checkpoint(network=network, float_weights=None, task={}, metrics={}, provenance={}))
    return path


@pytest.mark.parametrize("through", ["core", "pins"])
def test_sim(through, run, tmp_path):
    """`sim` compares every integer and counts them."""
    model = save(tmp_path / "model.npz")
    code, output, _ = run("sim", model, "--through", through, "--sequences", "2", "--steps", "4", "--json")
    value = json.loads(output)
    assert code == 0
    assert value["mismatches"] == 0
    # 2 x 4 steps of 2 logits and an argmax, and 3 hidden units where they can be seen.
    assert value["integers_compared"] == 2 * 4 * (3 + (3 if through == "core" else 0))
    # Each count by a name that says what it counts.
    assert (value["sequences"], value["steps_per_sequence"]) == (2, 4)
    assert value["total_steps"] == value["steps"] == 2 * 4
    assert value["total_cycles"] == value["cycles"]
    assert value["compared"] == ("hidden units and answer words" if through == "core" else "answer words")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("through", ["core", "pins"])
def test_sim_of_a_file(through, run, tmp_path):
    """Real sequences of different lengths of a file are simulated; what is clipped is said."""
    network = make_network(n=3, m=2, p=2, seed=4)
    model = tmp_path / "model.npz"
    save_checkpoint(model, Checkpoint(network))
    x = np.random.default_rng(1).uniform(0, 15, (3, 4, 2))
    x[0, 1] = 99
    np.savez(tmp_path / "x.npz", inputs=x, lengths=[4, 2, 3])
    options = ("--through", through, "--input", tmp_path / "x.npz", "--json")
    code, output, errors = run("sim", model, *options)
    value = json.loads(output)
    assert (code, value["sequences"], value["total_steps"], value["mismatches"]) == (0, 3, 9, 0)
    assert value["steps_per_sequence"] is None
    assert value["integers_compared"] == 9 * (3 + 3 * (through == "core"))
    assert "2 of 18 input entries lay outside the input's format and were clipped" in errors
    code, output, _ = run("sim", model, *options, "--sequences", "2")
    assert json.loads(output)["total_steps"] == 6
    code, _, errors = run("sim", model, *options, "--steps", "2")
    assert code == 2 and "--steps must come without --input" in errors


def test_sim_reports_a_mismatch(run, tmp_path, monkeypatch):
    """Hardware of another network than the model's is caught, in one line, exit code 2."""
    model = save(tmp_path / "model.npz")
    original = design.compile

    def faulty(*arguments, **options):
        found = original(*arguments, **options)
        image = found.core.memory("constants")
        return replace(found, core=found.core.with_memory(image.flip(0, image.width - 1)))

    monkeypatch.setattr(design, "compile", faulty)
    code, _, errors = run("sim", model, "--sequences", "1", "--steps", "3")
    assert code == 2
    assert "expected" in errors and errors.count("\n") == 1


def test_netlist_of_another_model_is_refused(run, tmp_path):
    """A build's netlist is simulated against the model that it was built of, and no other."""
    model = save(tmp_path / "model.npz")
    (tmp_path / "build").mkdir()
    report = {"design_digest": "0" * 64, "clock_mhz": 36.0, "baud": 3_000_000, "board": "icebreaker"}
    (tmp_path / "build" / "report.json").write_text(json.dumps(report | {"files": {}}))
    code, _, errors = run("sim", model, "--through", "netlist", "--build", tmp_path / "build")
    assert code == 2
    assert "is of another design" in errors
