"""What a network of docs/results.md would take on a small board, by the estimate."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from qornn_hw.boards.estimation import plan_for
from qornn_hw.boards.registry import find_board
from qornn_hw.cells.elman_network import InputKind, WeightBits
from qornn_hw.compiler.planner import estimate_design
from qornn_hw.sim.stimuli import random_network

__all__ = ["Hardware", "hardware_of"]

BOARD = "icebreaker"


@dataclass(frozen=True)
class Hardware:
    """A design by its estimate.

    Attributes:
        lanes: multiply-accumulates in a cycle.
        cycles: of a step.
        cells: logic cells of the core.
        block_rams: of the core.
    """

    lanes: int
    cycles: int
    cells: int
    block_rams: int


def hardware_of(config: Any) -> Hardware:
    """Return the fastest design for an Elman network of a run's sizes, on the iCEBreaker."""
    task = config.task()
    bits = (config.bits, config.output_bits, config.state_bits)
    return _planned(config.hidden, task.inputs, task.outputs, task.input_kind, *bits)


@cache
def _planned(
    hidden: int, inputs: int, outputs: int, kind: InputKind, bits: int, output_bits: int, state_bits: int
) -> Hardware:
    network = random_network(
        seed=0,
        hidden_size=hidden,
        input_size=inputs,
        output_size=outputs,
        weight_bits=WeightBits(bits, bits, output_bits),
        state_bits=state_bits,
        input_kind=kind,
    )
    board = find_board(BOARD)
    design = plan_for(network, board)
    need = estimate_design(design, board.family)
    return Hardware(design.lanes, design.schedule.cycles_per_step, need.lut, need.bram)
