"""Conversion of weights between the units of training and those of the real inputs and outputs.

Training uses the inputs ``x = k i`` for the integers i of an input, with one number k
(``Task.training_scale``) for all channels, and learns ``(value - mu) / sigma`` of values
(``Task.output_offset``, ``Task.output_scale``). In real numbers entry j of the input is
``r_j = i_j s_j + o_j``, so that

    U_real[:, j] = U[:, j] k / s_j      b_real = b - U_real o      V_real = sigma V      c_real = sigma c + mu

and ``U x + b = U_real r + b_real``. The offset of an input must be 0 for modrelu, because its bias is not
added to U x.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind
from qornn_hw.tasks import Task

__all__ = ["input_units", "real_weights", "training_weights"]

FloatArray = NDArray[np.floating[Any]]


def input_units(task: Task) -> tuple[FloatArray, FloatArray]:
    """Return ``k / s`` and o of each channel, (m,)."""
    m = task.inputs
    if task.input_kind is not InputKind.VECTOR:
        return np.ones(m), np.zeros(m)
    steps = np.broadcast_to(np.asarray(task.input_scale, dtype=np.float64), (m,))
    offsets = np.broadcast_to(np.asarray(task.input_offset, dtype=np.float64), (m,))
    return task.training_scale / steps, offsets


def real_weights(weights: Mapping[str, FloatArray], task: Task) -> dict[str, FloatArray]:
    """Convert weights of a training to those of the real inputs and outputs, as in a checkpoint.

    Args:
        weights: ``input_weight`` (n, m), ``output_weight`` (p, n), ``bias`` (n,), ``output_bias`` (p,);
            other arrays, such as ``recurrent_weight``, are not changed.
        task: the task whose units are used.
    """
    gain, offsets = input_units(task)
    found = dict(weights)
    if np.any(gain != 1.0) or np.any(offsets):
        found["input_weight"] = weights["input_weight"] * gain
        found["bias"] = weights["bias"] - found["input_weight"] @ offsets
    if task.output_scale != 1.0 or np.any(task.output_offset):
        found["output_weight"] = weights["output_weight"] * task.output_scale
        found["output_bias"] = weights["output_bias"] * task.output_scale + task.output_offset
    return found


def training_weights(weights: Mapping[str, FloatArray], task: Task) -> dict[str, FloatArray]:
    """Convert weights of real inputs and outputs to those of a training; inverse of :func:`real_weights`."""
    gain, offsets = input_units(task)
    found = dict(weights)
    if np.any(gain != 1.0) or np.any(offsets):
        found["input_weight"] = weights["input_weight"] / gain
        found["bias"] = weights["bias"] + weights["input_weight"] @ offsets
    if task.output_scale != 1.0 or np.any(task.output_offset):
        found["output_weight"] = weights["output_weight"] / task.output_scale
        found["output_bias"] = (weights["output_bias"] - task.output_offset) / task.output_scale
    return found
