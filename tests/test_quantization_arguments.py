"""The checked arguments of an export: forms that are taken, and those that are refused in one line."""

import re

import numpy as np
import pytest
import torch
from export_searches import arguments_of
from real_networks import arrays

from qornn_hw.cells.elman_network import Activation, InputKind, WeightBits
from qornn_hw.errors import FormatError
from qornn_hw.quantization.arguments import input_kind_of


def checked(kind="vector", **options):
    """Return the checked arguments of a network of 12 units, 5 inputs and 4 outputs."""
    weights, rest = arrays(input=kind)
    return arguments_of(*weights, **({"activation": "relu"} | rest | options))


def test_defaults():
    """An argument that is not given is None, or zero, or follows the state."""
    found = checked(bias=None, output_bias=None)
    assert found.activation is Activation.RELU and found.homogeneous and not found.one_hot
    assert found.inputs == 5 and len(found.sequences) == 30
    assert not found.network.bias.any() and not found.network.output_bias.any()
    assert found.weight_bits == WeightBits(4, 4, 4)
    assert (found.state_bits, found.index_bits, found.multiplier_bits) == (8, 10, 12)
    nothing = (found.input_bits, found.input_signed, found.input_scale, found.input_offset)
    assert nothing == (None,) * 4 and found.steps is None and found.state_range is None


@pytest.mark.parametrize("make", [list, tuple, lambda x: [torch.tensor(one) for one in x]])
def test_sequences_of_different_lengths(make):
    """A list of arrays, or of tensors, holds sequences of different lengths."""
    rng = np.random.default_rng(0)
    vectors = [rng.normal(size=(steps, 5)) for steps in (3, 9, 1)]
    assert [one.shape for one in checked(calibration_inputs=make(vectors)).sequences] == [
        (3, 5),
        (9, 5),
        (1, 5),
    ]
    indices = [rng.integers(0, 5, steps) for steps in (4, 2)]
    found = checked("one_hot", calibration_inputs=make(indices), input=None)
    assert found.one_hot and [len(one) for one in found.sequences] == [4, 2]


@pytest.mark.parametrize(
    "values, kind",
    [
        (np.zeros((2, 3, 4)), InputKind.VECTOR),
        (np.zeros((2, 3, 4), int), InputKind.VECTOR),
        (np.zeros((2, 3), int), InputKind.ONE_HOT),
        (np.zeros((2, 3), np.uint8), InputKind.ONE_HOT),
        ([np.zeros((3, 4)), np.zeros((2, 4))], InputKind.VECTOR),
        ([[0, 1], [2]], InputKind.ONE_HOT),
        (torch.zeros(2, 3, 4), InputKind.VECTOR),
    ],
)
def test_kind_of_input(values, kind):
    """The form of the calibration inputs says what they are, unless it is said."""
    assert input_kind_of(None, values) is kind
    assert input_kind_of("vector", values) is InputKind.VECTOR


def test_input_scales_and_offsets_by_channel():
    """A number stands for every channel."""
    found = checked(input_scale=0.5, input_offset=torch.tensor([1.0, 2, 3, 4, 5]))
    assert found.input_scale.tolist() == [0.5] * 5 and found.input_offset.tolist() == [1, 2, 3, 4, 5]
    found = checked(input_scale=[1, 2, 3, 4, 5], input_offset=2)
    assert found.input_scale.tolist() == [1, 2, 3, 4, 5] and found.input_offset.tolist() == [2] * 5


def test_given_steps_have_a_ratio():
    """Steps of U that are those of W times a number are tied; the factors of the requantizer hold W's."""
    d_w = np.linspace(0.02, 0.05, 12)
    assert checked(weight_steps=(d_w, 3 * d_w, 0.1)).steps.ratio == pytest.approx(3, rel=1e-3)
    assert checked(weight_steps=(0.02, 0.05, 0.1)).steps.ratio == pytest.approx(2.5, rel=1e-3)
    assert checked(weight_steps=(d_w, 0.1, 0.1), activation="tanh").steps.ratio is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"calibration_inputs": []}, "calibration_inputs must be vectors (batch, steps, inputs) or integer"),
        (
            {"calibration_inputs": [np.zeros((3, 4))]},
            "calibration_inputs[0] must have shape (steps, 5), not (3, 4)",
        ),
        (
            {"calibration_inputs": [np.zeros((3, 5)), np.zeros((3, 4))]},
            "calibration_inputs[1] must have 5 inputs, like the first one, not 4",
        ),
        (
            {"calibration_inputs": [np.zeros((3, 5)), np.zeros((0, 5))]},
            "calibration_inputs[1] must be one sequence, (steps, inputs) or (steps,), like the first one",
        ),
        ({"input_scale": [1, 2]}, "input_scale must be a number or have shape (5,), not (2,)"),
        ({"input_scale": [1, 2, 0, 4, 5]}, "input_scale must be positive for every channel, not 0"),
        ({"input_scale": [1, 2, np.nan, 4, 5]}, "input_scale must be finite, not [1, 2, nan, 4, 5]"),
        ({"input_offset": [1, 2]}, "input_offset must be a number or have shape (5,), not (2,)"),
        ({"input_offset": np.inf}, "input_offset must be finite, not inf"),
        (
            {"input_offset": 1.0, "activation": "modrelu"},
            "input_offset must be 0 for modrelu, not 1.0: its bias is not added to U x and cannot take",
        ),
        ({"calibration_percentile": 101}, "calibration_percentile must be above 50 and at most 100, not 101"),
        ({"calibration_percentile": "x"}, "calibration_percentile must be a positive and finite number"),
        (
            {"weight_steps": (0.1, 0.1, 0.1), "input_scale": [1, 2, 3, 4, 5]},
            "input_scale must be one number where the weights are quantized already and the activation",
        ),
    ],
)  # fmt: skip
def test_refused(options, message):
    """Each wrong argument is named in one line, with what it was."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}") as caught:
        checked(**({"input": None} | options))
    assert "\n" not in str(caught.value)


def test_offsets_of_one_hot_inputs_are_refused():
    """A one-hot input has no offset."""
    with pytest.raises(FormatError, match=r"^input_offset must be 0 for a one-hot input, not 0\.5$"):
        checked("one_hot", input_offset=0.5)
    assert checked("one_hot", input_offset=0).input_offset.tolist() == [0] * 5
