"""Counts: each alone, multiplied, and before any work; nothing compared is no success."""

import time
from pathlib import Path

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_network import WeightBits
from qornn_hw.counts import check_count, check_seed, check_steps, require_compared
from qornn_hw.errors import DataError, FormatError
from qornn_hw.evaluation.evaluate import info
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint

MODEL = Path(__file__).parents[1] / "models" / "mnist_rows_tanh.npz"
HUGE = str(10**18)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: check_count("n", 0), "n must be 1 to 1000000, not 0"),
        (lambda: check_count("n", 10**5000), "n must be 1 to 1000000, not one of 16610 bits"),
        (lambda: check_count("n", 6, 5), "n must be 1 to 5, not 6"),
        (lambda: check_seed("seed", -1), "seed must be 0 or more, not -1"),
        (lambda: check_seed("seed", 1 << 63), f"seed must be at most {2**63 - 1}, not {2**63}"),
        (lambda: check_steps(("a", 1001), ("b", 1000)), "a times b must be at most 1000000, not 1001000"),
        (lambda: check_steps(("a", 1000), ("b", 1000), 100),
         "a times b must be at most 671088 of 100 inputs each, not 1000000"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    """Each count that is too small or too large is named, also if it cannot be printed."""
    with pytest.raises(FormatError) as error:
        call()
    assert str(error.value) == message


def test_accepted():
    """The largest counts pass."""
    check_count("n", 1)
    check_seed("seed", (1 << 63) - 1)
    check_steps(("a", 1000), ("b", 1000), 67)
    assert require_compared(3) == 3


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    "words, message",
    [
        (["sim", MODEL, "--sequences", 100_000, "--steps", 100_000],
         "--sequences times --steps must be at most 1000000, not 10000000000"),
        (["sim", MODEL, "--sequences", HUGE], f"--sequences must be 1 to 1000000, not {HUGE}"),
        (["sim", MODEL, "--sequences", 1001, "--steps", 1000, "--through", "pins"],
         "--sequences times --steps must be at most 1000000, not 1001000"),
        (["sim", MODEL, "--seed", 10**30], f"--seed must be at most 9223372036854775807, not {10**30}"),
        (["run", MODEL, "--random", HUGE], f"--random must be 1 to 1000000, not {HUGE}"),
        (["run", MODEL, "--random", 1000, "--steps", 5000],
         "--random times --steps must be at most 1000000, not 5000000"),
        (["run", MODEL, "--random", 1, "--steps", HUGE], f"--steps must be 1 to 1000000, not {HUGE}"),
        (["export", MODEL, "-o", "OUT", "--sequences", HUGE],
         f"--sequences must be 1 to 1000000, not {HUGE}"),
        (["export", MODEL, "-o", "OUT", "--sequences", 2000, "--steps", 2000],
         "--sequences times --steps must be at most 1000000, not 4000000"),
        (["sweep", "copy", "--set", "hidden=" + ",".join(map(str, range(1, 400))),
          "--set", "seed=" + ",".join(map(str, range(400)))],
         "a grid must have at most 10000 runs, not 159600"),
        (["boards", MODEL, "--board", "EXITS.py"],
         "board file EXITS.py must run, and fails (line 1) with SystemExit: 3"),
    ],
)  # fmt: skip
def test_huge_counts(run, tmp_path, monkeypatch, words, message):
    """A count, or a product of counts, that no machine holds is one line, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EXITS.py").write_text("raise SystemExit(3)\n")
    start = time.monotonic()
    code, out, err = run(*words)
    assert (code, out, err) == (2, "", f"qornn-hw: error: {message}\n")
    assert time.monotonic() - start < 60
    assert [path.name for path in tmp_path.iterdir()] == ["EXITS.py"]


def test_memory_is_one_line(run, monkeypatch):
    """Whatever else needs more memory than there is ends with one line."""

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("qornn_hw.evaluation.evaluate.info", exhausted)
    code, _, err = run("info", MODEL)
    assert code == 2 and err.startswith("qornn-hw: error: what was asked for must fit into the memory ")
    assert err.count("\n") == 1


def test_nothing_compared():
    """No integers compared is an error, not 0 mismatches."""
    with pytest.raises(DataError, match=r"^at least 1 integer must be compared, and none was, since "):
        require_compared(0)


@pytest.mark.timeout(120)
def test_large_networks_are_described_at_once(tmp_path):
    """`info` of a large network leaves out what takes minutes, and says so."""
    n = 1200
    rng = np.random.default_rng(0)
    network = make_network(
        n=n, m=2, p=2, recurrent_weight=rng.choice([-1, 1], (n, n)), weight_bits=WeightBits(1, 4, 4),
        multiplier=np.ones(n, np.int64), initial_state=np.zeros(n, np.int64),
    )  # fmt: skip
    save_checkpoint(tmp_path / "a.npz", Checkpoint(network))
    start = time.monotonic()
    found = info(Checkpoint(network))
    assert found["orthogonality"].startswith("not computed beyond 512 hidden units; ")
    assert time.monotonic() - start < 30


def test_long_tasks_are_described_at_once():
    """The growth is followed over a bounded number of steps, which is said."""
    network = make_network(n=4, m=10, p=9, **one_hot_fields(10))
    model = Checkpoint(network, task={"name": "copy", "blank": 1_000_000})
    start = time.monotonic()
    assert info(model)["orthogonality"]["growth_steps"] == 100_000
    assert time.monotonic() - start < 60
