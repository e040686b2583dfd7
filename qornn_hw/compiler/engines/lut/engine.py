"""The lut engine as an object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from qornn_hw.cells.any_network import AnyNetwork, elman_network
from qornn_hw.cells.elman_network import IntegerNetwork, OutputMode
from qornn_hw.compiler.chain_engine import ChainEngine
from qornn_hw.compiler.chain_plan import Chain
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engine import WrongWire
from qornn_hw.compiler.engines.lut.cost import lut_cost
from qornn_hw.compiler.engines.lut.memories import contents, layouts, sites
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.engines.lut.plans import FILL_LIMIT, LutPlans
from qornn_hw.compiler.engines.lut.shapes import chain_of, plain_chains
from qornn_hw.compiler.engines.lut.timing import LutTiming
from qornn_hw.compiler.engines.lut.widths import prove_widths, widest_widths
from qornn_hw.compiler.estimate import memory_blocks
from qornn_hw.compiler.family import SPRAM_DEPTH, SPRAM_WORD_BITS, Family, Resources
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.request import Considered, Request
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.site import Site
from qornn_hw.compiler.timing import Timing
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.compiler.widths import NetworkWidths, Widths
from qornn_hw.errors import FormatError

if TYPE_CHECKING:
    from qornn_hw.compiler.design import Design

__all__ = ["ENGINE", "LutEngine", "schedule"]

# Lanes where nobody asks for a number and no board limits it.
USUAL_LANES = 32


class LutEngine(ChainEngine):
    """Logic cells multiply, several columns an element."""

    name = "lut"
    chosen_unasked = True
    hard_multipliers = False
    unused_widths = frozenset()

    # -- planning and cost ----------------------------------------------------------------------------

    def fill_limit(self, family: Family) -> float:
        """Return the share of the logic cells that an estimate may take; builds were placed with it."""
        return FILL_LIMIT

    def plans(self, request: Request) -> Iterator[Schedule]:
        """Yield the chains of a request, the best first."""
        return LutPlans(self, request).best_first()

    def too_large(self, request: Request) -> str:
        """Return the message where no chain fits."""
        return LutPlans(self, request).too_large()

    def considered(self, request: Request, *, chosen: bool) -> Sequence[Considered]:
        """Return the chains around the fastest that fits."""
        return LutPlans(self, replace(request, lanes=None, room=False)).explained()

    def check_lanes(self, schedule: Schedule, request: Request) -> None:
        """Raise a CapacityError if a chain of up to the lanes asked for is faster, and does not fit."""
        LutPlans(self, request).check_lanes(ChainSchedule.of(schedule))

    def usual_schedule(self, network: AnyNetwork, lanes: int | None) -> Schedule:
        """Return the chain of at most ``lanes`` lanes with the fewest cycles; of equals the shortest."""
        most = USUAL_LANES if lanes is None else lanes
        if most < 1:
            raise FormatError(f"lanes must be at least 1, not {most!r}")
        chains = (s for s in plain_chains(self, elman_network(network)) if s.lanes <= most)
        return min(chains, key=lambda s: (s.cycles_per_step, s.chain.elements))

    def cost(self, schedule: Schedule, family: Family) -> Resources:
        """Return what the core of a chain takes."""
        return lut_cost(ChainSchedule.of(schedule), family)

    def memory_blocks(self, design: "Design", family: Family) -> dict[str, int]:
        """Return the block RAMs of every memory; bits that are the same in all words of a ROM take none."""
        read_only = (memory for memory in design.memories if not memory.written)
        varying = {memory.name: memory.varying_columns for memory in read_only}
        return memory_blocks(ChainSchedule.of(design.schedule), family, varying)

    # -- the chain ------------------------------------------------------------------------------------

    def usual_store(self, spram_elements: int) -> WeightStore:
        """Return SPRAM if the weights of any element are in it."""
        return WeightStore.SPRAM if spram_elements else WeightStore.BLOCK_RAM

    def check(self, schedule: ChainSchedule) -> None:
        """Raise a FormatError unless the chain is one for the network."""
        chain, net = schedule.chain, schedule.network
        for name in ("columns_per_element", "elements"):
            if (value := getattr(chain, name)) < 1:
                raise FormatError(f"{name} must be at least 1, not {value!r}")
        _check_lanes(schedule)
        words = schedule.placement.words
        if chain.elements > words:
            raise FormatError(
                f"elements must be at most {words}, the words of {chain.columns_per_element} columns of "
                f"the network, not {chain.elements!r}"
            )
        if not 0 <= chain.spram_elements <= chain.elements:
            raise FormatError(
                f"spram_elements must be 0 to {chain.elements}, the elements, not {chain.spram_elements!r}"
            )
        if (chain.store is WeightStore.SPRAM) != (chain.spram_elements > 0):
            raise FormatError(
                "weights of the lut engine must be in block RAM, not in SPRAM, but those of spram_elements; "
                "take these, or the dsp engine"
            )
        if chain.spram_elements:
            _check_spram(schedule)
        if chain.answer_registers and (net.output_mode is not OutputMode.LAST_STEP or chain.readout_lanes):
            raise FormatError(
                "answer_registers must be off with a readout or an answer at every step, which would wait"
            )

    def check_weights(self, schedule: ChainSchedule) -> None:
        """Accept every weight: sums are as wide as they must be."""

    def placement(self, network: IntegerNetwork, chain: Chain) -> Placement:
        """Return where columns, rows and weights are."""
        return LutPlacement(network, chain)

    def timing(self, placement: Placement, widths: NetworkWidths) -> Timing:
        """Return latencies and periods."""
        assert isinstance(placement, LutPlacement)
        return LutTiming(placement, widths)

    def prove_widths(self, placement: Placement, *, limited: bool = True) -> Widths:
        """Return the smallest widths that hold every number."""
        assert isinstance(placement, LutPlacement)
        return prove_widths(placement, limited=limited)

    def widest_widths(self, placement: Placement) -> Widths:
        """Return the widths of any network of the same formats."""
        assert isinstance(placement, LutPlacement)
        return widest_widths(placement)

    def sum_bits(self, placement: Placement, widths: NetworkWidths) -> int:
        """Return the bits of ``2 (W g + b)`` behind the chain.

        Sums on the way there need no more: they are added modulo a power of two, and the last one fits it.
        """
        assert isinstance(placement, LutPlacement)
        return widths.accumulator_bits + placement.scale - 1

    def layouts(self, schedule: ChainSchedule, *, proved: bool = True) -> tuple[Memory, ...]:
        """Return all memories of the core without contents."""
        return layouts(schedule, proved=proved)

    def contents(self, schedule: ChainSchedule) -> tuple[Memory, ...]:
        """Return the memories that start with contents, filled."""
        return contents(schedule)

    def sites(self, schedule: Schedule) -> Mapping[str, Site]:
        """Return where numbers of row 0 are in the memories."""
        return sites(ChainSchedule.of(schedule))

    def wrong_wires(self, design: "Design") -> Iterable[WrongWire]:
        """Yield an inverted sign of a bit plane, and a total of the operands that is one too large."""
        p = LutPlacement.of(design.schedule)
        weights = design.memory(f"weights_{p.place(p.input_words)[1]}")
        inverted = weights.with_words(word ^ 1 for word in weights.words)
        yield WrongWire("sign_plane", f"{weights.name} bit 0 of every word", design.with_memory(inverted))
        if p.total_elements:
            # As if a carry were one too many.
            constants = design.memory("constants")
            mask = (1 << constants.field("constant").bits) - 1
            less = constants.with_words((w & ~mask) | (w - 1 & mask) for w in constants.words)
            yield WrongWire("total", "constants every constant one less", design.with_memory(less))


def _check_lanes(schedule: ChainSchedule) -> None:
    chain, net = schedule.chain, schedule.network
    if not 0 <= chain.readout_lanes <= net.output_size:
        raise FormatError(
            f"readout_lanes must be 0 to {net.output_size}, the outputs of the network, "
            f"not {chain.readout_lanes!r}"
        )
    if chain.readout_lanes == net.hidden_size == 1 and schedule.placement.readout_sweeps > 1:
        raise FormatError(
            "readout_lanes must be 0 or at least 2 where one hidden unit has several outputs, not 1: a "
            "sweep must have three cycles"
        )
    alone = net.vector_input and net.input_size == 1
    if not 0 <= chain.input_lanes <= alone:
        raise FormatError(
            f"input_lanes must be 0{' or 1' if alone else ', of a network without a single input'}, not "
            f"{chain.input_lanes!r}"
        )
    if chain.input_lanes:
        timing = LutTiming.of(schedule)
        if timing.dot_product_latency < timing.addend_latency:
            raise FormatError(
                "input_lanes must be 0 where an element has one or two columns of one bit, not "
                f"{chain.input_lanes!r}"
            )


def _check_spram(schedule: ChainSchedule) -> None:
    p, count = schedule.placement, schedule.chain.spram_elements
    widths = [k * c for k, c in zip(p.weight_bits, p.element_columns, strict=True)]
    if (width := max(widths[:count])) > SPRAM_WORD_BITS:
        raise FormatError(
            f"spram_elements must have at most {SPRAM_WORD_BITS} bits of weights in a word, not {width}; "
            "take fewer columns an element"
        )
    if p.weight_depth > SPRAM_DEPTH:
        raise FormatError(
            f"spram_elements must have at most {SPRAM_DEPTH} words of weights, not {p.weight_depth}; "
            "take more elements"
        )


ENGINE = LutEngine()


def schedule(
    network: IntegerNetwork,
    columns_per_element: int,
    elements: int,
    *,
    readout_lanes: int = 0,
    input_lanes: int = 0,
    memory_register: bool = False,
    spram_elements: int = 0,
    answer_registers: bool = False,
) -> ChainSchedule:
    """Return the schedule of a network on a chain; arguments as in :func:`.shapes.chain_of`."""
    return chain_of(
        ENGINE,
        network,
        columns_per_element,
        elements,
        readout_lanes=readout_lanes,
        input_lanes=input_lanes,
        memory_register=memory_register,
        spram_elements=spram_elements,
        answer_registers=answer_registers,
    )
