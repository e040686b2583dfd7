"""Weights in the units of a training and in those of the real inputs."""

import numpy as np
import pytest

from qornn_hw.tasks import ArraysTask, CopyTask
from qornn_hw.training.units import real_weights, training_weights

RNG = np.random.default_rng(0)


def weights(n, m, p):
    """Return random weights."""
    shapes = {
        "recurrent_weight": (n, n),
        "input_weight": (n, m),
        "output_weight": (p, n),
        "bias": (n,),
        "output_bias": (p,),
    }
    return {name: RNG.normal(size=shape) for name, shape in shapes.items()}


def test_real_weights_compute_the_same():
    """U x + b in training equals U_real r + b_real for the real inputs, and values are the user's."""
    x = RNG.normal(size=(40, 6, 3)) * [500.0, 0.3, 5.0] + [0.0, 290.0, 0.0]
    y = RNG.normal(size=(40, 2)) * 30 + [100.0, 7.0]
    task = ArraysTask.from_arrays(x, y, x[:5], y[:5])
    task.load()
    w = weights(4, 3, 2)
    real = real_weights(w, task)
    integers = task.test().inputs[0]
    r = integers * np.array(task.input_scale) + np.array(task.input_offset)
    wanted = integers * task.training_scale @ w["input_weight"].T + w["bias"]
    np.testing.assert_allclose(r @ real["input_weight"].T + real["bias"], wanted, rtol=1e-9, atol=1e-9)
    h = RNG.normal(size=4)
    learned = w["output_weight"] @ h + w["output_bias"]
    np.testing.assert_allclose(
        real["output_weight"] @ h + real["output_bias"], learned * task.output_scale + task.output_offset
    )
    for name, values in training_weights(real, task).items():
        np.testing.assert_allclose(values, w[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("change", [real_weights, training_weights])
def test_tasks_in_real_units_change_nothing(change):
    """If training uses the real units, the weights are not changed."""
    w = weights(4, 10, 9)
    assert all(values is w[name] for name, values in change(w, CopyTask(3)).items())
