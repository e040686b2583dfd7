"""The command line that repeats a training run."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from qornn_hw.training.config import CommonConfig

__all__ = ["command_line", "option_words"]


def option_words(name: str, value: Any) -> list[str]:
    """Return the words of a command-line option: its name, and its value unless it is a switch.

    >>> option_words("per_row", False), option_words("state_bits", 8)
    (['--no-per-row'], ['--state-bits', '8'])
    """
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{words}" if value else f"--no-{words}"]
    return [f"--{words}", str(value)]


def command_line(config: CommonConfig, device: str = "cpu") -> str:
    """Return the command that repeats a run, with all options that differ from their defaults.

    The data folder is machine-specific and replaced by DIR; files are given by their names without folder.


    >>> from qornn_hw.training.task_configs import CopyConfig
    >>> command_line(CopyConfig(blank=100, seed=3))
    'qornn-hw train copy --blank 100 --seed 3 -o model.pt'
    """
    words = ["qornn-hw train", config.command]
    for f in sorted(fields(config), key=lambda f: f.name):
        value: Any = getattr(config, f.name)
        option = "--" + f.name.replace("_", "-")
        if f.name == "data":
            words += [option, "DIR"]
        elif f.name in ("task_file", "warm_start") and value:
            words += [option, Path(value).name]
        elif f.name == "cell":
            # The command trains an Elman layer where no cell is given.
            words += option_words(f.name, value)
        elif value is not None and (f.default is MISSING or value != f.default):
            words += option_words(f.name, value)
    if device != "cpu":
        words += ["--device", device]
    return " ".join([*words, "-o model.pt"])
