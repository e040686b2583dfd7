"""The dot product of an element of the ``lut`` engine."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.engines.lut.timing import dot_product_latency
from qornn_hw.ir.formats import bits_for_range
from qornn_hw.rtl_gen.operand_bus import pair_layout

__all__ = ["PairSelectDotProduct"]


class PairSelectDotProduct(wiring.Component):
    """Dot product in logic cells: bit planes of the weights select sums and differences of two operands.

    With u the offset code ``w + 2**(k-1)`` of a weight, ``2 w + 1 = sum_b 2**b s_b``, ``s_b = 2 u_b - 1``:
    digits of -1 and +1. A plane of a pair of columns is then ``+-(x0 + x1)`` or ``+-(x0 - x1)``, which a pair
    keeps ready: one LUT4 a bit, ``f(sum, difference, s0, s1)``, whose flip-flop holds the result. ``-v`` is
    taken as ``~v``, one less; what a row lacks by that is known when the network is compiled. So

        sum = sum_j (2 w_j + 1) x_j - complement_losses(w)        for k > 1
        sum = sum_j      w_j    x_j - complement_losses(w)        for k = 1, w_j = +-1

    (:func:`qornn_hw.compiler.schedule.complement_losses`). Planes are added over the columns first, which
    keeps the adders narrow, then over the planes. There is no ``*`` here: the requantizer needs the hard
    multipliers.

    Parameters:
        columns: columns of the element.
        weight_bits: k.
        operand_bits: bits of a signed operand.
        sum_bits: bits of the result, which the caller proves to fit; registers on the way have what an
            interval of theirs needs, and no more than that modulo ``2**sum_bits``.
        latency: cycles from weights to the sum, at least ``dot_product_latency(columns, weight_bits)``; the
            rest is plain delay.

    Members:
        weights: In, ``columns`` codes of ``weight_bits`` bits, the first in the lowest bits, new ones every
            cycle. At one bit 0 stands for +1 and 1 for -1.
        pairs: In, :func:`pair_layout` of the operands.
        sum: Out(signed(sum_bits)), of ``latency`` cycles before.

    Latency: ``latency`` cycles; a register follows every selection and adder, which on iCE40 costs nothing
    (the flip-flop of the adder's own cell) and sets the clock. Throughput: 1 a cycle.

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
        self._operand_bits = operand_bits
        self._sum_bits = sum_bits
        self._latency = latency
        super().__init__(
            {
                "weights": In(data.ArrayLayout(weight_bits, columns)),
                "pairs": In(pair_layout(operand_bits, columns)),
                "sum": Out(signed(sum_bits)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from weights to the sum."""
        return self._latency

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        top = self._weight_bits - 1
        planes = [
            [self._select(m, b, b == top, pair) for pair in range(-(-self._columns // 2))]
            for b in range(self._weight_bits)
        ]
        used = 1
        while len(planes[0]) > 1:
            planes = [self._add_neighbours(m, p, b, 0) for b, p in enumerate(planes)]
            used += 1
        terms = [p[0] for p in planes]
        distance = 1
        while len(terms) > 1:
            terms = self._add_neighbours(m, terms, 0, distance)
            distance *= 2
            used += 1
        value = terms[0].value
        for i in range(used, self._latency):
            # Data needs no reset: nothing reads it before a token has marked it valid.
            delayed = Signal.like(value, name=f"delay{i}", reset_less=True)
            m.d.sync += delayed.eq(value)
            value = delayed
        m.d.comb += self.sum.eq(value)
        return m

    def _select(self, m: Module, plane: int, top: bool, pair: int) -> "_Term":
        """Return a plane of a pair: the sum, the difference, or the complement of either."""
        positive = [
            ~self.weights[column][plane] if top else self.weights[column][plane]
            for column in range(2 * pair, min(2 * pair + 2, self._columns))
        ]
        total, difference = self.pairs[pair].sum, self.pairs[pair].difference
        single = len(positive) == 1
        reach = 1 << (self._operand_bits - 1 if single else self._operand_bits)
        if single:
            choice = Mux(positive[0], total, ~total)
        else:
            choice = Mux(
                positive[0],
                Mux(positive[1], total, difference),
                Mux(positive[1], ~difference, ~total),
            )
        return self._register(m, choice, -reach, reach - 1, plane, f"plane{plane}_{pair}")

    def _add_neighbours(self, m: Module, terms: list["_Term"], plane: int, distance: int) -> list["_Term"]:
        """Return terms added two and two, the second of each shifted by ``distance``."""
        result = []
        for i in range(0, len(terms), 2):
            name = f"sum{plane}_{distance}_{len(terms)}_{i}"
            exponent = plane + i * distance
            if i + 1 == len(terms):
                last = terms[i]
                result.append(self._register(m, last.value, last.low, last.high, exponent, name))
                continue
            low, high = terms[i], terms[i + 1]
            # The lowest bits pass beside the adder.
            value = Cat(low.value[:distance], (low.value >> distance) + high.value).as_signed()
            smallest, largest = (a + (b << distance) for a, b in ((low.low, high.low), (low.high, high.high)))
            result.append(self._register(m, value, smallest, largest, exponent, name))
        return result

    def _register(self, m: Module, value: Value, low: int, high: int, exponent: int, name: str) -> "_Term":
        """Return a register behind a value in ``[low, high]`` that counts ``2**exponent`` fold."""
        bits = max(1, min(bits_for_range(low, high), self._sum_bits - exponent))
        register = Signal(signed(bits), name=name, reset_less=True)
        m.d.sync += register.eq(value)
        return _Term(register, low, high)


class _Term:
    """A value on its way and the interval that holds it."""

    def __init__(self, value: Value, low: int, high: int) -> None:
        self.value, self.low, self.high = value, low, high
