"""Sweep: many training runs on dask.distributed, with one row a run in a results file.

    with Results.open(path) as results:
        sweep(grid("copy", {"bits": "4,5", "seed": "0,1"}), results)

Runs that have a row are not repeated. Workers need the extra ``train``; the process that starts the sweep
needs only ``sweep``. A worker process does one run at a time, because torch's random numbers and threads
belong to the process: give workers one thread each.
"""

import importlib.util
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qornn_hw.errors import CheckpointError, FormatError, OutputError, QornnError, ToolError
from qornn_hw.training.result_rows import VERSION, Job, Results, Row, latest
from qornn_hw.training.sweep_job import execute, forget

__all__ = ["Finished", "cores", "pending", "sweep"]

_CONNECT_SECONDS = 15


@dataclass(frozen=True)
class Finished:
    """A completed run, for the report function.

    Attributes:
        row: its row.
        done: number of completed runs of this sweep, including this one.
        total: number of runs of this sweep.
    """

    row: Row
    done: int
    total: int


def cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not available on every system
        return os.cpu_count() or 1


def _quietly(*_: Any) -> None:
    """Make a worker ignore Ctrl-C, which the process that started it handles."""
    import signal

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _worker_version() -> int:
    return VERSION


@contextmanager
def _client(workers: int | None, scheduler: str | None, most: int) -> Iterator[Any]:
    """Yield a dask client, connected to a scheduler or to new local workers."""
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
                    "scheduler must be the address of a dask scheduler that runs, such as tcp://HOST:8786; "
                    f"{scheduler} cannot be reached"
                ) from error
            _check_workers(client, scheduler)
        else:
            if importlib.util.find_spec("torch") is None:
                raise CheckpointError(
                    "training must have torch, which is not installed; pip install 'qornn-hw[train]'"
                )
            # A run that holds the interpreter for long is not dead, and a run whose worker died (usually for
            # lack of memory) would die again.
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
                    # A free port: the default, 8787, may be in use by another sweep.
                    dashboard_address="127.0.0.1:0",
                    local_directory=stack.enter_context(tempfile.TemporaryDirectory()),
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
            client.run(_quietly)
        yield client


def _check_workers(client: Any, scheduler: str) -> None:
    """Check that the scheduler has workers with this version of qornn_hw; else raise a ToolError."""
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
    """Read the data of each task once, so that missing data are reported before hours of work."""
    for job in {job.config.command: job for job in jobs}.values():
        job.config.task().load()


@contextmanager
def _folder(models: Path) -> Iterator[None]:
    """Create a folder for checkpoints, and lock it for this process.

    Raises:
        OutputError: the folder cannot be written, or another sweep holds its lock.
    """
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=models):
            pass
    except OSError as error:
        raise OutputError(f"{models} must be a writable folder: {error.strerror}") from error
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
    """Return whether a row lacks a width of the state that the job asks for."""
    if job.baseline is not None:
        return False
    there = row.get("requantized") or {}
    return any(str(bits) not in there for bits in job.widths if bits != job.config.state_bits)


def pending(jobs: Sequence[Job], rows: Sequence[Row], retry: bool = False) -> list[Job]:
    """Return the jobs to run: those without a row, or whose row lacks a width of the state.

    Args:
        jobs: the runs.
        rows: the existing rows.
        retry: also return jobs whose row has an error.
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

    The workers that the call started end with it, also after Ctrl-C or an exception in ``report``. Rows
    written by then are kept.

    Args:
        jobs: the runs.
        results: the results file.
        workers: number of local processes, with one run each at a time; one for each core by default.
        scheduler: address of a dask scheduler to use instead.
        models: folder in which each checkpoint is kept as DIGEST.npz, named in its row. Local runs are also
            saved there while they run, and an interrupted one is resumed by the next sweep.
        retry: repeat runs that failed before.
        report: function that is called after each run.

    Raises:
        DataError: the data do not exist (checked on this machine, without a scheduler).
        ToolError: dask is not installed, or the scheduler cannot be reached or was lost.
        OutputError: a file cannot be written.
    """
    if workers is not None and (scheduler is not None or not 1 <= workers <= 1024):
        need = "be left out with `scheduler`" if scheduler is not None else "be 1 to 1024"
        raise FormatError(f"workers must {need}, not {workers}")
    left = pending(jobs, results.rows, retry)
    if not left:
        return
    with ExitStack() as stack:
        if models is not None:
            stack.enter_context(_folder(models))
        if scheduler is None:
            _check_data(left)
        client = stack.enter_context(_client(workers, scheduler, len(left)))
        _run(client, left, results, models, scheduler is None, report)


def _run(
    client: Any,
    jobs: Sequence[Job],
    results: Results,
    models: Path | None,
    local: bool,
    report: Callable[[Finished], None] | None,
) -> None:
    """Run all jobs on a client, and write their rows and checkpoints; ``local`` workers save their runs."""
    folder = models.resolve() if models is not None and local else None
    defect: Exception | None = None
    with closing(_outcomes(client, jobs, models is not None, folder)) as outcomes:
        for done, (job, outcome) in enumerate(outcomes, start=1):
            if isinstance(outcome, Exception):
                defect = defect or outcome
                continue
            row, content = outcome
            if models is not None and content is not None:
                _write(models / f"{job.digest}.npz", content)
                row["model"] = f"{job.digest}.npz"
            results.append(row)
            # Row and checkpoint are on the disk now. The saved run of a failure is kept for a retry.
            if folder is not None and "error" not in row:
                forget(folder / f"{job.digest}.npz")
            if report is not None:
                report(Finished(row, done, len(jobs)))
    if defect is not None:
        # Not an error that a run can end with but a defect of the program, which must not stop the other
        # runs.
        raise defect


def _outcomes(
    client: Any, jobs: Sequence[Job], keep: bool, folder: Path | None
) -> Generator[tuple[Job, tuple[Row, bytes | None] | Exception]]:
    """Yield each job with its outcome, in the order of completion."""
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
        raise OutputError(f"{path} must be writable: {error.strerror}") from error
