"""What a simulation plays, and the core simulated alone or through the pins of its link."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.counts import check_seed, check_steps
from qornn_hw.data.inference import InputConverter
from qornn_hw.data.sequences import sequences_of
from qornn_hw.errors import FormatError

if TYPE_CHECKING:
    from qornn_hw.compiler.design import Design as Core
    from qornn_hw.link.physical import PhysicalLink
    from qornn_hw.sim.core_simulation import SimulationResult

__all__ = [
    "NETLIST_COUNTS",
    "RTL_COUNTS",
    "THROUGH",
    "check_counts",
    "check_simulation",
    "simulate",
    "stimuli",
]

# Sequences and steps where nobody says how many; a netlist takes minutes.
RTL_COUNTS = (3, 16)
NETLIST_COUNTS = (4, 4)
# Cycles of a bit of the link in a simulation through the pins: few, and a half, as a board may have it.
PINS_CLOCKS_PER_BIT = Fraction(25, 2)
THROUGH = ("core", "pins", "netlist")


def check_counts(
    counts: tuple[int, int], inputs: Any, sequences: int | None, steps: int | None, seed: int
) -> tuple[int, int]:
    """Return how many sequences and steps are played; the defaults where nobody says.

    Raises:
        FormatError: a count or the seed is out of its range, or steps come with inputs.
    """
    if inputs is not None and steps is not None:
        raise FormatError("steps must come without `inputs`, whose sequences have their own lengths")
    found = counts[0] if sequences is None else sequences, counts[1] if steps is None else steps
    check_steps(("sequences", found[0]), ("steps", found[1]))
    check_seed("seed", seed)
    return found


def stimuli(
    network: AnyNetwork,
    inputs: Any,
    *,
    integers: bool = False,
    counts: tuple[int, int] = RTL_COUNTS,
    sequences: int | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> list[NDArray[Any]]:
    """Return sequences of the network's integers: given ones, or random ones.

    Args:
        network: whose inputs.
        inputs: real inputs as for a call of the network, or its own integers; random ones where None.
        integers: whether ``inputs`` are the network's own integers.
        counts: sequences and steps by default.
        sequences: how many.
        steps: of each, with random ones.
        seed: of random ones.

    Raises:
        FormatError: a count is out of its range, or the inputs are none of this network.
    """
    from qornn_hw.sim.stimuli import random_sequences

    count, length = check_counts(counts, inputs, sequences, steps, seed)
    if inputs is None:
        check_steps(("sequences", count), ("steps", length), operations_of(network).input.size)
        return list(random_sequences(network, batch=count, steps=length, seed=seed))
    if integers:
        return [np.asarray(one) for one in inputs][:sequences]
    converter = InputConverter(network)
    return [converter.from_real(one) for one in sequences_of("inputs", inputs)[:sequences]]


def simulate(
    core: "Core",
    played: Sequence[NDArray[Any]],
    *,
    through: str = "core",
    link: "PhysicalLink | None" = None,
    simulator: str | None = None,
    idle: str = "none",
    back_pressure: str = "none",
    reset_after: int | None = None,
    seed: int = 0,
    waves: Path | None = None,
) -> "SimulationResult":
    """Simulate a core's Verilog; arguments as for :meth:`qornn_hw.Design.simulate`.

    ``link`` is the physical link of ``through`` pins, that of a board by default where None.
    """
    from qornn_hw.sim.core_simulation import simulate_core, work_folder

    if through == "core":
        return simulate_core(
            core, played, simulator=simulator, idle=idle, back_pressure=back_pressure,
            reset_after=reset_after, seed=seed, waves=waves,
        )  # fmt: skip
    from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK
    from qornn_hw.sim.link_simulation import emit_linked_core, simulate_link

    link = link or DEFAULT_LINK
    with work_folder(None) as folder:
        verilog = folder / "linked_core.v"
        verilog.write_text(emit_linked_core(core, clocks_per_bit=PINS_CLOCKS_PER_BIT, link=link))
        return simulate_link(
            [verilog], "linked_core", PINS_CLOCKS_PER_BIT, core, played, simulator=simulator, link=link,
            reset_after=reset_after, waves=waves,
        )  # fmt: skip


def check_simulation(through: str, build: Any, idle: str, back_pressure: str) -> None:
    """Refuse what nothing is simulated through, and arguments that do not go with it.

    Args:
        through: ``core``, ``pins``, or ``netlist``, that of a build.
        build: the build; None where there is none.
        idle: pauses of the input.
        back_pressure: pauses of the output.

    Raises:
        FormatError: it is so.
    """
    if through not in THROUGH:
        raise FormatError(f"through must be core, pins or netlist, not {through!r}")
    if through == "netlist" and build is None:
        raise FormatError("`through` netlist must come with `build` DIR, the output folder of a build")
    if through != "netlist" and build is not None:
        raise FormatError(f"build must come with `through` netlist, not with `through` {through}")
    if through != "core" and (idle, back_pressure) != ("none", "none"):
        raise FormatError(f"idle and back_pressure must go with `through` core, not {through}")
