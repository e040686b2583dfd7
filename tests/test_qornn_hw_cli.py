"""The command line as its users meet it."""

import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from networks import make_network, network_fields

from qornn_hw import cli
from qornn_hw.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from qornn_hw.design import with_image
from qornn_hw.network import WeightBits

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
        (["build", "MODEL", "--clock", "fast"], "--clock must be auto or a number of MHz, not 'fast'"),
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
        (["sim", "MODEL", "--steps", "0"], "--steps must be 1 to 100000, not 0"),
        (["sim", "MODEL", "--sequences", "999999999"], "--sequences must be 1 to 100000, not 999999999"),
        (["sim", "MODEL", "--seed", "-1"], "--seed must be 0 or more, not -1"),
        (["sim", "MODEL", "--waves", "model.npz/w.fst"], "must be a file that can be written"),
        (["sim", "MODEL", "--simulator", "pencil"], "simulator must be icarus or verilator, not 'pencil'"),
        (["sim", "MODEL", "--idle", "long"], "idle must be one of none, periodic, random, not 'long'"),
        (["eval", "MODEL"], "task.name must be one of "),
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


def test_too_large_a_network_is_refused_before_any_tool_runs(run, tmp_path):
    """A network that does not fit is told by how much, and what would fit; no folder is made."""
    fields = network_fields(n=420, m=3, p=10)
    model = save(tmp_path / "model.npz", **(fields | {"weight_bits": WeightBits(8, 8, 8)}))
    code, _, errors = run("build", model, "--engine", "lut", "--out", tmp_path / "out")
    assert code == 2
    assert "network must fit icebreaker" in errors and "too many" in errors and "would fit" in errors
    assert not (tmp_path / "out").exists()


