"""Networks of both kinds asked the same questions: operations, ranges, answers, scales, products."""

from dataclasses import replace

import numpy as np
import pytest
from hand_cells import gru, lstm
from hand_networks import make_stack
from networks import make_network, one_hot_fields
from tile_designs import quantized_cells

from qornn_hw.cells.any_network import (
    answer_integers,
    elman_network,
    interpreter_of,
    macs_per_step,
    operations_of,
    output_scale,
    ranges_of,
)
from qornn_hw.cells.elman import lower
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import OutputKind, OutputMode
from qornn_hw.errors import FormatError
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.sim.stimuli import random_sequences

ELMAN = make_network(n=5, m=3, p=2, seed=1)
STACK = make_stack(3, [gru, lstm]).network


def test_operations_and_ranges():
    """Operations are themselves, an Elman cell is lowered; both are made once."""
    assert operations_of(STACK) is STACK and operations_of(ELMAN) is lower(ELMAN)
    assert ranges_of(STACK) is ranges_of(STACK) and ranges_of(ELMAN) is ranges_of(ELMAN)


@pytest.mark.parametrize("network", [ELMAN, STACK], ids=["elman", "stack"])
def test_the_interpreter(network):
    """It gives the integers of the network's own model."""
    x = np.stack(random_sequences(network, batch=3, steps=6, seed=0))
    model = IntegerModel(network) if network is ELMAN else Interpreter(network)
    np.testing.assert_array_equal(interpreter_of(network).answers(x), model.answers(x))


def test_an_elman_network_is_asked_for():
    """Parameters are returned, other cells are refused."""
    assert elman_network(ELMAN) is ELMAN
    with pytest.raises(FormatError, match=r"^network must be one Elman layer and a readout, not Network\("):
        elman_network(STACK)


@pytest.mark.parametrize("kind", list(OutputKind))
def test_words_of_answers(kind):
    """Logits, then the first of the largest."""
    net = replace(ELMAN, output_kind=kind)
    words = answer_integers(net, np.array([[[3, 7], [7, 7]]]))
    due = {OutputKind.LOGITS: [[3, 7], [7, 7]], OutputKind.ARGMAX: [[1], [0]]}
    assert words.tolist() == [due.get(kind, [[3, 7, 1], [7, 7, 0]])]


def test_the_scale_of_a_logit():
    """From the parameters or by the name of the logits."""
    assert output_scale(ELMAN) == ELMAN.scales.output
    assert output_scale(STACK) == STACK.scales[STACK.readout.logits.name]


@pytest.mark.parametrize("mode", list(OutputMode))
@pytest.mark.parametrize("fields", [{}, one_hot_fields(3)], ids=["vector", "one-hot"])
def test_products_of_a_step(mode, fields):
    """N n, n m of a vector, p n where every step is answered; of a stack every term of every row."""
    net = make_network(n=5, m=3, p=2, seed=1, output_mode=mode, **fields)
    due = 25 + (15 if net.vector_input else 0) + (10 if mode is OutputMode.EVERY_STEP else 0)
    assert macs_per_step(net) == macs_per_step(lower(net)) == due
    rows = [op for op in STACK.operations if op.op == "mat_vec"]
    assert macs_per_step(STACK) == sum(term.weights.size for row in rows for term in row.terms)


def test_products_that_a_step_does_not_need():
    """Layers for an answer only, and Hadamard matrices, multiply nothing in a step within a sequence."""
    layers = [("gru", 4), ("dense", 5)]
    every = quantized_cells(layers, 3, weight_bits=4, output_mode="every_step")
    last = quantized_cells(layers, 3, weight_bits=4, output_mode="last_step")
    own = 3 * 4 * 3 + 3 * 4 * 4
    assert (macs_per_step(every), macs_per_step(last)) == (own + 4 * 5 + 5 * 3, own)
    signs = quantized_cells([("hadamard", 8)], 3, weight_bits=4, output_mode="last_step")
    assert macs_per_step(signs) == 8 * 3
