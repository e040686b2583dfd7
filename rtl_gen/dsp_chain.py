"""The chain of the dsp engine: hard multipliers in a row, and the memory of their weights."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.design import Design
from qornn_hw.device import SPRAM_ADDR_BITS
from qornn_hw.engine import WeightStore
from qornn_hw.rom import side_by_side
from rtl_gen.primitives.mac16 import Mac16
from rtl_gen.primitives.spram import Spram, weight_write_signature
from rtl_gen.rom import Rom

__all__ = ["DspChain"]


class DspChain(wiring.Component):
    """``elements`` multipliers in a row, each a cycle behind the one before it.

    An element is a multiplier and nothing else: its A register holds the operand, B takes a weight each
    cycle, the partial sum comes in at C and leaves through the output register. The weight memories share one
    address.

    Parameters:
        design: schedule and weight images.
        preloaded: large memories that start with their weights, which only a simulation can have.

    Members:
        write: In; weights into the large memories (weights in SPRAM only);
            :func:`rtl_gen.primitives.spram.weight_write_signature`.
        start: In(elements); bit e: ``bus`` has the operand of element e.
        bus: In; an operand.
        addr: In; address of the row that enters, the cycle before bit 0 of ``start`` where it is row 0.
        i_sum: In; what the sum of the row starts from, the cycle after its address.
        o_sum: Out; the sum, ``elements + 2`` cycles after its address.

    Throughput: 1 row a cycle.
    """

    def __init__(self, design: Design, *, preloaded: bool) -> None:
        self._design = design
        self._preloaded = preloaded
        s = design.schedule
        members = {
            "start": In(s.elements),
            "bus": In(signed(s.operand_bits)),
            "addr": In(max(1, (s.weight_depth - 1).bit_length())),
            "i_sum": In(signed(s.sum_bits)),
            "o_sum": Out(signed(s.sum_bits)),
        }
        if s.store is WeightStore.SPRAM:
            members["write"] = In(weight_write_signature(s.weight_banks))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        s = self._design.schedule
        weights = self._spram(m) if s.store is WeightStore.SPRAM else self._block_ram(m)
        operand, partial_sum = Signal(signed(16)), Signal(signed(32))
        m.d.comb += [operand.eq(self.bus), partial_sum.eq(self.i_sum)]
        for e in range(s.elements):
            # What feeds the first one may be an adder: a register of the block's own takes it up.
            m.submodules[f"mac_{e}"] = mac = Mac16(settings=self._design.mac, c_register=e == 0)
            weight = Signal(signed(16), name=f"weight_{e}")
            m.d.comb += [
                weight.eq(weights[e].as_signed()),
                mac.a.eq(operand),
                mac.a_hold.eq(~self.start[e]),
                mac.b.eq(weight),
                mac.c.eq(partial_sum),
            ]
            partial_sum = mac.o
        m.d.comb += self.o_sum.eq(partial_sum)
        return m

    def _spram(self, m: Module) -> list[Any]:
        s = self._design.schedule
        addr = Signal(SPRAM_ADDR_BITS)
        m.d.comb += addr.eq(self.addr)
        with m.If(self.write.en.any()):
            m.d.comb += addr.eq(self.write.addr)
        halves: list[Any] = []
        for bank, image in enumerate(self._design.bank_images):
            m.submodules[f"weights_{bank}"] = memory = Spram(
                depth=s.weight_depth, init=image.words if self._preloaded else ()
            )
            m.d.comb += [
                memory.addr.eq(addr),
                memory.data.eq(self.write.data),
                memory.w_en.eq(
                    Cat(self.write.en[bank] & ~self.write.high, self.write.en[bank] & self.write.high)
                ),
            ]
            halves += [memory.q[:8], memory.q[8:]]
        return halves

    def _block_ram(self, m: Module) -> list[Any]:
        images = self._design.weight_images
        # One memory for all, which wastes least of the blocks.
        m.submodules.weights = weights = Rom(side_by_side("weights", images))
        m.d.comb += weights.addr.eq(self.addr)
        bits = images[0].width
        return [weights.data[e * bits : (e + 1) * bits] for e in range(len(images))]
