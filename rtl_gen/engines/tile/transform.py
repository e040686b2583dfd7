"""Walsh-Hadamard transforms of a state in place, 8 entries a cycle."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.tile.transform import BANK_BITS, BANKS, LATENCY, Transform
from qornn_hw.rtl_gen.delay import delay
from qornn_hw.rtl_gen.ram import Ram

__all__ = ["StateTransform"]


class StateTransform(wiring.Component):
    """A state in 8 banks, which is transformed in place (:mod:`qornn_hw.compiler.engines.tile.transform`).

    Parameters:
        transform: what is transformed.

    Members:
        go: In; pulse: the transform begins.
        store: In; an entry of the state comes, not while a transform goes on.
        stored_unit: In; its number.
        stored: In(signed); the entry.
        unit: In; the entry to read, not while a transform goes on.
        zero: In; all entries are read as 0.
        entry: Out(signed); the entry at ``unit`` of two cycles before.

    Latency: ``transform.cycles`` cycles from ``go`` to the first ``unit`` of the transformed state.
    """

    def __init__(self, transform: Transform) -> None:
        self._transform = t = transform
        units = range(t.size)
        super().__init__(
            {
                "go": In(1),
                "store": In(1),
                "stored_unit": In(units),
                "stored": In(signed(t.bits)),
                "unit": In(units),
                "zero": In(1),
                "entry": Out(signed(t.bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        t = self._transform
        active, number, group = self._walk(m)
        fold, rows = self._addresses(m, number, group, "read")
        late_number = delay(m, number, LATENCY - 1, "late_pass", reset_less=True)
        late_group = delay(m, group, LATENCY - 1, "late_group", reset_less=True)
        _, back = self._addresses(m, late_number, late_group, "back")
        # The addresses of a pass, or those of an entry that a tail reads.
        bank, row = _bank(self.unit), self.unit[BANK_BITS:]
        going = Signal()
        m.d.sync += going.eq(active)
        words = []
        written = delay(m, active, LATENCY - 1, "written")
        # As many cycles as the words take from their addresses on to the registers of each level.
        folds, passes = [fold], [number]
        for stage in range(2 * BANK_BITS + 1):
            folds.append(delay(m, folds[-1], 1, f"fold_{stage}", reset_less=True))
            passes.append(delay(m, passes[-1], 1, f"pass_{stage}", reset_less=True))
        banks = []
        for k in range(BANKS):
            m.submodules[f"bank_{k}"] = ram = Ram(width=t.bits, depth=max(2, t.groups))
            banks.append(ram)
            address = Signal.like(ram.r_addr, name=f"address_{k}", reset_less=True)
            m.d.sync += address.eq(rows[k])
            m.d.comb += ram.r_addr.eq(Mux(going, address, row))
            words.append(ram.r_data.as_signed())
        results = self._butterflies(m, words, folds[2::2], passes[3::2])
        for k, ram in enumerate(banks):
            m.d.sync += ram.w_en.eq(written | (self.store & (_bank(self.stored_unit) == k)))
            m.d.sync += ram.w_addr.eq(Mux(written, back[k], self.stored_unit[BANK_BITS:]))
            m.d.sync += ram.w_data.eq(Mux(written, results[k], self.stored))
        chosen = Signal(BANK_BITS, reset_less=True)
        m.d.sync += chosen.eq(bank)
        m.d.sync += self.entry.eq(Mux(self.zero, 0, _choose(words, chosen)))
        return m

    def _walk(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Count the groups of a pass, the cycles until the next one begins, and the passes."""
        t = self._transform
        gaps = [distance - t.groups for distance in t.distances]
        active, gap = Signal(), Signal(range(max([1, *gaps]) + 1))
        number = Signal(range(max(2, len(t.passes))), name="pass")
        group = Signal(range(max(2, t.groups)))
        last = Signal()
        m.d.comb += last.eq(group == t.groups - 1)
        with m.If(active):
            m.d.sync += group.eq(Mux(last, 0, group + 1))
        with m.If(gap != 0):
            m.d.sync += [gap.eq(gap - 1), active.eq(gap == 1)]
        with m.If(active & last):
            with m.Switch(number):
                for index, length in enumerate(gaps):
                    with m.Case(index):
                        m.d.sync += [number.eq(index + 1), gap.eq(length), active.eq(length == 0)]
                with m.Default():
                    m.d.sync += [number.eq(0), active.eq(0)]
        with m.If(self.go):
            m.d.sync += active.eq(1)
        return active, number, group

    def _addresses(self, m: Module, number: Value, group: Value, name: str) -> tuple[Signal, list[Signal]]:
        """Return the exclusive or of the digits of a group's lowest index, and the row of each bank."""
        t = self._transform
        bits = (t.size - 1).bit_length()
        fold = Signal(BANK_BITS, name=f"{name}_fold")
        rows = [Signal(max(1, bits - BANK_BITS), name=f"{name}_row_{k}") for k in range(BANKS)]
        with m.Switch(number):
            for index, one in enumerate(t.passes):
                low = group[: one.base]
                lowest = Cat(low, Const(0, BANK_BITS), group[one.base :])[:bits]
                lowest = Cat(lowest, Const(0, max(0, bits - len(lowest))))
                found = _bank(lowest)
                with m.Case(index):
                    m.d.comb += fold.eq(found)
                    for k, row in enumerate(rows):
                        entry = [lowest[e] for e in range(bits)]
                        for e in range(one.base, one.base + BANK_BITS):
                            q = e % BANK_BITS
                            entry[e] = found[q] ^ ((k >> q) & 1)
                        m.d.comb += row.eq(Cat(entry[BANK_BITS:]))
        return fold, rows

    def _butterflies(
        self, m: Module, words: list[Value], folds: list[Value], passes: list[Value]
    ) -> list[Value]:
        """Return the results of the three levels: registers of what is added, then of the sums.

        The entry whose bit is 0 becomes the sum of both, the other one the difference. Which of them a bank
        holds changes from group to group. So an entry or its complement is added to the other one.
        """
        t = self._transform
        values: list[Value] = words
        for q in range(BANK_BITS):
            used = [one.levels[q] for one in t.passes]
            adds = Signal(name=f"adds_{q}")
            with m.Switch(passes[q]):
                for index, one in enumerate(used):
                    with m.Case(index):
                        m.d.comb += adds.eq(one)
            plain = [Signal(signed(t.bits), name=f"plain_{q}_{k}", reset_less=True) for k in range(BANKS)]
            added = [Signal(signed(t.bits), name=f"added_{q}_{k}", reset_less=True) for k in range(BANKS)]
            minus = [Signal(name=f"minus_{q}_{k}", reset_less=True) for k in range(BANKS)]
            sums: list[Value] = []
            for k in range(BANKS):
                negative = folds[q][q] ^ (k >> q & 1)
                m.d.sync += [
                    plain[k].eq(values[k]),
                    added[k].eq(Mux(negative, ~values[k], values[k])),
                    minus[k].eq(negative),
                ]
                total = (plain[k ^ (1 << q)] + added[k] + minus[k])[: t.bits].as_signed()
                found = Signal(signed(t.bits), name=f"sum_{q}_{k}", reset_less=True)
                m.d.sync += found.eq(total if all(used) else Mux(adds, total, plain[k]))
                sums.append(found)
            values = sums
        return values


def _bank(index: Value) -> Value:
    """Return the exclusive or of the digits of an index in base 8."""
    found: Value = Const(0, BANK_BITS)
    for low in range(0, len(index), BANK_BITS):
        found = found ^ index[low : low + BANK_BITS]
    return found[:BANK_BITS]


def _choose(words: list[Value], number: Value) -> Value:
    """Return one of 8 words, by levels of choices among two."""
    for q in range(BANK_BITS):
        words = [Mux(number[q], high, low) for low, high in zip(words[::2], words[1::2], strict=True)]
    return words[0]
