"""Execution of one job of a sweep: training and measuring, with a row as the result."""

import itertools
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qornn_hw.errors import CheckpointError, QornnError, TrainingError
from qornn_hw.evaluation.evaluate import AnyCheckpoint, evaluate, task_of
from qornn_hw.evaluation.orthogonality import orthogonality
from qornn_hw.files.checkpoint import Checkpoint, save_any
from qornn_hw.quantization.float_model import dequantized
from qornn_hw.quantization.requantize import calibration_inputs, requantized
from qornn_hw.training.config import CommonConfig, RunConfig
from qornn_hw.training.result_rows import Job, Row, kilobytes

__all__ = ["execute", "forget", "measured"]

# Points of the training curve a stage, and quantiles of the singular values, in a row.
_POINTS = 30
_QUANTILES = 65

_turn = threading.Lock()


def _short(value: Any) -> Any:
    """Return a value with its floats rounded to six digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    return value


def _thinned(curve: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most ``_POINTS`` points of each stage, among them its last one."""
    found = []
    for _, stage in itertools.groupby(curve, key=lambda point: point.get("stage")):
        points = list(stage)
        every = -(-len(points) // _POINTS)
        found += [p for i, p in enumerate(points) if (len(points) - 1 - i) % every == 0]
    return [_short(p) for p in found]


def measured(checkpoint: AnyCheckpoint) -> Row:
    """Return the entries of a row that a trained checkpoint gives."""
    found: Row = {"metrics": checkpoint.metrics, "kilobytes": kilobytes(checkpoint.network)}
    if isinstance(checkpoint, Checkpoint):
        w = dequantized(checkpoint.network).recurrent_weight
        quantiles = np.quantile(np.linalg.svd(w, compute_uv=False), np.linspace(0, 1, _QUANTILES))
        found["orthogonality"] = _short(orthogonality(w))
        found["singular_values"] = [_short(float(s)) for s in quantiles]
    return found | {"curve": _thinned(checkpoint.provenance.get("curve", []))}


def _trained(job: Job, out: Path | None) -> AnyCheckpoint:
    """Train; continue the run if an interrupted sweep saved it."""
    from qornn_hw.training.run import run_file_of, train
    from qornn_hw.training.run_file import RunFile

    resume = out is not None and run_file_of(out).exists()
    if out is not None and resume:
        try:
            RunFile(run_file_of(out), 0).load(job.config)
        except CheckpointError:  # the file is damaged, or from another release
            forget(out)
            resume = False
    return train(job.config, out, resume, quiet=True, device=job.device)


def forget(out: Path | None) -> None:
    """Remove the saved run of the checkpoint ``out``."""
    if out is not None:
        from qornn_hw.training.run import run_file_of

        run_file_of(out).unlink(missing_ok=True)


def execute(job: Job, keep: bool = False, folder: Path | None = None) -> tuple[Row, bytes | None]:
    """Execute a run in this process; concurrent calls wait for each other.

    Args:
        job: the run.
        keep: also return the checkpoint.
        folder: folder in which the run is saved, and from which it is resumed; None for no saving.

    Returns:
        The row, and the checkpoint as the bytes of its .npz file if ``keep`` is set and it exists. A failed
        run has a row with ``error``. The saved run is not deleted: the caller removes it when row and
        checkpoint are on the disk. The exception is a run that ended with non-finite numbers, which would
        end there again.
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
                if job.widths and isinstance(checkpoint, Checkpoint):
                    row["requantized"] = _requantized(checkpoint, job)
                if keep:
                    content = _as_bytes(checkpoint)
        except QornnError as error:
            row["error"] = _without_places(str(error), job.config, out)
            if isinstance(error, TrainingError):
                forget(out)
        if not _finite(row):
            forget(out)
            row, content = job.head() | {"error": "the measured numbers must be finite, but are not"}, None
        row["seconds"] = round(time.monotonic() - started, 1)
    return row, content


def _finite(row: Row) -> bool:
    try:
        json.dumps(row, allow_nan=False)
    except ValueError:
        return False
    return True


def _requantized(checkpoint: Checkpoint, job: Job) -> dict[str, dict[str, float]]:
    """Return the metrics of the integers at the other widths of the state."""
    data = job.config.data_dir
    inputs = calibration_inputs(task_of(checkpoint, data), checkpoint.network.hidden_size)
    return {
        str(bits): evaluate(requantized(checkpoint, bits, inputs), data, rungs=("integer",))["integer"]
        for bits in job.widths
        if bits != job.config.state_bits
    }


def _baseline(job: Job) -> Row:
    """Return the entries of a row that a full-precision network gives."""
    from qornn_hw.training.baseline_run import train_baseline

    assert isinstance(job.config, RunConfig)  # a float network stands for an Elman layer
    part = train_baseline(job.config, str(job.baseline), job.config.hidden, quiet=True)
    return part | {"curve": _thinned(part.get("curve", []))}


def _as_bytes(checkpoint: AnyCheckpoint) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.npz"
        save_any(path, checkpoint)
        return path.read_bytes()


def _without_places(message: str, config: CommonConfig, out: Path | None) -> str:
    """Return a message in one line, without the folders of this machine."""
    places = {str(config.data_dir): "DIR", str(out.parent if out else None): "DIR"}
    for place, name in places.items():
        if place != "None":
            message = message.replace(place, name)
    return " ".join(message.split())
