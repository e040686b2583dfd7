"""How the cycles of a step divide: rows of the matrices, waiting, and the input's arrival.

The parts come from the plan and add up to ``schedule.cycles_per_step``, the step within a sequence while the
streams never make the core wait.
"""

from typing import TYPE_CHECKING

from qornn_hw.link.physical import LineTiming
from qornn_hw.link.protocol import LinkFormat

if TYPE_CHECKING:
    from qornn_hw.compiler.design import Design
    from qornn_hw.compiler.schedule import Schedule

__all__ = ["link_microseconds", "step_cycles"]


def step_cycles(schedule: "Schedule") -> dict[str, int]:
    """Return the cycles of each part of a step; parts of no cycles are left out."""
    return {name: cycles for name, cycles in schedule.step_parts().items() if cycles}


def link_microseconds(design: "Design", baud: int, line: LineTiming) -> dict[str, float]:
    """Return the microseconds of a step's frame and of an answer's on the link.

    Args:
        design: the design.
        baud: rate of the link in bits a second.
        line: time of a byte on the link.
    """
    form = LinkFormat.of(design)
    us = line.bits_per_byte * 1e6 / baud
    return {"step to the board": form.step_frame_bytes * us, "answer": form.answer_frame_bytes * us}
