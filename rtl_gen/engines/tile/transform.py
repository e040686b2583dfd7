"""Walsh-Hadamard transforms of a state, 8 entries a cycle."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.tile.transform import BANK_BITS, BANKS, LATENCY, Transform
from qornn_hw.rtl_gen.delay import delay
from qornn_hw.rtl_gen.ram import Ram

__all__ = ["StateTransform"]


class StateTransform(wiring.Component):
    """A state in 8 banks with its transform (:mod:`qornn_hw.compiler.engines.tile.transform`).

    Parameters:
        transform: what is transformed.

    Members:
        go: In; pulse: the transform begins.
        store: In; an entry of the state comes, not before the first unit of its group has been asked for.
        stored_unit: In; its number.
        stored: In(signed); the entry.
        valid: In; a unit is asked for, in one cycle or in several. Units come in order.
        unit: In; its number.
        zero: In; all results are read as 0.
        entry: Out(signed); the result of the ``unit`` of three cycles before.

    Latency: ``transform.cycles`` cycles from ``go`` to the first ``unit``.
    """

    def __init__(self, transform: Transform) -> None:
        self._transform = t = transform
        units = range(t.size)
        super().__init__(
            {
                "go": In(1),
                "store": In(1),
                "stored_unit": In(units),
                "stored": In(signed(t.level_bits[0])),
                "valid": In(1),
                "unit": In(units),
                "zero": In(1),
                "entry": Out(signed(t.bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        t = self._transform
        active, number, group, take = self._walk(m)
        fold, rows = self._addresses(m, number, group, "read")
        # As many cycles as the words take from their addresses on to the registers of each level.
        folds, passes = [fold], [number]
        for stage in range(2 * BANK_BITS + 1):
            folds.append(delay(m, folds[-1], 1, f"fold_{stage}", reset_less=True))
            passes.append(delay(m, passes[-1], 1, f"pass_{stage}", reset_less=True))
        banks = []
        for k in range(BANKS):
            m.submodules[f"bank_{k}"] = ram = Ram(width=t.level_bits[0], depth=max(2, t.groups))
            m.d.sync += ram.r_addr.eq(rows[k])
            banks.append(ram)
        words = [ram.r_data.as_signed() for ram in banks]
        results = self._butterflies(m, words, folds[2::2], passes[3::2], take)
        self._write(m, banks, results, active, number, group)
        bank = delay(m, _bank(self.unit), 2, "bank", reset_less=True)
        m.d.sync += self.entry.eq(Mux(self.zero, 0, _choose(results, bank)))
        return m

    def _walk(self, m: Module) -> tuple[Signal, Signal, Signal, Signal]:
        """Count the groups of a pass, the cycles until the next one begins, and the passes.

        The last result is a pulse that comes with the results of a group of the last pass: a register.
        """
        t = self._transform
        last_pass = len(t.passes) - 1
        gaps = [distance - t.groups for distance in t.distances]
        active, gap = Signal(), Signal(range(max([1, *gaps]) + 1))
        number = Signal(range(max(2, len(t.passes))), name="pass")
        group = Signal(range(max(2, t.groups)))
        last, asked, take = Signal(), Signal(), Signal()
        # In the last pass: groups are left; the one whose first unit is asked for has been taken.
        left, taken = Signal(), Signal()
        m.d.comb += last.eq(group == t.groups - 1)
        begins = self.unit[:BANK_BITS] == 0
        m.d.comb += asked.eq(left & self.valid & begins & ~taken)
        # A unit can be asked for in several cycles.
        m.d.sync += [take.eq(asked), taken.eq(begins & (taken | asked))]
        with m.If(active | asked):
            m.d.sync += group.eq(Mux(last, 0, group + 1))
        with m.If(asked & last):
            m.d.sync += left.eq(0)
        if gaps:
            with m.If(gap != 0):
                m.d.sync += gap.eq(gap - 1)
                with m.If(gap == 1):
                    ends = number == last_pass - 1
                    m.d.sync += [number.eq(number + 1), active.eq(~ends), left.eq(ends)]
            with m.If(active & last):
                with m.Switch(number):
                    for index, length in enumerate(gaps):
                        with m.Case(index):
                            if length:
                                m.d.sync += [gap.eq(length), active.eq(0)]
                            else:
                                ends = index + 1 == last_pass
                                m.d.sync += [number.eq(index + 1), active.eq(not ends), left.eq(ends)]
        with m.If(self.go):
            m.d.sync += [number.eq(0), group.eq(0), taken.eq(0)]
            m.d.sync += [active.eq(last_pass != 0), left.eq(last_pass == 0)]
        return active, number, group, take

    def _write(
        self, m: Module, banks: list[Ram], results: list[Value], active: Value, number: Value, group: Value
    ) -> None:
        """Write the results of all passes but the last, and the entries that come."""
        t = self._transform
        bank, row = _bank(self.stored_unit), self.stored_unit[BANK_BITS:]
        written, back = Const(0), [row] * BANKS
        if len(t.passes) > 1:
            written = delay(m, active, LATENCY - 1, "written")
            late_number = delay(m, number, LATENCY - 1, "late_pass", reset_less=True)
            late_group = delay(m, group, LATENCY - 1, "late_group", reset_less=True)
            _, back = self._addresses(m, late_number, late_group, "back")
        for k, ram in enumerate(banks):
            m.d.sync += [
                ram.w_en.eq(written | (self.store & (bank == k))),
                ram.w_addr.eq(Mux(written, back[k], row)),
                ram.w_data.eq(Mux(written, results[k][: len(ram.w_data)], self.stored)),
            ]

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
        self, m: Module, words: list[Value], folds: list[Value], passes: list[Value], take: Value
    ) -> list[Value]:
        """Return the results of the three levels: registers of what is added, then of the sums.

        The entry whose bit is 0 becomes the sum of both, the other one the difference. Which of them a bank
        holds changes from group to group. So an entry, or its complement and 1, is added to the other one. In
        the last pass the last sums wait for ``take``.
        """
        t = self._transform
        last = len(t.passes) - 1
        values: list[Value] = words
        for q in range(BANK_BITS):
            bits = t.level_bits[q + 1]
            used = [one.levels[q] for one in t.passes]
            adds, moves = Signal(name=f"adds_{q}"), Signal(name=f"moves_{q}")
            with m.Switch(passes[q]):
                for index, one in enumerate(used):
                    with m.Case(index):
                        m.d.comb += adds.eq(one)
            m.d.comb += moves.eq(take | (passes[q] != last) if q == BANK_BITS - 1 else 1)
            sums: list[Value] = []
            plain = [Signal.like(values[k], name=f"plain_{q}_{k}", reset_less=True) for k in range(BANKS)]
            added = [Signal.like(values[k], name=f"added_{q}_{k}", reset_less=True) for k in range(BANKS)]
            minus = [Signal(name=f"minus_{q}_{k}", reset_less=True) for k in range(BANKS)]
            for k in range(BANKS):
                negative = folds[q][q] ^ (k >> q & 1)
                m.d.sync += [
                    plain[k].eq(values[k]),
                    added[k].eq(Mux(negative, ~values[k], values[k])),
                    minus[k].eq(negative),
                ]
                total = (plain[k ^ (1 << q)] + added[k] + minus[k])[:bits].as_signed()
                found = Signal(signed(bits), name=f"sum_{q}_{k}", reset_less=True)
                with m.If(moves):
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
