"""The linear systolic chain: a matrix-vector product, one row a cycle."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.design import Design
from rtl_gen.primitives.spram import weight_write_signature
from rtl_gen.processing_element import ProcessingElement, operand_bus_layout, token_layout
from rtl_gen.ram import Ram

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
        o_sum: Out; the sum of a row as :mod:`qornn_hw.schedule` defines it, ``schedule.chain_latency`` cycles
            after its token entered.
        write: In; weights into the large memories of the first elements, where they have such;
            :func:`rtl_gen.primitives.spram.weight_write_signature`. No row must be under way.

    Throughput: 1 row a cycle.
    """

    def __init__(self, design: Design, *, preloaded: bool = False) -> None:
        self._design = design
        self._preloaded = preloaded
        s = design.schedule
        addr_bits = max(1, (s.passes * s.rows - 1).bit_length())
        row_bits = max(1, (s.rows - 1).bit_length())
        members = {
            "i_token": In(token_layout()),
            "i_addr": In(addr_bits),
            "i_row": In(row_bits),
            "i_first": In(1),
            "bus": In(operand_bus_layout(s.operand_bits, s.columns_per_element)),
            "o_token": Out(token_layout()),
            "o_row": In(row_bits),
            "o_store": In(1),
            "o_sum": Out(signed(s.partial_sum_bits[-1])),
        }
        if s.weight_banks:
            members["write"] = In(weight_write_signature(s.weight_banks))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        s = self._design.schedule
        sum_bits = s.partial_sum_bits
        # The first element's sum arrives 1 + dot_latency cycles after its token.
        carried = Signal(signed(s.waiting_sum_bits))
        if s.passes > 1:
            self._build_waiting_sums(m, carried)
        token, addr, partial_sum = self.i_token, self.i_addr, carried
        for e in range(s.elements):
            element = ProcessingElement(
                image=self._design.weight_images[e],
                columns=s.element_columns[e],
                weight_bits=s.weight_bits[e],
                operand_bits=s.element_operand_bits[e],
                bus_operand_bits=s.operand_bits,
                bus_columns=s.columns_per_element,
                dot_bits=s.dot_bits[e],
                # Of one bit among others: the weights themselves where the others' are doubled.
                dot_shift=s.scale - 1 if s.weight_bits[e] == 1 else 0,
                i_sum_bits=len(partial_sum),
                o_sum_bits=sum_bits[e],
                dot_latency=s.dot_product_latency,
                weight_register=s.memory_register,
                loaded=s.loads(e),
                preloaded=self._preloaded,
            )
            m.submodules[f"element_{e}"] = element
            m.d.comb += [
                element.i_token.eq(token),
                element.i_addr.eq(addr),
                element.i_sum.eq(partial_sum),
                element.bus.eq(self.bus),
            ]
            if s.loads(e):
                m.d.comb += [
                    element.write.en.eq(self.write.en[e]),
                    element.write.high.eq(self.write.high),
                    element.write.addr.eq(self.write.addr),
                    element.write.data.eq(self.write.data),
                ]
            if e == s.elements - 1:
                m.d.comb += self.o_token.eq(token)
            token, addr, partial_sum = element.o_token, element.o_addr, element.o_sum
        m.d.comb += self.o_sum.eq(partial_sum)
        return m

    def _build_waiting_sums(self, m: Module, carried: Signal) -> None:
        s = self._design.schedule
        # A period is longer than the chain: a sum is written before the next pass reads it.
        m.submodules.waiting_sums = memory = Ram(width=s.waiting_sum_bits, depth=s.rows)
        m.d.comb += [
            memory.w_addr.eq(self.o_row),
            memory.w_data.eq(self.o_sum),
            memory.w_en.eq(self.o_store),
        ]
        # Read data must be there 1 + dot_latency cycles after the token, so the address dot_latency after.
        row, first = self.i_row, self.i_first
        for i in range(s.dot_product_latency):
            delayed_row, delayed_first = (
                Signal.like(self.i_row, name=f"row_{i}", reset_less=True),
                Signal(name=f"first_{i}"),
            )
            m.d.sync += [delayed_row.eq(row), delayed_first.eq(first)]
            row, first = delayed_row, delayed_first
        start_at_zero = Signal()
        m.d.sync += start_at_zero.eq(first)
        m.d.comb += memory.r_addr.eq(row)
        with m.If(~start_at_zero):
            m.d.comb += carried.eq(memory.r_data)
