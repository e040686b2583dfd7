"""The Elman cell as operations: names, structure, and the same integers as the old formulas."""

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman import LOGITS, STATE, lower
from qornn_hw.cells.elman_network import Activation, IntegerNetwork, OutputMode, WeightBits
from qornn_hw.ir.formats import IntFormat, Rounding, requantize
from qornn_hw.ir.interpreter import Interpreter

TAILS = {
    Activation.IDENTITY: ["requantized", "state"],
    Activation.RELU: ["activated", "requantized", "state"],
    Activation.MODRELU: ["activated", "requantized", "state"],
    Activation.HARDTANH: ["requantized", "state"],
    Activation.TANH: ["requantized", "new_state", "state"],
}


def random_network(seed):
    """Return an Elman network of random sizes, bits, formats and weights."""
    rng = np.random.default_rng(seed)
    n, m, p = (int(v) for v in rng.integers(1, (20, 8, 6)))
    activation = list(Activation)[seed % 5]
    bits = WeightBits(*(int(b) for b in rng.integers(1, 9, 3)))
    a = int(rng.integers(4, 17))

    def weights(k, *shape):
        return rng.integers(0, 2, shape) * 2 - 1 if k == 1 else rng.integers(-(1 << k - 1), 1 << k - 1, shape)

    changes = {
        "activation": activation,
        "recurrent_weight": weights(bits.recurrent, n, n),
        "input_weight": weights(bits.input, n, m),
        "output_weight": weights(bits.output, p, n),
        "weight_bits": bits,
        "bias": rng.integers(-(1 << a), 1 << a, n),
        "state_bits": a,
        "input_format": IntFormat(int(rng.integers(1, 9)), bool(rng.integers(0, 2))),
        "input_shift": int(rng.integers(0, 6)),
        "multiplier": rng.integers(1, 300, n) if rng.integers(0, 2) else np.full(n, 77),
        "shift": int(rng.integers(0, 13)),
        "rounding": list(Rounding)[int(rng.integers(0, 2))],
        "initial_state": rng.integers(-(1 << a - 1), 1 << a - 1, n),
        "output_mode": list(OutputMode)[int(rng.integers(0, 2))],
    }
    if rng.integers(0, 2):
        changes |= one_hot_fields(m)
    if activation is Activation.TANH:
        size = 1 << int(rng.integers(2, 10))
        changes["table"] = np.sort(rng.integers(-(1 << a - 1), 1 << a - 1, size))
    return make_network(n, m, p, seed, **changes)


def inputs_of(network: IntegerNetwork, batch, steps, seed):
    """Return random inputs, indices that are no symbols among them."""
    form = network.input_format
    shape = (batch, steps, network.input_size) if network.vector_input else (batch, steps)
    return np.random.default_rng(seed).integers(form.min, form.max + 1, shape)


def plain(net, x):
    """Return states and logits by docs/numerics.md in NumPy, on 64-bit integers without BLAS."""
    g, states = np.tile(net.initial_state, (len(x), 1)), []
    columns = np.vstack([net.input_weight.T, np.zeros((1 << 16, net.hidden_size), dtype=np.int64)])
    for t in range(x.shape[1]):
        drive = x[:, t] @ net.input_weight.T if net.vector_input else columns[x[:, t]]
        z = g @ net.recurrent_weight.T + (drive << net.input_shift)
        if net.activation is Activation.MODRELU:
            f = np.sign(z) * np.maximum(np.abs(z) + net.bias, 0)
        else:
            f = z + net.bias
            f = np.maximum(f, 0) if net.activation is Activation.RELU else f
        g = requantize(f, net.multiplier, net.shift, net.index_bits, net.rounding)
        if net.table is not None:
            g = net.table[g + len(net.table) // 2]
        states.append(g)
    answered = states if net.output_mode is OutputMode.EVERY_STEP else states[-1:]
    logits = np.stack([s @ net.output_weight.T + net.output_bias for s in answered], axis=1)
    return np.stack(states, axis=1), logits


@pytest.mark.parametrize("seed", range(60))
def test_random_networks(seed):
    """States and logits of random networks are those of the formulas."""
    net = random_network(seed)
    x = inputs_of(net, 8, 10, seed)
    states, logits = plain(net, x)
    run = Interpreter(lower(net)).run(x)
    np.testing.assert_array_equal(run.states[STATE], states)
    np.testing.assert_array_equal(run.logits, logits)


@pytest.mark.parametrize("activation", TAILS)
def test_structure(activation):
    """One layer of one group, whose tail is the activation's; scales are named."""
    table = np.arange(-8, 8) if activation is Activation.TANH else None
    net = lower(make_network(activation=activation, table=table))
    (layer,) = net.layers
    (group,) = layer.groups
    assert [row.name for row in group.rows] == ["accumulator"]
    assert [op.name for op in group.tail] == TAILS[activation]
    assert set(net.scales) == {STATE, "accumulator", LOGITS}
