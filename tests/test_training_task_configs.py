"""The configurations of the tasks: each makes its task and counts its iterations."""

import pytest

from qornn_hw.tasks import TASKS
from qornn_hw.training.task_configs import CONFIGS, AddingConfig, ArraysConfig, CopyConfig, MnistConfig


def test_commands():
    """Each configuration has a command of its own, and each task has a configuration."""
    commands = [config.command for config in CONFIGS]
    assert len(set(commands)) == len(commands) == 8
    assert set(TASKS) <= {"mnist" if "mnist" in command else command for command in commands}


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        (CopyConfig(blank=5), "blank", 5),
        (AddingConfig(steps=7, curriculum=3), "steps", 7),
        (MnistConfig(data="x", input_bits=3), "input_bits", 3),
    ],
)
def test_task(config, name, value):
    """The task has the options of the configuration."""
    assert getattr(config.task(), name) == value


def test_stages_of_generated_tasks():
    """The iterations of a generated task are those of the configuration."""
    config = CopyConfig(blank=5, float_iterations=1, iterations=2, finetune_iterations=3)
    assert config.stages(config.task()) == (1, 2, 3)


def test_data_folder():
    """The data folder is the data of public sets, the file of arrays, and None for generated tasks."""
    assert MnistConfig(data="x").data_dir == "x"
    assert ArraysConfig(task_file="a.npz").data_dir == "a.npz"
    assert CopyConfig().data_dir is None
