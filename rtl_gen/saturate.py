"""The end of a requantizer: shift, round, saturate."""

from typing import Any

from amaranth.hdl import Module, Signal, signed

from qornn_hw.ir.formats import IntFormat, Rounding

__all__ = ["saturate"]


def saturate(m: Module, total: Any, *, shift: int, rounding: Rounding, bits: int, relu: bool) -> Signal:
    """Return ``total >> shift``, rounded and saturated to ``bits`` signed bits.

    ``total`` has the rounding constant ``2**(shift-1)`` in it (0 without shift); with it this is
    :func:`qornn_hw.ir.formats.requantize`. Saturation looks at whether the bits above the result are all
    alike; a compare of the whole sum would set the clock. relu is the saturation to ``0 .. 2**(bits-1)-1``:
    rounding is monotonic and keeps zero, so that clamping after it is the same as before.
    """
    shifted = Signal(signed(max(len(total) - shift, bits + 1)))
    m.d.comb += shifted.eq(total >> shift)
    rounded = Signal.like(shifted)
    m.d.comb += rounded.eq(shifted)
    if rounding is Rounding.HALF_EVEN and shift:
        # The constant is in: a tie has left only zeros below the point. Its neighbour below is even.
        tie = total[:shift] == 0
        m.d.comb += rounded[0].eq(shifted[0] & ~tie)

    form = IntFormat(bits, signed=True)
    saturated = Signal(signed(bits))
    above = shifted[bits - 1 :]
    negative = shifted[-1]
    m.d.comb += saturated.eq(rounded)
    with m.If(~negative & above.any()):
        m.d.comb += saturated.eq(form.max)
    with m.Elif(negative & (1 if relu else ~above.all())):
        m.d.comb += saturated.eq(0 if relu else form.min)
    return saturated
