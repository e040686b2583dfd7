"""Check that a network fits the task that its model file names: its inputs and its outputs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.errors import CheckpointError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.kinds import InputKind, OutputMode

if TYPE_CHECKING:
    from qornn_hw.tasks import Task

__all__ = ["check_task", "fitting_task", "require_interface"]


@dataclass(frozen=True)
class _Interface:
    """The inputs and outputs of a network."""

    input_size: int
    input_kind: InputKind
    input_format: IntFormat
    steps: NDArray[np.float64]
    offsets: NDArray[np.float64]
    output_size: int
    output_mode: OutputMode

    @classmethod
    def of(cls, network: AnyNetwork) -> "_Interface":
        """Return the interface of a network."""
        operations = operations_of(network)
        source, mode = operations.input, operations.readout.mode
        numbers = source.scales, source.offsets
        return cls(source.size, source.kind, source.format, *numbers, operations.output_size, mode)


def check_task(description: dict[str, Any], network: AnyNetwork) -> None:
    """Check that the task exists and that the network fits it. An empty description is no task, and passes.

    The data of the task are not read.

    Raises:
        CheckpointError: the name or an option of the task is unknown, or the network has other inputs or
            outputs.
    """
    if description:
        fitting_task(description, network)


def fitting_task(
    description: dict[str, Any], network: AnyNetwork, data_dir: str | Path | None = None
) -> "Task":
    """Return the task that a model file describes, without its data, after checking the network against it.

    Raises:
        CheckpointError: as for :func:`check_task`.
    """
    # The task modules are slow to import, and a network without a task does not need them.
    from qornn_hw.tasks import make_task

    own = _Interface.of(network)
    bits = own.input_format.bits if own.input_kind is InputKind.VECTOR else None
    task = make_task(description, data_dir, bits, load=False)
    require_interface(network, task)
    return task


def _signedness(signed: bool) -> str:
    return "signed" if signed else "unsigned"


def require_interface(network: AnyNetwork, task: "Task") -> None:
    """Check that the inputs and outputs of a network are those of a task.

    Raises:
        CheckpointError: they differ.
    """
    own = _Interface.of(network)
    wanted = (task.inputs, task.input_kind, task.outputs)
    if (own.input_size, own.input_kind, own.output_size) != wanted:
        raise CheckpointError(
            f"a network of the {task.name} task must have {task.inputs} {task.input_kind} inputs and "
            f"{task.outputs} outputs, not {own.input_size} {own.input_kind} inputs and "
            f"{own.output_size} outputs"
        )
    if own.output_mode is not task.output_mode:
        raise CheckpointError(
            f"network.output_mode of the {task.name} task must be {task.output_mode}, not {own.output_mode}"
        )
    if own.input_kind is not InputKind.VECTOR:
        return
    form = own.input_format
    if (form.bits, form.signed) != (task.input_bits, task.input_signed):
        raise CheckpointError(
            f"network.input_format of the {task.name} task must be {_signedness(task.input_signed)} with "
            f"{task.input_bits} bits, not {_signedness(form.signed)} with {form.bits}"
        )
    # Both usual full scales are accepted, 2**b and 2**b - 1 units.
    steps = own.steps
    expected = np.broadcast_to(np.asarray(task.input_scale, dtype=np.float64), steps.shape)
    wrong = np.flatnonzero(np.abs(steps / expected - 1) > 1.01 / max(form.max, 1))
    if len(wrong):
        j = int(wrong[0])
        raise CheckpointError(
            f"network.scales.input of the {task.name} task must be {expected[j]:.6g}"
            f"{_channel(task.input_scale, j)}, not {steps[j]:.6g}; export with "
            f"input_scale={_shown(task.input_scale)}"
        )
    offsets = own.offsets
    expected = np.broadcast_to(np.asarray(task.input_offset, dtype=np.float64), offsets.shape)
    # Rounding loses up to half a unit of the input anyway.
    wrong = np.flatnonzero(np.abs(offsets - expected) > 0.5 * steps)
    if len(wrong):
        j = int(wrong[0])
        raise CheckpointError(
            f"network.scales.input_offset of the {task.name} task must be {expected[j]:.6g}"
            f"{_channel(task.input_offset, j)}, not {offsets[j]:.6g}"
        )


def _channel(values: float | tuple[float, ...], channel: int) -> str:
    """Return the channel for a message; an empty string if one number holds for all channels."""
    return f" of channel {channel}" if isinstance(values, tuple) else ""


def _shown(scale: float | tuple[float, ...]) -> str:
    numbers = scale if isinstance(scale, tuple) else (scale,)
    text = ", ".join(f"{number:.6g}" for number in numbers)
    return f"({text})" if isinstance(scale, tuple) else text
