"""The commands for boards: a virtual board and a host in two processes, programming, and errors."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from boards.host import model_answers
from qornn_hw.checkpoint import Checkpoint, save_checkpoint
from qornn_hw.network import OutputKind, OutputMode

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


def at(board, *more):
    """Return the options that name the board's port."""
    return ("--port", board["port"], "--baud", board["baud"], *more)


def test_the_board_says_where_it_is(board):
    """The first line has port, rate, clock and design."""
    assert board["port"].startswith("/dev/")
    assert (board["board"], board["baud"], board["through"]) == ("icebreaker", 3_000_000, "rtl")
    assert board["clock_mhz"] == 24


def test_random_sequences_are_compared(run, model, board, tmp_path):
    """Every integer of random sequences is compared, and the answers are written."""
    out = tmp_path / "answers.npy"
    options = ("--random", 6, "--steps", 7, "--seed", 3, "--check", "--out", out, "--json")
    code, output, errors = run("run", model, *at(board), *options)
    assert (code, errors) == (0, "")
    value = json.loads(output)
    assert (value["sequences"], value["steps"], value["mismatches"]) == (6, 42, 0)
    assert value["integers_compared"] == 42 * 3
    assert (value["resets"], value["faults"], value["metrics"]) == (0, {}, None)
    assert np.load(out).shape == (6, 7, 3)


def test_a_file_of_sequences(run, model, board, tmp_path):
    """Sequences of a file give the integer model's answers, as many as --limit says."""
    form = NETWORK.input_format
    x = np.random.default_rng(1).integers(form.min, form.max + 1, (5, 4, 3))
    np.save(tmp_path / "x.npy", x)
    out = tmp_path / "answers.npy"
    code, output, _ = run("run", model, *at(board), "--input", tmp_path / "x.npy", "--out", out, "--limit", 4)
    assert code == 0
    assert output.startswith("4 sequences, 16 steps in ")
    assert np.array_equal(np.load(out), np.stack(model_answers(NETWORK, list(x[:4]))))


def test_another_network_of_the_same_shape_is_refused(run, board, tmp_path):
    """A model that the board does not hold is told by the design's digest."""
    other = save(tmp_path / "other.npz", make_network(n=4, m=3, p=2, seed=6))
    code, _, errors = run("run", other, *at(board), "--random", 1)
    assert code == 2
    assert "must hold the design" in errors and errors.count("\n") == 1


def test_another_network_is_refused(run, board, tmp_path):
    """A model of another shape is told by what differs."""
    fields = one_hot_fields(3) | {"output_mode": OutputMode.LAST_STEP, "output_kind": OutputKind.ARGMAX}
    other = save(tmp_path / "other.npz", make_network(n=4, m=3, p=2, seed=6, **fields))
    code, _, errors = run("run", other, *at(board), "--random", 1)
    assert code == 2
    assert "words a step: 3, not 1" in errors and errors.count("\n") == 1


def test_a_wrong_integer_ends_the_run(run, model, board, monkeypatch):
    """With --check the first integer that differs is named."""
    monkeypatch.setattr(
        "boards.host.model_answers", lambda net, x: [a + (a == a[-1, 0]) for a in model_answers(net, x)]
    )
    code, _, errors = run("run", model, *at(board), "--random", 2, "--check")
    assert code == 2
    assert errors.startswith("qornn-hw: error: sequence 0, answer ") and "the integer model" in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--port", "/dev/ttyNONE", "--random", 1), "port must be one that is there, /dev/ttyNONE is not"),
        (("--port", "x", "--random", 0), "--random must be at least 1, not 0"),
        (("--port", "x", "--limit", 0), "--limit must be at least 1, not 0"),
        (("--port", "x", "--random", 1, "--seed", -1), "--seed must be 0 or more, not -1"),
        *(
            (
                ("--port", "x", "--random", 1, "--timeout", seconds),
                f"--timeout must be more than 0 and at most 3600 seconds, not {seconds}",
            )
            for seconds in ("0", "inf", "nan", "1e+300")
        ),
        *(
            (("--port", "x", "--random", 1, "--baud", rate), f"--baud must be 1 to 100000000, not {rate}")
            for rate in (0, 999_999_999_999)
        ),
        (("--port", "x", "--random", 1, "--out", "/proc/nope/x.npy"), "must be one that can be written"),
        (("--port", "x", "--random", 1, "--input", "x.npy"), "--input and --random must not come together"),
        (("--port", "x", "--input", "x.npy"), "--input must be a .npy file of integers, x.npy is not"),
        (("--random", 1, "--board", "tinyfpga-bx"), "--port must name the port of tinyfpga-bx"),
        (("--port", "x", "--build", "nowhere"), "nowhere must be a folder with the results of a build"),
        (("--port", "x", "--build", "b", "--lanes", 4), "--build must come without --lanes and --engine"),
        (("--port", "x"), "task"),
    ],
)
def test_errors_are_one_line(run, model, options, message):
    """What must be what, what it was, exit code 2."""
    code, output, errors = run("run", model, *options)
    assert (code, output) == (2, "")
    assert message in errors and errors.count("\n") == 1


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


