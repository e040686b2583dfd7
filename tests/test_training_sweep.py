"""Sweeps: runs on two workers, which runs are repeated, and which are resumed."""

import sys

import pytest

from qornn_hw.errors import CheckpointError, DataError, OutputError, ToolError
from qornn_hw.files.checkpoint import load_checkpoint
from qornn_hw.training import sweep as sweeps
from qornn_hw.training.result_rows import Job, Results, read_rows
from qornn_hw.training.sweep import pending, sweep
from qornn_hw.training.sweep_grid import grid
from qornn_hw.training.sweep_job import execute
from qornn_hw.training.task_configs import CopyConfig

TINY = {"blank": "2", "hidden": "8", "iterations": "3", "finetune_iterations": "2", "batch": "4"}


def command(*arguments):
    """Return the arguments of a tiny sweep."""
    settings = [f"--set={name}={value}" for name, value in TINY.items()]
    return ["sweep", "copy", *settings, *map(str, arguments)]


@pytest.fixture
def here(monkeypatch):
    """Run the jobs in this process; return the list of those that were run."""
    ran = []

    def outcomes(client, jobs, keep, folder):
        for job in jobs:
            ran.append(job)
            yield job, execute(job, keep, folder)

    class Client:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(sweeps, "_client", lambda *_: Client())
    monkeypatch.setattr(sweeps, "_outcomes", outcomes)
    return ran


def test_two_workers(run, tmp_path):
    """Runs on two workers give rows and checkpoints, a failed one its error; none is repeated."""
    out, models = tmp_path / "r.jsonl", tmp_path / "models"
    options = command(
        "--set", "bits=4,5", "--set", "learning-rate-output=0.01,1e38", "-o", out, "--models", models,
        "--requantize", "8,10",
    )  # fmt: skip
    code, text, errors = run(*options, "--workers", 2)
    assert code == 2
    assert "4 runs, 0 of them" in text
    *lines, last = errors.splitlines()
    assert [line[:4] for line in lines] == ["1/4 ", "2/4 ", "3/4 ", "4/4 "]
    assert last.startswith("qornn-hw: error: 2 of 4 runs failed, the first with: the loss must be finite")
    rows = read_rows(out)
    good = [row for row in rows if "error" not in row]
    assert len(rows) == 4 and sorted(row["bits"] for row in good) == [4, 5]
    assert str(tmp_path) not in out.read_text()
    assert {path.name for path in models.iterdir()} == {row["model"] for row in good}
    for row in good:
        checkpoint = load_checkpoint(models / row["model"])
        assert checkpoint.metrics == row["metrics"]
        assert checkpoint.provenance["command"] == row["command"]
        assert row["metric"] == "cross_entropy" and row["seed"] == 0 and row["hidden"] == 8
        assert row["singular_values"][-1] == pytest.approx(row["orthogonality"]["singular_max"], rel=1e-4)
        assert row["curve"][-1]["stage"] == "copy, rounded states"
        assert row["requantized"].keys() == {"8"}  # 10 are its own
        assert row["requantized"]["8"].keys() == row["metrics"]["integer"].keys()
    before = out.read_bytes()
    assert run(*options)[0] == 2
    assert out.read_bytes() == before


def test_resume(here, run, tmp_path):
    """Runs with rows are skipped; an incomplete row is repeated, and a failed one with --retry."""
    out = tmp_path / "r.jsonl"
    assert run(*command("--set", "bits=4", "-o", out))[0] == 0
    code, text, _ = run(*command("--set", "bits=4,5", "-o", out))
    assert code == 0 and "2 runs, 1 of them" in text and text.endswith(f"wrote {out}\n")
    assert [job.config.bits for job in here] == [4, 5]
    out.write_bytes(out.read_bytes()[:-9])
    code, _, errors = run(*command("--set", "bits=4,5", "-o", out))
    assert code == 0 and "the last line was incomplete" in errors
    assert [job.config.bits for job in here] == [4, 5, 5] and len(read_rows(out)) == 2
    with Results.open(out) as results:
        results.append(here[0].head() | {"error": "a bad day"})
    code, _, errors = run(*command("--set", "bits=4,5", "-o", out))
    assert code == 2 and "1 of 2 runs failed, the first with: a bad day" in errors and len(here) == 3
    assert run(*command("--set", "bits=4,5", "-o", out, "--retry"))[0] == 0
    assert [job.config.bits for job in here] == [4, 5, 5, 4] and len(read_rows(out)) == 4


