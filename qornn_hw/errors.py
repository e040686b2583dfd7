"""All errors that a user can cause or fix.

    QornnError                          anything that the command line reports in one line, exit code 2
    ├── FormatError      (ValueError)   a width, range or shape breaks a number rule
    ├── CheckpointError  (ValueError)   a model file is absent, unreadable, incomplete or inconsistent
    ├── DataError        (ValueError)   a data set is absent or malformed
    ├── TrainingError    (RuntimeError) a training failed: its loss is not finite
    ├── BoardError       (ValueError)   a board is unknown, not connected, or holds another design
    ├── LinkError        (OSError)      a port cannot be used, or the board behind it does not answer
    │   └── StreamLostError             the board lost the state of a stream that cannot be sent again
    ├── CapacityError    (ValueError)   a network needs more of a resource than the device has
    ├── TimingError      (RuntimeError) the placed design does not reach its clock
    ├── ToolError        (RuntimeError) an external tool is missing, died, or gave no output
    ├── OutputError      (OSError)      a result cannot be written
    └── MismatchError    (AssertionError) hardware and integer model disagree

    QualityWarning     (UserWarning)    an integer network differs from its float network, or clips inputs

A message says what must be what, what it was, where, and what to do, in one line. Anything that is
not a :class:`QornnError` is a defect of qornn-hw and keeps its traceback.
"""

from pathlib import Path

__all__ = [
    "BoardError",
    "CapacityError",
    "CheckpointError",
    "DataError",
    "FormatError",
    "LinkError",
    "MismatchError",
    "OutputError",
    "QornnError",
    "QualityWarning",
    "StreamLostError",
    "TimingError",
    "ToolError",
    "TrainingError",
]


class QornnError(Exception):
    """Root of all errors that are reported to the user in one line."""


class FormatError(QornnError, ValueError):
    """A width, range or shape breaks a rule of docs/numerics.md."""


class CheckpointError(QornnError, ValueError):
    """A model file is absent, unreadable, incomplete or inconsistent."""


class DataError(QornnError, ValueError):
    """A data set is absent or malformed."""


class TrainingError(QornnError, RuntimeError):
    """A training failed: its loss is not finite.

    Attributes:
        checkpoint: the best network up to then, a :class:`qornn_hw.files.checkpoint.Checkpoint`, or None.
    """

    def __init__(self, message: str, checkpoint: object = None) -> None:
        super().__init__(message)
        self.checkpoint = checkpoint


class BoardError(QornnError, ValueError):
    """A board is unknown, not connected, or holds another design."""


class LinkError(QornnError, OSError):
    """A port cannot be used, or the board behind it does not answer."""


class StreamLostError(LinkError):
    """A board lost the state of a stream, and the host does not hold the earlier steps any more."""


class CapacityError(QornnError, ValueError):
    """A network needs more of a resource than the device has."""


class TimingError(QornnError, RuntimeError):
    """A placed and routed design is slower than its clock."""


class ToolError(QornnError, RuntimeError):
    """An external tool is missing or failed.

    Attributes:
        log: the file with everything that the tool printed, if it ran.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message if log is None else f"{message}; full log: {log}")
        self.log = log


class OutputError(QornnError, OSError):
    """A result cannot be written to its path."""


class MismatchError(QornnError, AssertionError):
    """The hardware and the integer model gave different integers."""


class QualityWarning(UserWarning):
    """An integer network differs from its float network by too much, or clips its inputs."""
