"""From the names of arguments in a library's message to the options of a command.

A library names an argument as its subject, ``lanes must be at least 1, not 0``, or between backquotes,
``steps must come without `inputs```. The command line writes the option in its place: this is the only
place where arguments become options.
"""

import re
from collections.abc import Mapping
from functools import wraps
from typing import Any

from qornn_hw.errors import QornnError

__all__ = ["CommandError", "as_options", "names_options", "option_names"]

_SUBJECT = re.compile(r"^\w+(?:(?:, | and | or | times )\w+)*(?= must\b)")
_NAME = re.compile(r"\b(?!(?:and|or|times)\b)\w+")
_QUOTED = re.compile(r"`(\w+)`")


class CommandError(QornnError):
    """An error of a library, in the words of a command."""


def as_options(message: str, options: Mapping[str, str]) -> str:
    """Return a message with options in the place of arguments.

    Args:
        message: of a library.
        options: option by argument; other names stay as they are.

    >>> options = {"steps": "--steps", "sequences": "--sequences", "inputs": "--input", "model": "MODEL"}
    >>> as_options("sequences times steps must be at most 9, not 10", options)
    '--sequences times --steps must be at most 9, not 10'
    >>> as_options("steps must come without `inputs`", options)
    '--steps must come without --input'
    >>> as_options("the steps must be 3; try `qornn-hw info`", options)
    'the steps must be 3; try `qornn-hw info`'
    """
    subject = _SUBJECT.match(message)
    if subject is not None and all(name in options for name in _NAME.findall(subject[0])):
        named = _NAME.sub(lambda name: options[name[0]], subject[0])
        message = named + message[subject.end() :]
    return _QUOTED.sub(lambda name: options.get(name[1], name[0]), message)


def option_names(command: Any) -> dict[str, str]:
    """Return the longest option of each parameter of a command, or what the help calls an argument."""
    return {
        one.name: max(one.opts, key=len)
        if one.param_type_name == "option"
        else (one.metavar or one.name.upper()).strip("[]")
        for one in command.params
    }


def names_options(command: Any) -> None:
    """Let the errors of a command have its options in the place of arguments."""
    run, options = command.callback, option_names(command)

    @wraps(run)
    def translated(*arguments: Any, **values: Any) -> Any:
        try:
            return run(*arguments, **values)
        except QornnError as error:
            raise CommandError(as_options(str(error), options)) from error

    command.callback = translated
