"""The command export: both engines, with and without a board, and errors."""

import json
import subprocess
import sys

from qornn_hw.compiler.engines import NAMES
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint
from qornn_hw.sim.stimuli import random_network

SMALL = {"hidden_size": 5, "input_size": 3, "output_size": 2}


def run(*arguments):
    """Run the command line; return exit code, output and errors."""
    command = [sys.executable, "-m", "qornn_hw", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_command(tmp_path):
    """`qornn-hw export` with and without a board, either engine; errors are one line with exit code 2."""
    model = tmp_path / "model.npz"
    save_checkpoint(model, Checkpoint(random_network(seed=2, **SMALL)))
    code, output, errors = run("export", model, "-o", tmp_path / "a", "--lanes", "4", "--name", "mine")
    assert (code, errors) == (0, "") and "mine_tb.v" in output
    assert (tmp_path / "a" / "mine.v").is_file()
    code, output, _ = run("export", model, "-o", tmp_path / "b", "--engine", "dsp", "--json")
    assert (code, json.loads(output)["engine"]) == (0, "dsp")
    code, output, _ = run("export", model, "-o", tmp_path / "c", "--board", "icebreaker", "--json")
    assert (code, json.loads(output)["engine"]) == (0, "lut")
    for options, fragment in (
        (["--engine", "fpga"], f"--engine must be {' or '.join(NAMES)}, not 'fpga'"),
        (["--engine", "dsp", "--lanes", "0"], "--lanes must be at least 1, not 0"),
        (["--lanes", "0"], "lanes must be at least 1, not 0"),
        (["--board", "none"], "none"),
        (["--seed", "-1"], "--seed must be 0 or more, not -1"),
    ):
        code, output, errors = run("export", model, "-o", tmp_path / "d", *options)
        assert (code, output, errors.count("\n")) == (2, "", 1) and fragment in errors
    assert not (tmp_path / "d").exists()
