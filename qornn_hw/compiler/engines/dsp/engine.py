"""The dsp engine as an object."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from qornn_hw.cells.any_network import AnyNetwork, elman_network
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.activation_stages import activation_cells
from qornn_hw.compiler.chain_engine import ChainEngine
from qornn_hw.compiler.chain_plan import Chain
from qornn_hw.compiler.chain_refit import with_room
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engine import WrongWire
from qornn_hw.compiler.engines.dsp.memories import contents, layouts, sites
from qornn_hw.compiler.engines.dsp.placement import DspPlacement
from qornn_hw.compiler.engines.dsp.timing import DspTiming
from qornn_hw.compiler.engines.dsp.widths import prove_widths, widest_widths
from qornn_hw.compiler.estimate import LOADER_CELLS, memory_blocks
from qornn_hw.compiler.family import RESOURCE_NAMES, SPRAM_DEPTH, Family, Resources
from qornn_hw.compiler.mac_settings import MacSettings
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.placement import Placement
from qornn_hw.compiler.request import Considered, Request
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.site import Site
from qornn_hw.compiler.timing import Timing
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.compiler.widths import NetworkWidths, Widths
from qornn_hw.errors import CapacityError, FormatError

if TYPE_CHECKING:
    from qornn_hw.compiler.design import Design

__all__ = ["ENGINE", "DspEngine", "schedule"]

# Modules of rtl_gen.primitives that the engine instantiates: a multiplier with an adder, a large memory.
PRIMITIVES = frozenset({"mac16", "spram"})
# Multipliers where nobody asks for a number and no board limits it.
USUAL_LANES = 8
# Chains that explain a choice, beside others and where the engine was chosen.
EXPLAINED, EXPLAINED_CHOSEN = 2, 8
# Fitted to builds: sequencer, input buffer, answer queue and requantizer; cells for each bit of the
# accumulator; what operands of more than 8 bits take, and all that is as wide as they.
CONTROL_CELLS = 412
CELLS_PER_BIT = 5
WIDE_OPERAND_CELLS = 230
# Of rtl_gen.primitives.mac16: bits of its operands, of the sum of its adder, and of half of that sum.
MAC_OPERAND_BITS = 16
MAC_SUM_BITS = 32
MAC_HALF_BITS = 16


class DspEngine(ChainEngine):
    """Hard multipliers multiply, one column an element."""

    name = "dsp"
    chosen_unasked = True
    hard_multipliers = True
    # A hard multiplier has sums of its own width.
    unused_widths = frozenset({"dot_bits", "partial_sum_bits", "total_bits"})

    # -- planning and cost ----------------------------------------------------------------------------

    def fill_limit(self, family: Family) -> float:
        """Return the share of the logic cells that an estimate may take. All of them."""
        return 1.0

    def refuses(self, network: AnyNetwork, family: Family | None) -> str | None:
        """Return which hard cells a family lacks, or why a chain cannot compute the network."""
        if family is not None and (missing := PRIMITIVES - family.primitives):
            return (
                f"the {self.name} engine must have the hard cells {' and '.join(sorted(PRIMITIVES))}, "
                f"and the family {family.name} has no {' and no '.join(sorted(missing))}; take another "
                "engine or board"
            )
        return super().refuses(network, family)

    def plans(self, request: Request) -> Iterator[Schedule]:
        """Yield the chains of a request, the longest first, with weights in block RAM, then in SPRAM."""
        network = elman_network(request.network)
        most = min(request.available.dsp, request.lanes or request.available.dsp)
        for elements in range(min(most, schedule(network, 1).placement.words), 0, -1):
            for store in (WeightStore.BLOCK_RAM, WeightStore.SPRAM):
                found = schedule(network, elements, store=store)
                yield with_room(found) if request.room else found

    def too_large(self, request: Request) -> str:
        """Return the message where no chain fits: what the longest one lacks."""
        longest = next(self.plans(request))
        over = self.cost(longest, request.family).excess(request.available)
        parts = " and ".join(f"{count} {RESOURCE_NAMES[resource]}" for resource, count in over.items())
        return (
            f"network must fit {request.name} with the {self.name} engine, which lacks {parts}; take fewer "
            "hidden units or inputs"
        )

    def considered(self, request: Request, *, chosen: bool) -> Sequence[Considered]:
        """Return the first of the chains; more of them where the engine was chosen."""
        asked = replace(request, lanes=None, room=False)
        found: list[Considered] = []
        if self.refuses(request.network, request.family) is None:
            with suppress(FormatError):
                for planned in islice(self.plans(asked), EXPLAINED_CHOSEN if chosen else EXPLAINED):
                    need = self.cost(planned, request.family)
                    found.append(Considered(planned, need, need.excess(request.available)))
        return found

    def check_lanes(self, schedule: Schedule, request: Request) -> None:
        """Raise a CapacityError if more lanes are asked for than the device has multipliers."""
        most, lanes = request.available.dsp, request.lanes
        if request.engine == self.name and lanes is not None and lanes > most:
            raise CapacityError(
                f"lanes must be at most {most}, the multipliers that {request.name} has for them, "
                f"not {lanes}; or leave it out"
            )

    def usual_schedule(self, network: AnyNetwork, lanes: int | None) -> Schedule:
        """Return the chain of at most ``lanes`` multipliers with its weights in block RAM."""
        if lanes is not None and lanes < 1:
            raise FormatError(f"lanes must be at least 1, not {lanes}")
        net = elman_network(network)
        columns = net.hidden_size + (net.input_size if net.vector_input else 0)
        return schedule(net, min(lanes or USUAL_LANES, columns), store=WeightStore.BLOCK_RAM)

    def cost(self, schedule: Schedule, family: Family) -> Resources:
        """Return what a core takes; ``lut`` is a model, fitted for LUT4s with flip-flops."""
        s = ChainSchedule.of(schedule)
        lut = CONTROL_CELLS + CELLS_PER_BIT * s.widths.accumulator_bits
        if s.store is WeightStore.SPRAM:
            lut += LOADER_CELLS
        if s.placement.operand_bits > 8:
            lut += WIDE_OPERAND_CELLS
        lut += activation_cells(s.network, s.widths)
        bram = sum(memory_blocks(s, family).values())
        return Resources(lut=lut, bram=bram, spram=s.weight_banks, dsp=s.chain.elements)

    def memory_blocks(self, design: "Design", family: Family) -> dict[str, int]:
        """Return the block RAMs of every memory."""
        return memory_blocks(ChainSchedule.of(design.schedule), family)

    # -- the chain ------------------------------------------------------------------------------------

    def usual_store(self, spram_elements: int) -> WeightStore:
        """Return SPRAM, which holds most weights."""
        return WeightStore.SPRAM

    def check(self, schedule: ChainSchedule) -> None:
        """Raise a FormatError unless the chain is one for the network."""
        chain, net, p = schedule.chain, schedule.network, schedule.placement
        if chain.columns_per_element != 1:
            raise FormatError(
                f"columns_per_element of the dsp engine must be 1, not {chain.columns_per_element!r}"
            )
        if not 1 <= chain.elements <= p.words:
            raise FormatError(
                f"elements must be at {'least 1' if chain.elements < 1 else f'most {p.words}'}, "
                f"{'' if chain.elements < 1 else 'the words of 1 columns of the network, '}"
                f"not {chain.elements!r}"
            )
        for name in ("readout_lanes", "input_lanes", "spram_elements"):
            if value := getattr(chain, name):
                raise FormatError(f"{name} of the dsp engine must be 0, not {value!r}")
        for name in ("memory_register", "answer_registers"):
            if getattr(chain, name):
                raise FormatError(f"{name} must be off with the dsp engine")
        if p.operand_bits > MAC_OPERAND_BITS:
            raise FormatError(
                f"operands of the dsp engine must fit {MAC_OPERAND_BITS} bits, but states of "
                f"{net.state_bits} bits and inputs shifted by {net.input_shift} need {p.operand_bits}"
            )

    def check_weights(self, schedule: ChainSchedule) -> None:
        """Raise a FormatError unless every sum fits the multipliers and every weight its memory."""
        p = DspPlacement.of(schedule)
        # On the way sums are right modulo a power of two, and the last one fits it.
        if (bits := schedule.network_widths.accumulator_bits) > MAC_SUM_BITS:
            raise FormatError(
                f"sums of the dsp engine must fit {MAC_SUM_BITS} bits, but the weights can make one of {bits}"
            )
        if p.in_spram and p.weight_depth > SPRAM_DEPTH:
            raise FormatError(
                f"weights must fit {SPRAM_DEPTH} words of SPRAM for each two elements, but {p.passes} "
                f"passes of {p.rows} rows need {p.weight_depth}; take more elements or fewer units"
            )

    def placement(self, network: IntegerNetwork, chain: Chain) -> Placement:
        """Return where columns, rows and weights are."""
        return DspPlacement(network, chain)

    def timing(self, placement: Placement, widths: NetworkWidths) -> Timing:
        """Return latencies and periods."""
        assert isinstance(placement, DspPlacement)
        return DspTiming(placement, widths)

    def prove_widths(self, placement: Placement, *, limited: bool = True) -> Widths:
        """Return the smallest widths that hold every number."""
        assert isinstance(placement, DspPlacement)
        return prove_widths(placement, limited=limited)

    def widest_widths(self, placement: Placement) -> Widths:
        """Return the widths of any network of the same formats."""
        assert isinstance(placement, DspPlacement)
        return widest_widths(placement)

    def sum_bits(self, placement: Placement, widths: NetworkWidths) -> int:
        """Return the bits of the sum that leaves the chain."""
        return widths.accumulator_bits

    def layouts(self, schedule: ChainSchedule, *, proved: bool = True) -> tuple[Memory, ...]:
        """Return all memories of the core without contents; all of them are soon known."""
        return layouts(schedule)

    def contents(self, schedule: ChainSchedule) -> tuple[Memory, ...]:
        """Return the memories that start with contents, filled."""
        return contents(schedule)

    def sites(self, schedule: Schedule) -> Mapping[str, Site]:
        """Return where numbers of row 0 are in the memories."""
        return sites(ChainSchedule.of(schedule))

    def wrong_wires(self, design: "Design") -> Iterable[WrongWire]:
        """Yield multipliers with a wrong sign or without the carry between their halves.

        These change the upper half of a sum alone, so they are faults only if a sum has an upper half.
        """
        if design.schedule.accumulator_bits <= MAC_HALF_BITS:
            return
        wrong = {
            "operand_sign": MacSettings(a_signed=False),
            "weight_sign": MacSettings(b_signed=False),
            "carry": MacSettings(carry=False),
        }
        for name, mac in wrong.items():
            yield WrongWire(name, "of all multipliers", replace(design, mac=mac))


ENGINE = DspEngine()


def schedule(
    network: IntegerNetwork,
    elements: int,
    *,
    store: WeightStore = WeightStore.SPRAM,
    columns_per_element: int = 1,
) -> ChainSchedule:
    """Return the schedule of a network on ``elements`` hard multipliers.

    Raises:
        FormatError: there is no such chain for the network.
    """
    return ChainSchedule(network, Chain(ENGINE.name, columns_per_element, elements, store), ENGINE)
