"""Stacks of the cells of :mod:`hand_cells`, with the same network as plain NumPy."""

from dataclasses import dataclass, field

import numpy as np
from hand_cells import CELLS, half_up, sat

from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Input, Network, Readout
from qornn_hw.ir.ops import Answer, MatVec, PiecewiseLinear, Term

__all__ = ["Stack", "half_up", "make_stack", "random_inputs", "sat"]


@dataclass
class Stack:
    """A network, and how NumPy computes it."""

    network: Network
    steps: list = field(default_factory=list)
    output_weight: np.ndarray = None
    output_bias: np.ndarray = None
    relu: bool = False

    def run(self, x):
        """Return the states after each step by name, (batch, steps, n), and the logits of each step."""
        state = {name: np.tile(s.initial, (len(x), 1)) for name, s in self.network.states.items()}
        states, logits = {name: [] for name in state}, []
        for t in range(x.shape[1]):
            below = x[:, t]
            for k, step in enumerate(self.steps):
                state |= step(state, below)
                below = state[f"layer{k}.h"]
            top = np.maximum(below, 0) if self.relu else below
            logits.append(top @ self.output_weight.T + self.output_bias)
            for name, values in state.items():
                states[name].append(values)
        return {name: np.stack(s, axis=1) for name, s in states.items()}, np.stack(logits, axis=1)


def make_stack(seed, cells=None, mode=OutputMode.EVERY_STEP, largest=9):
    """Return a stack of 1 to 3 cells, those of ``cells`` or random ones, of random sizes."""
    rng = np.random.default_rng(seed)
    cells = cells or [CELLS[i] for i in rng.integers(0, len(CELLS), rng.integers(1, 4))]
    form = IntFormat(int(rng.integers(1, 7)), bool(rng.integers(0, 2)))
    source, m = "x", int(rng.integers(1, 7))
    size, layers, steps = m, [], []
    for k, cell in enumerate(cells):
        n = int(rng.integers(1, largest))
        layer, step = cell(int(rng.integers(1 << 30)), f"layer{k}", n, source, size)
        layers.append(layer)
        steps.append(step)
        source, size = f"layer{k}.h", n
    p, relu = int(rng.integers(1, 5)), bool(rng.integers(0, 2))
    v, c = rng.integers(-8, 8, (p, size)), rng.integers(-99, 99, p)
    tail = (PiecewiseLinear.relu("positive", source),) if relu else ()
    logits = MatVec("logits", (Term("positive" if relu else source, v, 4),), c)
    readout = Readout(logits, Answer("answer", "logits", OutputKind.BOTH), mode, tail)
    network = Network(Input("x", InputKind.VECTOR, m, form), tuple(layers), readout, {"logits": 0.5})
    return Stack(network, steps, v, c, relu)


def random_inputs(network, batch, steps, seed):
    """Return vectors (batch, steps, m) of all values of the input's format."""
    form = network.input.format
    rng = np.random.default_rng(seed)
    return rng.integers(form.min, form.max + 1, (batch, steps, network.input.size))
