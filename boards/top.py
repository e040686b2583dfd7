"""A linked core on a board: clock, pins and LEDs."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Module, ResetSignal, Signal
from amaranth.lib import io, wiring

from boards.board import Board
from boards.clock import ClockGenerator, uart_baud
from qornn_hw.link_protocol import LinkFormat
from rtl_gen.linked_core import LinkedCore

__all__ = ["TIMEOUT_BITS", "BoardTop"]

# 7 to 15 ms at 36 MHz: longer than a USB bridge pauses within a write, shorter than a user notices.
TIMEOUT_BITS = 18
# Blink period of the heartbeat in ticks, as a power of two: 0.93 s at 36 MHz.
HEARTBEAT_BITS = 7


class BoardTop(Elaboratable):
    """The whole design of a board with a ``uart``, a green and a red LED.

    The green LED blinks slowly while idle and is lit while frames come, go or wait. The red one lights at the
    first fault and goes out at a RESET.

    Parameters:
        board: The board.
        core: As in :class:`rtl_gen.linked_core.LinkedCore`.
        form: Words of a step and of an answer.
        hz: Core clock.
    """

    def __init__(self, *, board: Board, core: wiring.Component, form: LinkFormat, hz: int) -> None:
        self._board = board
        self._hz = hz
        self._linked = LinkedCore(
            core=core, form=form, clocks_per_bit=hz // uart_baud(hz), timeout_bits=TIMEOUT_BITS
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        m.submodules.clock = clock = ClockGenerator(board=self._board, hz=self._hz)
        m.domains.sync = sync = ClockDomain("sync")
        m.d.comb += [ClockSignal().eq(clock.clk), ResetSignal().eq(clock.rst)]
        platform.add_clock_constraint(sync.clk, self._hz)
        m.submodules.linked = linked = self._linked
        uart = platform.request("uart", 0, dir={"rx": "-", "tx": "-"})
        m.submodules.rx_buffer = rx = io.Buffer("i", uart.rx)
        m.submodules.tx_buffer = tx = io.Buffer("o", uart.tx)
        m.submodules.green_buffer = green = io.Buffer("o", platform.request("led_g", 0, dir="-"))
        m.submodules.red_buffer = red = io.Buffer("o", platform.request("led_r", 0, dir="-"))

        heartbeat = Signal(HEARTBEAT_BITS)
        active = Signal()
        with m.If(linked.tick):
            m.d.sync += [heartbeat.eq(heartbeat + 1), active.eq(0)]
        # Stretched to the next tick, so that a single frame can be seen.
        with m.If(linked.busy):
            m.d.sync += active.eq(1)
        m.d.comb += [
            linked.rx.eq(rx.i),
            tx.o.eq(linked.tx),
            green.o.eq(heartbeat[-1] | active),
            red.o.eq(linked.faulty),
        ]
        return m