def test_interrupted_run_goes_on(here, monkeypatch, tmp_path):
    """With --models a saved run is resumed; a damaged one starts again."""
    from qornn_hw.training import run as runs

    job = Job(CopyConfig(blank=2, hidden=8, iterations=3, finetune_iterations=0, batch=4))
    (tmp_path / f"{job.digest}.run").write_bytes(b"damaged")
    resumed = []
    train = runs.train

    def spy(config, out=None, resume=False, quiet=False, device="cpu"):
        resumed.append(resume)
        return train(config, out, resume, quiet, device)

    monkeypatch.setattr(runs, "train", spy)
    with Results.open(tmp_path / "r.jsonl") as results:
        sweep([job], results, models=tmp_path)
    assert resumed == [False]
    assert "error" not in results.rows[0]
    assert {path.name for path in tmp_path.iterdir()} == {"r.jsonl", f"{job.digest}.npz"}


@pytest.fixture
def saved(monkeypatch):
    """Let training save its run and leave it there; return what is done with a run that was saved."""
    from qornn_hw.training import run as runs
    from qornn_hw.training import run_file

    monkeypatch.setattr(run_file.RunFile, "due", property(lambda self: True))
    train, resumed = runs.train, []

    def spy(config, out=None, resume=False, quiet=False, device="cpu"):
        resumed.append(resume)
        return train(config, out, resume, quiet, device)

    monkeypatch.setattr(runs, "train", spy)
    return resumed


def test_saved_run_is_there_until_all_is_safe(here, monkeypatch, saved, tmp_path):
    """A saved run is removed only after its row and its checkpoint are on the disk."""
    job = Job(CopyConfig(blank=2, hidden=8, iterations=3, finetune_iterations=0, batch=4))
    run_file, model = tmp_path / f"{job.digest}.run", tmp_path / f"{job.digest}.npz"
    with Results.open(tmp_path / "r.jsonl") as results:
        with monkeypatch.context() as patch:
            full = OutputError("the disk is full")
            patch.setattr(Results, "append", lambda *_: (_ for _ in ()).throw(full))
            with pytest.raises(OutputError, match="full"):
                sweep([job], results, models=tmp_path)
        assert run_file.exists() and model.exists()
        sweep([job], results, models=tmp_path)
    assert saved == [False, True] and "error" not in results.rows[0]
    assert model.exists() and not run_file.exists()


def test_failed_run_begins_anew(here, saved, tmp_path):
    """A run that ended with non-finite numbers is started again, other failed runs are resumed."""
    job = grid("copy", TINY | {"learning_rate_output": "1e38"})[0]
    with Results.open(tmp_path / "r.jsonl") as results:
        sweep([job], results, models=tmp_path)
        assert "must be finite" in results.rows[0]["error"]
        assert not (tmp_path / f"{job.digest}.run").exists()
        sweep([job], results, models=tmp_path, retry=True)
    assert saved == [False, False]


def test_checkpoint_error_of_a_run_is_its_error(monkeypatch, saved, tmp_path):
    """Only an unusable run file restarts a run; an error of the training is not retried."""
    from qornn_hw.training import run as runs

    job = Job(CopyConfig(blank=2, hidden=8, iterations=3, finetune_iterations=0, batch=4))
    runs.train(job.config, tmp_path / f"{job.digest}.npz", quiet=True)
    assert (tmp_path / f"{job.digest}.run").exists()
    tried = []

    def fails(config, out=None, resume=False, quiet=False, device="cpu"):
        tried.append(resume)
        raise CheckpointError("the export failed")

    monkeypatch.setattr(runs, "train", fails)
    row, _ = execute(job, folder=tmp_path)
    assert row["error"] == "the export failed" and tried == [True]
    assert (tmp_path / f"{job.digest}.run").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")
def test_models_are_of_one_sweep(here, tmp_path):
    """A second sweep with the same checkpoint folder is refused while the first one runs."""
    jobs, models = grid("copy", TINY), tmp_path / "models"
    with Results.open(tmp_path / "a.jsonl") as one, Results.open(tmp_path / "b.jsonl") as other:

        def second(_):
            with pytest.raises(OutputError, match="another sweep keeps its checkpoints there"):
                sweep(jobs, other, models=models)

        sweep(jobs, one, models=models, report=second)
        assert len(one.rows) == 1 and not other.rows
        sweep(jobs, other, models=models)
        assert len(other.rows) == 1


