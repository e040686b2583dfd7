"""The grid of a sweep: the jobs for all combinations of some options."""

import itertools
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import numpy as np

from qornn_hw.errors import FormatError
from qornn_hw.training.config import CommonConfig
from qornn_hw.training.result_rows import Job
from qornn_hw.training.stack_configs import STACK_CONFIGS
from qornn_hw.training.task_configs import CONFIGS

__all__ = ["config_class", "grid", "options_of"]

MOST_RUNS = 10_000
# Options that are not set by a grid: the data folder, and an option without influence on the result.
_NOT_SET = ("data", "checkpoint_minutes")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def config_class(task: str, *, cells: bool = False) -> type[CommonConfig]:
    """Return the configuration class of a task, as in `qornn-hw train TASK`.

    Args:
        task: the task's name.
        cells: for layers of any cell, not for an Elman layer.

    Raises:
        FormatError: the task does not exist, or is not for cells.
    """
    if cells:
        if task not in STACK_CONFIGS:
            raise FormatError(f"the task of cells must be one of {', '.join(STACK_CONFIGS)}, not {task!r}")
        return STACK_CONFIGS[task]
    for found in CONFIGS:
        if found.command == task:
            return found
    raise FormatError(f"the task must be one of {', '.join(c.command for c in CONFIGS)}, not {task!r}")


def options_of(config: type[CommonConfig]) -> dict[str, "Field[Any]"]:
    """Return the options of a configuration that a grid can vary, by name."""
    return {f.name: f for f in fields(config) if f.name not in _NOT_SET}


def _value(field: "Field[Any]", text: str) -> Any:
    # An optional integer, ``int | None``, takes integers in a grid.
    kind: Any = int if field.type == int | None else field.type
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError):
        wanted = {int: "whole numbers", float: "numbers", bool: "true or false"}[kind]
        raise FormatError(f"`settings` {field.name} must have {wanted}, not {text!r}") from None


def grid(
    task: str,
    settings: Mapping[str, str],
    data: str | None = None,
    widths: tuple[int, ...] = (),
    device: str = "cpu",
) -> list[Job]:
    """Return all combinations of the values of some options; the last option varies fastest.

    Args:
        task: task name, as in `qornn-hw train TASK`.
        settings: comma-separated values by option; other options have their defaults. Names may contain
            dashes instead of underscores. With ``cell`` the layers are of these cells, and the options those
            of `qornn-hw train TASK --cell CELL`.
        data: folder of the data, for tasks that need it.
        widths: see :class:`Job`.
        device: see :class:`Job`.

    Raises:
        FormatError: an option is unknown, or a value is out of range.
    """
    if not all(4 <= bits <= 16 for bits in widths):
        raise FormatError(f"widths must be bits of states, 4 to 16, not {', '.join(map(str, widths))}")
    config = config_class(task, cells="cell" in settings)
    known = options_of(config)
    values: dict[str, list[Any]] = {}
    for option, text in settings.items():
        name = option.replace("-", "_")
        if name not in known:
            raise FormatError(f"settings must name an option of {task}: {', '.join(known)}; not {option!r}")
        if name in values:
            raise FormatError(
                f"`settings` {name} must be given once, with all its values separated by commas"
            )
        values[name] = [_value(known[name], part.strip()) for part in text.split(",")]
        if not all(part.strip() for part in text.split(",")):
            raise FormatError(f"`settings` {name} must have values separated by commas, not {text!r}")
        if len({*values[name]}) < len(values[name]):
            raise FormatError(f"`settings` {name} must have each value once, not {text!r}")
    count = int(np.prod([len(v) for v in values.values()], dtype=object))
    if count > MOST_RUNS:
        raise FormatError(f"a grid must have at most {MOST_RUNS} runs, not {count}")
    fixed: dict[str, Any] = {}
    wants_data = any(f.name == "data" for f in fields(config))
    if wants_data:
        if data is None:
            raise FormatError(f"data must name the folder with the data of {task}")
        fixed["data"] = str(Path(data).resolve())
    elif data is not None:
        raise FormatError(f"data must be left out: {task} has no folder of data")
    for name, f in known.items():
        if f.default is MISSING and name not in values:
            raise FormatError(f"`settings` {name} must be given for {task}")
    return [
        Job(config(**fixed, **dict(zip(values, chosen, strict=True))), widths=widths, device=device)
        for chosen in itertools.product(*values.values())
    ]
