"""The results of many runs: one JSON object a line, a row, for each run, in a file that is only appended to.

A row holds nothing of the machine but the seconds that the run took there:

    task, metric                  the task's command, and the metric by which its networks are compared
    command, version, config      what was run: the command, :data:`VERSION`, all options
    seed, hidden, bits, state_bits, method     of the options, those that tables are made of
    metrics                       the checkpoint's, as `qornn-hw eval` prints them
    requantized                   where asked for: other bits of the state, to metrics of the integers
    kilobytes                     :func:`kilobytes`
    seconds                       wall time of training and measuring
    orthogonality                 of the quantized W
    singular_values               of the quantized W, 65 quantiles, ascending
    curve                         of the training, some points of each stage
    model                         the checkpoint's file name, where checkpoints were kept

A run that failed has ``error`` instead of what it would have been measured as.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from qornn_hw.errors import FormatError, OutputError
from qornn_hw.network import IntegerNetwork
from qornn_hw.training.config import RunConfig, command_line

__all__ = ["VERSION", "Job", "Results", "Row", "kilobytes", "latest", "read_rows"]

# Raised when training makes other networks of the same command than before; rows of other versions are not
# counted as runs that are done.
VERSION = 1

# Options that change nothing in a result, or are places of one machine.
_NOT_OF_THE_RUN = ("data", "checkpoint_minutes")

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        config: its configuration.
        baseline: the kind of full-precision network, ``lstm`` or ``fastrnn``, that is trained in place of a
            quantized one; None: a quantized one.
        widths: bits of states with which the network is measured, too, quantized after training. They are
            no part of what names the run.
        device: where a quantized network is trained, cpu or cuda.
    """

    config: RunConfig
    baseline: str | None = None
    widths: tuple[int, ...] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        for bits in self.widths:
            if not 4 <= bits <= 16:
                raise FormatError(f"states must have 4 to 16 bits, not {bits}")

    @property
    def command(self) -> str:
        """The command that repeats the run; of a baseline, the one whose task and settings it has.

        How often the run is saved is no part of it.
        """
        config = replace(self.config, checkpoint_minutes=RunConfig.checkpoint_minutes)
        command = command_line(config, self.device)
        if self.baseline is None:
            return command
        return f"{command.removesuffix(' -o model.pt')} (float {self.baseline} in place of the network)"

    @property
    def options(self) -> dict[str, Any]:
        """All options that change the result, as they stand in a row."""
        options = {k: v for k, v in asdict(self.config).items() if k not in _NOT_OF_THE_RUN}
        for name in ("task_file", "warm_start"):
            if options.get(name):
                options[name] = Path(options[name]).name
        if self.baseline is not None:
            options["baseline"] = self.baseline
        plain: dict[str, Any] = json.loads(json.dumps(options))
        return plain

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that name the run."""
        content = json.dumps([VERSION, self.command, self.options], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def head(self) -> Row:
        """Return the part of the row that is known before the run."""
        config = self.config
        return {
            "task": config.command,
            "command": self.command,
            "version": VERSION,
            "config": self.options,
            "seed": config.seed,
            "hidden": config.hidden,
            "bits": config.bits,
            "state_bits": config.state_bits,
            "method": config.method if self.baseline is None else self.baseline,
        }

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row is of this run.

        Command and version must be the same. Options of the row must be, too, which they are not where a
        default has changed since; an option that only one of the two has is no difference.
        """
        options = self.options
        return (
            row["command"] == self.command
            and row["version"] == VERSION
            and all(options.get(name, value) == value for name, value in row["config"].items())
        )


def latest(rows: Iterable[Row], job: Job) -> Row | None:
    """Return the last row of a run, or None."""
    return next((row for row in reversed(list(rows)) if job.matches(row)), None)


def kilobytes(network: IntegerNetwork) -> float:
    """Return what the parameters of a network take, in kB of 1024 bytes.

    W, U and V at their bits; the n biases of the activation, whatever it is, and the p of the output in 32
    bits, and so the n initial states where they are not all zero. Where the units' multipliers differ, as
    with a step for each row of W, all n of them at the bits of the largest one. The hardware's own numbers
    are those of `qornn-hw info`.
    """
    n, m, p = network.hidden_size, network.input_size, network.output_size
    bits = network.weight_bits
    numbers = n + p + (n if network.initial_state.any() else 0)
    weights = n * n * bits.recurrent + n * m * bits.input + p * n * bits.output
    by_unit = len(set(network.multiplier.tolist())) > 1
    multipliers = n * int(network.multiplier.max()).bit_length() if by_unit else 0
    return (weights + 32 * numbers + multipliers) / 8 / 1024


def _row_of(path: Path, number: int, line: bytes) -> Row:
    """Return the row of a line; raise a FormatError if it is none."""
    try:
        row = json.loads(line)
        for name, kind in (("command", str), ("version", int), ("config", dict)):
            if not isinstance(row[name], kind):
                raise ValueError(f"{name} is no {kind.__name__}")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
        raise FormatError(
            f"{path}: line {number} must be a row of `qornn-hw sweep`: {reason}; delete the line, or name "
            "another file"
        ) from None
    found: Row = row
    return found


def _parsed(path: Path, content: bytes) -> tuple[list[Row], int]:
    """Return the rows, and how many bytes of them; what follows is the torn end of a write that was cut."""
    whole = content.rfind(b"\n") + 1
    lines = content[:whole].split(b"\n")
    return [_row_of(path, i + 1, line) for i, line in enumerate(lines) if line.strip()], whole


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file; none if it is not there. A torn last line is left out.

    Raises:
        FormatError: a line is no row.
        OutputError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"{path} must be a file that can be read: {error.strerror}") from error
    return _parsed(path, content)[0]


class Results:
    """An open file of results. Use :meth:`open`.

    Attributes:
        path: the file.
        rows: all of its rows, those appended too.
        torn: whether it ended in a line that a crash had cut; that line is dropped.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file
        self.rows, whole = _parsed(path, file.read())
        self.torn = file.seek(0, os.SEEK_END) > whole
        if self.torn:
            file.truncate(whole)
            file.seek(whole)

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Results"]:
        """Open a file, or make it, for this process alone.

        Raises:
            FormatError: a line is no row.
            OutputError: the file cannot be written, or another sweep has it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab"):  # makes it, and asks whether it may be written
                pass
            file = path.open("r+b", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from error
        with file:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise OutputError(
                        f"{path} must be free, but another sweep writes it; wait, or name another file"
                    ) from None
            yield cls(path, file)

    def append(self, row: Row) -> None:
        """Add a row and see to it that it is on the disk.

        Raises:
            OutputError: it cannot be written; the file has all rows before it.
        """
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        before = self._file.seek(0, os.SEEK_END)
        try:
            left = memoryview(line)
            while left:
                left = left[self._file.write(left) :]
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(before)
            raise _unwritable(self.path, error) from error
        self.rows.append(row)


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} must be a file that can be written: {error.strerror}")
