"""All tasks: their documentation, and their creation from a checkpoint's description."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from qornn_hw.errors import CheckpointError, DataError
from qornn_hw.tasks import TASKS, make_task

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_documented(name):
    """Each has a section in docs/tasks.md, and each argument of its constructor is described."""
    kind = TASKS[name]
    assert f"\n## {name}\n" in (ROOT / "docs" / "tasks.md").read_text()
    arguments = list(inspect.signature(kind.__init__).parameters)[1:]
    for argument in arguments:
        assert re.search(rf"^ +{argument}: ", kind.__doc__, re.M)
    assert set(kind.required) <= set(kind.options) <= set(arguments)
    assert (kind.input_bits_range is not None) == ("input_bits" in arguments)
    assert kind.data_argument is None or kind.data_argument in arguments


@pytest.mark.parametrize("name", TASKS)
def test_missing_options_are_named(name):
    """A checkpoint that lacks an option of its task is refused."""
    required = TASKS[name].required
    with pytest.raises(CheckpointError, match=rf"^task.{required[0]} of the {name} task is missing$"):
        make_task({"name": name})


def test_data_that_are_needed():
    """Every task with data says so when none are named, unless they are not to be read yet."""
    descriptions = [
        {"name": "mnist", "order": "pixels"},
        {"name": "characters", "alphabet": "ab"},
        {"name": "speech", "bands": 24, "frames": 32, "hop": 240, "floor": 288, "step": 18},
        {"name": "arrays", "input": "one_hot", "answers": "class", "inputs": 3, "outputs": 2},
    ]
    for description in descriptions:
        assert make_task(description, load=False).name == description["name"]
        with pytest.raises(DataError, match=rf"^the {description['name']} task needs its data: pass "):
            make_task(description)


def test_no_torch():
    """Tasks, evaluation and front end work without torch."""
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import qornn_hw.evaluation.evaluate, qornn_hw.front_ends.log_mel, qornn_hw.tasks\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
