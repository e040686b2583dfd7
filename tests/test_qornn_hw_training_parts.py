"""The parts of training: cells, schedule, progress, configuration."""

import math
import re
import sys

import numpy as np
import pytest
import torch

from qornn_hw.errors import FormatError
from qornn_hw.exporting import export
from qornn_hw.integer_model import IntegerModel
from qornn_hw.network import Activation
from qornn_hw.training.cells import QORNN
from qornn_hw.training.config import CopyConfig, MnistConfig, command_line
from qornn_hw.training.copy_run import blank_states
from qornn_hw.training.loop import Best, Reporter, cosine


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 8, 33])
def test_blank_states_equal_the_loop(steps):
    """Doubling gives every state of the blanks that the loop gives, and the last one of all sequences."""
    torch.manual_seed(0)
    cell = QORNN(10, 6, 9, Activation.IDENTITY, 5, 8).double()
    q = cell.quantized()
    start = torch.randn(5, 6, dtype=torch.float64)
    run, end = blank_states(q, start, steps, 3)
    state = start
    for t in range(steps):
        state = cell.step(q, state, torch.zeros(5, dtype=torch.long))
        torch.testing.assert_close(run[:, t], state[:3])
    torch.testing.assert_close(end, state)


# A one-hot input of tanh and hardtanh is rounded to the accumulator's precision by the export only.
CELLS = [(activation, True) for activation in Activation] + [(a, False) for a in list(Activation)[:3]]


@pytest.mark.parametrize("activation, vector", CELLS)
def test_trained_cell_is_the_integer_model(activation, vector):
    """A cell with rounded states, float64 and biases on their grid gives the integer model's states."""
    torch.manual_seed(1)
    scale, bits = 2.0**-5, 8
    tied = activation in (Activation.TANH, Activation.HARDTANH)
    cell = QORNN(4, 11, 3, activation, 4, 4, fixed_scales=(bits, scale) if tied else None).double()
    integers = torch.randint(0, 32, (20, 15, 4)) if vector else torch.randint(0, 4, (20, 15))
    x = integers * scale if vector else integers
    cell.state_bits, cell.input_scale, cell.state_shift = bits, scale if vector else 1.0, 0 if vector else 5
    with torch.no_grad():
        q = cell.quantized()
        unit = q.steps[0] * q.state_step
        if activation is not Activation.IDENTITY:
            cell.bias.copy_(torch.randint(-40, 40, (11,)) * unit)
        states, _ = cell(x.double() if vector else x)
    network = export(
        q.recurrent,
        q.input,
        q.output,
        bias=cell.bias,
        activation=activation,
        calibration_inputs=x,
        input="vector" if vector else "one_hot",
        input_bits=5,
        input_signed=False,
        input_scale=scale,
        state_bits=bits,
        weight_steps=q.steps,
        state_range=0.75 * q.state_step * 2 ** (bits - 1),
    ).network
    assert network.scales.state == pytest.approx(q.state_step, rel=1e-12)
    model = IntegerModel(network).run(integers.numpy())
    found = np.rint(states.numpy() / q.state_step)
    if activation is Activation.TANH:
        # The table holds tanh at the centre of an index, up to a quarter of a step of the state off.
        differences = np.abs(found - model.states)
        assert differences[:, 0].max() <= 1
        assert differences.mean() < 1
    else:
        np.testing.assert_array_equal(found, model.states)
    assert len(np.unique(model.states)) > 20


def test_cosine_schedule():
    """The rate rises over the warm-up, falls as half a cosine, and stays at zero from the end on."""
    assert cosine(0, 1000) == pytest.approx(1 / 50)
    assert cosine(499, 1000) == pytest.approx(0.5, abs=0.01)
    assert cosine(1000, 1000) == cosine(2000, 1000) == 0.0
    values = [cosine(i, 1000) for i in range(60, 1000)]
    assert values == sorted(values, reverse=True)


