"""The activation's straight pieces behind a requantizer."""

from typing import Any

from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.design import Design
from qornn_hw.ir.formats import IntFormat
from qornn_hw.rtl_gen.piecewise_linear import PiecewiseLinear

__all__ = ["StatePieces"]


class StatePieces(wiring.Component):
    """The new state as a function of the requantizer's result, by the pieces of a design.

    Parameters:
        design: whose ``pieces`` these are.

    Members:
        index: In(signed(index_bits)).
        state: Out(signed(state_bits)).

    Latency: :attr:`PiecewiseLinear.LATENCY`. Throughput: 1 a cycle.
    """

    def __init__(self, design: Design) -> None:
        assert design.pieces is not None
        net = design.elman
        state = IntFormat(net.state_bits, signed=True)
        self._operation = design.pieces.operation("state", "index", state, net.rounding)
        self._index = IntFormat(design.pieces.index_bits, signed=True)
        super().__init__({"index": In(signed(self._index.bits)), "state": Out(signed(state.bits))})

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        m.submodules.function = function = PiecewiseLinear(self._operation, self._index)
        m.d.comb += [function.value.eq(self.index), self.state.eq(function.result)]
        return m
