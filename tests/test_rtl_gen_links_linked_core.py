# amaranth: UnusedElaboratable=no
"""A core behind each physical link: its pins, its reset, and what it refuses."""

import pytest
from amaranth.back import rtlil
from component_bench import run_bench
from stub_core import StubCore

from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.links.linked_core import LinkedCore, LinkedCorePins
from qornn_hw.rtl_gen.links.registry import LINKS

FORM = LinkFormat(1, IntFormat(8, signed=True), 1, 12)
NAMES = [link.name for link in LINKS]


def linked(link):
    """Return a stub core behind a link."""
    return LinkedCore(core=StubCore(form=FORM), form=FORM, link=link, clocks_per_bit=link.clocks_per_bit_min)


@pytest.mark.parametrize("link", LINKS, ids=NAMES)
def test_the_pins_are_those_of_the_link(link):
    """Both the core and its pins have a signal for each pin and each enable."""
    names = {pin.name for pin in link.pins} | {pin.enable for pin in link.pins if pin.enable}
    core = linked(link)
    assert set(core.signature.members) == names | {"starting", "busy", "faulty", "tick"}
    pins = LinkedCorePins(core, link)
    assert set(pins.signature.members) == names | {"clk", "rst"}
    text = rtlil.convert(pins, name="pins", emit_src=False)
    # Its input or output is the inverted signal of an active low pin.
    assert text.count("cell $not") >= sum(pin.active_low for pin in link.pins)


@pytest.mark.parametrize("link", LINKS, ids=NAMES)
def test_an_idle_board_says_nothing(link):
    """With the host's pins at their idle levels the board is not busy, and its outputs are idle."""
    dut = linked(link)
    busy = []

    async def bench(ctx):
        for pin in link.pins:
            if not pin.driven:
                ctx.set(getattr(dut, pin.name), pin.idle)
        ctx.set(dut.starting, 1)
        await ctx.tick().repeat(3)
        ctx.set(dut.starting, 0)
        for _ in range(300):
            await ctx.tick()
            busy.append(ctx.get(dut.busy) | ctx.get(dut.faulty))
            for pin in link.pins:
                if pin.driven and pin.enable:
                    assert not ctx.get(getattr(dut, pin.enable))
                elif pin.driven:
                    assert ctx.get(getattr(dut, pin.name)) == pin.idle

    run_bench(dut, bench)
    assert not any(busy)


@pytest.mark.parametrize("link", LINKS, ids=NAMES)
def test_a_rate_must_be_given_where_the_link_has_one(link):
    """A link whose constant depends on the rate refuses to do without; the others do not need it."""
    if link.constant:
        with pytest.raises(TypeError, match=r"^there must be clocks_per_bit or rate$"):
            LinkedCore(core=StubCore(form=FORM), form=FORM, link=link)
    else:
        assert "rate" not in rtlil.convert(
            LinkedCore(core=StubCore(form=FORM), form=FORM, link=link), name="core", emit_src=False
        )
