"""Latencies and logic of the stages beside the requantizer."""

import pytest

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.compiler.activation_stages import accumulator_latency, activation_cells, state_latency
from qornn_hw.compiler.design import compile_network
from qornn_hw.rtl_gen.activation import ModRelu
from qornn_hw.rtl_gen.piecewise_linear import PiecewiseLinear
from qornn_hw.sim.stimuli import random_network


@pytest.mark.parametrize(
    ("shape", "accumulator", "state"),
    [
        (ActivationShape(), 0, 0),
        (ActivationShape(rectified=True), 0, 0),
        (ActivationShape(table=True), 0, 0),
        (ActivationShape(unit_bias=True), ModRelu.LATENCY, 0),
        (ActivationShape(pieces=True), 0, PiecewiseLinear.LATENCY),
    ],
)
def test_latencies(shape, accumulator, state):
    """Only a bias of the unit's own and straight pieces take cycles."""
    assert (accumulator_latency(shape), state_latency(shape)) == (accumulator, state)


@pytest.mark.parametrize("activation", Activation)
def test_cells(activation):
    """Only these two take logic."""
    network = random_network(seed=1, hidden_size=4, input_size=3, output_size=2, activation=activation)
    cells = activation_cells(network, compile_network(network, elements=2).schedule.widths)
    shape = activation.shape
    assert (cells > 20) is (shape.unit_bias or shape.pieces) and cells < 500
