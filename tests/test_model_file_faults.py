"""benchmarks/model_file_faults.py: damaged and hostile model files are refused, and the judge sees faults."""

import pickle
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from networks import make_network

from qornn_hw.cells.elman import lower
from qornn_hw.errors import CheckpointError
from qornn_hw.ir.serial import network_digest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def faults(monkeypatch):
    """Return the module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import model_file_faults

    return model_file_faults


def test_some_mutants():
    """Two thousand mutants end well: refused, or the same network."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "model_file_faults.py", "--mutants", "2000", "--seed", "10000000",
         "--processes", "2"],
        capture_output=True, text=True, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2000 mutants, 0 did not end well" in done.stdout


def test_nothing_judged_is_no_success():
    """No mutants are an error."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "model_file_faults.py", "--mutants", "0"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "nothing judged is no success" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_all_mutants():
    """A hundred thousand mutants end well."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "model_file_faults.py"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_kind_changes_the_file(faults, tmp_path):
    """Each kind of mutant differs from its file nearly always, and the same seed gives the same one."""
    for path in faults.base_files(tmp_path):
        data = path.read_bytes()
        for change in faults.KINDS.values():
            made = [change(data, random.Random(seed)) for seed in range(12)]
            assert sum(one != data for one in made) >= 9
            assert change(data, random.Random(3)) == made[3]


def network_of(value):
    """Return what a loader returns."""
    return SimpleNamespace(network=value)


def refuse(path):
    """Refuse in two lines."""
    raise CheckpointError("one\ntwo")


def crash(path):
    """Fail as no loader may."""
    raise KeyError("x")


def slow(path):
    """Take longer than is allowed."""
    time.sleep(1.2)
    raise CheckpointError("late")


GOOD, OTHER = (lower(make_network(seed=seed)) for seed in (0, 1))
PLANTED = [
    (lambda path: network_of(GOOD), "same network"),
    (lambda path: network_of(OTHER), "another network"),
    (refuse, "message of several lines"),
    (crash, "crash: KeyError"),
    (slow, "hang"),
    (lambda path: network_of(pickle.loads(b"cos\ngetpid\n)R.") and GOOD), "ran code: pickle.find_class"),
    (lambda path: network_of((exec("1"), GOOD)[1]), "ran code: exec"),
    (lambda path: network_of((path.with_name("x").mkdir(), GOOD)[1]), "ran code: os.mkdir"),
    (lambda path: network_of((path.with_name("y").write_text(""), GOOD)[1]), "ran code: open"),
    (lambda path: network_of((subprocess.run(["true"], check=True), GOOD)[1]), "ran code: .*subprocess.*"),
]  # fmt: skip


@pytest.mark.parametrize("load, verdict", PLANTED, ids=[str(i) for i in range(len(PLANTED))])
def test_the_judge_sees_faults(faults, monkeypatch, tmp_path, load, verdict):
    """A loader that gives another network, crashes, hangs, or runs or writes something is found out."""
    monkeypatch.setattr(faults, "SECONDS", 1.0)
    monkeypatch.setattr(faults, "MEGABYTES", 1 << 30)
    assert re.fullmatch(verdict, faults.judge(tmp_path, b"x", ".pt", network_digest(GOOD), load))


def test_the_judge_sees_memory(faults, monkeypatch, tmp_path):
    """A process that has grown beyond the limit is found out."""
    monkeypatch.setattr(faults, "MEGABYTES", 1)
    verdict = faults.judge(tmp_path, b"x", ".pt", network_digest(GOOD), lambda path: network_of(GOOD))
    assert verdict == "memory"
