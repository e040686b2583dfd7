"""Many runs on dask.distributed, each with a row in a file of results; what is there is not run again.

    with Results.open(path) as results:
        sweep(grid("copy", {"bits": "4,5", "seed": "0,1"}), results)

A worker needs the extra ``train``, the process that starts it only ``sweep``. The runs of a worker process
take turns, because torch's random numbers and threads are the process's: give workers one thread each.
"""

import importlib.util
import itertools
import json
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from qornn_hw.checkpoint import Checkpoint, save_checkpoint
from qornn_hw.errors import CheckpointError, FormatError, OutputError, QornnError, ToolError, TrainingError
from qornn_hw.evaluate import evaluate, task_of
from qornn_hw.float_model import dequantized
from qornn_hw.requantize import calibration_inputs, requantized
from qornn_hw.training.config import CONFIGS, RunConfig
from qornn_hw.training.orthogonality import orthogonality
from qornn_hw.training.result_rows import VERSION, Job, Results, Row, kilobytes, latest

__all__ = ["Finished", "cores", "execute", "grid", "options_of", "sweep"]

MOST_RUNS = 10_000
_POINTS = 30
_QUANTILES = 65
_CONNECT_SECONDS = 15
# What the command line gives in another way, or what changes no result.
_NOT_SET = ("data", "checkpoint_minutes")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_turn = threading.Lock()


@dataclass(frozen=True)
class Finished:
    """What is told of a run that is complete.

    Attributes:
        row: its row.
        done: how many of the runs of this sweep are complete now, this one too.
        total: how many there are to run.
    """

    row: Row
    done: int
    total: int


# -- the grid ----------------------------------------------------------------------------------------


def config_class(task: str) -> type[RunConfig]:
    """Return the configuration of a task, as in `qornn-hw train TASK`.

    Raises:
        FormatError: there is no such task.
    """
    for found in CONFIGS:
        if found.command == task:
            return found
    raise FormatError(f"the task must be one of {', '.join(c.command for c in CONFIGS)}, not {task!r}")


def options_of(config: type[RunConfig]) -> dict[str, "Field[Any]"]:
    """Return the options of a configuration that a grid can have, by name."""
    return {f.name: f for f in fields(config) if f.name not in _NOT_SET}


def _value(field: "Field[Any]", text: str) -> Any:
    try:
        if field.type is bool:
            return _BOOLEANS[text.lower()]
        return field.type(text) if field.type in (int, float) else text
    except (ValueError, KeyError):
        kind = {int: "whole numbers", float: "numbers", bool: "true or false"}[field.type]  # type: ignore[index]
        raise FormatError(f"--set {field.name} must have {kind}, not {text!r}") from None


def grid(
    task: str,
    settings: Mapping[str, str],
    data: str | None = None,
    widths: tuple[int, ...] = (),
    device: str = "cpu",
) -> list[Job]:
    """Return all combinations of the values of some options, the last option varying fastest.

    Args:
        task: as in `qornn-hw train TASK`.
        settings: option to values, separated by commas; other options have their defaults. A dash in a name
            is as good as an underscore.
        data: the folder of the data, for tasks that need it.
        widths: of :class:`Job`.
        device: likewise.

    Raises:
        FormatError: an option or a value cannot be.
    """
    config = config_class(task)
    known = options_of(config)
    values: dict[str, list[Any]] = {}
    for option, text in settings.items():
        name = option.replace("-", "_")
        if name not in known:
            raise FormatError(f"--set must name an option of {task}: {', '.join(known)}; not {option!r}")
        if name in values:
            raise FormatError(f"--set {name} must be given once, with all its values separated by commas")
        values[name] = [_value(known[name], part.strip()) for part in text.split(",")]
        if not all(part.strip() for part in text.split(",")):
            raise FormatError(f"--set {name} must have values separated by commas, not {text!r}")
        if len({*values[name]}) < len(values[name]):
            raise FormatError(f"--set {name} must have each value once, not {text!r}")
    count = int(np.prod([len(v) for v in values.values()], dtype=object))
    if count > MOST_RUNS:
        raise FormatError(f"a grid must have at most {MOST_RUNS} runs, not {count}")
    fixed: dict[str, Any] = {}
    wants_data = any(f.name == "data" for f in fields(config))
    if wants_data:
        if data is None:
            raise FormatError(f"--data must name the folder with the data of {task}")
        fixed["data"] = str(Path(data).resolve())
    elif data is not None:
        raise FormatError(f"--data must be left out: {task} has no folder of data")
    for name, f in known.items():
        if f.default is MISSING and name not in values:
            raise FormatError(f"--set {name} must be given for {task}")
    return [
        Job(config(**fixed, **dict(zip(values, chosen, strict=True))), widths=widths, device=device)
        for chosen in itertools.product(*values.values())
    ]


