"""A linked core on a board: clock, pins and LEDs."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Module, Signal, Value
from amaranth.lib import io, wiring

from qornn_hw.boards.board import Board
from qornn_hw.boards.clock import BoardRate, ClockGenerator
from qornn_hw.compiler.boot import Boot
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.links.linked_core import LinkedCore

__all__ = ["TIMEOUT_BITS", "BoardTop"]

# 7 to 15 ms at 36 MHz: longer than a USB bridge pauses within a write, shorter than a user notices.
TIMEOUT_BITS = 18
# Blink period of the heartbeat in ticks, as a power of two: 0.93 s at 36 MHz.
HEARTBEAT_BITS = 7
# Of a fault, where one LED shows everything: 8 times as fast.
FAULT_BIT = HEARTBEAT_BITS - 4


class BoardTop(Elaboratable):
    """The whole design of a board.

    The first LED blinks slowly while idle and is lit while frames come, go or wait. The second one lights at
    the first fault and goes out at a RESET; where there is but one, it blinks fast from a fault on.

    Parameters:
        board: The board.
        core: As in :class:`qornn_hw.rtl_gen.links.linked_core.LinkedCore`.
        form: Words of a step and of an answer.
        hz: Core clock.
        boot: Where weights come from that are no part of the bitstream.
    """

    def __init__(
        self, *, board: Board, core: wiring.Component, form: LinkFormat, hz: int, boot: Boot = Boot.LINK
    ) -> None:
        self._board = board
        self._boot = boot
        self._clock = ClockGenerator(board=board, hz=hz)
        link = board.physical_link
        self._linked = LinkedCore(
            core=core,
            form=form,
            link=link,
            rate=BoardRate(board=board, hz=hz) if link.constant else None,
            timeout_bits=TIMEOUT_BITS,
            flash_address=board.flash_address if boot is Boot.FLASH else None,
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        board = self._board
        m.submodules.clock = clock = self._clock
        m.domains.sync = ClockDomain("sync", reset_less=True)
        m.submodules.linked = linked = self._linked
        m.d.comb += [ClockSignal().eq(clock.clk), linked.starting.eq(clock.rst)]
        self._connect_link(m, platform)
        for index, high in enumerate(board.high_pins):
            m.submodules[f"high_buffer_{index}"] = buffer = io.Buffer("o", platform.request(*high, dir="-"))
            m.d.comb += buffer.o.eq(Const(1))
        if self._boot is Boot.FLASH:
            self._connect_flash(m, platform)

        heartbeat = Signal(HEARTBEAT_BITS)
        active = Signal()
        with m.If(linked.tick):
            m.d.sync += [heartbeat.eq(heartbeat + 1), active.eq(0)]
        # Stretched to the next tick, so that a single frame can be seen.
        with m.If(linked.busy):
            m.d.sync += active.eq(1)
        state: Value = heartbeat[-1] | active
        if len(board.leds) == 1:
            blinking = Signal()
            m.d.comb += blinking.eq(state)
            with m.If(linked.faulty):
                m.d.comb += blinking.eq(heartbeat[FAULT_BIT])
            state = blinking
        for index, (led, shown) in enumerate(zip(board.leds, (state, linked.faulty), strict=False)):
            m.submodules[f"led_buffer_{index}"] = buffer = io.Buffer("o", platform.request(*led, dir="-"))
            m.d.comb += buffer.o.eq(shown)
        return m

    def _connect_link(self, m: Module, platform: Any) -> None:
        """Add a buffer for each pin of the link."""
        linked, link_pins = self._linked, self._board.physical_link.pins
        pins = platform.request(*self._board.link_resource, dir={pin.name: "-" for pin in link_pins})
        for pin in link_pins:
            # The port of the platform knows which pins are active low.
            buffer = io.Buffer("o" if pin.driven else "i", getattr(pins, pin.name))
            m.submodules[f"{pin.name}_buffer"] = buffer
            signal = getattr(linked, pin.name)
            m.d.comb += buffer.o.eq(signal) if pin.driven else signal.eq(buffer.i)
            if pin.enable:
                m.d.comb += buffer.oe.eq(getattr(linked, pin.enable))

    def _connect_flash(self, m: Module, platform: Any) -> None:
        assert self._board.flash is not None
        flash = self._linked.flash
        outputs: dict[str, Value] = {"cs": flash.cs, "clk": flash.sck, "copi": flash.copi}
        # Write protection and hold, where they have pins, stay off.
        outputs |= {"wp": Const(0), "hold": Const(0)}
        pins = platform.request(*self._board.flash, dir=dict.fromkeys(("cipo", *outputs), "-"))
        m.submodules.flash_cipo = cipo = io.Buffer("i", pins.cipo)
        m.d.comb += flash.cipo.eq(cipo.i)
        for name, value in outputs.items():
            m.submodules[f"flash_{name}"] = buffer = io.Buffer("o", getattr(pins, name))
            m.d.comb += buffer.o.eq(value)
