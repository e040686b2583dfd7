"""The command line as its users meet it."""

import json
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from networks import make_network

from qornn_hw.cli import main as cli
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint

MODELS = Path(__file__).parents[1] / "models"


def save(path, **changes):
    """Write a checkpoint of a small random network."""
    network = make_network(**changes)
    save_checkpoint(path, Checkpoint(network=network, float_weights=None, task={}, metrics={}, provenance={}))
    return path


class Bomb:
    """Runs code when it is unpickled."""

    def __init__(self, target):
        self._target = target

    def __reduce__(self):
        return Path.touch, (self._target,)


def rewritten(path, change):
    """Write path's arrays again as ``change`` leaves them."""
    arrays = dict(np.load(path))
    change(arrays)
    np.savez(path, **arrays)
    return path


def with_header(path, change):
    """Write path again with its JSON header changed."""

    def apply(arrays):
        header = json.loads(str(arrays["header"]))
        change(header)
        arrays["header"] = np.array(json.dumps(header))

    return rewritten(path, apply)


def bomb(path):
    """Write a pickle that would run code."""
    path = path.with_suffix(".pt")
    path.write_bytes(pickle.dumps(Bomb(path.parent / "ran")))
    return path


def garbage(path):
    """Write bytes that are nothing."""
    path.write_bytes(b"no checkpoint at all")
    return path


def without(tensor):
    """Return a maker of a file that lacks a tensor."""
    return lambda path: rewritten(save(path), lambda arrays: arrays.pop(tensor))


def tensor(name, value):
    """Return a maker of a file with a tensor replaced."""

    def change(arrays):
        arrays[name] = value

    return lambda path: rewritten(save(path), change)


def header(change):
    """Return a maker of a file with its header changed."""
    return lambda path: with_header(save(path), change)


def at(header, key):
    """Return the dictionary in a header that has ``key``."""
    stack = [header]
    while stack:
        found = stack.pop()
        if key in found:
            return found
        stack += [v for v in found.values() if isinstance(v, dict)]
    raise KeyError(key)


BAD_FILES = {
    "no such file": (lambda path: path, "no such file"),
    "not a checkpoint": (garbage, "checkpoint"),
    "a pickle that would run code": (bomb, "run code"),
    "wrong version": (header(lambda h: h.update(version=99)), "version"),
    "missing tensor": (without("recurrent_weight"), "recurrent_weight"),
    "infinite scale": (
        header(lambda h: at(h, "scales")["scales"].update(state=float("inf"))),
        "scales.state",
    ),
    "float tensor": (tensor("bias", np.array([1.0, np.nan, 0.0])), "bias"),
    "shapes that disagree": (tensor("input_weight", np.zeros((4, 2), np.int8)), "input_weight"),
    "unknown activation": (header(lambda h: at(h, "activation").update(activation="gelu")), "modrelu"),
    "0 weight bits": (
        header(lambda h: at(h, "weight_bits")["weight_bits"].update(recurrent=0)),
        "weight_bits.recurrent must be 1 to 8, not 0",
    ),
    "9 weight bits": (
        header(lambda h: at(h, "weight_bits")["weight_bits"].update(output=9)),
        "weight_bits.output must be 1 to 8, not 9",
    ),
    "empty network": (tensor("recurrent_weight", np.zeros((0, 0), np.int8)), "at least 1"),
}