def build_folder(path, board="icebreaker", bitstream=True):
    """Make a folder that looks like a build's."""
    report = {"board": board, "clock_mhz": 24, "baud": 3_000_000, "files": {"bitstream": "top.bin"}}
    path.mkdir()
    (path / "report.json").write_text(json.dumps(report))
    if bitstream:
        (path / "top.bin").write_bytes(b"\x7e\xaa")
    return path


def tool(path, code=0):
    """Write a program that keeps its arguments."""
    path.write_text(f'#!/bin/sh\necho "$@" > {path}.arguments\nexit {code}\n')
    path.chmod(0o755)
    return path


def test_a_bitstream_is_loaded_with_what_is_installed(run, tmp_path, monkeypatch):
    """The first programmer of the board that is there gets the bitstream."""
    build = build_folder(tmp_path / "build")
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, errors = run("program", build)
    assert code == 2
    assert "into icebreaker must have iceprog or openFPGALoader, and none is installed" in errors
    loader = tool(tmp_path / "openFPGALoader")
    code, output, _ = run("program", build, "--board", "icebreaker")
    assert code == 0
    assert output == f"openFPGALoader -b ice40_generic {build / 'top.bin'}\n"
    assert Path(f"{loader}.arguments").read_text() == f"-b ice40_generic {build / 'top.bin'}\n"
    tool(tmp_path / "iceprog", code=3)
    code, _, errors = run("program", build)
    assert code == 2
    assert "iceprog must load the bitstream, and failed with exit code 3; check that the board" in errors


def test_weights_of_the_flash_are_loaded_first(run, tmp_path, monkeypatch):
    """Of a build that boots from flash the weights go behind the bitstream, and before it."""
    build = build_folder(tmp_path / "build")
    report = json.loads((build / "report.json").read_text())
    report |= {"boot": "flash", "files": report["files"] | {"weights": "weights.bin"}}
    (build / "report.json").write_text(json.dumps(report))
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "iceprog").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n')
    (tmp_path / "iceprog").chmod(0o755)
    code, _, errors = run("program", build)
    assert code == 2 and f"{build} has none; build it anew" in errors
    assert not (tmp_path / "arguments").exists()
    (build / "weights.bin").write_bytes(b"QHWW")
    assert run("program", build)[0] == 0
    assert (tmp_path / "arguments").read_text().splitlines() == [
        f"-o 1048576 {build / 'weights.bin'}",
        str(build / "top.bin"),
    ]
    (tmp_path / "iceprog").write_text("#!/bin/sh\nexit 4\n")
    code, _, errors = run("program", build)
    assert code == 2 and "iceprog must load the weights, and failed with exit code 4; check" in errors


def test_what_cannot_be_loaded(run, tmp_path):
    """No build, another board and a missing bitstream are told."""
    code, _, errors = run("program", tmp_path / "nothing")
    assert code == 2 and "must be a folder with the results of a build" in errors
    build = build_folder(tmp_path / "build", bitstream=False)
    code, _, errors = run("program", build, "--board", "ulx3s-25f")
    assert code == 2 and "--board must be icebreaker, the board of " in errors
    code, _, errors = run("program", build)
    assert code == 2 and "must hold the bitstream that its report names, top.bin is not there" in errors


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
