"""A lane of the tile engine: the products of a word of operands with a row of a tile, and their sum."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.tile.digits import CODE_BITS

__all__ = ["Lane"]


class Lane(wiring.Component):
    """``accumulator += sum over columns of weight * operand``.

    Each digit of a weight selects a multiple of the operand, so a product takes a LUT a bit and no adder. The
    multiples of all columns are added up for each digit; then the sums of the digits are added.

    Parameters:
        columns: of a tile, P, a power of two.
        digits: of a weight, D.
        operand_bits: signed.
        accumulator_bits: signed.

    Members:
        operands: In(P operand_bits); operand of column 0 in the lowest bits.
        codes: In(2 D P); the digits of column 0 in the lowest bits, the lowest digit first.
        enable: In; a sum of products arrives at the accumulator.
        start: In; with it: the accumulator starts with ``total``.
        total: In(signed).
        accumulator: Out(signed).

    Latency: from operands to accumulator 2 + ceil(log2 P) + ceil(log2 D) cycles, of which the last is the
    accumulator's. ``enable``, ``start`` and ``total`` belong to that one.
    """

    def __init__(self, *, columns: int, digits: int, operand_bits: int, accumulator_bits: int) -> None:
        self._columns, self._digits, self._operand_bits = columns, digits, operand_bits
        super().__init__(
            {
                "operands": In(columns * operand_bits),
                "codes": In(columns * digits * CODE_BITS),
                "enable": In(1),
                "start": In(1),
                "total": In(signed(accumulator_bits)),
                "accumulator": Out(signed(accumulator_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        sums = []
        for digit in range(self._digits):
            multiples = [self._multiple(m, column, digit) for column in range(self._columns)]
            sums.append((_added(m, multiples, f"digit_{digit}"), CODE_BITS * digit))
        total = _combined(m, sums)
        before = Mux(self.start, self.total, self.accumulator)
        with m.If(self.enable):
            m.d.sync += self.accumulator.eq(before + total)
        return m

    def _multiple(self, m: Module, column: int, digit: int) -> Signal:
        """Return the register of a product: x, 2 x, or the complement of x or of 2 x, or 0."""
        at, bits = (column * self._digits + digit) * CODE_BITS, self._operand_bits
        code = self.codes[at : at + CODE_BITS]
        x = self.operands[column * bits : (column + 1) * bits].as_signed()
        highest = digit == self._digits - 1
        # Gates and no choice with a constant 0: of that synthesis makes a reset of its own for each product,
        # of which a tile of cells has only one or two.
        doubled = code[1] & ~code[0]
        some, negative = code.any(), code[1] & (code[0] | highest)
        chosen = Mux(doubled, Cat(0, x), Cat(x, x[-1]))
        multiple = Signal(signed(bits + 1), name=f"multiple_{column}_{digit}", reset_less=True)
        m.d.sync += multiple.eq((chosen & some.replicate(bits + 1)) ^ negative.replicate(bits + 1))
        return multiple


def _added(m: Module, values: list[Signal], name: str) -> Signal:
    """Return the sum of values, two by two, a register behind each adder."""
    level = 0
    while len(values) > 1:
        pairs = zip(values[::2], values[1::2], strict=True)
        added = []
        for number, (a, b) in enumerate(pairs):
            total = Signal(signed(len(a) + 1), name=f"{name}_{level}_{number}", reset_less=True)
            m.d.sync += total.eq(a + b)
            added.append(total)
        values, level = added, level + 1
    return values[0]


def _combined(m: Module, sums: list[tuple[Signal, int]]) -> Signal:
    """Return ``sum of value << place``, two by two; what has no partner waits."""
    level = 0
    while len(sums) > 1:
        combined = []
        for number in range(0, len(sums), 2):
            low, place = sums[number]
            high, above = sums[number + 1] if number + 1 < len(sums) else (None, place)
            bits = len(low) if high is None else max(len(low), len(high) + above - place) + 1
            total = Signal(signed(bits), name=f"digits_{level}_{number}", reset_less=True)
            m.d.sync += total.eq(low if high is None else low + (high << (above - place)))
            combined.append((total, place))
        sums, level = combined, level + 1
    return sums[0][0]
