"""Chooses the engine, and the number of multipliers and the memory of the dsp engine."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from qornn_hw.design import Design, compile_schedule
from qornn_hw.device import ICE40_ULTRAPLUS, RESOURCE_NAMES, Family, Resources, block_rams
from qornn_hw.dsp_schedule import DspSchedule
from qornn_hw.engine import Engine, WeightStore
from qornn_hw.errors import CapacityError, FormatError
from qornn_hw.estimate import LOADER_CELLS, estimate_core, memory_blocks, memory_shapes
from qornn_hw.fixed_schedule import with_room
from qornn_hw.network import Activation, IntegerNetwork
from qornn_hw.planner import fastest_schedule, plan
from qornn_hw.schedule import Schedule

__all__ = [
    "considered_dsp",
    "design_memory_blocks",
    "estimate_design",
    "estimate_dsp_core",
    "plan_dsp",
    "plan_engine",
]

# Fitted to builds: sequencer, input buffer, answer queue and requantizer; cells for each bit of the
# accumulator; what operands of more than 8 bits take, and all that is as wide as they.
CONTROL_CELLS = 412
CELLS_PER_BIT = 5
WIDE_OPERAND_CELLS = 230


def dsp_memory_shapes(s: DspSchedule) -> dict[str, tuple[int, int]]:
    """Return ``name: (depth, width)`` of every block RAM memory of a core with the dsp engine."""
    net, n = s.network, s.network.hidden_size
    shared = {"operands", "symbols", "table", "answers"}
    shapes = {name: shape for name, shape in memory_shapes(s).items() if name in shared}
    shapes["sums"] = (2 << max(1, (s.rows - 1).bit_length()), s.waiting_sum_bits)
    shapes["values"] = (2 << max(1, (n - 1).bit_length()), s.activated_bits)
    if not s.shares_multiplier:
        shapes["factors"] = (n << max(1, (s.multiplier_bits - 1).bit_length()), 1)
    if net.activation is Activation.MODRELU:
        shapes["biases"] = (s.rows, s.bias_bits)
    if s.store is WeightStore.BLOCK_RAM:
        shapes["weights"] = (s.weight_depth, sum(s.weight_bits))
    return shapes


def _blocks(s: DspSchedule) -> dict[str, int]:
    return {name: block_rams(*shape) for name, shape in dsp_memory_shapes(s).items()}


def estimate_design(design: Design, family: Family = ICE40_ULTRAPLUS) -> Resources:
    """Return what the core of a design takes, whatever its engine."""
    s = design.schedule
    if isinstance(s, DspSchedule):
        return estimate_dsp_core(s)
    return replace(estimate_core(s, family), bram=sum(design_memory_blocks(design, family).values()))


def design_memory_blocks(design: Design, family: Family = ICE40_ULTRAPLUS) -> dict[str, int]:
    """Return the block RAMs of every memory of a design's core."""
    s = design.schedule
    if isinstance(s, DspSchedule):
        return _blocks(s)
    # Operands are written, too.
    read_only = (image for image in design.images if image is not design.operand_image)
    return memory_blocks(s, family, {image.name: image.varying_columns for image in read_only})


def estimate_dsp_core(s: DspSchedule) -> Resources:
    """Return what a core with the dsp engine takes on an iCE40 UltraPlus; ``lut`` is a model."""
    lut = CONTROL_CELLS + CELLS_PER_BIT * s.accumulator_bits
    if s.store is WeightStore.SPRAM:
        lut += LOADER_CELLS
    if s.operand_bits > 8:
        lut += WIDE_OPERAND_CELLS
    if s.network.activation is Activation.MODRELU:
        lut += 3 * s.activated_bits
    bram = sum(_blocks(s).values())
    return Resources(lut=lut, bram=bram, spram=s.weight_banks, dsp=s.elements)


def _schedules(network: IntegerNetwork, most: int) -> Iterator[DspSchedule]:
    """Yield the plans on up to ``most`` multipliers, the fastest first, with each store of the weights."""
    for elements in range(min(most, DspSchedule(network, 1, 1).words), 0, -1):
        for store in (WeightStore.BLOCK_RAM, WeightStore.SPRAM):
            yield DspSchedule(network, 1, elements, weight_store=store)


