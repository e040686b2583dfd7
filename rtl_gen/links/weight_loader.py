"""Takes an image of weights byte by byte, writes it into the large memories, and says whether it is good."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.weight_image import HEADER_BYTES, LoadStatus, WeightFormat
from qornn_hw.rtl_gen.primitives.spram import weight_write_signature

__all__ = ["BYTE_CYCLES_MIN", "WeightLoader"]

# One cycle for the byte itself, the others for its bits in the CRC.
BYTE_CYCLES_MIN = 10
# CRC-32 of zlib: the lowest bit first. After the data and the CRC's own bytes the register holds the residue.
CRC_POLYNOMIAL = 0xEDB88320
CRC_INIT = 0xFFFFFFFF
CRC_RESIDUE = 0xDEBB20E3
HEADER_BITS = (HEADER_BYTES - 1).bit_length()


class WeightLoader(wiring.Component):
    """Writes an image of :mod:`qornn_hw.compiler.weight_image` into the memories and judges it.

    The judgement equals :func:`qornn_hw.compiler.weight_image.check_image`. Weights are written as they
    arrive. The loader always takes as many bytes as its own design needs, whatever the header says, and then
    judges them.

    Parameters:
        form: what the image must be.

    Members:
        start: In; pulse: the next byte is an image's first.
        data: In(8).
        valid: In; there is a byte; at least 10 cycles behind the one before.
        write: Out; :func:`qornn_hw.rtl_gen.primitives.spram.weight_write_signature`.
        loaded: Out; all weights are there and right. Low from ``start`` on.
        done: Out; pulse: the image is complete, ``status`` says how it was.
        status: Out(3); :class:`qornn_hw.compiler.weight_image.LoadStatus`, from ``done`` to ``start``.

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
        # Index of the byte among the weights; the header has negative ones. Its length is a power of two.
        at = Signal(max(form.weight_bytes.bit_length(), HEADER_BYTES.bit_length()))
        in_header, in_weights = Signal(), Signal()
        # ``byte`` is kept for the checksum, and ``taken`` says one cycle after ``valid`` that it is new: the
        # logic in front of ``valid`` is long.
        byte, taken = Signal(8), Signal()
        crc, checking, bits_left = Signal(32), Signal(), Signal(range(9))
        m.d.sync += taken.eq(self.valid)
        self._follow(m, at, in_header, in_weights, taken)
        self._check_header(m, at, in_header, byte, taken)
        self._write(m, at, in_weights, byte)
        self._divide(m, crc, bits_left, byte, taken)
        last = ~in_header & ~in_weights & at[:2].all()
        with m.If(taken):
            m.d.sync += checking.eq(last)
        self._judge(m, crc, bits_left, checking)
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

    def _follow(self, m: Module, at: Signal, in_header: Signal, in_weights: Signal, taken: Signal) -> None:
        """Count the bytes of the image."""
        with m.If(taken):
            m.d.sync += at.eq(at + 1)
            with m.If(in_header & at[:HEADER_BITS].all()):
                m.d.sync += [in_header.eq(0), in_weights.eq(1)]
            with m.If(in_weights & (at == self._form.weight_bytes - 1)):
                m.d.sync += in_weights.eq(0)

    def _check_header(self, m: Module, at: Signal, in_header: Signal, byte: Signal, taken: Signal) -> None:
        """Compare the header with the design's own; the first difference is the status."""
        header = Array(Const(value, 8) for value in self._form.header)
        failures = Array(Const(LoadStatus.of_header_byte(i), 3) for i in range(HEADER_BYTES))
        # The wanted byte is looked up before the byte comes, and the status follows the comparison by one
        # cycle: each of them is a long path.
        differs, wanted, failure = Signal(), Signal(8), Signal(3)
        m.d.sync += [
            wanted.eq(header[at[:HEADER_BITS]]),
            differs.eq(taken & in_header & (byte != wanted)),
            failure.eq(failures[at[:HEADER_BITS]]),
        ]
        with m.If(differs & (self.status == LoadStatus.LOADED)):
            m.d.sync += self.status.eq(failure)

    def _write(self, m: Module, at: Signal, in_weights: Signal, byte: Signal) -> None:
        """Write each byte of the weights into its memory."""
        form = self._form
        bank = at[1 : 1 + form.bank_bits]
        m.d.comb += [
            self.write.data.eq(byte),
            self.write.high.eq(at[0]),
            self.write.addr.eq(at[1 + form.bank_bits :]),
        ]
        # From flip-flops, in the cycle of ``taken``: the memories are spread over the whole device.
        for index in range(form.banks):
            m.d.sync += self.write.en[index].eq(self.valid & in_weights & (bank == index))

    def _divide(self, m: Module, crc: Signal, bits_left: Signal, byte: Signal, taken: Signal) -> None:
        """Take each byte into the CRC-32, one bit a cycle."""
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

    def _judge(self, m: Module, crc: Signal, bits_left: Signal, checking: Signal) -> None:
        """Judge the image after its last byte."""
        # One cycle after the last bit: a comparison of 32 bits is a long path.
        right, rested = Signal(), Signal()
        m.d.sync += [right.eq(crc == CRC_RESIDUE), rested.eq(bits_left == 0), self.done.eq(0)]
        with m.If(checking & (bits_left == 0) & rested):
            m.d.sync += [checking.eq(0), self.done.eq(1)]
            with m.If(self.status == LoadStatus.LOADED):
                m.d.sync += [
                    self.loaded.eq(right),
                    self.status.eq(Mux(right, LoadStatus.LOADED, LoadStatus.BAD_CHECKSUM)),
                ]
