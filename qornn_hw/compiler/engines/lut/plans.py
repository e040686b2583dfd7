"""Chains for a network and a device, the best first: columns in an element, elements, lanes of a readout."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING

from qornn_hw.cells.any_network import elman_network
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.chain_refit import with_room
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engines.lut.cost import least_blocks, lut_cost
from qornn_hw.compiler.engines.lut.shapes import device_chains
from qornn_hw.compiler.engines.lut.smaller import narrowed, shrunk
from qornn_hw.compiler.family import RESOURCE_NAMES, Resources
from qornn_hw.compiler.request import Considered, Request
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import CapacityError

if TYPE_CHECKING:
    from qornn_hw.compiler.chain_engine import ChainEngine

__all__ = ["FILL_LIMIT", "LutPlans"]

# Of the logic cells that the core may use: what is fuller by the estimate, nextpnr seldom finds a place for.
FILL_LIMIT = 0.92
# What does not fit on a chain as short as this one does not fit on a longer one.
SMALL_CHAIN_LANES = 16
# Chains that are explained on either side of the fastest that fits.
EXPLAINED = 4


@dataclass(frozen=True)
class LutPlans:
    """The chains of a request.

    Attributes:
        engine: the engine.
        request: what is planned.
    """

    engine: "ChainEngine"
    request: Request

    @property
    def limit(self) -> Resources:
        """What a design may take by its estimate."""
        return self.request.limit(FILL_LIMIT)

    def cost(self, schedule: ChainSchedule) -> Resources:
        """Return what the core of a chain takes."""
        return lut_cost(schedule, self.request.family)

    def by_store(self) -> Iterator[Iterator[ChainSchedule]]:
        """Yield the chains with all weights in the bitstream, then those with weights in SPRAM."""
        r = self.request
        multipliers = 0 if r.room else r.available.dsp
        for spram in sorted({0, r.available.spram}):
            candidates = device_chains(self.engine, elman_network(r.network), multipliers, r.family, spram)
            if r.lanes is not None:
                candidates = (s for s in candidates if s.lanes <= r.lanes)
            yield map(with_room, candidates) if r.room else candidates

    def best_first(self) -> Iterator[ChainSchedule]:
        """Yield the chains that may fit: with weights in the bitstream first, of these the fastest first.

        Of equally fast ones, and of all that are soon enough, the smallest first. Chains whose memories alone
        are too many are left out.
        """
        r = self.request

        def cycles(schedule: ChainSchedule) -> int:
            return max(schedule.cycles_per_step, r.cycles)

        for candidates in self.by_store():
            possible = (s for s in candidates if least_blocks(s, r.family) <= r.available.bram)
            ordered = sorted(possible, key=lambda s: (s.cycles_per_step, s.lanes))
            for _, group in groupby(ordered, key=cycles):
                equal = list(group)
                yield from equal if len(equal) == 1 else sorted(equal, key=lambda s: self.cost(s).lut)

    def too_large(self) -> str:
        """Return the message where no chain fits."""
        r = self.request
        schedule, need = self._smallest()
        parts = [
            f"{getattr(need, name)} {RESOURCE_NAMES[name]} where the core may use "
            f"{getattr(self.limit, name)} ({over} too many)"
            for name, over in need.excess(self.limit).items()
        ]
        asked = "" if r.lanes is None else f" with {r.lanes} lanes at most"
        return (
            f"network must fit {r.name}{asked}, but its smallest design ({schedule.lanes} lanes) needs about "
            f"{' and '.join(parts)}; {self._what_would_fit(schedule.network)}"
        )

    def considered(self) -> list[Considered]:
        """Return of each number of cycles the chain that is nearest to fitting, the fastest first.

        Those with weights in SPRAM only where none fits without.
        """
        groups: dict[int, list[ChainSchedule]] = {}
        rows: list[Considered] = []
        for candidates in self.by_store():
            _group(candidates, groups)
            nearest = (self._nearest(groups[cycles]) for cycles in sorted(groups))
            rows = [row for row in nearest if row is not None]
            if not all(row.excess for row in rows):
                break
        return rows

    def explained(self) -> list[Considered]:
        """Return of :meth:`considered` those around the fastest that fits; else those that lack least.

        The exact costs of the chains that are farther away are not computed.
        """
        groups: dict[int, list[ChainSchedule]] = {}
        for candidates in self.by_store():
            _group(candidates, groups)
            if rows := self._around_the_fastest([groups[cycles] for cycles in sorted(groups)]):
                return rows
        return sorted(self.considered(), key=lambda row: sum(row.excess.values()))[:EXPLAINED]

    def _around_the_fastest(self, groups: list[list[ChainSchedule]]) -> list[Considered]:
        """Return the nearest chains of the first group of which one fits, and of its neighbours, in order."""
        seen: dict[int, Considered | None] = {}

        def nearest(place: int) -> Considered | None:
            if place not in seen:
                seen[place] = self._nearest(groups[place])
            return seen[place]

        for place, group in enumerate(groups):
            if min(map(self._least_load, group)) > 1:
                continue
            found = nearest(place)
            if found is None or found.excess:
                continue
            before = (row for other in range(place - 1, -1, -1) if (row := nearest(other)) is not None)
            behind = (row for other in range(place + 1, len(groups)) if (row := nearest(other)) is not None)
            return [*reversed([*islice(before, EXPLAINED)]), found, *islice(behind, EXPLAINED)]
        return []

    def _nearest(self, group: list[ChainSchedule]) -> Considered | None:
        """Return the first chain of the least load; None where all have too many multipliers."""
        best: tuple[float, ChainSchedule, Resources] | None = None
        for schedule in group:
            if best is not None and self._least_load(schedule) >= best[0]:
                continue
            need = self.cost(schedule)
            if need.dsp <= self.request.available.dsp and (best is None or self._load(need) < best[0]):
                best = self._load(need), schedule, need
        return best and Considered(best[1], best[2], best[2].excess(self.limit))

    def check_lanes(self, planned: ChainSchedule) -> None:
        """Raise a CapacityError if a chain of more lanes than planned is faster, and does not fit."""
        lanes = self.request.lanes
        candidates = self.by_store()
        chains = chain.from_iterable(candidates) if planned.store is WeightStore.SPRAM else next(candidates)
        faster = (
            s for s in chains if s.lanes > planned.lanes and s.cycles_per_step < planned.cycles_per_step
        )
        fastest = min(faster, key=lambda s: (s.cycles_per_step, s.lanes), default=None)
        excess = {} if fastest is None else self.cost(fastest).excess(self.limit)
        if fastest is None or not excess:
            return
        over = " and ".join(f"{count} {RESOURCE_NAMES[name]}" for name, count in excess.items())
        raise CapacityError(
            f"lanes must be what fits {self.request.name}: the fastest chain of at most {lanes} lanes has "
            f"{fastest.lanes}, with {over} too many; take {planned.lanes}, or leave it out"
        )

    def _smallest(self) -> tuple[ChainSchedule, Resources]:
        """Return the first chain of the least load, and its cost.

        The exact cost of a chain takes a proof of its widths. So the chains are looked at in the order of the
        load of their memories alone, and the rest is passed over once that is above the least load so far.
        """
        bounds = [
            (self._least_load(schedule), place, schedule)
            for place, schedule in enumerate(chain.from_iterable(self.by_store()))
        ]
        best: tuple[float, int, ChainSchedule, Resources] | None = None
        for bound, place, schedule in sorted(bounds, key=lambda item: item[:2]):
            if best is not None and bound > best[0]:
                break
            need = self.cost(schedule)
            if best is None or (self._load(need), place) < best[:2]:
                best = self._load(need), place, schedule, need
        assert best is not None, "every device has room for the plan of one element"
        return best[2:]

    def _least_load(self, schedule: ChainSchedule) -> float:
        """Return a lower bound of :meth:`_load`, without a proof of the widths."""
        return least_blocks(schedule, self.request.family) / self.limit.bram

    def _load(self, need: Resources) -> float:
        """Return the share of the cells or of the memories that a design takes, whichever is more."""
        return max(need.lut / self.limit.lut, need.bram / self.limit.bram)

    def _fits(self, network: IntegerNetwork) -> bool:
        """Return whether a short chain of a network fits."""
        r = self.request
        for spram in sorted({0, r.available.spram}):
            for schedule in device_chains(self.engine, network, 0, r.family, spram):
                small = schedule.lanes <= SMALL_CHAIN_LANES
                possible = small and least_blocks(schedule, r.family) <= self.limit.bram
                if possible and not self.cost(schedule).excess(self.limit):
                    return True
        return False

    def _what_would_fit(self, network: IntegerNetwork) -> str:
        """Try the same network with fewer weight bits, then with fewer hidden units."""
        hints = []
        most = max(network.weight_bits.recurrent, network.weight_bits.output)
        for bits in range(most - 1, 1, -1):
            if self._fits(narrowed(network, bits)):
                hints.append(f"{bits}-bit weights")
                break
        low, high = 0, network.hidden_size
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits(shrunk(network, middle)) else (low, middle)
        if low:
            hints.append(f"{low} hidden units")
        return (
            f"{' or '.join(hints)} would fit"
            if hints
            else f"no network of this kind fits {self.request.name}"
        )


def _group(candidates: Iterator[ChainSchedule], groups: dict[int, list[ChainSchedule]]) -> None:
    """Add chains to those of the same number of cycles a step."""
    for schedule in candidates:
        groups.setdefault(schedule.cycles_per_step, []).append(schedule)
