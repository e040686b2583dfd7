"""From the accumulator's precision to the state's."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.latencies import HARD_OPERAND_BITS, requantizer_latency
from qornn_hw.compiler.memory import Memory
from qornn_hw.ir.formats import Rounding, bits_for_range
from qornn_hw.rtl_gen.rom import Rom
from qornn_hw.rtl_gen.saturate import saturate

__all__ = ["Requantizer"]


class Requantizer(wiring.Component):
    """``saturate((value * multiplier + constant) >> shift)``, then a table if there is one.

    Equals :func:`qornn_hw.ir.formats.requantize` where ``constant`` is ``2**(shift-1)`` (0 without shift). A
    value of more than 16 bits is multiplied in two halves; up to 31 bits, and with factors of up to 15, each
    product fits a hard 16x16 multiplier.

    Parameters:
        value_bits: bits of the signed value.
        multiplier: the factor of every row, or None if it comes with the row.
        multiplier_bits: bits of the unsigned factor.
        constant: what is added before the shift.
        shift: right shift.
        rounding: tie rule.
        bits: bits of the signed result, or of the table index.
        relu: clamp below at 0.
        table: the table as an image, index modulo its depth as address, or None.
        result_bits: bits of the signed output: those of a table entry, else ``bits``.

    Members:
        value: In(signed(value_bits)).
        multiplier: In(multiplier_bits), of the same row; absent if all rows share it.
        result: Out(signed(result_bits)).

    Latency: 4 cycles, 5 where the value has more than 16 bits, with or without table (the table's read
    takes the place of the last register): factors, product, sum, result. Each of the first three is a
    register that synthesis puts into the hard multiplier, whose own delays nextpnr does not know. 3 where the
    factor is a shared power of two. Throughput: 1 a cycle.
    """

    def __init__(
        self,
        *,
        value_bits: int,
        multiplier: int | None,
        multiplier_bits: int,
        constant: int,
        shift: int,
        rounding: Rounding,
        bits: int,
        relu: bool,
        table: Memory | None,
    ) -> None:
        self._value_bits = value_bits
        self._multiplier = multiplier
        self._multiplier_bits = multiplier_bits
        self._constant = constant
        self._shift = shift
        self._rounding = rounding
        self._bits = bits
        self._relu = relu
        self._table = table
        members = {
            "value": In(signed(value_bits)),
            "result": Out(signed(bits if table is None else table.width)),
        }
        if multiplier is None:
            members["multiplier"] = In(multiplier_bits)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from value to result."""
        return requantizer_latency(self._value_bits, self._multiplier)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Data needs no reset: nothing reads it before it is marked valid.

        def register(value: Any, name: str) -> Signal:
            held = Signal.like(value, name=name, reset_less=True)
            m.d.sync += held.eq(value)
            return held

        value = register(self.value, "value_held")
        largest = (1 << self._multiplier_bits) - 1 if self._multiplier is None else self._multiplier
        reach = largest << (self._value_bits - 1)
        total = Signal(signed(_sum_bits(-reach, reach + self._constant)), reset_less=True)
        if self._multiplier is not None and self._multiplier.bit_count() == 1:
            m.d.sync += total.eq((value << (self._multiplier.bit_length() - 1)) + self._constant)
        else:
            # The factor as a signed number of one more bit: hard multipliers take signed times signed.
            factor = Signal(signed(self._multiplier_bits + 1))
            if self._multiplier is None:
                m.d.comb += factor.eq(register(self.multiplier, "factor_held"))
            else:
                m.d.comb += factor.eq(self._multiplier)
            if self._value_bits <= HARD_OPERAND_BITS:
                m.d.sync += total.eq(register(value * factor, "product") + self._constant)
            else:
                cut = HARD_OPERAND_BITS - 1
                low, high = value[:cut], value[cut:].as_signed()
                low_bits = _sum_bits(0, (largest << cut) + self._constant)
                low_total = Signal(signed(low_bits), reset_less=True)
                m.d.sync += low_total.eq(register(low * factor, "low_product") + self._constant)
                high_product = register(high * factor, "high_product")
                # Yosys 0.70 takes both registers into the multiplier and ties what leaves it to zero; it
                # takes none whose input has this attribute.
                high_product.attrs["keep"] = 1
                m.d.sync += total.eq((register(high_product, "high_held") << cut) + low_total)

        saturated = saturate(
            m, total, shift=self._shift, rounding=self._rounding, bits=self._bits, relu=self._relu
        )
        if self._table is None:
            result = Signal.like(self.result, reset_less=True)
            m.d.sync += result.eq(saturated)
            m.d.comb += self.result.eq(result)
        else:
            m.submodules.table = table = Rom(self._table)
            # Unsigned: where the memory has a word more than the table, a bit of the address is always 0.
            m.d.comb += [table.addr.eq(saturated.as_unsigned()), self.result.eq(table.data)]
        return m


def _sum_bits(low: int, high: int) -> int:
    """Return the bits of a sum behind a product; not the 33 that yosys 0.70 takes into a 32-bit adder."""
    bits = bits_for_range(low, high)
    return bits + 1 if bits == 33 else bits