@pytest.mark.parametrize("command", ["info", "build"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_checkpoints(name, command, run, tmp_path):
    """A bad model file is one line that names it, exit code 2, and nothing is written."""
    make, fragment = BAD_FILES[name]
    path = make(tmp_path / "model.npz")
    before = sorted(tmp_path.iterdir())
    out = ["--out", tmp_path / "out"] if command == "build" else []
    code, output, errors = run(command, path, *out)
    assert code == 2
    assert output == ""
    assert errors.startswith("qornn-hw: error: ") and errors.count("\n") == 1
    assert str(path.name) in errors and fragment in errors
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["info"], "Missing argument 'MODEL'"),
        (
            ["build", "MODEL", "--board", "breadboard"],
            "or a file FILE.py that defines BOARD, not 'breadboard'",
        ),
        (["build", "MODEL", "--lanes", "0"], "lanes must be at least 1, not 0"),
        (["build", "MODEL", "--lanes", "many"], "--lanes"),
        (["build", "MODEL", "--clock", "1000"], "1000"),
        (["build", "MODEL", "--clock", "fast"], "clock must be auto, oscillator or a number of MHz"),
        (
            ["build", "MODEL", "--clock", "15"],
            "clock must be 16 to 275 MHz to come from the board",
        ),
        (["build", "MODEL", "--clock", "36.1"], "not 36.1 MHz; the nearest is 36 MHz"),
        (["build", "MODEL", "--seed", "-1"], "seed must be 0 to 1073741823, not -1"),
        (["build", "MODEL", "--effort", "0"], "effort must be 1 to 1000, not 0"),
        (["estimate", "MODEL", "--clock", "500"], "clock must be at most 120 MHz on icebreaker, not 500 MHz"),
        (["estimate", "MODEL", "--board", "mine.py"], "board must be a file that exists, mine.py does not"),
        (
            ["estimate", "MODEL", "--target-rate", "0"],
            "--target-rate must be a number of steps a second above 0, not 0",
        ),
        (
            ["build", "MODEL", "--target-rate", "1e8"],
            "--target-rate must be one that icebreaker can do: 1e+08 steps a second at 40 MHz are 0 cycles",
        ),
        (["boards", "--board", "breadboard"], "board must be one of icebreaker, "),
        (["boards", "nowhere.npz"], "nowhere.npz"),
        (["sim", "MODEL", "--through", "walls"], "--through must be core, pins or netlist, not 'walls'"),
        (["sim", "MODEL", "--through", "netlist"], "--through netlist must come with --build DIR"),
        (
            ["sim", "MODEL", "--build", "there"],
            "--build must come with --through netlist, not with --through core",
        ),
        (["sim", "MODEL", "--through", "pins", "--idle", "random"], "must go with --through core, not pins"),
        (["sim", "MODEL", "--steps", "0"], "--steps must be 1 to 1000000, not 0"),
        (["sim", "MODEL", "--sequences", "999999999"], "--sequences must be 1 to 1000000, not 999999999"),
        (["sim", "MODEL", "--seed", "-1"], "--seed must be 0 or more, not -1"),
        (["sim", "MODEL", "--waves", "model.npz/w.fst"], "must be a file that can be written"),
        (["sim", "MODEL", "--simulator", "pencil"], "simulator must be icarus or verilator, not 'pencil'"),
        (["sim", "MODEL", "--idle", "long"], "idle must be one of none, periodic, random, not 'long'"),
        (
            ["eval", "MODEL"],
            "must name a task to have a test set of its own; pass your own sequences as --data",
        ),
        (["requantize", "MODEL", "x.pt", "--state-bits", "8"], "must name a task whose inputs calibrate it"),
        (["eval", "MODEL", "--limit", "0"], "--limit must be at least 1, not 0"),
        (["convert", "MODEL", "model.onnx"], ".onnx"),
        (["train", "copy", "--hidden", "0"], "hidden"),
        (["train", "mnist"], "Missing option '--data'"),
        (["train", "copy", "-o", "model.onnx"], "must end in .pt or .npz"),
        (["train", "copy", "-o", "model.npz/model.npz"], "model.npz"),
    ],
)
def test_bad_requests(arguments, fragment, run, tmp_path, monkeypatch):
    """What cannot be done is refused in one line that says what can, exit code 2, nothing written."""
    model = save(tmp_path / "model.npz")
    monkeypatch.chdir(tmp_path)
    code, _, errors = run(*[model if a == "MODEL" else a for a in arguments])
    assert code == 2
    assert errors.startswith("qornn-hw: error: ") and errors.count("\n") == 1
    assert fragment in errors
    assert [p.name for p in tmp_path.iterdir() if p.name != "build"] == ["model.npz"]


def test_without_a_command_there_is_help(run):
    """`qornn-hw` and `qornn-hw train` alone print their help."""
    for arguments in ([], ["train"]):
        code, output, _ = run(*arguments)
        assert code == 0
        assert "Usage: qornn-hw" in output and "Commands:" in output


def test_version(run):
    """--version prints the installed version."""
    assert run("--version") == (0, "qornn-hw 0.1.0\n", "")


def test_eval_gives_the_recorded_metrics(run):
    """`eval --json` of the copy model gives what the checkpoint records."""
    code, output, _ = run("eval", MODELS / "copy.npz", "--json", "--limit", "20")
    value = json.loads(output)
    assert code == 0
    assert value["integer"]["recall_accuracy"] == 1.0


@pytest.mark.parametrize("error", [KeyboardInterrupt, typer.Abort, typer.Exit(130)])
def test_interrupt(error, monkeypatch, capsys):
    """Ctrl-C ends with 130 and a word, not with a traceback."""

    def interrupted(**_):
        raise error

    monkeypatch.setattr(cli, "app", interrupted)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("arguments", [("--version",), ("boards", "nowhere.pt")])
def test_signal_handler_of_the_caller(arguments, run):
    """A process that runs the command line meets SIGTERM afterwards as it did before."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        run(*arguments)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_terminated_as_interrupted(tmp_path):
    """SIGTERM in the middle of a build ends its tools and leaves nothing."""
    command = [
        sys.executable,
        "-m",
        "qornn_hw",
        "build",
        str(MODELS / "copy.npz"),
        "--out",
        str(tmp_path / "out"),
    ]
    process = subprocess.Popen(command, cwd=MODELS.parent, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("synthesize"):
            break
    process.terminate()
    assert process.wait(timeout=60) == 143
    process.stdout.close()
    assert not (tmp_path / "out").exists()


def test_a_defect_keeps_its_traceback(monkeypatch):
    """An error that is no user's error is not dressed up as one."""

    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_closed_pipe():
    """A reader that goes away early is no error to shout about."""
    command = f"{sys.executable} -m qornn_hw.cli.main --help | true"
    done = subprocess.run(["bash", "-c", command], cwd=MODELS.parent, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
