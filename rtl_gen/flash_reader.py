"""Reads a serial flash from an address on, once after start-up: the weights of a board without a host."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["BYTE_CYCLES", "FlashReader", "flash_signature"]

# Commands that every serial flash of the boards knows (Winbond W25Q128JV, 8.1.2): out of the power-down that
# the FPGA puts its flash into when it is configured, and read at up to 50 MHz.
RELEASE_POWER_DOWN = 0xAB
READ_DATA = 0x03
ADDRESS_BITS = 24

# A bit takes two cycles, so that the line runs at half the clock.
BYTE_CYCLES = 16


def flash_signature() -> wiring.Signature:
    """Return the pins of a serial flash; ``cs`` is high while it is selected."""
    return wiring.Signature({"cs": Out(1), "sck": Out(1), "copi": Out(1), "cipo": In(1)})


class FlashReader(wiring.Component):
    """Bytes of a serial flash (SPI mode 0, single data lines) until it is told to stop.

    It waits for a tick, wakes the flash, waits for another one and reads; a flash takes 3 us to wake
    (W25Q128JV, tRES1). A bit is taken at the falling edge of ``sck``, half a period later than the flash
    expects: pads and flash have a whole period of the line, two cycles, to bring it.

    Parameters:
        address: of the first byte, below 2**24.

    Members:
        tick: In; pulse, two of which are 3 us apart at least.
        stop: In; pulse: enough.
        flash: Out(:func:`flash_signature`); from registers.
        start: Out; pulse: the next byte is the first.
        data: Out(8).
        valid: Out; pulse: there is a byte, 16 cycles after the one before.
    """

    def __init__(self, *, address: int) -> None:
        if not 0 <= address < 1 << ADDRESS_BITS:
            raise ValueError(f"address must be 0 to {(1 << ADDRESS_BITS) - 1}, not {address!r}")
        self._address = address
        super().__init__(
            {
                "tick": In(1),
                "stop": In(1),
                "flash": Out(flash_signature()),
                "start": Out(1),
                "data": Out(8),
                "valid": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        # Sent from bit 31 on: the whole read command, or the upper byte alone.
        wake = Const(RELEASE_POWER_DOWN << ADDRESS_BITS, 32)
        read = Const(READ_DATA << ADDRESS_BITS | self._address, 32)
        at = Signal(5)
        selected, copi = Signal(), Signal()
        reading = Signal()
        m.d.sync += [self.flash.cs.eq(selected), self.start.eq(0), self.valid.eq(0)]

        bit_done = Signal()
        m.d.comb += bit_done.eq(selected & self.flash.sck)
        with m.If(selected & self.flash.cs):
            m.d.sync += self.flash.sck.eq(~self.flash.sck)
        with m.If(bit_done):
            m.d.sync += [at.eq(at + 1), self.data.eq(Cat(self.flash.cipo, self.data[:-1]))]
            with m.If(reading & at[:3].all()):
                m.d.sync += self.valid.eq(1)
        m.d.comb += self.flash.copi.eq(copi)

        def send(word: Const) -> None:
            # In a register, before the line's edge that takes it: where a bit is done, the next one.
            m.d.sync += copi.eq(word.bit_select(~(at + bit_done)[:5], 1))

        with m.FSM(name="flash"):
            with m.State("asleep"):
                with m.If(self.tick):
                    m.next = "wake"
            with m.State("wake"):
                m.d.comb += selected.eq(1)
                send(wake)
                with m.If(bit_done & at[:3].all()):
                    m.d.sync += at.eq(0)
                    m.next = "awake"
            with m.State("awake"):
                with m.If(self.tick):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += selected.eq(1)
                send(read)
                with m.If(bit_done & at.all()):
                    m.d.sync += self.start.eq(1)
                    m.next = "data"
            with m.State("data"):
                m.d.comb += [selected.eq(~self.stop), reading.eq(1)]
                with m.If(self.stop):
                    m.next = "end"
            with m.State("end"):
                pass
        return m
