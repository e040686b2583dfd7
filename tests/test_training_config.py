"""The configuration of a run: a value out of its range, and options that exclude each other, are refused."""

import re

import pytest

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.errors import FormatError
from qornn_hw.training.config import Method, choices_of
from qornn_hw.training.task_configs import CopyConfig, MnistConfig


@pytest.mark.parametrize(
    "config, changes, message",
    [
        (CopyConfig, {"hidden": 0}, "hidden must be 1 to 65536, not 0"),
        (CopyConfig, {"bits": 9}, "bits must be 1 to 8, not 9"),
        (CopyConfig, {"output_bits": 0}, "output_bits must be 1 to 8, not 0"),
        (CopyConfig, {"state_bits": 3}, "state_bits must be 4 to 16, not 3"),
        (CopyConfig, {"multiplier_bits": 17}, "multiplier_bits must be 1 to 16, not 17"),
        (CopyConfig, {"iterations": 0}, "iterations must be 1 to 10000000, not 0"),
        (
            CopyConfig,
            {"activation": "gelu"},
            f"activation must be one of {', '.join(Activation)}, not 'gelu'",
        ),
        (CopyConfig, {"rounding": "floor"}, "rounding must be one of half_up, half_even, not 'floor'"),
        (CopyConfig, {"output_kind": "x"}, "output_kind must be one of logits, argmax, both, not 'x'"),
        (
            CopyConfig,
            {"learning_rate_input": 0.0},
            "learning_rate_input must be positive and finite, not 0.0",
        ),
        (
            CopyConfig,
            {"method": "svd"},
            "method must be one of bjorck, projunn, penalty, free, ptq, hadamard, not 'svd'",
        ),
        (CopyConfig, {"projunn_projection": "X"}, "projunn_projection must be one of D, T, not 'X'"),
        (
            CopyConfig,
            {"first_matrix": "x"},
            "first_matrix must be one of haar, identity, rotations, integrators, not 'x'",
        ),
        (
            CopyConfig,
            {"first_matrix": "integrators"},
            (
                "first_matrix must be haar, identity or rotations for bjorck, which keeps W orthogonal, "
                "not integrators"
            ),
        ),
        (
            CopyConfig,
            {"orthogonal_rounding": True, "method": "projunn"},
            "orthogonal_rounding must be off for projunn with 6 bits, not on",
        ),
        (
            CopyConfig,
            {"orthogonal_rounding": True, "bits": 1},
            "orthogonal_rounding must be off for bjorck with 1 bits, not on",
        ),
        (CopyConfig, {"hold": 0.0}, "hold must be 0.01 to 1.0, not 0.0"),
        (CopyConfig, {"linear_start": 2.0}, "linear_start must be 0 for identity: it is for relu"),
        (MnistConfig, {"data": "x", "epochs": 0}, "epochs must be 1 to 10000, not 0"),
        (
            MnistConfig,
            {"data": "x", "learning_rate_output": float("nan")},
            "learning_rate_output must be positive and finite, not nan",
        ),
    ],
)
def test_configuration_errors(config, changes, message):
    """An invalid value is refused before anything is trained."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        config(**changes)


def test_choices():
    """A field that is a choice has its values, any other field has none."""
    assert choices_of("method") == tuple(Method) and choices_of("hidden") == ()
    for method in Method:
        assert CopyConfig(method=str(method), first_matrix="haar").method == method
