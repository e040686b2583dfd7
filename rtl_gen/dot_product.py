"""Engines: how a processing element multiplies its weights with its operands.

An engine is a component with the members of :class:`DotProductSignature` and a fixed latency; the chain
knows nothing else of it.
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.schedule import dot_product_latency

__all__ = ["ShiftAddDotProduct", "dot_product_signature"]


def dot_product_signature(
    *, columns: int, weight_bits: int, operand_bits: int, sum_bits: int
) -> wiring.Signature:
    """Return the interface of an engine.

    Members:
        weights: In, ``columns`` codes of ``weight_bits`` bits (:func:`qornn_hw.rom.pack_weights`), new
            ones every cycle.
        operands: In, ``columns`` signed numbers of ``operand_bits`` bits.
        sum: Out(signed(sum_bits)), ``sum_j weight_j * operand_j`` of ``latency`` cycles before; the caller
            proves that it fits.
    """
    return wiring.Signature(
        {
            "weights": In(data.ArrayLayout(weight_bits, columns)),
            "operands": In(data.ArrayLayout(signed(operand_bits), columns)),
            "sum": Out(signed(sum_bits)),
        }
    )


class ShiftAddDotProduct(wiring.Component):
    """Dot product in logic cells: bit planes of the weights gate the operands, adders join them.

    With ``w_j = -2^(k-1) w_j[k-1] + sum_b 2^b w_j[b]`` the sum over the columns is taken plane by plane,
    ``P_b = sum_j w_j[b] x_j``, then over the planes, ``sum_b 2^b P_b`` with the top plane subtracted.
    Columns first keeps the adders narrow. One-bit weights: the bit is the sign, ``P = sum_j +-x_j``.

    There is no ``*`` here, so that synthesis leaves the few hard multipliers to the requantizer.

    Parameters:
        columns, weight_bits, operand_bits, sum_bits: as in :func:`dot_product_signature`.
        latency: cycles from weights and operands to the sum, at least
            ``dot_product_latency(columns, weight_bits)``; the rest is plain delay.

    Latency: ``latency`` cycles; a register follows every adder, which on iCE40 costs nothing (the flip-flop
    of the adder's own cell) and sets the clock. Throughput: 1 a cycle.

    Verified range: columns 1 to 8, weights 1 to 8 bits, operands 4 to 17 bits.
    """

    def __init__(
        self, *, columns: int, weight_bits: int, operand_bits: int, sum_bits: int, latency: int
    ) -> None:
        least = dot_product_latency(columns, weight_bits)
        if latency < least:
            raise ValueError(
                f"latency of {columns} columns of {weight_bits} bits must be {least} or more, not {latency!r}"
            )
        self._columns = columns
        self._weight_bits = weight_bits
        self._latency = latency
        super().__init__(
            dot_product_signature(
                columns=columns, weight_bits=weight_bits, operand_bits=operand_bits, sum_bits=sum_bits
            )
        )

    @property
    def latency(self) -> int:
        """Cycles from weights and operands to the sum."""
        return self._latency

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        used = 0

        # Data needs no reset: nothing reads it before a token has marked it valid.

        def register(values: list[Value], name: str) -> list[Value]:
            registers: list[Value] = []
            for i, value in enumerate(values):
                r = Signal.like(value, name=f"{name}_{i}", reset_less=True)
                m.d.sync += r.eq(value)
                registers.append(r)
            return registers

        columns, bits = range(self._columns), range(self._weight_bits)
        if self._weight_bits == 1:
            planes = [[Mux(self.weights[j][0], -self.operands[j], self.operands[j]) for j in columns]]
        else:
            planes = [
                [Mux(self.weights[j][b], self.operands[j], 0).as_signed() for j in columns] for b in bits
            ]
        while len(planes[0]) > 1:
            planes = [
                register([_pair(p[i : i + 2]) for i in range(0, len(p), 2)], f"columns{used}_{b}")
                for b, p in enumerate(planes)
            ]
            used += 1
        # (value, exponent of its weight, whether it counts negative)
        terms = [(p[0], b, b > 0 and b == self._weight_bits - 1) for b, p in enumerate(planes)]
        while len(terms) > 1:
            joined = [_join(terms[i : i + 2]) for i in range(0, len(terms), 2)]
            values = register([value for value, _, _ in joined], f"planes{used}")
            terms = [
                (value, exponent, negative)
                for value, (_, exponent, negative) in zip(values, joined, strict=True)
            ]
            used += 1
        value = terms[0][0]
        for i in range(used, self._latency):
            (value,) = register([value], f"delay{i}")
        m.d.comb += self.sum.eq(value)
        return m


def _pair(values: list[Value]) -> Value:
    return values[0] + values[1] if len(values) == 2 else values[0]


def _join(terms: list[tuple[Value, int, bool]]) -> tuple[Value, int, bool]:
    if len(terms) == 1:
        return terms[0]
    (low, exponent, _), (high, high_exponent, negative) = terms
    high = high << (high_exponent - exponent)
    return low - high if negative else low + high, exponent, False
