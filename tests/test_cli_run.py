"""The commands for boards: a virtual board and a host in two processes, programming, and errors."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.boards.host import model_answers
from qornn_hw.cells.elman_network import OutputKind, OutputMode
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


def at(board, *more):
    """Return the options that name the board's port."""
    return ("--port", board["port"], "--baud", board["baud"], *more)


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


def test_a_file_of_real_numbers(run, model, board, tmp_path):
    """Real numbers go through the scales; entries beyond the format are counted by channel and said."""
    x = np.random.default_rng(5).uniform(-2, 18, (4, 6, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    out = tmp_path / "answers.npy"
    options = ("--input", tmp_path / "x.npy", "--out", out, "--check", "--json")
    code, output, errors = run("run", model, *at(board), *options)
    assert code == 0
    units = np.rint(x)
    outside = ((units < 0) | (units > 15)).sum(axis=(0, 1))
    assert outside.all()
    assert json.loads(output)["clipped"] == outside.tolist()
    assert errors.startswith(
        f"warning: {outside.sum()} of 72 input entries lay outside the input's format and "
    )
    due = model_answers(NETWORK, list(np.clip(units, 0, 15).astype(int)))
    assert np.array_equal(np.load(out), np.stack(due))


def test_sequences_of_different_lengths(run, model, board, tmp_path):
    """Padded sequences with lengths give what each gives alone; their answers go into a .npz with lengths."""
    x = np.random.default_rng(3).integers(0, 16, (5, 6, 3))
    lengths = np.array([6, 1, 3, 3, 5])
    np.savez(tmp_path / "x.npz", inputs=x, lengths=lengths)
    out = tmp_path / "answers.npz"
    options = ("--input", tmp_path / "x.npz", "--out", out, "--check", "--json")
    code, output, errors = run("run", model, *at(board), *options)
    assert (code, errors) == (0, "")
    assert json.loads(output)["steps"] == 18
    assert json.loads(output)["integers_compared"] == 18 * 3
    with np.load(out) as found:
        answers, counts = found["answers"], found["lengths"]
    assert counts.tolist() == lengths.tolist()
    for got, count, one in zip(answers, counts, x, strict=True):
        assert np.array_equal(got[:count], model_answers(NETWORK, [one[:count]])[0])
        assert not got[count:].any()
    code, output, errors = run("run", model, *at(board), *options[:2], "--out", tmp_path / "answers.npy")
    assert (code, output) == (2, "")
    assert "--out must be a .npz file if sequences have different lengths, 1 to 6 steps" in errors
    assert not (tmp_path / "answers.npy").exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 4)), "inputs must have 3 channels in their last dimension, not shape (3, 4)"),
        (np.full((2, 3, 3), np.nan), "inputs must be finite, not nan at [0, 0, 0]"),
        (np.full((2, 3, 3), 16), "inputs must lie in 0 to 15, not 16 to 16"),
        (np.zeros((0, 3, 3)), "inputs must hold sequences"),
        (np.array([["a"]]), "inputs"),
    ],
)
def test_a_file_that_does_not_fit(run, model, tmp_path, array, message):
    """Channels, numbers and range are checked before the port is opened; the file is named."""
    np.save(tmp_path / "x.npy", array)
    code, output, errors = run("run", model, "--port", "/dev/ttyNONE", "--input", tmp_path / "x.npy")
    assert (code, output) == (2, "")
    assert message in errors and "x.npy" in errors and errors.count("\n") == 1


def test_an_argmax_of_one_output_has_no_metric(run, tmp_path):
    """The test set of a network that answers only the argmax of one output is refused: it is always 0."""
    network = make_network(n=4, m=3, p=1, seed=5, output_kind=OutputKind.ARGMAX)
    one = save(tmp_path / "one.npz", network)
    code, _, errors = run("run", one, "--port", "/dev/ttyNONE")
    assert code == 2 and errors.count("\n") == 1
    assert "output_kind of a network with one output must be logits or both" in errors


# -- streams -----------------------------------------------------------------------------------------


