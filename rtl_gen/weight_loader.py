"""Takes an image of weights byte by byte, writes it into the large memories, and says whether it is good."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.weight_image import HEADER_BYTES, LoadStatus, WeightFormat
from rtl_gen.primitives.spram import weight_write_signature

__all__ = ["BYTE_CYCLES_MIN", "WeightLoader"]

# The byte itself, then its bits for the CRC.
BYTE_CYCLES_MIN = 10
# CRC-32 as zlib has it: the lowest bit first. With its own bytes behind the data, the register holds this.
CRC_POLYNOMIAL = 0xEDB88320
CRC_INIT = 0xFFFFFFFF
CRC_RESIDUE = 0xDEBB20E3


class WeightLoader(wiring.Component):
    """An image as in :mod:`qornn_hw.weight_image` into the memories.

    Equals :func:`qornn_hw.weight_image.check_image`. Weights are written as they come. The image always has
    the design's own size here, whatever its header says: all of it is taken, and then judged.

    Parameters:
        form: what the image must be.

    Members:
        start: In; pulse: the next byte is an image's first.
        data: In(8).
        valid: In; there is a byte; at least 10 cycles behind the one before.
        write: Out; :func:`rtl_gen.primitives.spram.weight_write_signature`.
        loaded: Out; all weights are there and right. Low from ``start`` on.
        done: Out; pulse: the image is complete, ``status`` says how it was.
        status: Out(3); :class:`qornn_hw.weight_image.LoadStatus`, from ``done`` to ``start``.

    Latency: ``done`` comes 12 cycles after the last byte.
    """

    def __init__(self, form: WeightFormat) -> None:
        self._form = form
        super().__init__(
            {
                "start": In(1),
                "data": In(8),
                "valid": In(1),
                "write": Out(weight_write_signature(form.banks)),
                "loaded": Out(1),
                "done": Out(1),
                "status": Out(3),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        form = self._form
        # The index of a byte among the weights; the header comes before 0. Its length is a power of two.
        at = Signal(max(form.weight_bytes.bit_length(), HEADER_BYTES.bit_length()))
        in_header, in_weights = Signal(), Signal()
        header = Array(Const(byte, 8) for byte in form.header)
        failures = Array(Const(LoadStatus.of_header_byte(i), 3) for i in range(HEADER_BYTES))
        at_in_header = at[: (HEADER_BYTES - 1).bit_length()]
        last = ~in_header & ~in_weights & at[:2].all()

        # The byte is kept for the checksum, and looked at a cycle later: that there is one comes a long way.
        byte, taken = Signal(8), Signal()
        m.d.sync += taken.eq(self.valid)

        # -- place in the image -----------------------------------------------------------------------
        with m.If(taken):
            m.d.sync += at.eq(at + 1)
            with m.If(in_header & at_in_header.all()):
                m.d.sync += [in_header.eq(0), in_weights.eq(1)]
            with m.If(in_weights & (at == form.weight_bytes - 1)):
                m.d.sync += in_weights.eq(0)
        # What the byte must be is looked up before it comes, and the status is a cycle later than the
        # compare: each is long.
        differs, wanted, failure = Signal(), Signal(8), Signal(3)
        m.d.sync += [
            wanted.eq(header[at_in_header]),
            differs.eq(taken & in_header & (byte != wanted)),
            failure.eq(failures[at_in_header]),
        ]
        with m.If(differs & (self.status == LoadStatus.LOADED)):
            m.d.sync += self.status.eq(failure)

        bank = at[1 : 1 + form.bank_bits]
        m.d.comb += [
            self.write.data.eq(byte),
            self.write.high.eq(at[0]),
            self.write.addr.eq(at[1 + form.bank_bits :]),
        ]
        # From flip-flops, together with ``taken``: the memories lie all over the device.
        for index in range(form.banks):
            m.d.sync += self.write.en[index].eq(self.valid & in_weights & (bank == index))

        # -- checksum: a bit a cycle --------------------------------------------------------------------
        crc, bits_left, checking = Signal(32), Signal(range(9)), Signal()
        with m.If(taken):
            m.d.sync += bits_left.eq(8)
        with m.Elif(bits_left != 0):
            out = crc[0] ^ byte[0]
            m.d.sync += [
                byte.eq(byte[1:]),
                bits_left.eq(bits_left - 1),
                crc.eq(Cat(crc[1:], 0) ^ Mux(out, CRC_POLYNOMIAL, 0)),
            ]
        with m.Else():
            m.d.sync += byte.eq(self.data)
        with m.If(taken):
            m.d.sync += checking.eq(last)
        # A cycle later than the last bit: 32 bits are a long compare.
        right, rested = Signal(), Signal()
        m.d.sync += [right.eq(crc == CRC_RESIDUE), rested.eq(bits_left == 0), self.done.eq(0)]
        with m.If(checking & (bits_left == 0) & rested):
            m.d.sync += [checking.eq(0), self.done.eq(1)]
            with m.If(self.status == LoadStatus.LOADED):
                m.d.sync += [
                    self.loaded.eq(right),
                    self.status.eq(Mux(right, LoadStatus.LOADED, LoadStatus.BAD_CHECKSUM)),
                ]
        with m.If(self.start):
            m.d.sync += [
                at.eq(-HEADER_BYTES),
                in_header.eq(1),
                in_weights.eq(0),
                checking.eq(0),
                bits_left.eq(0),
                crc.eq(CRC_INIT),
                self.loaded.eq(0),
                self.status.eq(LoadStatus.LOADED),
            ]
        return m
