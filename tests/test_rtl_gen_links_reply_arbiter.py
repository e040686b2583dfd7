# amaranth: UnusedElaboratable=no
"""The arbiter against a model: precedence, one reply for each request, and what a reset drops."""

import random
from dataclasses import replace

import pytest
from component_bench import run_bench

from qornn_hw.compiler.weight_image import WeightFormat
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import PROTOCOL_VERSION, FaultCode, LinkFormat, ReplyKind
from qornn_hw.rtl_gen.links.reply_arbiter import ReplyArbiter

FORM = LinkFormat(3, IntFormat(8, signed=True), 1, 8)
LOADS = replace(FORM, weights=WeightFormat(banks=2, depth=16, digest=bytes(8)))
ORDER = ("reset", "fault", "info", "loaded", "acknowledge", "answer")


class Model:
    """What waits for a reply, and which one is due two cycles later."""

    def __init__(self, order=ORDER):
        self.order, self.pending, self.code, self.status = order, set(), 0, 0

    def ask(self, what, detail):
        """Take a pulse."""
        if what == "reset":
            self.pending -= {"fault", "acknowledge"}
        if what == "fault" and "fault" not in self.pending:
            self.code = detail
        if what == "info":
            self.status = detail
        if what != "nothing":
            self.pending.add(what)

    def due(self, answer):
        """Return what is replied first, None if nothing waits."""
        waiting = self.pending | ({"answer"} if answer else set())
        return next((what for what in self.order if what in waiting), None)


def fields(model, what, *, faulty, loads, loaded=0, load_status=0):
    """Return (kind, tail) of a reply."""
    state = loaded | faulty << 1 | load_status << 2 if loads else 1 | faulty << 1
    return {
        "reset": (ReplyKind.RESET_DONE, PROTOCOL_VERSION),
        "fault": (ReplyKind.FAULT, model.code),
        "info": (ReplyKind.STATUS if model.status else ReplyKind.IDENTITY, state),
        "loaded": (ReplyKind.LOADED, load_status),
        "acknowledge": (ReplyKind.ACKNOWLEDGE, 0),
        "answer": (ReplyKind.ANSWER, 0),
    }[what]


def play(form, seed, model, rounds=250):
    """Ask for up to two things at a time, take replies; return whether all are right."""
    dut, rng, right = ReplyArbiter(form=form), random.Random(seed), []
    loads = form.weights is not None
    kinds = [what for what in ORDER[:-1] if loads or what != "loaded"]

    async def bench(ctx):
        inputs = {"reset": dut.reset, "fault": dut.fault, "info": dut.ask, "acknowledge": dut.acknowledge}
        if loads:
            inputs["loaded"] = dut.load_done
        for _ in range(rounds):
            # One request a cycle, as the receiver makes them.
            for _ in range(rng.randrange(3)):
                what, detail = rng.choice([*kinds, "nothing"]), rng.choice(list(FaultCode))
                if what == "info":
                    detail = rng.randrange(2)
                    ctx.set(dut.ask_status, detail)
                if what == "fault":
                    ctx.set(dut.fault_code, detail)
                if what != "nothing":
                    ctx.set(inputs[what], 1)
                await ctx.tick()
                if what != "nothing":
                    ctx.set(inputs[what], 0)
                model.ask(what, detail)
            state = {"faulty": rng.randrange(2), "loads": loads}
            ctx.set(dut.faulty, state["faulty"])
            if loads:
                state |= {"loaded": rng.randrange(2), "load_status": rng.randrange(6)}
                ctx.set(dut.loaded, state["loaded"])
                ctx.set(dut.load_status, state["load_status"])
            answer = rng.randrange(2)
            ctx.set(dut.answer, answer)
            await ctx.tick().repeat(2)
            due = model.due(answer)
            right.append(ctx.get(dut.reply.valid) == (due is not None))
            if due is not None:
                got = (ctx.get(dut.reply.kind), ctx.get(dut.reply.tail))
                right.append(got == fields(model, due, **state))
                right.append(ctx.get(dut.reply.is_answer) == (due == "answer"))
                right.append(ctx.get(dut.reply.has_info) == (due == "info"))
                ctx.set(dut.reply.taken, 1)
                right.append(ctx.get(dut.fault_taken) == (due == "fault"))
                await ctx.tick()
                ctx.set(dut.reply.taken, 0)
                model.pending -= {due}
                await ctx.tick()

    run_bench(dut, bench)
    return all(right)


@pytest.mark.parametrize("form", [FORM, LOADS])
@pytest.mark.parametrize("seed", range(3))
def test_equals_its_model(form, seed):
    """Random requests: each reply comes in its turn, once, with its kind and tail."""
    assert play(form, seed, Model())


def test_another_precedence_is_noticed():
    """Planted fault: a model that acknowledges before it reports faults differs."""
    assert not play(FORM, 0, Model(("reset", "acknowledge", "info", "fault", "loaded", "answer")))


def test_an_acknowledge_while_one_is_taken_stays():
    """The next acknowledge may be asked for in the cycle in which the one before is taken."""
    dut, seen = ReplyArbiter(form=FORM), []

    async def bench(ctx):
        ctx.set(dut.acknowledge, 1)
        await ctx.tick()
        ctx.set(dut.acknowledge, 0)
        await ctx.tick().until(dut.reply.valid)
        ctx.set(dut.reply.taken, 1)
        ctx.set(dut.acknowledge, 1)
        await ctx.tick()
        ctx.set(dut.reply.taken, 0)
        ctx.set(dut.acknowledge, 0)
        await ctx.tick().repeat(2)
        seen.append((ctx.get(dut.reply.valid), ctx.get(dut.reply.kind)))

    run_bench(dut, bench)
    assert seen == [(1, ReplyKind.ACKNOWLEDGE)]