def streaming(model, board, *options):
    """Return a process of `run --stream`."""
    command = ["run", model, *at(board), "--stream", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "qornn_hw", *map(str, command)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip


def test_each_line_is_answered_as_it_comes(model, board):
    """An answer is there before the next line is written, and the state goes on until an empty line."""
    x = np.random.default_rng(4).integers(0, 16, (9, 3))
    due = [*model_answers(NETWORK, [x[:5]])[0], *model_answers(NETWORK, [x[5:]])[0]]
    with streaming(model, board, "--check", "--integers") as process:
        for step, (row, words) in enumerate(zip(x, due, strict=True)):
            start = "\n" if step == 5 else ""
            process.stdin.write(start + ",".join(map(str, row)) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == " ".join(map(str, words)) + "\n"
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, "")
    assert errors.startswith("2 sequences, 9 steps, 9 answers; ")
    assert errors.endswith("27 integers compared with the integer model, 0 mismatches\n")


def test_a_stream_of_real_numbers(model, board):
    """Real lines give real logits and the class; clipped numbers are said at once and counted at the end."""
    with streaming(model, board, "--json") as process:
        output, errors = process.communicate("1 2.4 3\n15 0 99\n-7 1 1\n", timeout=60)
    (due,) = model_answers(NETWORK, [np.array([[1, 2, 3], [15, 0, 15], [0, 1, 1]])])
    *found, end = map(json.loads, output.splitlines())
    assert [[*one["logits"], one["class"]] for one in found] == due.tolist()
    assert (end["steps"], end["clipped"], end["mismatches"]) == (3, [1, 0, 1], None)
    assert errors == (
        "warning: line 2: 99 in channel 2 lies outside 0 to 15 and is clipped; further ones are counted and "
        "reported at the end\n"
    )
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n\n1 2\n", "qornn-hw: error: line 3 must have 3 numbers, one a channel, not 2\n"),
        (
            "",
            "qornn-hw: error: the stream must have at least one step, and had none; write a line",
        ),
    ],
)
def test_a_bad_stream_is_one_line(model, board, text, message):
    """A bad line and an empty stream end with one line and exit code 2."""
    with streaming(model, board, "--check") as process:
        _, errors = process.communicate(text, timeout=60)
    assert process.returncode == 2
    assert errors.startswith(message) and errors.count("\n") == 1


def test_a_reader_that_goes_away_ends_the_stream(model, board):
    """If nobody reads the answers any more, the stream ends without a traceback."""
    with streaming(model, board) as process:
        process.stdin.write("1 2 3\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        process.stdin.write("1 2 3\n" * 2)
        process.stdin.close()
        errors = process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert errors == ""


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
        "qornn_hw.boards.answers.model_answers",
        lambda net, x: [a + (a == a[-1, 0]) for a in model_answers(net, x)],
    )
    code, _, errors = run("run", model, *at(board), "--random", 2, "--check")
    assert code == 2
    assert errors.startswith("qornn-hw: error: sequence 0, answer ") and "the integer model" in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--port", "/dev/ttyNONE", "--random", 1), "port must be one that is there, /dev/ttyNONE is not"),
        (("--port", "x", "--random", 0), "--random must be 1 to 1000000, not 0"),
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
        (("--port", "x", "--random", 1, "--out", "/proc/nope/x.npy"), "must be writable"),
        (("--port", "x", "--random", 1, "--input", "x.npy"), "--input and --random must not come together"),
        (("--port", "x", "--input", "x.npy"), "x.npy: no such file"),
        (
            ("--port", "x", "--stream", "--random", 1),
            "--stream must come without --random; its steps",
        ),
        (("--port", "x", "--stream", "--input", "x.npy"), "--stream must come without --input"),
        (("--port", "x", "--stream", "--limit", 3), "--stream must come without --limit"),
        (("--port", "x", "--stream", "--out", "x.npy"), "--stream must come without --out"),
        (("--port", "x", "--random", 1, "--integers"), "--integers must come with --stream"),
        (("--port", "x", "--random", 1, "--history", 3), "--history must come with --stream"),
        (("--port", "x", "--stream", "--history", -1), "--history must be 0 or more, not -1"),
        (("--random", 1, "--board", "tinyfpga-bx"), "the port of tinyfpga-bx must be named"),
        (("--port", "x", "--build", "nowhere"), "nowhere must be a folder with the results of a build"),
        (("--port", "x", "--build", "b", "--lanes", 4), "--build must come without --lanes and --engine"),
        (("--port", "x"), "pass your own sequences as --input FILE, or random ones as --random N"),
    ],
)
def test_errors_are_one_line(run, model, options, message):
    """What must be what, what it was, exit code 2."""
    code, output, errors = run("run", model, *options)
    assert (code, output) == (2, "")
    assert message in errors and errors.count("\n") == 1
