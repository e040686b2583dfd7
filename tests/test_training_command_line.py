"""The command that repeats a run has every option that differs from its default."""

import pytest

from qornn_hw.training.command_line import command_line, option_words
from qornn_hw.training.task_configs import ArraysConfig, CopyConfig, MnistConfig


@pytest.mark.parametrize(
    "config, line",
    [
        (CopyConfig(), "qornn-hw train copy -o model.pt"),
        (
            CopyConfig(blank=7, state_bits=9),
            "qornn-hw train copy --blank 7 --state-bits 9 -o model.pt",
        ),
        (MnistConfig(data="/here"), "qornn-hw train mnist --data DIR -o model.pt"),
    ],
)
def test_command_line(config, line):
    """The recorded command has the options that are not the defaults, and no path of this machine."""
    assert command_line(config) == line


def test_command_line_of_switches():
    """A switch is recorded by its name where it is not the default."""
    on = MnistConfig(data="x").norm_preserving
    word = "--no-norm-preserving" if on else "--norm-preserving"
    assert word in command_line(MnistConfig(data="x", norm_preserving=not on)).split()


def test_files_and_device():
    """Files are given without their folders, and the device if it is not the CPU."""
    config = ArraysConfig(task_file="/here/a.npz", warm_start="/there/b.pt")
    words = command_line(config, "cuda").split()
    assert words[3:] == ["--task-file", "a.npz", "--warm-start", "b.pt", "--device", "cuda", "-o", "model.pt"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("per_row", True, ["--per-row"]),
        ("per_row", False, ["--no-per-row"]),
        ("hidden", 7, ["--hidden", "7"]),
        ("method", "ptq", ["--method", "ptq"]),
    ],
)
def test_option_words(name, value, words):
    """A switch is one word, any other option two."""
    assert option_words(name, value) == words
