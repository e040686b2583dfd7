# amaranth: UnusedElaboratable=no
"""What a complete request does: every combination of its facts against the table of docs/link.md."""

from itertools import product

import pytest
from component_bench import run_bench

from qornn_hw.link.protocol import Command, FaultCode
from qornn_hw.rtl_gen.links.request_judge import RequestJudge

STEP, RESET, LOAD, IDENTIFY, STATUS = (c >> 4 for c in (
    Command.STEP, Command.RESET, Command.LOAD, Command.IDENTIFY, Command.STATUS,
))  # fmt: skip


def verdict(order, *, wrong=0, full=0, other_number=0, fresh=1, is_first=1, faulty=0, loaded=1, loads=False):
    """Return the outcome that docs/link.md asks for."""
    if wrong:
        return "fail", FaultCode.BAD_CRC
    if order == RESET:
        return "reset", 0
    if order in (IDENTIFY, STATUS):
        return "ask", int(order == STATUS)
    if loads and order == LOAD:
        return "load", 0
    if loads and not loaded:
        return "fail", FaultCode.NOT_LOADED
    if full:
        return "fail", FaultCode.OVERFLOW
    if other_number or faulty or (fresh and not is_first):
        return "fail", FaultCode.OUT_OF_SEQUENCE
    return "commit", 0


class Bench:
    """A judge with the signals of a request around it."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut

    async def pulse(self, *names):
        """Hold inputs high for one cycle; return the outputs that were high in this and the next two."""
        seen = set()
        self.code = None
        for name in names:
            self.ctx.set(getattr(self.dut, name), 1)
        for cycle in range(3):
            outputs = ["commit", "fail", "reset", "ask"]
            outputs += ["load_start"] if hasattr(self.dut, "load_start") else []
            seen |= {(o, cycle) for o in outputs if self.ctx.get(getattr(self.dut, o))}
            if ("fail", cycle) in seen:
                self.code = FaultCode(self.ctx.get(self.dut.fail_code))
            await self.ctx.tick()
            for name in names:
                self.ctx.set(getattr(self.dut, name), 0)
        return seen

    async def request(self, order, **facts):
        """Play a request to its verdict; return it in the form of :func:`verdict`."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.hunting, 0)
        for name in ("wrong", "other_number", "is_first"):
            ctx.set(getattr(dut, name), facts.get(name, 0))
        ctx.set(dut.order, order)
        if hasattr(dut, "loaded"):
            ctx.set(dut.loaded, facts.get("loaded", 1))
        if facts.get("full"):
            await self.pulse("refused")
        ctx.set(dut.judging, 1)
        await ctx.tick().repeat(2)
        status = ctx.get(dut.ask_status)
        seen = await self.pulse("settled")
        ctx.set(dut.judging, 0)
        ctx.set(dut.hunting, 1)
        await ctx.tick()
        if ("load_start", 1) in seen:
            assert ("reset", 1) in seen
            return "load", 0
        (what,) = seen
        return {"commit": ("commit", 0), "fail": ("fail", self.code), "reset": ("reset", 0),
                "ask": ("ask", status)}[what[0]]  # fmt: skip


async def prepare(bench, *, fresh, faulty):
    """Bring a judge after a reset into a state."""
    await bench.request(RESET)
    if not fresh:
        assert (await bench.request(STEP, is_first=1))[0] == "commit"
    if faulty:
        assert (await bench.request(STEP, wrong=1))[0] == "fail"
    assert bench.ctx.get(bench.dut.faulty) == faulty


def outcomes(loads, cases):
    """Return the outcome of every case."""
    dut, found = RequestJudge(loads_weights=loads), []

    async def run(ctx):
        bench = Bench(ctx, dut)
        ctx.set(dut.hunting, 1)
        await ctx.tick()
        for case in cases:
            if loads:
                ctx.set(dut.loaded, 1)
            await prepare(bench, fresh=case["fresh"], faulty=case["faulty"])
            steps = ctx.get(dut.steps)
            found.append(await bench.request(**case))
            expected = {"commit": steps + 1, "reset": 0, "load": 0}.get(found[-1][0], steps)
            assert ctx.get(dut.steps) == expected
            if found[-1][0] == "load":
                assert ctx.get(dut.loading)
                await bench.pulse("load_done")
                assert not ctx.get(dut.loading)

    run_bench(dut, run)
    return found


def all_cases(loads):
    """Return every combination of facts."""
    names = ["wrong", "full", "other_number", "is_first", "fresh", "faulty", *(["loaded"] if loads else [])]
    orders = [STEP, RESET, IDENTIFY, STATUS, *([LOAD] if loads else [])]
    return [
        {"order": order, **dict(zip(names, facts, strict=True))}
        for order in orders
        for facts in product((0, 1), repeat=len(names))
    ]


@pytest.mark.parametrize("loads", [False, True])
def test_every_combination_is_judged_as_documented(loads):
    """All orders with all facts, in a fresh, a running and a faulty sequence."""
    cases = all_cases(loads)
    assert outcomes(loads, cases) == [verdict(**case, loads=loads) for case in cases]


def test_another_precedence_is_noticed():
    """Planted fault: a table in which a full buffer hides a wrong CRC differs."""
    cases = all_cases(False)
    changed = [verdict(**case | {"wrong": case["wrong"] and not case["full"]}) for case in cases]
    assert outcomes(False, cases) != changed


@pytest.mark.parametrize("bad", [0, 1])
def test_a_cut_is_a_fault_only_within_a_request(bad):
    """A request that ends early gives BAD_BYTE or TRUNCATED; between requests nothing happens."""
    dut, seen = RequestJudge(loads_weights=False), []

    async def run(ctx):
        bench = Bench(ctx, dut)
        ctx.set(dut.bad, bad)
        for hunting in (1, 0):
            ctx.set(dut.hunting, hunting)
            await ctx.tick()
            seen.append((await bench.pulse("cut"), ctx.get(dut.faulty), bench.code))

    run_bench(dut, run)
    code = FaultCode.BAD_BYTE if bad else FaultCode.TRUNCATED
    assert seen == [(set(), 0, None), ({("fail", 1)}, 1, code)]
