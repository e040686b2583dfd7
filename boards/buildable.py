"""What is built: a core, its link, and what the report says of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from qornn_hw.boards.report import ModelFacts
from qornn_hw.cells.any_network import macs_per_step
from qornn_hw.compiler.boot import Boot
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.family import Resources
from qornn_hw.compiler.network_facts import model_facts
from qornn_hw.compiler.weight_image import encode_image
from qornn_hw.link.latency import StepTimes
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.emit import emit_core_verilog, port_table
from qornn_hw.rtl_gen.engines import make_core

__all__ = ["Buildable", "buildable"]

# A component class without annotations is Any to mypy.
Component: TypeAlias = Any


@dataclass(frozen=True)
class Buildable:
    """A core and what the build says about it.

    Attributes:
        core: makes the core; a component can be elaborated once.
        form: words of a step and of an answer.
        facts: what the report says of it.
        documents: makes further text files that belong to the core: name to content.
        multipliers: synthesis makes hard multipliers of products; else the core brings its own.
        weights: the image of the weights that are loaded after start-up, None where they are in the
            bitstream.
        boot: where those come from.
        design: what the core is made of; a build keeps what it takes to put another network into it.
    """

    core: Callable[[], Component]
    form: LinkFormat
    facts: ModelFacts
    documents: Callable[[], dict[str, str]] = field(default=dict)
    multipliers: bool = True
    weights: bytes | None = None
    boot: Boot = Boot.LINK
    design: Design | None = None


def buildable(
    design: Design,
    *,
    cycles_per_step: float | None = None,
    answer_cycles: tuple[int, int] | None = None,
    estimated: Resources | None = None,
    boot: Boot = Boot.LINK,
) -> Buildable:
    """Return what is built of a compiled network; for the cycles see :func:`qornn_hw.boards.build.build`."""
    form = LinkFormat.of(design)
    return Buildable(
        core=lambda: make_core(design),
        form=form,
        facts=ModelFacts(
            **model_facts(design.network),
            engine=design.engine.name,
            lanes=design.lanes,
            macs_per_step=macs_per_step(design.network),
            cycles_per_step=cycles_per_step,
            accumulator_bits=design.schedule.accumulator_bits,
            digest=design.digest,
            estimated=estimated,
            times=None if answer_cycles is None else StepTimes(cycles_per_step, *answer_cycles),
            link=form,
        ),
        documents=lambda: {
            "core.v": emit_core_verilog(design, vendor_cells=design.needs_vendor_cells),
            "core_ports.md": port_table(design),
        },
        multipliers=not design.engine.hard_multipliers,
        weights=encode_image(design) if design.schedule.weight_banks else None,
        boot=boot,
        design=design,
    )
