"""Sweeps: the grid, the runs on two workers, what is run again and what is not."""

import json
import sys

import pytest

from qornn_hw.checkpoint import load_checkpoint
from qornn_hw.errors import CheckpointError, DataError, FormatError, OutputError, ToolError
from qornn_hw.training import sweep as sweeps
from qornn_hw.training.config import CopyConfig, MnistConfig
from qornn_hw.training.result_rows import Job, Results, read_rows
from qornn_hw.training.sweep import execute, grid, pending, sweep

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


def test_grid():
    """All combinations, in order, with values of the options' types."""
    jobs = grid("copy", {"bits": "3,4", "learning-rate-input": "0.5", "method": "free, ptq"})
    assert [(j.config.bits, j.config.method) for j in jobs] == [
        (3, "free"), (3, "ptq"), (4, "free"), (4, "ptq"),
    ]  # fmt: skip
    assert all(j.config.learning_rate_input == 0.5 and j.config.blank == 1000 for j in jobs)
    assert grid("copy", {}) == [Job(CopyConfig())]
    assert grid("copy", {"bfloat16": "true,no"})[1].config.bfloat16 is False
    (job,) = grid("mnist", {}, "x")
    assert isinstance(job.config, MnistConfig) and job.config.data.endswith("/x")
    assert grid("arrays", {"task_file": "a.npz"})[0].config.task_file == "a.npz"
    assert [j.device for j in grid("copy", {"bits": "3,4"}, device="cuda")] == ["cuda", "cuda"]


@pytest.mark.parametrize(
    "task, settings, data, message",
    [
        ("copi", {}, None, "the task must be one of copy, adding"),
        ("copy", {"bots": "3"}, None, "--set must name an option of copy: hidden, bits,"),
        ("copy", {"data": "x"}, None, "--set must name an option"),
        ("copy", {"bits": "3,x"}, None, "--set bits must have whole numbers, not 'x'"),
        ("copy", {"bits": "3,"}, None, "--set bits must have whole numbers, not ''"),
        ("copy", {"method": ""}, None, "--set method must have values"),
        ("copy", {"hold": "a"}, None, "--set hold must have numbers"),
        ("copy", {"bfloat16": "2"}, None, "--set bfloat16 must have true or false"),
        ("copy", {"bits": "3,3"}, None, "--set bits must have each value once"),
        ("copy", {"bits": "9"}, None, "bits must be 1 to 8"),
        ("copy", {"linear_start": "1"}, None, "linear_start must be 0 for identity"),
        ("copy", {"seed": ",".join(map(str, range(10_001)))}, None, "at most 10000 runs"),
        ("copy", {}, "x", "--data must be left out"),
        ("mnist", {}, None, "--data must name the folder"),
        ("arrays", {}, None, "--set task_file must be given"),
    ],
)
def test_grid_refuses(task, settings, data, message):
    """What cannot be is refused before anything runs, in a line."""
    with pytest.raises(FormatError, match=message) as error:
        grid(task, settings, data)
    assert "\n" not in str(error.value)


def test_two_workers(run, tmp_path):
    """Runs on two workers have rows and checkpoints, one that fails has its reason; none is run again."""
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
    """Runs whose rows are there are skipped; a torn row is said and run again, a failed one with --retry."""
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
    """With --models a run that was saved is taken up; a damaged one begins anew."""
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
    from qornn_hw.training import trainer

    monkeypatch.setattr(trainer.RunFile, "due", property(lambda self: True))
    train, resumed = runs.train, []

    def spy(config, out=None, resume=False, quiet=False, device="cpu"):
        resumed.append(resume)
        return train(config, out, resume, quiet, device)

    monkeypatch.setattr(runs, "train", spy)
    return resumed


