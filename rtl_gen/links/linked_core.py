"""A core behind its link: what a board top and a simulation through the pins have in common."""

from fractions import Fraction
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link.physical import PhysicalLink
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.flash_reader import FlashReader, flash_signature
from qornn_hw.rtl_gen.links.frame_link import FrameLink
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK
from qornn_hw.rtl_gen.links.weight_loader import WeightLoader

__all__ = ["LinkedCore", "LinkedCorePins"]


def _link_members(link: PhysicalLink) -> dict[str, Any]:
    """Return the members of a component that has a link's pins."""
    members: dict[str, Any] = {pin.name: Out(1) if pin.driven else In(1) for pin in link.pins}
    return members | {pin.enable: Out(1) for pin in link.pins if pin.enable}


class LinkedCore(wiring.Component):
    """Physical link, frame layer and core in one clock domain, without clock generation and pins.

    Parameters:
        core: The core: member ``i`` takes a step's words, member ``o`` gives an answer's, in the layouts of
            :mod:`qornn_hw.rtl_gen.words`.
        form: Words of a step and of an answer.
        link: The physical link.
        clocks_per_bit: Clock cycles of one bit of the link, at least ``link.clocks_per_bit_min``; need not
            be whole.
        rate: In place of ``clocks_per_bit`` a component with the output ``link.constant``; None where the
            link has no such constant.
        timeout_bits: As in :class:`qornn_hw.rtl_gen.links.frame_link.FrameLink`.
        flash_address: Where in a serial flash the image of the weights is, which is loaded at start-up; None
            where weights come over the link alone.

    Members:
        starting: In(1): High while the board starts, for 2 cycles at least: resets what the clock domain's
            reset would, the core a cycle later. Where it is used that domain has no reset of its own, which
            would stand before the core's.
        rx, tx, ...: In(1) or Out(1): The pins of the link (``link.pins``), those of a UART by default.
        busy: Out(1): As in :class:`qornn_hw.rtl_gen.links.frame_link.FrameLink`.
        faulty: Out(1): As in :class:`qornn_hw.rtl_gen.links.frame_link.FrameLink`; also while weights are
            missing.
        tick: Out(1): As in :class:`qornn_hw.rtl_gen.links.frame_link.FrameLink`.
        flash: Out(:func:`qornn_hw.rtl_gen.flash_reader.flash_signature`): Only with ``flash_address``.

    Latency: From the end of a request to the start of its answer: the core's latency and about 19 cycles.
    """

    def __init__(
        self,
        *,
        core: wiring.Component,
        form: LinkFormat,
        link: PhysicalLink = DEFAULT_LINK,
        clocks_per_bit: Fraction | int | None = None,
        rate: Any = None,
        timeout_bits: int = 18,
        flash_address: int | None = None,
    ) -> None:
        if clocks_per_bit is not None:
            rate = link.constant_source(clocks_per_bit)
        elif rate is None and link.constant:
            raise TypeError("there must be clocks_per_bit or rate")
        self._core = core
        self._form = form
        self._link = link
        self._rate = rate
        self._timeout_bits = timeout_bits
        if flash_address is not None and form.weights is None:
            raise ValueError("flash_address must be None where the weights are in the bitstream")
        self._flash_address = flash_address
        members: dict[str, Any] = {} if flash_address is None else {"flash": Out(flash_signature())}
        super().__init__(
            members
            | {"starting": In(1)}
            | _link_members(link)
            | {"busy": Out(1), "faulty": Out(1), "tick": Out(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        at_start = ResetInserter(self.starting)
        constant = None
        if self._rate is not None:
            m.submodules.rate = self._rate
            constant = getattr(self._rate, self._link.constant)
        physical = self._link.gateware(constant=constant, pins=self)
        for name, component in physical.components.items():
            m.submodules[name] = at_start(component)
        link = FrameLink(form=self._form, timeout_bits=self._timeout_bits)
        m.submodules.link = at_start(link)
        faulty = Signal()
        m.submodules.core = ResetInserter(link.core_rst)(self._core)
        m.d.comb += faulty.eq(link.faulty)
        if self._form.weights is not None:
            self._build_loader(m, link, faulty)
        wiring.connect(m, physical.from_host, link.i_bytes)
        wiring.connect(m, link.o_bytes, physical.to_host)
        wiring.connect(m, link.o_step, self._core.i)
        wiring.connect(m, self._core.o, link.i_answer)
        m.d.comb += [
            link.starting.eq(self.starting),
            *physical.connections,
            self.busy.eq(link.busy),
            self.faulty.eq(faulty),
            self.tick.eq(link.tick),
        ]
        return m

    def _build_loader(self, m: Module, link: Any, faulty: Signal) -> None:
        """Weights from the flash or the link into the core, which waits for them."""
        assert self._form.weights is not None
        loader = WeightLoader(self._form.weights)
        m.submodules.loader = ResetInserter(self.starting)(loader)
        wiring.connect(m, loader.write, self._core.write)
        start, data, valid, answered = link.load.start, link.load.data, link.load.valid, loader.done
        if self._flash_address is not None:
            reader = FlashReader(address=self._flash_address)
            m.submodules.flash_reader = ResetInserter(self.starting)(reader)
            wiring.connect(m, wiring.flipped(self.flash), reader.flash)
            # An image from the link ends the one from the flash, and it alone is answered.
            by_link = Signal()
            with m.If(start):
                m.d.sync += by_link.eq(1)
            with m.If(self.starting):
                m.d.sync += by_link.eq(0)
            m.d.comb += [reader.tick.eq(link.tick), reader.stop.eq(loader.done | by_link)]
            valid = Mux(by_link, valid, reader.valid & ~start)
            data = Mux(by_link, data, reader.data)
            start = start | (reader.start & ~by_link)
            answered = loader.done & by_link
        m.d.comb += [
            loader.start.eq(start),
            loader.data.eq(data),
            loader.valid.eq(valid),
            link.load.loaded.eq(loader.loaded),
            link.load.done.eq(answered),
            link.load.status.eq(loader.status),
            faulty.eq(link.faulty | ~loader.loaded),
        ]


class LinkedCorePins(wiring.Component):
    """A :class:`LinkedCore` with clock and reset as on a board: the reset is no part of the clock domain.

    Parameters:
        linked: What is behind the pins.
        link: The physical link of it.

    Members:
        clk: In(1): The clock.
        rst: In(1): ``starting`` of the :class:`LinkedCore`.
        rx, tx, ...: The pins of the link, with their levels on a board, and the enables of their drivers.
    """

    def __init__(self, linked: LinkedCore, link: PhysicalLink = DEFAULT_LINK) -> None:
        self._linked = linked
        self._link = link
        super().__init__({"clk": In(1), "rst": In(1)} | _link_members(link))

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        m.domains.sync = ClockDomain("sync", reset_less=True)
        m.submodules.linked = linked = self._linked
        m.d.comb += [ClockSignal().eq(self.clk), linked.starting.eq(self.rst)]
        for pin in self._link.pins:
            inner, outer = getattr(linked, pin.name), getattr(self, pin.name)
            source, target = (inner, outer) if pin.driven else (outer, inner)
            m.d.comb += target.eq(~source if pin.active_low else source)
            if pin.enable:
                m.d.comb += getattr(self, pin.enable).eq(getattr(linked, pin.enable))
        return m