def test_widths_that_a_row_lacks(here, run, tmp_path):
    """A run whose row lacks a requested width is repeated, with a message."""
    out = tmp_path / "r.jsonl"
    assert run(*command("-o", out))[0] == 0
    code, text, _ = run(*command("-o", out, "--requantize", "8,10"))
    assert code == 0 and "1 runs, 0 of them" in text
    assert f"1 of {out} are run again for states of 8,10 bits" in text
    assert len(here) == 2 and read_rows(out)[1]["requantized"].keys() == {"8"}
    for asked in ("8", "8,10"):
        code, text, _ = run(*command("-o", out, "--requantize", asked))
        assert code == 0 and "again" not in text and len(here) == 2
    assert run(*command("-o", out, "--requantize", "8,9"))[0] == 0 and len(here) == 3
    failed = here[0].head() | {"error": "a bad day"}
    wide = grid("copy", TINY, widths=(8,))
    assert pending(wide, [failed]) == [] and pending(wide, [failed], retry=True) == wide
    float_ = [Job(wide[0].config, "lstm", (8,))]
    assert pending(float_, [float_[0].head() | {"metrics": {}}]) == []


def test_defect_spares_the_other_runs(here, monkeypatch, tmp_path):
    """An exception that is no run's error is raised when the others are complete."""
    jobs = grid("copy", TINY | {"bits": "4,5"})
    defects = iter([ZeroDivisionError("a defect"), None])

    def outcomes(client, jobs, keep, folder):
        for job in jobs:
            yield job, next(defects) or execute(job)

    monkeypatch.setattr(sweeps, "_outcomes", outcomes)
    with Results.open(tmp_path / "r.jsonl") as results, pytest.raises(ZeroDivisionError):
        sweep(jobs, results)
    assert [row["bits"] for row in read_rows(tmp_path / "r.jsonl")] == [5]
    assert pending(jobs, results.rows) == jobs[:1]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_scheduler_that_is_not_there(monkeypatch, run, tmp_path, address):
    """A scheduler that cannot be reached is one line."""
    monkeypatch.setattr(sweeps, "_CONNECT_SECONDS", 1)
    code, _, errors = run(*command("-o", tmp_path / "r.jsonl", "--scheduler", address))
    assert code == 2
    (line,) = errors.splitlines()
    assert f"{address} cannot be reached" in line


def test_refusals_of_the_command(run, tmp_path):
    """An error is one line, with exit code 2."""
    out = tmp_path / "r.jsonl"
    for options, message in (
        (("-o", tmp_path), "must be writable"),
        (("-o", out, "--workers", 0), "--workers must be 1 to 1024, not 0"),
        (("-o", out, "--workers", 2, "--scheduler", "tcp://x:1"), "--workers must be left out"),
        (("-o", out, "--set", "bits"), "--set must be NAME=V1,V2,..., not 'bits'"),
        (("-o", out, "--set", "batch=2"), "--set batch must be given once"),
        (("-o", out, "--requantize", "8,3"), "--requantize must be bits of states, 4 to 16"),
        (("-o", out, "--requantize", ""), "--requantize must be bits of states, 4 to 16"),
        (("-o", out, "--models", out), "must be a writable folder"),
    ):
        code, _, errors = run(*command(*options))
        assert code == 2 and len(errors.splitlines()) == 1 and message in errors, errors


def test_missing_packages(monkeypatch, tmp_path):
    """Without dask, torch or the data a sweep does not start; the message says what to do."""
    jobs = grid("copy", TINY)
    with Results.open(tmp_path / "r.jsonl") as results:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "distributed", None)
            with pytest.raises(ToolError, match=r"pip install 'qornn-hw\[sweep\]'"):
                sweep(jobs, results)
        with monkeypatch.context() as patch:
            patch.setattr("importlib.util.find_spec", lambda name: None)
            with pytest.raises(CheckpointError, match=r"pip install 'qornn-hw\[train\]'"):
                sweep(jobs, results)
        with pytest.raises(DataError, match="no such folder"):
            sweep(grid("mnist", {}, str(tmp_path / "none")), results)
