"""The grid of a sweep: all combinations of values, checked before anything runs."""

import pytest

from qornn_hw.errors import FormatError
from qornn_hw.training.result_rows import Job
from qornn_hw.training.stack_configs import MnistStackConfig
from qornn_hw.training.sweep_grid import config_class, grid, options_of
from qornn_hw.training.task_configs import CONFIGS, CopyConfig, MnistConfig


def test_grid():
    """All combinations, in order, with values of the options' types."""
    jobs = grid("copy", {"bits": "3,4", "learning-rate-input": "0.5", "method": "free, ptq"})
    assert [(j.config.bits, j.config.method) for j in jobs] == [
        (3, "free"), (3, "ptq"), (4, "free"), (4, "ptq"),
    ]  # fmt: skip
    assert all(j.config.learning_rate_input == 0.5 and j.config.blank == 1000 for j in jobs)
    assert grid("copy", {}) == [Job(CopyConfig())]
    assert grid("copy", {"bfloat16": "true,no"})[1].config.bfloat16 is False
    (job,) = grid("mnist", {}, "x")
    assert isinstance(job.config, MnistConfig) and job.config.data.endswith("/x")
    assert grid("arrays", {"task_file": "a.npz"})[0].config.task_file == "a.npz"
    jobs = grid("arrays", {"task_file": "a.npz", "epochs": "3,4"})
    assert [j.config.epochs for j in jobs] == [3, 4] and jobs[0].config.float_epochs is None
    assert [j.device for j in grid("copy", {"bits": "3,4"}, device="cuda")] == ["cuda", "cuda"]


@pytest.mark.parametrize(
    "task, settings, data, message",
    [
        ("copi", {}, None, "the task must be one of copy, adding"),
        ("copy", {"bots": "3"}, None, "settings must name an option of copy: hidden, bits,"),
        ("copy", {"data": "x"}, None, "settings must name an option"),
        ("copy", {"bits": "3,x"}, None, "`settings` bits must have whole numbers, not 'x'"),
        ("copy", {"bits": "3,"}, None, "`settings` bits must have whole numbers, not ''"),
        ("copy", {"method": ""}, None, "`settings` method must have values"),
        ("copy", {"hold": "a"}, None, "`settings` hold must have numbers"),
        ("copy", {"bfloat16": "2"}, None, "`settings` bfloat16 must have true or false"),
        ("copy", {"bits": "3,3"}, None, "`settings` bits must have each value once"),
        ("copy", {"bits": "9"}, None, "bits must be 1 to 8"),
        ("copy", {"linear_start": "1"}, None, "linear_start must be 0 for identity"),
        ("copy", {"seed": ",".join(map(str, range(10_001)))}, None, "at most 10000 runs"),
        ("copy", {}, "x", "data must be left out"),
        ("mnist", {}, None, "data must name the folder"),
        ("arrays", {}, None, "`settings` task_file must be given"),
    ],
)
def test_grid_refuses(task, settings, data, message):
    """An unknown option and a wrong value are refused in one line."""
    with pytest.raises(FormatError, match=message) as error:
        grid(task, settings, data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("config", CONFIGS)
def test_classes_and_options(config):
    """Each task has its class; its options are its fields, without the data folder and the save interval."""
    assert config_class(config.command) is config
    options = options_of(config)
    assert {"hidden", "bits", "seed"} <= options.keys()
    assert not options.keys() & {"data", "checkpoint_minutes"}


def test_a_grid_of_cells():
    """With a cell the options are those of layers of cells, and the task must have them."""
    jobs = grid("mnist", {"cell": "gru,lstm", "hidden": "8"}, "x")
    assert [(job.config.cell, job.config.hidden) for job in jobs] == [("gru", 8), ("lstm", 8)]
    assert all(isinstance(job.config, MnistStackConfig) for job in jobs)
    assert jobs[0].command == "qornn-hw train mnist --cell gru --data DIR --hidden 8 -o model.pt"
    assert jobs[0].head()["cell"] == "gru" and "method" not in jobs[0].head()
    for task, settings, message in (
        ("copy", {"cell": "gru"}, "the task of cells must be one of mnist, smnist"),
        ("mnist", {"cell": "gru", "method": "free"}, "settings must name an option of mnist"),
        ("mnist", {"cell": "dream"}, "cell must be one of gru, lstm"),
    ):
        with pytest.raises(FormatError, match=message):
            grid(task, settings, None if task == "copy" else "x")
    with pytest.raises(FormatError, match="widths must be left out for cells"):
        grid("mnist", {"cell": "gru"}, "x", (8,))
