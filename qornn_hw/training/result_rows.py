"""The results of many runs: an append-only file with one JSON object (a row) a line for each run.

The only machine-dependent entry of a row is its time in seconds:

    task, metric                  the task's command, and the metric by which its networks are compared
    command, version, config      the run: its command, :data:`VERSION`, all options
    seed, hidden, bits, state_bits             copies of options that tables need
    method, cell                  that of an Elman layer, or the cell of other layers
    metrics                       metrics of the checkpoint, as `qornn-hw eval` prints them
    requantized                   optional: metrics of the integers at other bits of the state
    kilobytes                     :func:`kilobytes`
    seconds                       wall time of training and measuring
    orthogonality                 of the quantized W of an Elman layer
    singular_values               of that W, 65 quantiles, ascending
    curve                         of the training, some points of each stage
    model                         file name of the checkpoint, if checkpoints are kept

A failed run has ``error`` instead of results.
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

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.errors import FormatError, OutputError
from qornn_hw.ir.ops import MatVec, Requantize
from qornn_hw.training.command_line import command_line
from qornn_hw.training.config import CommonConfig

__all__ = ["VERSION", "Job", "Results", "Row", "factor_bits", "kilobytes", "latest", "read_rows"]

# Incremented when the same command trains other networks than before; rows of other versions do not count as
# runs that are done.
VERSION = 1

# Options that do not influence the result, or that are paths of one machine.
_NOT_OF_THE_RUN = ("data", "checkpoint_minutes")

Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        config: the configuration.
        baseline: kind of full-precision network, ``lstm`` or ``fastrnn``, that is trained instead of a
            quantized one; None for a quantized network.
        widths: further bits of states at which the network is measured, quantized after training. They are
            not part of the run's identity.
        device: where a quantized network is trained, cpu or cuda.
    """

    config: CommonConfig
    baseline: str | None = None
    widths: tuple[int, ...] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.widths and not hasattr(self.config, "method"):
            raise FormatError("widths must be left out for cells, whose values have units of their own")
        for bits in self.widths:
            if not 4 <= bits <= 16:
                raise FormatError(f"states must have 4 to 16 bits, not {bits}")

    @property
    def command(self) -> str:
        """The command that repeats the run (for a baseline: the command with its task and settings).

        The interval between saves is left out.
        """
        config = replace(self.config, checkpoint_minutes=CommonConfig.checkpoint_minutes)
        command = command_line(config, self.device)
        if self.baseline is None:
            return command
        return f"{command.removesuffix(' -o model.pt')} (float {self.baseline} in place of the network)"

    @property
    def options(self) -> dict[str, Any]:
        """All options that influence the result, as in a row."""
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
        """The 16 hexadecimal digits that identify the run."""
        content = json.dumps([VERSION, self.command, self.options], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def head(self) -> Row:
        """Return the entries of the row that are known before the run."""
        config = self.config
        kind = {name: getattr(config, name) for name in ("method", "cell") if hasattr(config, name)}
        return {
            "task": config.command,
            "command": self.command,
            "version": VERSION,
            "config": self.options,
            "seed": config.seed,
            "hidden": config.hidden,
            "bits": config.bits,
            "state_bits": config.state_bits,
            **(kind if self.baseline is None else {"method": self.baseline}),
        }

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row belongs to this run.

        Command and version must be equal, and so must all options that both have. The options differ if a
        default has changed since.
        """
        options = self.options
        return (
            row["command"] == self.command
            and row["version"] == VERSION
            and all(options.get(name, value) == value for name, value in row["config"].items())
        )


def latest(rows: Iterable[Row], job: Job) -> Row | None:
    """Return the last row of a run; None if there is none."""
    return next((row for row in reversed(list(rows)) if job.matches(row)), None)


def kilobytes(network: AnyNetwork) -> float:
    """Return the size of a network's parameters, in kB of 1024 bytes.

    All weights count at their bits, a Hadamard matrix at one bit a unit; biases, and the initial values of a
    state, at 32 bits each where any is not zero. If the factors of a sum differ from
    unit to unit, they count at the bits of the largest. Tables are not counted.
    """
    if isinstance(network, IntegerNetwork):
        return _elman_bits(network) / 8 / 1024
    rows = [op for op in network.operations if isinstance(op, MatVec)]
    bits = sum(term.stored_bits for row in rows for term in row.terms)
    numbers = sum(s.size for s in network.states.values() if s.initial.any())
    numbers += sum(row.rows for row in rows if row.bias.any())
    for op in network.operations:
        if isinstance(op, Requantize):
            bits += sum(factor_bits(factor.multiplier) for factor in op.factors)
            numbers += network.sizes[op.name] if op.bias is not None else 0
    return (bits + 32 * numbers) / 8 / 1024


def factor_bits(multiplier: NDArray[np.int64]) -> int:
    """Return the bits of factors, one a unit; 0 where all are the same."""
    if len(set(multiplier.tolist())) == 1:
        return 0
    return len(multiplier) * int(np.abs(multiplier).max()).bit_length()


def _elman_bits(network: IntegerNetwork) -> int:
    """Return the bits of an Elman layer's parameters.

    W, U and V count at their bits; the n biases of the activation (whatever it is) and the p of the output at
    32 bits, and so the n initial states if any is not zero. If the units' multipliers differ, as with one
    step a row of W, all n of them count at the bits of the largest. `qornn-hw info` shows the memories of the
    hardware.
    """
    n, m, p = network.hidden_size, network.input_size, network.output_size
    bits = network.weight_bits
    numbers = n + p + (n if network.initial_state.any() else 0)
    weights = n * n * bits.recurrent + n * m * bits.input + p * n * bits.output
    return weights + 32 * numbers + factor_bits(network.multiplier)


def _row_of(path: Path, number: int, line: bytes) -> Row:
    """Return the row in a line; raise a FormatError if it is not a row."""
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
    """Return the rows, and their length in bytes; an incomplete last line of an interrupted write follows."""
    whole = content.rfind(b"\n") + 1
    lines = content[:whole].split(b"\n")
    return [_row_of(path, i + 1, line) for i, line in enumerate(lines) if line.strip()], whole


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, without an incomplete last line; no rows if the file does not exist.

    Raises:
        FormatError: a line is not a row.
        OutputError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"{path} must be readable: {error.strerror}") from error
    return _parsed(path, content)[0]


class Results:
    """An open file of results. Use :meth:`open`.

    Attributes:
        path: the file.
        rows: all of its rows, including appended ones.
        torn: True if the file ended in an incomplete line, which is dropped.
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
        """Open or create a file, locked for this process.

        Raises:
            FormatError: a line is not a row.
            OutputError: the file cannot be written, or another sweep holds its lock.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab"):  # creates the file, and checks that it is writable
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
        """Append a row, and wait until it is on the disk.

        Raises:
            OutputError: the row cannot be written; the file keeps all earlier rows.
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
    return OutputError(f"{path} must be writable: {error.strerror}")
