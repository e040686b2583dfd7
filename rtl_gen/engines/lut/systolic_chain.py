"""The linear systolic chain: a matrix-vector product, one row a cycle."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.engines.lut.timing import LutTiming
from qornn_hw.rtl_gen.engines.lut.processing_element import ProcessingElement, token_layout
from qornn_hw.rtl_gen.operand_bus import operand_bus_layout
from qornn_hw.rtl_gen.primitives.spram import weight_write_signature
from qornn_hw.rtl_gen.ram import Ram

__all__ = ["SystolicChain"]


class SystolicChain(wiring.Component):
    """``elements`` processing elements in a row, each a cycle behind the one before it.

    The partial sum of a row moves one element a cycle. In a step of several column passes the sums of one
    pass wait in block RAM and enter the first element with their row of the next pass.

    Parameters:
        design: schedule and weight images.
        preloaded: large memories start with their weights, which only a simulation can have.

    Members:
        i_token, i_addr: In; token and weight address of the row that enters the first element.
        i_row: In; index of that row, for the waiting partial sums (several passes only).
        i_first: In; whether that row's pass is the step's first, so that its sum starts at zero.
        bus: In; the operands of element e in the cycle in which the token with ``start`` reaches it, that is
            e cycles after it enters; with a register behind the weight memories in the cycle after it.
        o_token: Out; the token as it reaches the last element, for the tail, ``elements - 1`` cycles after
            ``i_token``.
        o_row: In; index of the row whose sum is on ``o_sum`` (several passes only).
        o_store: In; whether that sum waits for the next pass.
        o_sum: Out; the sum of a row as :mod:`qornn_hw.compiler.engines.lut.bipolar` defines it,
            ``timing.chain_latency`` cycles after its token entered.
        write: In; weights into the large memories of the first elements, where they have such;
            :func:`qornn_hw.rtl_gen.primitives.spram.weight_write_signature`. No row must be under way.

    Throughput: 1 row a cycle.
    """

    def __init__(self, design: Design, *, preloaded: bool = False) -> None:
        self._design = design
        self._preloaded = preloaded
        self._placement = p = LutPlacement.of(design.schedule)
        self._timing = LutTiming.of(design.schedule)
        self._widths = ChainSchedule.of(design.schedule).widths
        addr_bits = max(1, (p.passes * p.rows - 1).bit_length())
        row_bits = max(1, (p.rows - 1).bit_length())
        members = {
            "i_token": In(token_layout()),
            "i_addr": In(addr_bits),
            "i_row": In(row_bits),
            "i_first": In(1),
            "bus": In(operand_bus_layout(p.operand_bits, p.chain.columns_per_element)),
            "o_token": Out(token_layout()),
            "o_row": In(row_bits),
            "o_store": In(1),
            "o_sum": Out(signed(self._widths.partial_sum_bits[-1])),
        }
        if p.weight_banks:
            members["write"] = In(weight_write_signature(p.weight_banks))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._placement
        # The first element's sum arrives 1 + dot_latency cycles after its token.
        carried = Signal(signed(self._widths.waiting_sum_bits))
        if p.passes > 1:
            self._build_waiting_sums(m, carried)
        token, addr, partial_sum = self.i_token, self.i_addr, carried
        for e in range(p.chain.elements):
            element = self._element(e, len(partial_sum))
            m.submodules[f"element_{e}"] = element
            m.d.comb += [
                element.i_token.eq(token),
                element.i_addr.eq(addr),
                element.i_sum.eq(partial_sum),
                element.bus.eq(self.bus),
            ]
            if p.loads(e):
                m.d.comb += [
                    element.write.en.eq(self.write.en[e]),
                    element.write.high.eq(self.write.high),
                    element.write.addr.eq(self.write.addr),
                    element.write.data.eq(self.write.data),
                ]
            if e == p.chain.elements - 1:
                m.d.comb += self.o_token.eq(token)
            token, addr, partial_sum = element.o_token, element.o_addr, element.o_sum
        m.d.comb += self.o_sum.eq(partial_sum)
        return m

    def _element(self, e: int, i_sum_bits: int) -> ProcessingElement:
        """Return element ``e``, whose partial sum comes in with ``i_sum_bits`` bits."""
        p, chain = self._placement, self._placement.chain
        bits = p.weight_bits[e]
        return ProcessingElement(
            image=self._design.memory(f"weights_{e}"),
            columns=p.element_columns[e],
            weight_bits=bits,
            operand_bits=p.element_operand_bits[e],
            bus_operand_bits=p.operand_bits,
            bus_columns=chain.columns_per_element,
            dot_bits=self._widths.dot_bits[e],
            # Of one bit among others: the weights themselves where the others' are doubled.
            dot_shift=p.scale - 1 if bits == 1 else 0,
            i_sum_bits=i_sum_bits,
            o_sum_bits=self._widths.partial_sum_bits[e],
            dot_latency=self._timing.dot_product_latency,
            weight_register=chain.memory_register,
            loaded=p.loads(e),
            preloaded=self._preloaded,
        )

    def _build_waiting_sums(self, m: Module, carried: Signal) -> None:
        """Let the sums of a pass wait for the next pass."""
        # A period is longer than the chain: a sum is written before the next pass reads it.
        m.submodules.waiting_sums = memory = Ram(
            width=self._widths.waiting_sum_bits, depth=self._placement.rows
        )
        m.d.comb += [
            memory.w_addr.eq(self.o_row),
            memory.w_data.eq(self.o_sum),
            memory.w_en.eq(self.o_store),
        ]
        # Read data must be there 1 + dot_latency cycles after the token, so the address dot_latency after.
        latency = self._timing.dot_product_latency
        row, first = self.i_row, self.i_first
        for i in range(latency):
            delayed_row = Signal.like(self.i_row, name=f"row_{i}", reset_less=True)
            delayed_first = Signal(name=f"first_{i}")
            m.d.sync += [delayed_row.eq(row), delayed_first.eq(first)]
            row, first = delayed_row, delayed_first
        start_at_zero = Signal()
        m.d.sync += start_at_zero.eq(first)
        m.d.comb += memory.r_addr.eq(row)
        with m.If(~start_at_zero):
            m.d.comb += carried.eq(memory.r_data)
