"""The file in which a training run is saved, so that it can be resumed after an interruption."""

import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from qornn_hw.errors import CheckpointError, OutputError
from qornn_hw.terminal.text import say
from qornn_hw.training.config import CommonConfig

__all__ = ["RunFile", "comparable"]

# Version of the run file; a file of another version cannot be resumed.
_RUN_VERSION = 2
_RUN_KEYS = {
    "config", "data", "stage", "iteration", "cell", "optimizers", "random", "state", "best", "best_score",
    "unchanged", "curve", "seconds",
}  # fmt: skip


class RunFile:
    """The file in which a run is saved so that it can be resumed.

    Args:
        path: the file.
        minutes: the least interval between two saves; 0 for never saving.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self.path = path
        self.seconds = 60 * minutes
        self._saved = time.monotonic()
        self._warned = False

    @property
    def due(self) -> bool:
        """Whether the interval since the last save has passed."""
        return self.seconds > 0 and time.monotonic() - self._saved >= self.seconds

    def save(self, state: dict[str, Any]) -> None:
        """Write the file atomically. An error, such as a full disk, is printed and does not end training."""
        self._saved = time.monotonic()
        temporary = None
        try:
            with tempfile.NamedTemporaryFile(
                dir=self.path.parent, prefix=f".{self.path.name}.", delete=False
            ) as file:
                temporary = Path(file.name)
                torch.save({"version": _RUN_VERSION, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except (OSError, RuntimeError) as error:
            if not self._warned:
                reason = getattr(error, "strerror", None) or error
                say(
                    f"{self.path}: the run cannot be saved to be resumed: {reason}; training goes on",
                    file=sys.stderr,
                )
            self._warned = True
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def check(self) -> None:
        """Check that the run can be saved.

        Raises:
            OutputError: the folder is not writable.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise OutputError(
                f"{self.path} must be writable: {error.strerror}; free some space, choose another place, or "
                "set checkpoint_minutes to 0"
            ) from error

    def load(self, config: CommonConfig) -> dict[str, Any]:
        """Return the saved state of a run with this configuration.

        Raises:
            CheckpointError: there is no such file, it is damaged, or it belongs to another run.
        """
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            found, version = state["config"], state["version"]
        except FileNotFoundError:
            raise CheckpointError(
                f"{self.path}: no saved run to resume; leave out resume to start one"
            ) from None
        except Exception as error:  # torch raises exceptions of many classes for a damaged file
            reason = " ".join(str(error).split())[:120]
            raise CheckpointError(
                f"{self.path}: must be a run that qornn-hw train saved: {reason}; start again without resume"
            ) from None
        if version != _RUN_VERSION:
            raise CheckpointError(
                f"{self.path}: must be a run of this release, format {_RUN_VERSION}, not {version!r}; "
                "start again without resume"
            )
        if not isinstance(found, dict) or not set(state) >= _RUN_KEYS:
            raise CheckpointError(
                f"{self.path}: must be a run that qornn-hw train saved, but parts of it are missing; start "
                "again without resume"
            )
        wanted = comparable(config)
        for name in wanted:
            if found.get(name) != wanted[name]:
                raise CheckpointError(
                    f"{self.path}: `{name}` must be as in the run that is resumed, "
                    f"{found.get(name)!r}, not {wanted[name]!r}"
                )
        return state


def comparable(config: CommonConfig) -> dict[str, Any]:
    """Return the command and all options that influence the result of a run (the data folder does not)."""
    options = asdict(config) | {"command": config.command}
    for name in ("data", "task_file", "checkpoint_minutes"):
        options.pop(name, None)
    if "warm_start" in options:
        options["warm_start"] = Path(options["warm_start"]).name
    return options
