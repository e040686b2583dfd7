"""Builds of gated cells for the iCEBreaker: cycles, clock, cells and memories, as rows of a table.

    python benchmarks/gated_builds.py [--seeds N] [NAME ...]

The weights are random: what is measured depends on sizes and bits. Of several placement seeds the report
of the median clock is printed. About two minutes a build.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np

import qornn_hw
from qornn_hw.cells.any_network import operations_of
from qornn_hw.cells.cell import Cell
from qornn_hw.cells.fastgrnn import FastGrnn
from qornn_hw.cells.gru import Gru
from qornn_hw.cells.lstm import Lstm
from qornn_hw.quantization.quantize_stack import quantized_stack
from qornn_hw.quantization.stack import RealStack

INPUTS, OUTPUTS = 3, 10
NETWORKS: dict[str, tuple[tuple[str, int], ...]] = {
    "GRU 32": (("gru", 32),),
    "GRU 64": (("gru", 64),),
    "GRU 32 + 32": (("gru", 32), ("gru", 32)),
    "LSTM 32": (("lstm", 32),),
    "LSTM 64": (("lstm", 64),),
    "FastGRNN 64": (("fastgrnn", 64),),
}
# Bits that all block RAM and SPRAM of the iCE40UP5K give in a cycle.
MEMORY_BITS = 30 * 16 + 4 * 16


def random_cell(name: str, units: int, inputs: int, rng: np.random.Generator) -> Cell:
    """Return a cell with random weights whose states stay near 1."""

    def weights(rows: int, columns: int) -> np.ndarray:
        return rng.normal(size=(rows, columns)) / np.sqrt(columns)

    def biases(rows: int) -> np.ndarray:
        return rng.normal(size=rows) * 0.3

    if name == "fastgrnn":
        given = weights(units, inputs), weights(units, units), biases(units), biases(units)
        return FastGrnn(*given, zeta=0.9, nu=0.05)
    kind, gates = (Gru, 3) if name == "gru" else (Lstm, 4)
    rows = gates * units
    return kind(weights(rows, inputs), weights(rows, units), biases(rows), biases(rows))


def random_network(layers: tuple[tuple[str, int], ...]) -> qornn_hw.Network:
    """Return the integers of a stack of random cells: 4-bit weights and inputs, 8-bit states."""
    rng, size, cells = np.random.default_rng(0), INPUTS, []
    for name, units in layers:
        cells.append(random_cell(name, units, size, rng))
        size = units
    stack = RealStack(tuple(cells), rng.normal(size=(OUTPUTS, size)), rng.normal(size=OUTPUTS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", qornn_hw.QualityWarning)
        return quantized_stack(
            stack,
            rng.normal(size=(16, 10, INPUTS)),
            weight_bits=4,
            state_bits=8,
            input_bits=4,
            output_mode="last_step",
        )


def bound(network: qornn_hw.Network) -> int:
    """Return the cycles that the weights take at the memories' bandwidth."""
    operations = operations_of(network.network)
    rows = [row for layer in operations.layers for group in layer.groups for row in group.rows]
    bits = sum(term.weights.size * term.bits for row in rows for term in row.terms)
    return -(-bits // MEMORY_BITS)


def main() -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1, help="placement seeds")
    parser.add_argument("names", nargs="*", default=list(NETWORKS))
    arguments = parser.parse_args()
    print(
        "| network | (P, L, G) | cycles a step | bound | clock | time of a step | logic cells, estimated | "
        "block RAMs | SPRAMs | multipliers |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in arguments.names:
        print(row(name, arguments.seeds), flush=True)


def row(name: str, seeds: int) -> str:
    """Return the row of a network."""
    network = random_network(NETWORKS[name])
    design = qornn_hw.compile(network, board="icebreaker")
    reports = []
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as folder:
            reports.append(design.build(Path(folder) / "out", seed=seed).report)
    report = sorted(reports, key=lambda r: r["fmax_mhz"])[len(reports) // 2]
    shape, made = design.core.schedule.shape, report["resources"]
    cycles, clock = report["cycles_per_step"], report["clock_mhz"]
    cells = f"{made['lut']}, {report['estimated']['lut']}"
    return (
        f"| {name} | {shape.columns}, {shape.lanes}, {shape.interval} | {cycles} | {bound(network)} | "
        f"{clock} MHz | {cycles / clock:.2f} us | {cells} | {made['bram']} | {made['spram']} | "
        f"{made['dsp']} |"
    )


if __name__ == "__main__":
    main()
