"""One element of the systolic chain."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.memory import Memory
from qornn_hw.rtl_gen.engines.lut.dot_product import PairSelectDotProduct
from qornn_hw.rtl_gen.operand_bus import operand_bus_layout, pair_layout
from qornn_hw.rtl_gen.primitives.spram import Spram, weight_write_signature
from qornn_hw.rtl_gen.rom import Rom

__all__ = ["ProcessingElement", "token_layout"]


def token_layout() -> data.StructLayout:
    """Return what travels along the chain beside a row's weight address.

    Fields:
        start: first row of a pass; an element loads its operands.
        valid: there is a row.
    """
    return data.StructLayout({"start": 1, "valid": 1})


class ProcessingElement(wiring.Component):
    """Weights and operands of a few columns, and one addition to the partial sum that passes.

    For the row whose token arrives in cycle t: ``o_sum(t + 2 + dot_latency) = i_sum(t + 1 + dot_latency) +
    dot << dot_shift``, modulo ``2**o_sum_bits``. ``dot`` is the dot product of the weights of the row and the
    operands that were on ``bus`` at the last token with ``start``, or a cycle after it where a register is
    behind the weight memory.

    Parameters:
        image: the weight memory, ``columns`` weights a word.
        columns: columns of this element, the first ones of the bus.
        weight_bits: bits of a weight.
        operand_bits: bits of a signed operand, at most those of the bus.
        bus_operand_bits, bus_columns: of the bus.
        dot_bits: bits of the dot product, proved to hold it.
        dot_shift: puts the dot product to the chain's scale.
        i_sum_bits, o_sum_bits: bits of the partial sums in and out.
        dot_latency: cycles from the weight memory to the dot product, the same all along the chain.
        weight_register: whether a register follows the weight memory.
        loaded: whether the weight memory is an SPRAM, loaded through ``write``, not block RAM.
        preloaded: an SPRAM starts with its weights, which only a simulation can have.

    Members:
        i_token, o_token: token in, and a cycle later out.
        i_addr, o_addr: address of the row in the weight memory, with the token.
        bus: In; a word of operands, taken in a cycle in which ``i_token.start`` is high; with a register
            behind the weight memory in the cycle after it.
        i_sum, o_sum: partial sums.
        write: In; weights (an SPRAM only); :func:`qornn_hw.rtl_gen.primitives.spram.weight_write_signature`.
            It takes the memory's one address: no row must be under way.

    Latency: 1 cycle from token to token, ``2 + dot_latency`` from token to partial sum.
    Throughput: 1 row a cycle.
    """

    def __init__(
        self,
        *,
        image: Memory,
        columns: int,
        weight_bits: int,
        operand_bits: int,
        bus_operand_bits: int,
        bus_columns: int,
        dot_bits: int,
        dot_shift: int,
        i_sum_bits: int,
        o_sum_bits: int,
        dot_latency: int,
        weight_register: bool = False,
        loaded: bool = False,
        preloaded: bool = False,
    ) -> None:
        self._image = image
        self._columns = columns
        self._weight_bits = weight_bits
        self._operand_bits = operand_bits
        self._dot_bits = dot_bits
        self._dot_shift = dot_shift
        self._dot_latency = dot_latency
        self._weight_register = weight_register
        self._loaded = loaded
        self._preloaded = preloaded
        addr_bits = max(1, (image.depth - 1).bit_length())
        members = {
            "i_token": In(token_layout()),
            "o_token": Out(token_layout()),
            "i_addr": In(addr_bits),
            "o_addr": Out(addr_bits),
            "bus": In(operand_bus_layout(bus_operand_bits, bus_columns)),
            "i_sum": In(signed(i_sum_bits)),
            "o_sum": Out(signed(o_sum_bits)),
        }
        if loaded:
            members["write"] = In(weight_write_signature(1))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        weights = self._spram(m) if self._loaded else self._rom(m)
        m.submodules.dot_product = dot_product = PairSelectDotProduct(
            columns=self._columns,
            weight_bits=self._weight_bits,
            operand_bits=self._operand_bits,
            sum_bits=self._dot_bits,
            latency=self._dot_latency - self._weight_register,
        )
        # Data needs no reset: nothing reads it before a token has marked it valid.
        pairs = Signal(pair_layout(self._operand_bits, self._columns), reset_less=True)
        addr = Signal.like(self.i_addr, reset_less=True)
        partial_sum = Signal.like(self.o_sum, reset_less=True)
        row, load = weights, self.i_token.start
        if self._weight_register:
            row, load = Signal(self._image.width, name="row", reset_less=True), self.o_token.start
            m.d.sync += row.eq(weights)
        with m.If(load):
            for i in range(-(-self._columns // 2)):
                m.d.sync += [
                    pairs[i].sum.eq(self.bus.pairs[i].sum),
                    pairs[i].difference.eq(self.bus.pairs[i].difference),
                ]
        m.d.sync += [
            self.o_token.eq(self.i_token),
            addr.eq(self.i_addr),
            partial_sum.eq(self.i_sum + (dot_product.sum << self._dot_shift)),
        ]
        m.d.comb += [
            self.o_addr.eq(addr),
            self.o_sum.eq(partial_sum),
            dot_product.weights.eq(row),
            dot_product.pairs.eq(pairs),
        ]
        return m

    def _rom(self, m: Module) -> Any:
        """Return the word of the row whose token came in the cycle before, from block RAM."""
        m.submodules.weights = weights = Rom(self._image)
        m.d.comb += weights.addr.eq(self.i_addr)
        return weights.data

    def _spram(self, m: Module) -> Any:
        """Return the same from an SPRAM."""
        m.submodules.weights = weights = Spram(
            depth=self._image.depth, init=self._image.words if self._preloaded else ()
        )
        writes = self.write.en[0]
        m.d.comb += [
            # The bits that the element's address lacks are zero in any write.
            weights.addr.eq(Mux(writes, self.write.addr[: len(self.i_addr)], self.i_addr)),
            weights.data.eq(self.write.data),
            weights.w_en.eq(Cat(writes & ~self.write.high, writes & self.write.high)),
        ]
        return weights.q[: self._image.width]