def test_best_weights_are_kept():
    """The weights of the best score come back; NaN is never best."""
    module = torch.nn.Linear(1, 1)
    best = Best()
    best.restore(module)
    for value, score in ((1.0, 0.5), (2.0, 0.9), (3.0, math.nan), (4.0, 0.7)):
        torch.nn.init.constant_(module.weight, value)
        best.offer(score, module)
    best.restore(module)
    assert module.weight.item() == 2.0


def test_reporter_without_terminal(capsys):
    """Without a terminal progress is plain lines on stderr, and none if quiet."""
    with Reporter("copy", 4, seconds=0.0) as reporter:
        for i in range(4):
            reporter.update(i + 1, loss=0.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 4 and lines[-1].startswith("copy 4/4 loss 0.25, ")
    with Reporter("mnist", 2, seconds=0.0) as reporter:
        reporter.update(1, loss=0.25, validation=None)
        reporter.update(2, loss=0.25, validation=0.5)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("mnist 1/2 loss 0.25, validation -, ") and first.endswith(" s left")
    assert second == "mnist 2/2 loss 0.25, validation 0.5, 0 s left"
    with Reporter("copy", 1, quiet=True) as reporter:
        reporter.update(1)
    assert capsys.readouterr().err == ""


def test_reporter_on_a_terminal(capsys, monkeypatch):
    """On a terminal progress is a bar with loss and count."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Reporter("copy", 2) as reporter:
        reporter.update(2, loss=0.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "copy" in captured.err and "2/2 loss 0.25" in captured.err


@pytest.mark.parametrize(
    "task, config, line",
    [
        ("copy", CopyConfig(), "qornn-hw train copy -o model.pt"),
        (
            "copy",
            CopyConfig(blank=7, state_bits=9),
            "qornn-hw train copy --blank 7 --state-bits 9 -o model.pt",
        ),
        ("mnist", MnistConfig(data="/here"), "qornn-hw train mnist --data DIR -o model.pt"),
    ],
)
def test_command_line(task, config, line):
    """The recorded command has the options that are not the defaults, and no path of this machine."""
    assert command_line(task, config) == line


@pytest.mark.parametrize(
    "config, changes, message",
    [
        (CopyConfig, {"blank": 0}, "blank must be 1 to 1000000, not 0"),
        (CopyConfig, {"hidden": 0}, "hidden must be 1 to 65536, not 0"),
        (CopyConfig, {"bits": 9}, "bits must be 1 to 8, not 9"),
        (CopyConfig, {"output_bits": 0}, "output_bits must be 1 to 8, not 0"),
        (CopyConfig, {"state_bits": 3}, "state_bits must be 4 to 16, not 3"),
        (CopyConfig, {"multiplier_bits": 17}, "multiplier_bits must be 1 to 16, not 17"),
        (CopyConfig, {"iterations": 0}, "iterations must be 1 to 10000000, not 0"),
        (
            CopyConfig,
            {"activation": "gelu"},
            "activation must be one of identity, relu, modrelu, hardtanh, tanh, not 'gelu'",
        ),
        (CopyConfig, {"rounding": "floor"}, "rounding must be one of half_up, half_even, not 'floor'"),
        (CopyConfig, {"output_kind": "x"}, "output_kind must be one of logits, argmax, both, not 'x'"),
        (
            CopyConfig,
            {"learning_rate_input": 0.0},
            "learning_rate_input must be positive and finite, not 0.0",
        ),
        (MnistConfig, {"data": "x", "input_bits": 9}, "input_bits must be 1 to 8, not 9"),
        (MnistConfig, {"data": "x", "epochs": 0}, "epochs must be 1 to 10000, not 0"),
        (
            MnistConfig,
            {"data": "x", "learning_rate": float("nan")},
            "learning_rate must be positive and finite, not nan",
        ),
    ],
)
def test_configuration_errors(config, changes, message):
    """A value that cannot work is refused before anything is trained."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        config(**changes)


def test_command_line_of_switches():
    """A switch is recorded by its name where it is not the default."""
    on = MnistConfig(data="x").orthogonal
    word = "--no-orthogonal" if on else "--orthogonal"
    assert word in command_line("mnist", MnistConfig(data="x", orthogonal=not on)).split()
