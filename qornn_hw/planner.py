"""Chooses the chain for a network and a device: columns in an element, elements, lanes of a readout."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from qornn_hw.design import Design, compile_schedule
from qornn_hw.device import ICE40_ULTRAPLUS, RESOURCE_NAMES, Family, Resources
from qornn_hw.engine import WeightStore
from qornn_hw.errors import CapacityError, FormatError
from qornn_hw.estimate import estimate_core, least_blocks
from qornn_hw.fixed import IntFormat
from qornn_hw.fixed_schedule import with_room
from qornn_hw.network import IntegerNetwork, OutputMode, WeightBits
from qornn_hw.schedule import Schedule

__all__ = ["MAX_COLUMNS_PER_ELEMENT", "chain_for_lanes", "considered", "fastest_schedule", "plan"]

# Beyond 8 columns an element's weight word outgrows what a lane saves in chain registers.
MAX_COLUMNS_PER_ELEMENT = 8
# Of the logic cells that the core may use: what is fuller by the estimate, nextpnr seldom finds a place for.
FILL_LIMIT = 0.92
# What does not fit on a chain as short as this one does not fit on a longer one.
SMALL_CHAIN_LANES = 16


def chain_for_lanes(network: IntegerNetwork, lanes: int) -> tuple[int, int]:
    """Return ``(columns_per_element, elements)`` with at most ``lanes`` lanes and the fewest cycles a step.

    Among equals the one with fewer elements, whose chain is shorter.
    """
    if lanes < 1:
        raise FormatError(f"lanes must be at least 1, not {lanes!r}")
    best = min(
        (s for s in _schedules(network) if s.lanes <= lanes), key=lambda s: (s.cycles_per_step, s.elements)
    )
    return best.columns_per_element, best.elements


def _schedules(
    network: IntegerNetwork, multipliers: int = 0, family: Family = ICE40_ULTRAPLUS, spram: int = 0
) -> Iterator[Schedule]:
    """Yield the sensible chains: each width of an element, each number of passes at its fewest elements.

    Each with the rows of V in the chain, and with each readout of up to ``multipliers`` lanes that no smaller
    one equals in sweeps; a single input in the chain and, where there is a multiplier for it, behind it. With
    the weights of as many elements in SPRAM as there are, ``spram``: those whose words fit it. Where an
    answer comes once a sequence and no logic cells are memories, with answers in flip-flops, too.
    """
    outputs = network.output_size
    alone = network.vector_input and network.input_size == 1
    once = network.output_mode is OutputMode.LAST_STEP and not family.has_lut_ram
    for behind in range(1 + (alone and multipliers > 0)):
        lanes = {-(-outputs // sweeps) for sweeps in range(1, outputs + 1)}
        readouts = (0, *sorted(n for n in lanes if n <= multipliers - behind))
        for columns in range(1, MAX_COLUMNS_PER_ELEMENT + 1):
            try:
                words = Schedule(network, columns, 1, input_lanes=behind).words
            except FormatError:  # too few columns for it
                continue
            elements = None
            for passes in range(1, words + 1):
                if elements != (elements := -(-words // passes)):
                    for readout in readouts:
                        for registers in (False, True) if once and not readout else (False,):
                            with suppress(FormatError):  # more bits or words than an SPRAM has
                                yield Schedule(
                                    network,
                                    columns,
                                    elements,
                                    readout_lanes=readout,
                                    input_lanes=behind,
                                    memory_register=family.has_slow_ram,
                                    spram_elements=min(spram, elements),
                                    answer_registers=registers,
                                )


def plan(
    network: IntegerNetwork,
    available: Resources,
    *,
    name: str,
    lanes: int | None = None,
    family: Family = ICE40_ULTRAPLUS,
    room: bool = False,
    cycles: int = 0,
) -> Design:
    """Return the design with the fewest cycles a step that fits ``available``.

    Weights go into SPRAM, to be loaded after start-up, only where no design fits without.

    Args:
        network: what to build.
        available: what the core may use: the device less what the board's own logic takes.
        name: of the board, for the message.
        lanes: at most this many multiply-accumulates a cycle; as many as fit where None.
        family: what it is built of.
        room: leave room for any other weights (:func:`qornn_hw.fixed_schedule.with_room`).
        cycles: of a step that are soon enough: of the designs that take no more the smallest, if one fits.

    Raises:
        CapacityError: nothing fits; says by how much the smallest design is too large, and what would fit.
    """
    best = fastest_schedule(network, available, lanes=lanes, family=family, room=room, cycles=cycles)
    if best is None:
        stores = _stores(network, available, lanes, family, room)
        smallest = _smallest(chain.from_iterable(stores), available, family)
        raise CapacityError(_refusal(smallest, available, name, lanes, family))
    return compile_schedule(best)


def fastest_schedule(
    network: IntegerNetwork,
    available: Resources,
    *,
    lanes: int | None = None,
    family: Family = ICE40_ULTRAPLUS,
    room: bool = False,
    cycles: int = 0,
) -> Schedule | None:
    """Return the schedule of :func:`plan`, or None where nothing fits."""
    if lanes is not None and lanes < 1:
        raise FormatError(f"lanes must be at least 1, not {lanes!r}")
    for candidates in _stores(network, available, lanes, family, room):
        if (best := _fastest(candidates, available, family, cycles)) is not None:
            return best
    return None


def faster_but_too_large(
    planned: Schedule,
    available: Resources,
    *,
    lanes: int,
    family: Family = ICE40_ULTRAPLUS,
    room: bool = False,
) -> tuple[Schedule, dict[str, int]] | None:
    """Return the fastest chain of more lanes than planned, at most ``lanes``, and what it has too much.

    None where no such chain is faster than the planned one, or the fastest of them lacks nothing.
    """
    stores = _stores(planned.network, available, lanes, family, room)
    candidates = chain.from_iterable(stores) if planned.store is WeightStore.SPRAM else next(stores)
    wider = (s for s in candidates if s.lanes > planned.lanes and s.cycles_per_step < planned.cycles_per_step)
    fastest = min(wider, key=lambda s: (s.cycles_per_step, s.lanes), default=None)
    if fastest is None:
        return None
    excess = estimate_core(fastest, family).excess(_limit(available))
    return (fastest, excess) if excess else None


def _limit(available: Resources) -> Resources:
    """Return what a design may take by its estimate."""
    return replace(available, lut=int(FILL_LIMIT * available.lut))


def _load(need: Resources, limit: Resources) -> float:
    """Return the share of the cells or of the memories that a design takes, whichever is more."""
    return max(need.lut / limit.lut, need.bram / limit.bram)


def _stores(
    network: IntegerNetwork, available: Resources, lanes: int | None, family: Family, room: bool
) -> Iterator[Iterator[Schedule]]:
    """Yield the chains with all weights in the bitstream, then those with weights in SPRAM."""
    multipliers = 0 if room else available.dsp
    for spram in sorted({0, available.spram}):
        candidates = _schedules(network, multipliers, family, spram)
        if lanes is not None:
            candidates = (s for s in candidates if s.lanes <= lanes)
        yield map(with_room, candidates) if room else candidates


def _fastest(
    candidates: Iterable[Schedule], available: Resources, family: Family, soon_enough: int
) -> Schedule | None:
    """Return the fastest chain that fits; of equal ones, and of all that are soon enough, the smallest."""
    fitting: list[tuple[tuple[int, int], Schedule]] = []
    limit = _limit(available)
    possible = (s for s in candidates if least_blocks(s, family) <= available.bram)
    for schedule in sorted(possible, key=lambda s: (s.cycles_per_step, s.lanes)):
        cycles = max(schedule.cycles_per_step, soon_enough)
        if fitting and cycles > fitting[0][0][0]:
            break
        need = estimate_core(schedule, family)
        if _load(need, limit) <= 1 and need.dsp <= available.dsp:
            fitting.append(((cycles, need.lut), schedule))
    return min(fitting, key=lambda f: f[0])[1] if fitting else None


def _smallest(candidates: Iterable[Schedule], available: Resources, family: Family) -> Schedule:
    """Return the chain that is nearest to fitting."""
    limit = _limit(available)
    return min(candidates, key=lambda s: _load(estimate_core(s, family), limit))


def considered(
    network: IntegerNetwork, available: Resources, *, family: Family = ICE40_ULTRAPLUS
) -> list[tuple[Schedule, Resources, dict[str, int]]]:
    """Return the chains that :func:`plan` chooses from: of each number of cycles the one nearest to fitting.

    With what each takes, and by resource how much of it is too much. The fastest first. Those with weights in
    SPRAM only where none fits without.
    """
    limit = _limit(available)
    nearest: dict[int, tuple[float, Schedule, Resources]] = {}
    for candidates in _stores(network, available, None, family, room=False):
        for schedule in candidates:
            need = estimate_core(schedule, family)
            if need.dsp > available.dsp:
                continue
            load = _load(need, limit)
            cycles = schedule.cycles_per_step
            if cycles not in nearest or load < nearest[cycles][0]:
                nearest[cycles] = (load, schedule, need)
        if any(load <= 1 for load, _, _ in nearest.values()):
            break
    return [(schedule, need, need.excess(limit)) for _, (_, schedule, need) in sorted(nearest.items())]


def _refusal(schedule: Schedule, available: Resources, name: str, lanes: int | None, family: Family) -> str:
    need, limit = estimate_core(schedule, family), _limit(available)
    parts = [
        f"{getattr(need, r)} {RESOURCE_NAMES[r]} where the core may use {getattr(limit, r)} ({over} too many)"
        for r, over in need.excess(limit).items()
    ]
    asked = "" if lanes is None else f" with {lanes} lanes at most"
    return (
        f"network must fit {name}{asked}, but its smallest design ({schedule.lanes} lanes) needs about "
        f"{' and '.join(parts)}; {_what_would_fit(schedule.network, available, name, family)}"
    )


def _what_would_fit(network: IntegerNetwork, available: Resources, name: str, family: Family) -> str:
    """Try the same network with fewer weight bits, then with fewer hidden units."""

    def fits(candidate: IntegerNetwork) -> bool:
        for spram in sorted({0, available.spram}):
            for schedule in _schedules(candidate, spram=spram):
                if schedule.lanes > SMALL_CHAIN_LANES:
                    continue
                need = estimate_core(schedule, family)
                if not need.excess(_limit(available)):
                    return True
        return False

    hints = []
    most = max(network.weight_bits.recurrent, network.weight_bits.output)
    for bits in range(most - 1, 1, -1):
        if fits(_narrowed(network, bits)):
            hints.append(f"{bits}-bit weights")
            break
    low, high = 0, network.hidden_size
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(_shrunk(network, middle)) else (low, middle)
    if low:
        hints.append(f"{low} hidden units")
    return f"{' or '.join(hints)} would fit" if hints else f"no network of this kind fits {name}"


def _narrowed(network: IntegerNetwork, bits: int) -> IntegerNetwork:
    """Return the network with W, U and V clipped to ``bits`` bits: of the same shape, for its cost alone."""
    form = IntFormat(bits, signed=True)

    def clip(weights: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.clip(weights, form.min, form.max)

    old = network.weight_bits
    return replace(
        network,
        recurrent_weight=clip(network.recurrent_weight) if old.recurrent > bits else network.recurrent_weight,
        output_weight=clip(network.output_weight) if old.output > bits else network.output_weight,
        input_weight=clip(network.input_weight) if old.input > bits else network.input_weight,
        weight_bits=WeightBits(min(old.recurrent, bits), min(old.input, bits), min(old.output, bits)),
    )


def _shrunk(network: IntegerNetwork, hidden: int) -> IntegerNetwork:
    """Return the network's first ``hidden`` units: for its cost alone."""
    return replace(
        network,
        recurrent_weight=network.recurrent_weight[:hidden, :hidden],
        input_weight=network.input_weight[:hidden],
        output_weight=network.output_weight[:, :hidden],
        bias=network.bias[:hidden],
        multiplier=network.multiplier[:hidden],
        initial_state=network.initial_state[:hidden],
    )
