# amaranth: UnusedElaboratable=no
"""The bytes of IDENTITY and STATUS, and the counters of faults."""

from dataclasses import replace

import pytest
from component_bench import run_bench
from planted_fault import must_fail

from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import COUNTER_MAX, INFO_BYTES, FaultCode, LinkFormat, Status
from qornn_hw.rtl_gen.links.board_info import BoardInfo

FORM = LinkFormat(300, IntFormat(12, signed=True), 2, 19, digest=bytes(range(200, 208)))


async def content(ctx, dut, *, identity):
    """Return the 16 bytes."""
    found = bytearray()
    ctx.set(dut.is_identity, identity)
    for at in range(INFO_BYTES):
        ctx.set(dut.at, at)
        await ctx.tick().repeat(2)
        found.append(ctx.get(dut.byte))
    return bytes(found)


async def report(ctx, dut, code, *, reset=True):
    """Report a fault, after a reset unless it is another one of the same sequence."""
    ctx.set(dut.reset, reset)
    await ctx.tick()
    ctx.set(dut.reset, 0)
    ctx.set(dut.fault, 1)
    await ctx.tick()
    ctx.set(dut.fault, 0)
    ctx.set(dut.code, code)
    ctx.set(dut.is_identity, 0)
    await ctx.tick().repeat(4)


def check_identity(form, component=BoardInfo):
    """All 16 bytes are those of the format, for any count of steps."""
    dut, found = component(form=form), []

    async def bench(ctx):
        ctx.set(dut.steps, 99)
        found.append(await content(ctx, dut, identity=True))

    run_bench(dut, bench)
    assert found == [form.identity.constant]


def check_status(reports, due, component=BoardInfo):
    """STATUS has ``due`` after reports (code, whether it is the first after a reset)."""
    dut, found = component(form=FORM), []

    async def bench(ctx):
        ctx.set(dut.steps, due.steps)
        for code, first in reports:
            await report(ctx, dut, code, reset=first)
        found.append(await content(ctx, dut, identity=False))

    run_bench(dut, bench)
    assert found == [due.content]


@pytest.mark.parametrize("every_step", [False, True])
def test_identity_is_that_of_the_format(every_step):
    """All 16 bytes, for any count of steps."""
    check_identity(replace(FORM, every_step=every_step))


@pytest.mark.parametrize("code", FaultCode)
def test_a_counter_stops_at_its_largest_value(code):
    """Each kind of fault has its own counter, which saturates."""
    for times in range(COUNTER_MAX + 3):
        check_status([(code, True)] * times, Status(times, {code: min(times, COUNTER_MAX)}))


# Codes with whether each is the first one after a reset, and what is counted of them.
MIXED = (
    [
        (FaultCode.BAD_CRC, True),
        (FaultCode.OUT_OF_SEQUENCE, False),
        (FaultCode.OVERFLOW, True),
        (FaultCode.OUT_OF_SEQUENCE, False),
    ],
    Status(7, {FaultCode.BAD_CRC: 1, FaultCode.OVERFLOW: 1}),
)


def test_only_the_first_fault_after_a_reset_counts():
    """The others follow from it."""
    check_status(*MIXED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("identity.addr.eq(self.at)", "identity.addr.eq(self.at ^ 1)"),
        ("*form.identity.constant,", "*form.identity.constant[:-1], 0,"),
        ("with m.If(self.is_identity):", "with m.If(self.is_identity & ~self.at[3]):"),
    ],
)
def test_a_wrong_identity_is_noticed(old, new):
    """Planted faults: bytes in another order, another digest, bytes of STATUS among them."""
    must_fail(lambda component: check_identity(FORM, component), BoardInfo, old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("counting.eq(self.fault & ~reported)", "counting.eq(self.fault)"),
        ("m.d.sync += reported.eq(0)", "pass"),
        ("self.byte.eq(Mux(self.at[3] | looking, counter, self.steps))", "self.byte.eq(counter)"),
        ("Mux(counting, self.code, self.at[:3])", "self.at[:3]"),
        ("self.byte[:COUNTER_BITS] ^ Cat(1, *carries)", "~self.byte[:COUNTER_BITS]"),
    ],
)
def test_a_wrong_status_is_noticed(old, new):
    """Planted faults: each fault counts, only the first since power-up does, no steps, a wrong increment."""
    reports = [*MIXED[0], (FaultCode.OVERFLOW, True)]
    due = Status(7, {FaultCode.BAD_CRC: 1, FaultCode.OVERFLOW: 2})
    must_fail(lambda component: check_status(reports, due, component), BoardInfo, old, new)


def test_a_counter_that_wraps_is_noticed():
    """Planted fault: a full counter begins anew."""
    code = FaultCode.OVERFLOW
    reports, due = [(code, True)] * (COUNTER_MAX + 1), Status(0, {code: COUNTER_MAX})
    must_fail(
        lambda component: check_status(reports, due, component),
        BoardInfo,
        " & ~self.byte[:COUNTER_BITS].all()",
        "",
    )
