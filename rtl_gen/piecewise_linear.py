"""A function of straight pieces, computed: comparisons, a small factor, shifts, one sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.latencies import PIECES_LATENCY
from qornn_hw.ir import ops
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interval import Interval
from qornn_hw.rtl_gen.saturate import saturate

__all__ = ["PiecewiseLinear"]


@dataclass(frozen=True)
class _Piece:
    """What one piece computes: ``(factor * value << power) + offset``, the rounding constant included."""

    factor: int
    power: int
    offset: int


class PiecewiseLinear(wiring.Component):
    """The operation :class:`qornn_hw.ir.ops.PiecewiseLinear` with its numbers as constants.

    Pieces that no value of the format reaches are left out. The product is the sum of the value's multiples
    by the bits of the factor, so that no hard multiplier is needed.

    Parameters:
        operation: the knots, the pieces, and the format of the result.
        value: format of the operand.

    Members:
        value: In, the operand.
        result: Out, the operation's result.

    Latency: 4 cycles: piece, product, sum, result. Throughput: 1 a cycle.
    """

    LATENCY = PIECES_LATENCY

    def __init__(self, operation: ops.PiecewiseLinear, value: IntFormat) -> None:
        half = (1 << operation.shift) >> 1
        pieces = [
            _Piece(int(factor), int(power), int(offset) + half)
            for factor, power, offset in zip(
                operation.factors, operation.shifts, operation.offsets, strict=True
            )
        ]
        first = sum(int(knot) <= value.min for knot in operation.knots)
        self._knots = [int(knot) for knot in operation.knots if value.min < knot <= value.max]
        self._pieces = pieces[first : first + len(self._knots) + 1]
        self._operation = operation
        self._total_bits = operation.inner(Interval.of_format(value)).bits
        super().__init__({"value": In(_shape(value)), "result": Out(_shape(operation.format))})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Data needs no reset: nothing reads it before it is marked valid.
        index = _index([self.value >= knot for knot in self._knots])
        piece = Signal(max(1, len(index)), reset_less=True)
        value = Signal.like(self.value, reset_less=True)
        m.d.sync += [piece.eq(Cat(index)), value.eq(self.value)]

        factor = self._of_piece(m, piece, "factor", [abs(p.factor) for p in self._pieces])
        multiples = [Mux(bit, value << i, 0) for i, bit in enumerate(factor)]
        product = Signal(signed(value.shape().width + 1 + len(factor)), reset_less=True)
        held = Signal.like(piece, reset_less=True)
        m.d.sync += [product.eq(sum(multiples[1:], multiples[0])), held.eq(piece)]

        powers = sorted({p.power for p in self._pieces})
        which = self._of_piece(m, held, "power", [powers.index(p.power) for p in self._pieces])
        negative = self._of_piece(m, held, "negative", [p.factor < 0 for p in self._pieces])
        offset = self._of_piece(m, held, "offset", [p.offset for p in self._pieces])
        shifted = Signal(signed(self._total_bits))
        with m.Switch(which):
            for at, power in enumerate(powers):
                with m.Case(at):
                    m.d.comb += shifted.eq(product << power)
        total = Signal(signed(self._total_bits), reset_less=True)
        if any(p.factor < 0 for p in self._pieces):
            m.d.sync += total.eq((shifted ^ negative.replicate(self._total_bits)) + offset + negative)
        else:
            m.d.sync += total.eq(shifted + offset)

        form = self._operation.format
        saturated = saturate(
            m,
            total,
            shift=self._operation.shift,
            rounding=self._operation.rounding,
            bits=form.signed_bits,
            relu=not form.signed,
        )
        result = Signal.like(self.result, reset_less=True)
        m.d.sync += result.eq(saturated)
        m.d.comb += self.result.eq(result)
        return m

    def _of_piece(self, m: Module, piece: Signal, name: str, numbers: Sequence[int]) -> Signal:
        """Return the number of a piece, of which there is one for each."""
        found = Signal(_range_shape(numbers), name=name)
        with m.Switch(piece):
            for k, number in enumerate(numbers[:-1]):
                with m.Case(k):
                    m.d.comb += found.eq(number)
            with m.Default():
                m.d.comb += found.eq(numbers[-1])
        return found


def _shape(form: IntFormat) -> Shape:
    return Shape(form.bits, form.signed)


def _range_shape(numbers: Sequence[int]) -> Shape:
    """Return the shape of a signal that holds numbers, at least 1 bit wide."""
    shape = Shape.cast(range(min(numbers), max(numbers) + 1))
    return Shape(max(1, shape.width), shape.signed)


def _index(reached: Sequence[Any]) -> list[Any]:
    """Return how many conditions are true, the lowest bit first; each true one follows only true ones."""
    size = (1 << len(reached).bit_length()) - 1
    return _search([*reached, *[Const(0)] * (size - len(reached))])


def _search(reached: Sequence[Any]) -> list[Any]:
    """Return the count of ``2**k - 1`` conditions: the middle one is its highest bit, and chooses a half."""
    if not reached:
        return []
    middle = len(reached) // 2
    lower, upper = _search(reached[:middle]), _search(reached[middle + 1 :])
    return [*(Mux(reached[middle], u, w) for w, u in zip(lower, upper, strict=True)), reached[middle]]
