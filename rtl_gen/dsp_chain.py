"""The chain of the dsp engine: hard multipliers in a row, and the memory of their weights."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.design import Design
from qornn_hw.dsp_schedule import LANES_PER_SPRAM, SPRAM_ADDR_BITS
from qornn_hw.engine import WeightStore
from qornn_hw.rom import RomImage
from rtl_gen.primitives.mac16 import Mac16
from rtl_gen.primitives.spram import Spram
from rtl_gen.rom import Rom

__all__ = ["DspChain", "weight_write_signature"]


def weight_write_signature(banks: int) -> wiring.Signature:
    """Return the port through which weights come into large memories.

    Members:
        en: Out(banks); one bit: write to that memory.
        high: Out(1); the upper byte of the word, else the lower one.
        addr: Out(14).
        data: Out(8).
    """
    return wiring.Signature({"en": Out(banks), "high": Out(1), "addr": Out(SPRAM_ADDR_BITS), "data": Out(8)})


class DspChain(wiring.Component):
    """``elements`` multipliers in a row, each a cycle behind the one before it.

    An element is a multiplier and nothing else: its A register holds the operand, B takes a weight each
    cycle, the partial sum comes in at C and leaves through the output register. The weight memories share one
    address.

    Parameters:
        design: schedule and weight images.
        preloaded: large memories that start with their weights, which only a simulation can have.

    Members:
        write: In; weights into the large memories (weights in SPRAM only); :func:`weight_write_signature`.
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
        s, images = self._design.schedule, self._design.weight_images
        addr = Signal(SPRAM_ADDR_BITS)
        m.d.comb += addr.eq(self.addr)
        with m.If(self.write.en.any()):
            m.d.comb += addr.eq(self.write.addr)
        halves: list[Any] = []
        for bank in range(s.weight_banks):
            lanes = images[bank * LANES_PER_SPRAM : (bank + 1) * LANES_PER_SPRAM]
            m.submodules[f"weights_{bank}"] = memory = Spram(
                depth=s.weight_depth, init=side_by_side("bank", lanes).words if self._preloaded else ()
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


def side_by_side(name: str, images: tuple[RomImage, ...]) -> RomImage:
    """Return a memory with the words of ``images`` beside each other, the first in the lowest bits."""
    words = [0] * images[0].depth
    offset = 0
    for image in images:
        words = [word | part << offset for word, part in zip(words, image.words, strict=True)]
        offset += image.width
    return RomImage(name, offset, tuple(words))
