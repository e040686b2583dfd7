"""Random cells in float, for tests."""

import numpy as np

from qornn_hw.cells.dense import Dense
from qornn_hw.cells.fastgrnn import FastGrnn, FastRnn
from qornn_hw.cells.gru import Gru
from qornn_hw.cells.hadamard import HadamardUnits
from qornn_hw.cells.leaky import Leaky
from qornn_hw.cells.linear import LinearUnits
from qornn_hw.cells.lstm import Lstm
from qornn_hw.cells.min_gru import MinGru
from qornn_hw.cells.rnn import Rnn
from qornn_hw.cells.rotating import RotatingUnits


def _gru(w, b, n, m, **given):
    return Gru(w(3 * n, m), w(3 * n, n), b(3 * n), b(3 * n), **given)


def _hadamard(w, b, n, m):
    # Its units are even.
    n += n % 2
    return HadamardUnits(w(n, m), w(n), b(n))


# Makers by name: w gives weights of a shape, b biases, then units and inputs.
CELLS = {
    "gru": _gru,
    "gru, reset before": lambda w, b, n, m: _gru(w, b, n, m, reset_after=False),
    "lstm": lambda w, b, n, m: Lstm(w(4 * n, m), w(4 * n, n), b(4 * n), b(4 * n)),
    "fastgrnn": lambda w, b, n, m: FastGrnn(w(n, m), w(n, n), b(n), b(n), 0.9, 0.05),
    "fastgrnn of relu": lambda w, b, n, m: FastGrnn(w(n, m), w(n, n) / 2, b(n), b(n), 0.9, 0.05, "relu"),
    "fastrnn": lambda w, b, n, m: FastRnn(w(n, m), w(n, n), b(n), 0.1, 0.9),
    "minGRU": lambda w, b, n, m: MinGru(w(2 * n, m), b(2 * n)),
    "rnn": lambda w, b, n, m: Rnn(w(n, m), w(n, n), b(n)),
    "rnn of relu": lambda w, b, n, m: Rnn(w(n, m), w(n, n) / 2, b(n), "relu"),
    "leaky": lambda w, b, n, m: Leaky(w(n, m), w(n, n), b(n), np.linspace(0.3, 0.95, n)),
    "leaky relu": lambda w, b, n, m: Leaky(w(n, m), w(n, n) / 2, b(n), 0.8, "relu"),
    "linear": lambda w, b, n, m: LinearUnits(w(n, m), w(n, n) / 2, b(n)),
    "rotating": lambda w, b, n, m: RotatingUnits(w(n, m), w(n, n) / 3, b(n) + 0.4, b(n)),
    "hadamard": _hadamard,
    "dense": lambda w, b, n, m: Dense(w(n, m), b(n)),
    "leaky hard tanh": lambda w, b, n, m: Leaky(w(n, m), w(n, n), b(n), 0.5, "hard_tanh"),
}


def real_cell(name, units, inputs, rng):
    """Return a random cell whose states stay near 1."""

    def w(*shape):
        return rng.normal(size=shape) / np.sqrt(shape[-1])

    return CELLS[name](w, lambda size: rng.normal(size=size) * 0.3, units, inputs)
