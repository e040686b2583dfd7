"""The chain of the dsp engine: hard multipliers in a row, and the memory of their weights."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.dsp.placement import DspPlacement
from qornn_hw.compiler.family import SPRAM_ADDR_BITS
from qornn_hw.rtl_gen.fields import fields_of
from qornn_hw.rtl_gen.primitives.mac16 import Mac16
from qornn_hw.rtl_gen.primitives.spram import Spram, weight_write_signature
from qornn_hw.rtl_gen.rom import Rom

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
            :func:`qornn_hw.rtl_gen.primitives.spram.weight_write_signature`.
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
        self._placement = placement = DspPlacement.of(design.schedule)
        sum_bits = ChainSchedule.of(design.schedule).sum_bits
        members = {
            "start": In(self._placement.chain.elements),
            "bus": In(signed(placement.operand_bits)),
            "addr": In(max(1, (placement.weight_depth - 1).bit_length())),
            "i_sum": In(signed(sum_bits)),
            "o_sum": Out(signed(sum_bits)),
        }
        if self._placement.in_spram:
            members["write"] = In(weight_write_signature(placement.weight_banks))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        weights = self._spram(m) if self._placement.in_spram else self._block_ram(m)
        operand, partial_sum = Signal(signed(16)), Signal(signed(32))
        m.d.comb += [operand.eq(self.bus), partial_sum.eq(self.i_sum)]
        for e in range(self._placement.chain.elements):
            # What feeds the first one may be an adder: a register of the block's own takes it up.
            m.submodules[f"mac_{e}"] = mac = Mac16(settings=self._design.mac, c_register=e == 0)
            weight = Signal(signed(16), name=f"weight_{e}")
            m.d.comb += [
                weight.eq(weights[e]),
                mac.a.eq(operand),
                mac.a_hold.eq(~self.start[e]),
                mac.b.eq(weight),
                mac.c.eq(partial_sum),
            ]
            partial_sum = mac.o
        m.d.comb += self.o_sum.eq(partial_sum)
        return m

    def _spram(self, m: Module) -> list[Any]:
        """Return the weights of all elements from large memories, which share one address."""
        addr = Signal(SPRAM_ADDR_BITS)
        m.d.comb += addr.eq(self.addr)
        with m.If(self.write.en.any()):
            m.d.comb += addr.eq(self.write.addr)
        weights: list[Any] = []
        for bank, image in enumerate(self._design.weight_banks):
            m.submodules[f"weights_{bank}"] = memory = Spram(
                depth=image.depth, init=image.words if self._preloaded else ()
            )
            m.d.comb += [
                memory.addr.eq(addr),
                memory.data.eq(self.write.data),
                memory.w_en.eq(
                    Cat(self.write.en[bank] & ~self.write.high, self.write.en[bank] & self.write.high)
                ),
            ]
            fields = fields_of(image, memory.q[: image.width])
            weights += [fields[field.name] for field in image.fields]
        return weights

    def _block_ram(self, m: Module) -> list[Any]:
        """Return the weights of all elements from one ROM."""
        image = self._design.memory("weights")
        m.submodules.weights = weights = Rom(image)
        m.d.comb += weights.addr.eq(self.addr)
        fields = fields_of(image, weights.data)
        return [fields[field.name] for field in image.fields]
