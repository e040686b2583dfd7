"""The command simulate-board: where it is, what cannot be simulated, and its end."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from networks import make_network

from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint

NETWORK = make_network(n=4, m=3, p=2, seed=5)


def save(path, network, task=None):
    """Write a checkpoint."""
    save_checkpoint(
        path, Checkpoint(network=network, float_weights=None, task=task or {}, metrics={}, provenance={})
    )
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return a checkpoint of a small network."""
    return save(tmp_path_factory.mktemp("model") / "small.npz", NETWORK)


@pytest.fixture(scope="module")
def board(model):
    """Return what `simulate-board --json` says of a running board, and end it as `kill` does."""
    command = [sys.executable, "-m", "qornn_hw", "simulate-board", str(model), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    try:
        yield json.loads(process.stdout.readline())
    finally:
        # Not SIGINT, which is ignored where the tests run in the background.
        process.terminate()
        process.communicate(timeout=60)


def test_the_board_says_where_it_is(board):
    """The first line has port, rate, clock and design."""
    assert board["port"].startswith("/dev/")
    assert (board["board"], board["baud"], board["through"]) == ("icebreaker", 3_000_000, "rtl")
    assert board["clock_mhz"] == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--through", "gates"), "--through must be rtl or netlist, not 'gates'"),
        (("--through", "netlist"), "--through netlist must come with --build DIR"),
        (("--board", "upduino-internal"), "has its oscillator on the chip"),
    ],
)
def test_what_cannot_be_simulated(run, model, options, message):
    """Each error of simulate-board is one line."""
    code, _, errors = run("simulate-board", model, *options)
    assert code == 2
    assert message in errors and errors.count("\n") == 1


def test_the_virtual_board_ends_with_its_parent(model):
    """Killed without a chance to tidy up, the simulation ends too: its terminal is gone."""
    command = [sys.executable, "-m", "qornn_hw", "simulate-board", str(model), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    json.loads(process.stdout.readline())
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc on this system")
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def is_running(pid):
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
