"""A cell of your own, from its formula to hardware, in one file: an integrator whose leak is a gate.

    python docs/examples/own_cell.py [FOLDER] [--epochs 30] [--build]

    a = sigmoid(W_a x + U_a h + b_a)      z = tanh(W_z x + U_z h + b_z)      h' = z + a (h - z)

It is trained with 4-bit weights and 8-bit states to tell which of two channels was larger on the whole. The
integers, and the hardware that computes them, come from the formula: no gateware is written here.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qornn_hw
from qornn_hw.cells.cell import Cell, keeping, split
from qornn_hw.cells.graph import CellGraph, Value, sigmoid, tanh
from qornn_hw.cells.real_model import run_cell
from qornn_hw.quantization.stack import RealStack

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GatedLeak(Cell):
    """A layer of n units on m inputs. Rows: the gate, then the candidate."""

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array

    gates = 2

    @classmethod
    def start_fields(cls, times: Array) -> dict[str, Any]:
        """Return biases of the gate so that a unit forgets within its time at the start of a training."""
        return {"bias_ih": np.concatenate([keeping(times), np.zeros_like(times)])}

    def build(self, graph: CellGraph) -> Value:
        """Write the step; return the state that the readout sees."""
        h = graph.state("h", self.units)
        (w_a, w_z), (u_a, u_z), (b_a, b_z) = (
            split(part, 2) for part in (self.weight_ih, self.weight_hh, self.bias_ih)
        )
        a = sigmoid(graph.linear(w_a, graph.input) + graph.linear(u_a, h) + b_a).named("a")
        z = tanh(graph.linear(w_z, graph.input) + graph.linear(u_z, h) + b_z).named("z")
        graph.assign(h, (z + a * (h - z)).named("new"))
        return h


def formula(cell: GatedLeak, x: Array) -> Array:
    """Return the states after each step of one sequence (steps, m), by the formula once more."""
    h, states = np.zeros(cell.units), []
    for entry in x:
        a, z = np.split(cell.weight_ih @ entry + cell.weight_hh @ h + cell.bias_ih, 2)
        a, z = 1 / (1 + np.exp(-a)), np.tanh(z)
        h = z + a * (h - z)
        states.append(h)
    return np.array(states)


def recordings(count: int, seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Return noise of 40 steps and 2 channels, and which channel's sum is larger."""
    x = np.random.default_rng(seed).normal(size=(count, 40, 2))
    return x, x.sum(axis=1).argmax(axis=1)


def main() -> int:
    """Check, train, simulate; the exit code is 0 if everything agrees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("own_cell"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--build", action="store_true", help="also build the bitstream (minutes)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    random = np.random.default_rng(0)
    cell = GatedLeak.start(inputs=2, units=12, random=random, memory=40.0)
    x, classes = recordings(2000, seed=0)
    difference = np.abs(run_cell(cell.graph, x[:1])[1]["h"][0] - formula(cell, x[0])).max()
    print(f"graph against formula: largest difference {difference:.1e}")

    stack = RealStack((cell,), random.normal(size=(2, 12)) * 0.3, np.zeros(2))
    net = qornn_hw.finetune(
        stack, (x, classes), bits=4, state_bits=8, epochs=options.epochs, learning_rate=1e-2
    )
    qornn_hw.save(options.folder / "own_cell.npz", net)
    accuracy = net.metrics["integer"]["accuracy"]
    print(f"4-bit weights, 8-bit states: {accuracy:.1%} of {net.metrics['sequences']} test sequences")

    design = qornn_hw.compile(net, board="icebreaker")
    found = design.simulate(x[:2])
    print(f"Verilog: {found.integers_compared} integers compared, {found.mismatches} mismatches, ", end="")
    print(f"{found.cycles_per_step} cycles a step")
    if options.build:
        print(design.build(options.folder / "build"))
    return 0 if difference < 1e-12 and found.mismatches == 0 and accuracy > 0.8 else 1


if __name__ == "__main__":
    sys.exit(main())