@pytest.fixture
def no_tools(monkeypatch):
    """Make every attempt to run a program fail."""

    def refuse(*arguments, **options):
        raise AssertionError(f"a program is run: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)


def test_estimate_as_json(run, no_tools):
    """`estimate --json` has the report's keys, exact blocks of each memory, and runs no tool."""
    model = MODELS / "mnist_rows.npz"
    code, output, _ = run(
        "estimate", model, "--board", "ulx3s-25f", "--lanes", "32", "--clock", "75", "--json"
    )
    value = json.loads(output)
    assert code == 0
    assert (value["board"], value["family"], value["lanes"]) == ("ulx3s-25f", "ecp5", 32)
    assert value["cycles_per_step"] == 192 and value["step_us"] == 2.56
    assert value["resources"]["bram"] == sum(value["memories"].values())
    # 2656 were built.
    assert 2400 < value["resources"]["lut"] < 2900
    assert value["available"]["lut"] == 24288


@pytest.mark.parametrize(
    ("model", "board"),
    [("copy_256", "ulx3s-85f"), ("copy_256", "icebreaker"), ("pmnist", "icebreaker"), ("speech", "upduino")],
)
def test_estimate_is_quick(model, board, run, no_tools):
    """Planning a large network, for a large board, too, takes less than 2 s of a processor."""
    start = time.process_time()
    code, _, _ = run("estimate", MODELS / f"{model}.npz", "--board", board, "--json")
    assert code == 0
    assert time.process_time() - start < 2


def test_estimate_as_table(run, no_tools):
    """`estimate` shows cycles and resources."""
    code, output, _ = run("estimate", MODELS / "mnist_rows.npz")
    assert code == 0
    assert "128 cycles" in output and "5280" in output and "estimated" in output


def test_target_rate_gives_the_smallest_design_that_is_fast_enough(run, no_tools):
    """Fewer steps a second, fewer cells, down to the least; each takes no more cycles than there are."""
    cells = []
    for rate in (312_500, 200_000, 100_000, 30_000):
        code, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--target-rate", rate, "--json")
        value = json.loads(output)
        assert code == 0
        assert value["cycles_per_step"] <= 40e6 / rate
        cells.append(value["resources"]["lut"])
    assert cells == sorted(cells, reverse=True) and len(set(cells)) == len(cells)
    code, output, _ = run(
        "estimate", MODELS / "mnist_rows.npz", "--target-rate", 200_000, "--clock", 54, "--json"
    )
    assert code == 0 and json.loads(output)["cycles_per_step"] == 256


def test_estimate_explains_what_was_considered(run, no_tools):
    """The chosen design is the fastest of those that fit; faster ones say what they have too much of."""
    for model, engine in (("mnist_rows", "lut"), ("pmnist", "lut")):
        code, output, _ = run("estimate", MODELS / f"{model}.npz", "--explain", "--json")
        value = json.loads(output)
        assert code == 0
        fits = [row for row in value["considered"] if not row["too_many"]]
        best = min((row for row in fits if row["engine"] == engine), key=lambda row: row["cycles_per_step"])
        for key in ("engine", "lanes", "cycles_per_step"):
            assert best[key] == value[key]
        assert best["lut"] == value["resources"]["lut"]
        assert any(row["too_many"] for row in value["considered"])
    code, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--explain")
    assert code == 0 and "considered, the fastest first" in output and "fits" in output


def test_estimate_of_what_does_not_fit(run, no_tools):
    """What fits no board of that kind is refused as by `build`."""
    code, _, errors = run("estimate", MODELS / "copy_256.npz", "--board", "ice40-hx8k")
    assert code == 2
    assert "network must fit ice40-hx8k" in errors


def test_boards_as_json(run, no_tools):
    """`boards --json` lists every board with device, budget, clock and link."""
    code, output, _ = run("boards", "--json")
    facts = {f["board"]: f for f in json.loads(output)["boards"]}
    assert code == 0
    assert facts["icebreaker"]["available"]["bram"] == 30
    assert facts["tinyfpga-bx"]["oscillator_mhz"] == 16
    assert facts["colorlight-i5"]["link"].startswith("DAPLink")
    assert "fits" not in facts["icebreaker"]


def test_boards_with_a_model(run, no_tools):
    """With a model each board says what of it fits, or why nothing does."""
    code, output, _ = run("boards", MODELS / "copy_256.npz", "--json")
    facts = {f["board"]: f for f in json.loads(output)["boards"]}
    assert code == 0
    assert facts["tinyfpga-bx"]["fits"] is False and "too many" in facts["tinyfpga-bx"]["reason"]
    assert facts["icebreaker"]["fits"] and facts["icebreaker"]["lanes"] == 13
    large = facts["ulx3s-85f"]
    assert large["fits"] and large["resources"]["lut"] < large["available"]["lut"]
    assert large["cycles_per_step"] < facts["ulx3s-25f"]["cycles_per_step"]
    code, output, _ = run("boards", MODELS / "copy_256.npz")
    assert code == 0
    assert "too large" in output and "orangecrab-85f" in output


def test_board_of_a_file(run, no_tools, tmp_path):
    """--board takes a file with a board of the user's own."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import replace\nfrom boards.registry import find_board\n"
        "BOARD = replace(find_board('ulx3s-85f'), name='mine')\n"
    )
    code, output, _ = run("boards", MODELS / "mnist_rows.npz", "--board", path, "--json")
    (facts,) = json.loads(output)["boards"]
    assert code == 0
    assert facts["board"] == "mine" and facts["fits"]
    code, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--board", path, "--json")
    assert code == 0
    assert json.loads(output)["board"] == "mine"


def test_missing_tool(run, tmp_path, monkeypatch):
    """Without its tools a build says which package brings the first that it misses."""
    model = save(tmp_path / "model.npz")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    code, _, errors = run("build", model, "--out", tmp_path / "out")
    assert code == 2
    assert "pip install yowasp-" in errors
    assert not (tmp_path / "out").exists()


def test_output_folder_that_cannot_be_written(run, tmp_path):
    """An output folder below a file is refused with its name."""
    model = save(tmp_path / "model.npz")
    code, _, errors = run("build", model, "--out", model / "out")
    assert code == 2
    assert str(model / "out") in errors


def test_without_a_command_there_is_help(run):
    """`qornn-hw` and `qornn-hw train` alone print their help."""
    for arguments in ([], ["train"]):
        code, output, _ = run(*arguments)
        assert code == 0
        assert "Usage: qornn-hw" in output and "Commands:" in output


def test_version(run):
    """--version prints the installed version."""
    assert run("--version") == (0, "qornn-hw 0.1.0\n", "")


def test_info_as_json(run):
    """`info --json` is one JSON object with shapes and proven widths."""
    code, output, _ = run("info", MODELS / "copy.npz", "--json")
    value = json.loads(output)
    assert code == 0
    assert (value["hidden_size"], value["accumulator_bits"]) == (64, 22)


def test_eval_gives_the_recorded_metrics(run):
    """`eval --json` of the copy model gives what the checkpoint records."""
    code, output, _ = run("eval", MODELS / "copy.npz", "--json", "--limit", "20")
    value = json.loads(output)
    assert code == 0
    assert value["integer"]["recall_accuracy"] == 1.0


def test_convert_round_trip(run, tmp_path):
    """.npz to .pt to .npz keeps every integer."""
    pt, npz = tmp_path / "model.pt", tmp_path / "model.npz"
    assert run("convert", MODELS / "copy.npz", pt)[0] == 0
    assert run("convert", pt, npz)[0] == 0
    first, second = load_checkpoint(MODELS / "copy.npz").network, load_checkpoint(npz).network
    assert np.array_equal(first.recurrent_weight, second.recurrent_weight)
    assert np.array_equal(first.multiplier, second.multiplier)


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


def test_sim_reports_a_mismatch(run, tmp_path, monkeypatch):
    """Hardware of another network than the model's is caught, in one line, exit code 2."""
    model = save(tmp_path / "model.npz")
    original = cli._design

    def faulty(*arguments):
        design = original(*arguments)
        image = design.constant_image
        return with_image(design, image.flip(0, image.width - 1))

    monkeypatch.setattr(cli, "_design", faulty)
    code, _, errors = run("sim", model, "--sequences", "1", "--steps", "3")
    assert code == 2
    assert "expected" in errors and errors.count("\n") == 1


def test_training_command_writes_a_checkpoint(run, tmp_path):
    """`train copy` trains, measures and saves a model that loads."""
    out = tmp_path / "tiny.npz"
    options = ["--blank", "5", "--hidden", "6", "--iterations", "3", "--finetune-iterations", "2"]
    code, output, _ = run("train", "copy", *options, "-o", out)
    assert code == 0
    assert output.endswith(f"wrote {out}\n")
    assert load_checkpoint(out).network.hidden_size == 6


def test_build_needs_no_torch(tmp_path):
    """The whole command line of a build imports no torch."""
    script = "import sys, qornn_hw.cli, boards.build, sim.amaranth_bench; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)


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


def test_netlist_of_another_model_is_refused(run, tmp_path):
    """A build's netlist is simulated against the model that it was built of, and no other."""
    model = save(tmp_path / "model.npz")
    (tmp_path / "build").mkdir()
    report = {"design_digest": "another", "clock_mhz": 36.0, "baud": 3_000_000, "board": "icebreaker"}
    (tmp_path / "build" / "report.json").write_text(json.dumps(report | {"files": {}}))
    code, _, errors = run("sim", model, "--through", "netlist", "--build", tmp_path / "build")
    assert code == 2
    assert "is of another design" in errors


def test_a_defect_keeps_its_traceback(monkeypatch):
    """An error that is no user's error is not dressed up as one."""

    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_closed_pipe():
    """A reader that goes away early is no error to shout about."""
    command = f"{sys.executable} -m qornn_hw.cli --help | true"
    done = subprocess.run(["bash", "-c", command], cwd=MODELS.parent, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