def plan_dsp(
    network: IntegerNetwork,
    available: Resources,
    *,
    name: str,
    lanes: int | None = None,
    family: Family = ICE40_ULTRAPLUS,
    room: bool = False,
) -> Design:
    """Return the dsp design with the fewest cycles a step that fits; weights in block RAM where they fit.

    Arguments as in :func:`qornn_hw.planner.plan`.

    Raises:
        CapacityError: the device has no such multipliers, or the network is too large; says what would fit.
        FormatError: the multipliers cannot compute the network.
    """
    if lanes is not None and lanes < 1:
        raise FormatError(f"lanes must be at least 1, not {lanes!r}")
    if family is not ICE40_ULTRAPLUS:
        raise CapacityError(
            f"the dsp engine must have the multipliers and large memories of an iCE40 UltraPlus, {name} has "
            "none; take the lut engine, or --board icebreaker"
        )
    refusal: CapacityError | FormatError | None = None
    for plain in _schedules(network, min(available.dsp, lanes or available.dsp)):
        schedule = with_room(plain) if room else plain
        assert isinstance(schedule, DspSchedule)
        over = estimate_dsp_core(schedule).excess(available)
        if over:
            refusal = refusal or CapacityError(_refusal(over, name))
            continue
        try:
            return compile_schedule(schedule)
        except FormatError as error:
            refusal = error
    assert refusal is not None
    raise refusal


def considered_dsp(
    network: IntegerNetwork, available: Resources
) -> list[tuple[Schedule, Resources, dict[str, int]]]:
    """Return what :func:`plan_dsp` chooses from, as :func:`qornn_hw.planner.considered` does.

    Nothing where the multipliers cannot compute the network.
    """
    found: list[tuple[Schedule, Resources, dict[str, int]]] = []
    with suppress(FormatError):
        for schedule in _schedules(network, available.dsp):
            need = estimate_dsp_core(schedule)
            found.append((schedule, need, need.excess(available)))
    return found


def plan_engine(
    network: IntegerNetwork,
    available: Resources,
    *,
    name: str,
    lanes: int | None = None,
    engine: Engine | None = None,
    family: Family = ICE40_ULTRAPLUS,
    room: bool = False,
    cycles: int = 0,
) -> Design:
    """Return the design with ``engine``; where None with the lut engine if its weights fit the bitstream.

    Where they do not, whichever takes fewer cycles a step: lut with weights in SPRAM, or dsp, which has fewer
    cells and is taken where both are as fast.

    Arguments and errors as in :func:`qornn_hw.planner.plan`; of two engines that do not fit the error is that
    of lut. ``cycles`` is only for lut: a dsp design is hardly smaller with fewer multipliers.
    """
    if engine is Engine.DSP:
        return plan_dsp(network, available, name=name, lanes=lanes, family=family, room=room)
    schedule = fastest_schedule(network, available, lanes=lanes, family=family, room=room, cycles=cycles)
    loads = schedule is None or schedule.store is WeightStore.SPRAM
    if engine is None and family is ICE40_ULTRAPLUS and loads:
        with suppress(CapacityError, FormatError):
            design = plan_dsp(network, available, name=name, lanes=lanes, family=family, room=room)
            found = max(design.schedule.cycles_per_step, cycles)
            if schedule is None or found <= max(schedule.cycles_per_step, cycles):
                return design
    if schedule is not None:
        return compile_schedule(schedule)
    # Nothing fits: it says so, and what would.
    return plan(network, available, name=name, lanes=lanes, family=family, room=room)


def _refusal(over: dict[str, int], name: str) -> str:
    parts = " and ".join(f"{count} {RESOURCE_NAMES[resource]}" for resource, count in over.items())
    return (
        f"network must fit {name} with the dsp engine, which lacks {parts}; take fewer hidden units or inputs"
    )
