"""The parts of a step add up to the plan's cycles, for each engine, mode and shape."""

import pytest

from qornn_hw.cells.elman_network import InputKind, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.engines import NAMES
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.link.step_parts import link_microseconds, step_cycles
from qornn_hw.rtl_gen.links.uart.link import UART
from qornn_hw.sim.stimuli import random_network


def design_of(engine, mode, kind, hidden, elements):
    """Return a design of a random network."""
    network = random_network(
        seed=1,
        hidden_size=hidden,
        input_size=4,
        output_size=3,
        input_kind=kind,
        output_mode=mode,
        output_kind=OutputKind.LOGITS,
    )
    if engine == "dsp":
        return compile_network(network, elements=elements, engine=engine, store=WeightStore.BLOCK_RAM)
    return compile_network(network, columns_per_element=2, elements=elements)


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("mode", OutputMode)
@pytest.mark.parametrize("kind", [InputKind.VECTOR, InputKind.ONE_HOT])
@pytest.mark.parametrize("hidden, elements", [(4, 1), (12, 2), (24, 6)])
def test_parts_add_up(engine, mode, kind, hidden, elements):
    """No part is negative, none of 0 is shown, and the sum is the plan's cycles of a step."""
    design = design_of(engine, mode, kind, hidden, elements)
    parts = step_cycles(design.schedule)
    assert sum(parts.values()) == design.schedule.cycles_per_step
    assert all(cycles > 0 for cycles in parts.values())
    assert parts["rows of W and U"] == design.schedule.placement.passes * hidden
    assert ("rows of V" in parts) == (mode is OutputMode.EVERY_STEP)


def test_the_link():
    """A byte on the link is ten bits at its rate, in a step's frame and in an answer's."""
    design = design_of("lut", OutputMode.EVERY_STEP, InputKind.VECTOR, 12, 2)
    form = LinkFormat.of(design)
    assert link_microseconds(design, 1_000_000, UART.line) == {
        "step to the board": pytest.approx(form.step_frame_bytes * 10.0),
        "answer": pytest.approx(form.answer_frame_bytes * 10.0),
    }