# -- one run -----------------------------------------------------------------------------------------


def _short(value: Any) -> Any:
    """Return a value with its floats to six digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    return value


def _thinned(curve: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most so many points of each stage, its last among them."""
    found = []
    for _, stage in itertools.groupby(curve, key=lambda point: point.get("stage")):
        points = list(stage)
        every = -(-len(points) // _POINTS)
        found += [p for i, p in enumerate(points) if (len(points) - 1 - i) % every == 0]
    return [_short(p) for p in found]


def measured(checkpoint: Checkpoint) -> Row:
    """Return the part of a row that a trained checkpoint gives."""
    w = dequantized(checkpoint.network).recurrent_weight
    singular = np.linalg.svd(w, compute_uv=False)
    return {
        "metrics": checkpoint.metrics,
        "kilobytes": kilobytes(checkpoint.network),
        "orthogonality": _short(orthogonality(w)),
        "singular_values": [_short(float(s)) for s in np.quantile(singular, np.linspace(0, 1, _QUANTILES))],
        "curve": _thinned(checkpoint.provenance.get("curve", [])),
    }


def _trained(job: Job, out: Path | None) -> Checkpoint:
    """Train, going on with what an interrupted sweep saved of the run, if it did."""
    from qornn_hw.training.run import run_file_of, train
    from qornn_hw.training.trainer import RunFile

    resume = out is not None and run_file_of(out).exists()
    if out is not None and resume:
        try:
            RunFile(run_file_of(out), 0).load(job.config)
        except CheckpointError:  # the file is damaged, or of another time
            _forget(out)
            resume = False
    return train(job.config, out, resume, quiet=True, device=job.device)


def _forget(out: Path | None) -> None:
    """Remove what was saved of the run whose checkpoint is ``out``."""
    if out is not None:
        from qornn_hw.training.run import run_file_of

        run_file_of(out).unlink(missing_ok=True)


def execute(job: Job, keep: bool = False, folder: Path | None = None) -> tuple[Row, bytes | None]:
    """Run a job in this process; other calls wait for it.

    Args:
        job: the run.
        keep: return the checkpoint, too.
        folder: where an interrupted run is saved and taken up again; None: it is not.

    Returns:
        The row, and the checkpoint as the bytes of its .npz file, if it is to be kept and there is one. A
        run that fails has a row with ``error``. What was saved of the run is still there, for the caller to
        remove when row and checkpoint are safe; not so of a run that ended in numbers that are not finite,
        which would only end there again.
    """
    with _turn:
        started = time.monotonic()
        row, content = job.head(), None
        out = None if folder is None else folder / f"{job.digest}.npz"
        try:
            row["metric"] = job.config.task().metric
            if job.baseline is not None:
                row |= _baseline(job)
            else:
                checkpoint = _trained(job, out)
                row |= measured(checkpoint)
                if job.widths:
                    row["requantized"] = _requantized(checkpoint, job)
                if keep:
                    content = _as_bytes(checkpoint)
        except QornnError as error:
            row["error"] = _without_places(str(error), job.config, out)
            if isinstance(error, TrainingError):
                _forget(out)
        if not _finite(row):
            _forget(out)
            row, content = job.head() | {"error": "what was measured must be finite, and is not"}, None
        row["seconds"] = round(time.monotonic() - started, 1)
    return row, content


def _finite(row: Row) -> bool:
    try:
        json.dumps(row, allow_nan=False)
    except ValueError:
        return False
    return True


def _requantized(checkpoint: Checkpoint, job: Job) -> dict[str, dict[str, float]]:
    """Return the metrics of the integers with other widths of the state."""
    data = job.config.data_dir
    inputs = calibration_inputs(task_of(checkpoint, data), checkpoint.network.hidden_size)
    return {
        str(bits): evaluate(requantized(checkpoint, bits, inputs), data, rungs=("integer",))["integer"]
        for bits in job.widths
        if bits != job.config.state_bits
    }


def _baseline(job: Job) -> Row:
    """Return the part of a row that a full-precision network gives."""
    from qornn_hw.training.baseline_run import train_baseline

    part = train_baseline(job.config, str(job.baseline), job.config.hidden, quiet=True)
    return part | {"curve": _thinned(part.get("curve", []))}


def _as_bytes(checkpoint: Checkpoint) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.npz"
        save_checkpoint(path, checkpoint)
        return path.read_bytes()


def _without_places(message: str, config: RunConfig, out: Path | None) -> str:
    """Return a message in one line without the folders of this machine."""
    places = {str(config.data_dir): "DIR", str(out.parent if out else None): "DIR"}
    for place, name in places.items():
        if place != "None":
            message = message.replace(place, name)
    return " ".join(message.split())


# -- all runs ----------------------------------------------------------------------------------------


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _quietly(*_: Any) -> None:
    """Let a worker leave Ctrl-C to the process that started it."""
    import signal

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _worker_version() -> int:
    return VERSION


@contextmanager
def _client(workers: int | None, scheduler: str | None, most: int) -> Iterator[Any]:
    """Connect to a scheduler, or start workers here; yield dask's client."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise ToolError(
            f"a sweep must have {error.name}, which is not installed; pip install 'qornn-hw[sweep]'"
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if scheduler is not None:
            try:
                client = stack.enter_context(Client(scheduler, timeout=_CONNECT_SECONDS))
            except (OSError, ValueError) as error:
                raise ToolError(
                    "--scheduler must be the address of a dask scheduler that runs, such as tcp://HOST:8786; "
                    f"{scheduler} cannot be reached"
                ) from error
            _check_workers(client, scheduler)
        else:
            if importlib.util.find_spec("torch") is None:
                raise CheckpointError(
                    "training must have torch, which is not installed; pip install 'qornn-hw[train]'"
                )
            # A run that holds the interpreter for long is not dead, and one whose worker died (of memory,
            # mostly) would only die again.
            stack.enter_context(
                dask.config.set(
                    {
                        "distributed.scheduler.worker-ttl": None,
                        "distributed.scheduler.allowed-failures": 0,
                        "distributed.admin.tick.limit": "1h",
                    }
                )
            )
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=min(workers or cores(), most),
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=0,
                    # A port that is free: 8787, the default, may be another sweep's.
                    dashboard_address="127.0.0.1:0",
                    local_directory=stack.enter_context(tempfile.TemporaryDirectory()),
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
            client.run(_quietly)
        yield client


def _check_workers(client: Any, scheduler: str) -> None:
    """Raise a ToolError unless the scheduler has workers that have this qornn_hw."""
    try:
        versions = set(client.run(_worker_version).values())
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise ToolError(f"the workers of {scheduler} must have qornn-hw[train]: {reason}") from error
    if not versions:
        raise ToolError(
            f"{scheduler} must have workers; start some with: dask worker {scheduler} --nthreads 1"
        )
    if versions != {VERSION}:
        raise ToolError(f"the workers of {scheduler} must have the qornn-hw that is here")


def _check_data(jobs: Sequence[Job]) -> None:
    """Read the data of each task once, so that what is missing is found before hours of work."""
    for job in {job.config.command: job for job in jobs}.values():
        job.config.task().load()


@contextmanager
def _folder(models: Path) -> Iterator[None]:
    """Make a folder for checkpoints and hold it for this process alone.

    Raises:
        OutputError: it cannot be written, or another sweep has it.
    """
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=models):
            pass
    except OSError as error:
        raise OutputError(f"{models} must be a folder that can be written: {error.strerror}") from error
    if sys.platform == "win32":
        yield
        return
    import fcntl

    held = os.open(models, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"{models} must be free, but another sweep keeps its checkpoints there; wait, or name "
                "another folder"
            ) from None
        except OSError:  # a file system that cannot lock folders
            pass
        yield
    finally:
        os.close(held)


def _lacks(row: Row, job: Job) -> bool:
    """Return whether a row has not all other widths of the state that the job asks for."""
    if job.baseline is not None:
        return False
    there = row.get("requantized") or {}
    return any(str(bits) not in there for bits in job.widths if bits != job.config.state_bits)


def pending(jobs: Sequence[Job], rows: Sequence[Row], retry: bool = False) -> list[Job]:
    """Return the jobs to run: without a row, or whose row has not all widths of the state.

    Args:
        jobs: the runs.
        rows: what is there.
        retry: those whose row has an error, too.
    """
    left = []
    for job in jobs:
        row = latest(rows, job)
        if row is None or (retry if "error" in row else _lacks(row, job)):
            left.append(job)
    return left


def sweep(
    jobs: Sequence[Job],
    results: Results,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    models: Path | None = None,
    retry: bool = False,
    report: Callable[[Finished], None] | None = None,
) -> None:
    """Run the jobs that are :func:`pending`; append each row as soon as its run is complete.

    Whatever ends the call, an exception in ``report`` or Ctrl-C too, ends the workers that it started; the
    rows until then are kept.

    Args:
        jobs: the runs.
        results: where the rows go.
        workers: processes on this machine, one run each at a time; by default one for each core.
        scheduler: the address of a dask scheduler in place of them.
        models: keep each checkpoint there as DIGEST.npz, named in its row; runs on this machine are saved
            there, too, while they last, and an interrupted one goes on when it is swept again.
        retry: run again what has failed before.
        report: is called with each row.

    Raises:
        DataError: the data are absent (on this machine, without a scheduler).
        ToolError: dask is not installed, or the scheduler cannot be reached or was lost.
        OutputError: a file cannot be written.
    """
    if workers is not None and (scheduler is not None or not 1 <= workers <= 1024):
        need = "be left out with --scheduler" if scheduler is not None else "be 1 to 1024"
        raise FormatError(f"--workers must {need}, not {workers}")
    left = pending(jobs, results.rows, retry)
    if not left:
        return
    folder = models.resolve() if models is not None and scheduler is None else None
    defect: Exception | None = None
    with ExitStack() as stack:
        if models is not None:
            stack.enter_context(_folder(models))
        if scheduler is None:
            _check_data(left)
        client = stack.enter_context(_client(workers, scheduler, len(left)))
        outcomes = stack.enter_context(closing(_outcomes(client, left, models is not None, folder)))
        for done, (job, outcome) in enumerate(outcomes, start=1):
            if isinstance(outcome, Exception):
                defect = defect or outcome
                continue
            row, content = outcome
            if models is not None and content is not None:
                _write(models / f"{job.digest}.npz", content)
                row["model"] = f"{job.digest}.npz"
            results.append(row)
            # Now that row and checkpoint are on the disk; a run that failed for want of something goes on
            # with --retry.
            if folder is not None and "error" not in row:
                _forget(folder / f"{job.digest}.npz")
            if report is not None:
                report(Finished(row, done, len(left)))
    if defect is not None:
        # Not one of the errors that a run can end with: a defect of the program, of which the other runs
        # need not suffer.
        raise defect


def _outcomes(
    client: Any, jobs: Sequence[Job], keep: bool, folder: Path | None
) -> Generator[tuple[Job, tuple[Row, bytes | None] | Exception]]:
    """Yield each job with what came of it, in the order in which they end."""
    from concurrent.futures import CancelledError

    from distributed import KilledWorker, as_completed

    futures = {client.submit(execute, job, keep, folder, pure=False): job for job in jobs}
    try:
        for future in as_completed(list(futures)):
            job = futures.pop(future)
            try:
                yield job, future.result()
            except KilledWorker:
                yield job, (job.head() | {"error": "the worker died; it may have run out of memory"}, None)
            except CancelledError as error:
                raise ToolError("the scheduler must last as long as the sweep, but was lost") from error
            except QornnError:
                raise
            except Exception as error:
                yield job, error
            future.release()
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.cancel(list(futures), force=True)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} must be a file that can be written: {error.strerror}") from error
