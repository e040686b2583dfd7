"""The verbosity of a process: quiet, normal or verbose.

The command line sets the level once, before a command runs; the library's default is NORMAL. Results and
errors are written at every level. JSON output has a rule of its own: standard output holds one object and
nothing else.
"""

import logging
import sys
from enum import IntEnum

from qornn_hw.terminal.text import printable

__all__ = ["Verbosity", "set_verbosity", "verbosity"]


class Verbosity(IntEnum):
    """QUIET: results and errors. NORMAL: also progress. VERBOSE: also tools' command lines and tracebacks."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class _Printable(logging.Formatter):
    """A log formatter whose lines have no control characters, whatever a path or a tool's name holds."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), "\n\t")


_level = Verbosity.NORMAL


def verbosity() -> Verbosity:
    """Return the level of this process."""
    return _level


def set_verbosity(level: Verbosity) -> None:
    """Set the level of this process; VERBOSE sends the log of the project's loggers to standard error."""
    global _level
    _level = level
    logger = logging.getLogger("qornn_hw")
    logger.setLevel(logging.DEBUG if level is Verbosity.VERBOSE else logging.WARNING)
    if level is Verbosity.VERBOSE and not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Printable("%(relativeCreated)6.0f ms  %(message)s"))
        logger.addHandler(handler)
