"""The part of an activation that works at the accumulator's precision."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.latencies import MODRELU_LATENCY

__all__ = ["ModRelu"]


class ModRelu(wiring.Component):
    """``sgn(z) * max(|z| + b, 0)``, with ``sgn(0) = 0``.

    Computed as ``z + b`` for positive and ``z - b`` for negative z, and 0 where z is 0 or the bias has
    carried the sum over or onto zero: the same value with one adder.

    Parameters:
        value_bits: bits of z.
        bias_bits: bits of b.
        result_bits: bits of the result and of ``z +- b``, proved to hold them.

    Members:
        z: In(signed(value_bits)).
        bias: In(signed(bias_bits)), of the same row.
        result: Out(signed(result_bits)).

    Latency: 2 cycles. Throughput: 1 a cycle.
    """

    LATENCY = MODRELU_LATENCY

    def __init__(self, *, value_bits: int, bias_bits: int, result_bits: int) -> None:
        super().__init__(
            {
                "z": In(signed(value_bits)),
                "bias": In(signed(bias_bits)),
                "result": Out(signed(result_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        moved = Signal.like(self.result, reset_less=True)
        result = Signal.like(self.result, reset_less=True)
        negative, zero = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [
            moved.eq(Mux(self.z < 0, self.z - self.bias, self.z + self.bias)),
            negative.eq(self.z < 0),
            zero.eq(self.z == 0),
        ]
        crossed = (moved < 0) != negative
        m.d.sync += result.eq(Mux(zero | crossed, 0, moved))
        m.d.comb += self.result.eq(result)
        return m
