"""A network fits the task of its model file, or the entry that differs is named."""

import re

import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.errors import CheckpointError
from qornn_hw.files.task_fit import check_task, fitting_task, require_interface
from qornn_hw.ir.formats import IntFormat
from qornn_hw.tasks import make_task

COPY = {"name": "copy", "blank": 10}


def of_the_task(**changes):
    """Return a network that takes and answers what the copy task does, but for some fields."""
    task = make_task(COPY)
    fields = one_hot_fields(task.inputs) | {"output_mode": task.output_mode} | changes
    return make_network(
        m=task.inputs, p=changes.pop("p", task.outputs), **{k: v for k, v in fields.items() if k != "p"}
    )


def test_a_network_of_the_task_fits():
    """Inputs, outputs and mode of the task are taken; a file without a task fits every network."""
    assert fitting_task(COPY, of_the_task()).name == "copy"
    check_task({}, make_network())


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            lambda: of_the_task(p=2),
            "a network of the copy task must have 10 one_hot inputs and 9 outputs, not 10",
        ),
        (
            make_network,
            "a network of the copy task must have 10 one_hot inputs and 9 outputs, not 2 vector inputs",
        ),
        (
            lambda: of_the_task(output_mode=OutputMode.LAST_STEP),
            "network.output_mode of the copy task must be every_step, not last_step",
        ),
    ],
)
def test_a_network_of_something_else_is_refused(network, message):
    """Other inputs, outputs and modes are named with what must be there."""
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}"):
        check_task(COPY, network())


def test_the_input_format_of_the_task():
    """A vector of another width or sign than the task's is refused."""
    task = make_task({"name": "adding", "steps": 20}, input_bits=8)
    fields = {"output_mode": task.output_mode, "m": task.inputs, "p": task.outputs}
    for form in (
        IntFormat(task.input_bits + 1, task.input_signed),
        IntFormat(task.input_bits, not task.input_signed),
    ):
        with pytest.raises(CheckpointError, match=r"^network.input_format of the adding task must be "):
            require_interface(make_network(**fields, input_format=form), task)