def test_saved_run_is_there_until_all_is_safe(here, monkeypatch, saved, tmp_path):
    """What was saved of a run is removed after its row and its checkpoint are on the disk, not before."""
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
    """A run that ended in numbers that are not finite is not taken up there again; others are."""
    job = grid("copy", TINY | {"learning_rate_output": "1e38"})[0]
    with Results.open(tmp_path / "r.jsonl") as results:
        sweep([job], results, models=tmp_path)
        assert "must be finite" in results.rows[0]["error"]
        assert not (tmp_path / f"{job.digest}.run").exists()
        sweep([job], results, models=tmp_path, retry=True)
    assert saved == [False, False]


def test_checkpoint_error_of_a_run_is_its_error(monkeypatch, saved, tmp_path):
    """Only a file that cannot be taken up begins a run anew; what training raises is not tried twice."""
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
    """A second sweep that keeps its checkpoints in the same folder is refused, and not after the first."""
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
    """A run whose row has not all widths that are asked for is run again, and that is said."""
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


def test_error_row_names_no_folder(tmp_path):
    """The reason of a run that failed names the folder of the data as DIR."""
    row, content = execute(Job(MnistConfig(data=str(tmp_path / "none"))), keep=True)
    assert content is None and "metrics" not in row
    assert row["error"].startswith("DIR: no such folder")
    assert str(tmp_path) not in json.dumps(row)


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


def test_baseline_row(monkeypatch):
    """A baseline's row has its kind as the method and what its training returned."""
    module = pytest.importorskip("qornn_hw.training.baseline_run")
    curve = [{"stage": "copy, lstm", "iteration": i, "loss": 1 / (i + 1)} for i in range(100)]
    part = {"metrics": {"float": {"cross_entropy": 1.0}}, "kilobytes": 9.0, "curve": curve}
    monkeypatch.setattr(module, "train_baseline", lambda config, kind, hidden, quiet: part)
    row, _ = execute(Job(CopyConfig(hidden=7), baseline="lstm"))
    assert row["method"] == row["config"]["baseline"] == "lstm" and row["hidden"] == 7
    assert row["kilobytes"] == 9.0 and len(row["curve"]) == 25 and row["curve"][-1]["iteration"] == 99
    part["metrics"] = {"float": {"cross_entropy": float("nan")}}
    row, _ = execute(Job(CopyConfig(hidden=7), baseline="lstm"))
    assert row["error"] == "what was measured must be finite, and is not"


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_scheduler_that_is_not_there(monkeypatch, run, tmp_path, address):
    """A scheduler that cannot be reached is one line."""
    monkeypatch.setattr(sweeps, "_CONNECT_SECONDS", 1)
    code, _, errors = run(*command("-o", tmp_path / "r.jsonl", "--scheduler", address))
    assert code == 2
    (line,) = errors.splitlines()
    assert f"{address} cannot be reached" in line


def test_refusals_of_the_command(run, tmp_path):
    """What cannot be done is one line and exit code 2."""
    out = tmp_path / "r.jsonl"
    for options, message in (
        (("-o", tmp_path), "must be a file that can be written"),
        (("-o", out, "--workers", 0), "--workers must be 1 to 1024, not 0"),
        (("-o", out, "--workers", 2, "--scheduler", "tcp://x:1"), "--workers must be left out"),
        (("-o", out, "--set", "bits"), "--set must be NAME=V1,V2,..., not 'bits'"),
        (("-o", out, "--set", "batch=2"), "--set batch must be given once"),
        (("-o", out, "--requantize", "8,3"), "--requantize must be bits of states, 4 to 16"),
        (("-o", out, "--requantize", ""), "--requantize must be bits of states, 4 to 16"),
        (("-o", out, "--models", out), "must be a folder that can be written"),
    ):
        code, _, errors = run(*command(*options))
        assert code == 2 and len(errors.splitlines()) == 1 and message in errors, errors


def test_missing_packages(monkeypatch, tmp_path):
    """Without dask, torch or the data a sweep ends before it begins, and says what to do."""
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
