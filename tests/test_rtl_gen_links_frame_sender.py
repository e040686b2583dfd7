# amaranth: UnusedElaboratable=no
"""The sender against the encoders of the protocol: every kind of reply, back-pressure, resets."""

import random
from dataclasses import replace

import pytest
from component_bench import run_bench

from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import (
    Answer,
    FaultCode,
    Garbled,
    LinkFormat,
    ReplyDecoder,
    ReplyKind,
    Status,
    encode_acknowledge,
    encode_answer,
    encode_fault,
    encode_identity,
    encode_reset_done,
    encode_status,
)
from qornn_hw.rtl_gen.links.frame_sender import FrameSender

FORM = LinkFormat(3, IntFormat(8, signed=True), 3, 20)
STATUS = Status(17, {FaultCode.BAD_CRC: 2})
TAG = 91


def send(replies, *, ready=1.0, seed=0, reset_at=None, form=FORM):
    """Send replies (kind, tail, words or content); return the bytes.

    A reset comes in cycle ``reset_at``.
    """
    dut, rng, got = FrameSender(form=form), random.Random(seed), bytearray()

    words = [
        (word, k == form.words_per_answer - 1)
        for kind, _, content in replies
        for k, word in enumerate(content if kind == ReplyKind.ANSWER else ())
    ]

    async def bench(ctx):
        queue, quiet = list(replies), 0
        # The bytes of the content come two cycles after their index.
        asked = [0, 0]
        ctx.set(dut.tag, TAG)
        for cycle in range(100_000):
            ctx.set(dut.reset, cycle == reset_at)
            # An answer is asked for when its first word is there.
            there = bool(queue) and (queue[0][0] != ReplyKind.ANSWER or ctx.get(dut.answer_there))
            ctx.set(dut.reply.valid, there and cycle != reset_at)
            if queue:
                kind, tail, _ = queue[0]
                ctx.set(dut.reply.kind, kind)
                ctx.set(dut.reply.tail, tail)
                ctx.set(dut.reply.is_answer, kind == ReplyKind.ANSWER)
                ctx.set(dut.reply.has_info, kind in (ReplyKind.IDENTITY, ReplyKind.STATUS))
            ctx.set(dut.answer.valid, bool(words))
            if words:
                ctx.set(dut.answer.payload, {"data": words[0][0], "last": words[0][1]})
            ctx.set(dut.o.ready, rng.random() < ready)
            if ctx.get(dut.o.valid) and ctx.get(dut.o.ready):
                got.append(ctx.get(dut.o.payload))
            taken, word_taken = ctx.get(dut.reply.taken), words and ctx.get(dut.answer.ready)
            quiet = 0 if queue or ctx.get(dut.busy) else quiet + 1
            asked = [asked[1], ctx.get(dut.info_at)]
            await ctx.tick()
            content = form.identity.constant if ctx.get(dut.is_identity) else STATUS.content
            ctx.set(dut.info, content[asked[0]])
            if taken:
                queue.pop(0)
            if word_taken:
                words.pop(0)
            if quiet > 30:
                break

    run_bench(dut, bench)
    return bytes(got)


WORDS = [[1, -2, 3], [-(1 << 19), (1 << 19) - 1, 0]]
ALL = [
    (ReplyKind.RESET_DONE, 2, None),
    (ReplyKind.ANSWER, 0, WORDS[0]),
    (ReplyKind.FAULT, FaultCode.OVERFLOW, None),
    (ReplyKind.IDENTITY, 1, None),
    (ReplyKind.ACKNOWLEDGE, 0, None),
    (ReplyKind.ANSWER, 0, WORDS[1]),
    (ReplyKind.STATUS, 3, None),
]


def expected():
    """Return the frames of ALL; an answer increases the number that the others have."""
    return b"".join(
        (
            encode_reset_done(TAG),
            encode_answer(FORM, WORDS[0], 0, last=True),
            encode_fault(FaultCode.OVERFLOW, 1),
            encode_identity(replace(FORM.identity, flags=1, number=1)),
            encode_acknowledge(1),
            encode_answer(FORM, WORDS[1], 1, last=True),
            encode_status(replace(STATUS, flags=3, number=2)),
        )
    )


@pytest.mark.parametrize("ready", [1.0, 0.1])
def test_every_kind_of_reply(ready):
    """The bytes are those of the protocol's encoders, whatever the back-pressure."""
    assert send(ALL, ready=ready) == expected()


@pytest.mark.parametrize("reset_at", range(4, 130, 7))
def test_a_reset_aborts_an_answer_and_cuts_no_frame(reset_at):
    """In whatever cycle it comes, the frame in progress ends whole; an answer is right or marked aborted."""
    data = send([(ReplyKind.ANSWER, 0, WORDS[0]), (ReplyKind.RESET_DONE, 2, None)], reset_at=reset_at)
    first, *rest = ReplyDecoder(FORM).feed(data)
    assert isinstance(first, Answer) and not any(isinstance(reply, Garbled) for reply in rest)
    assert first.aborted or first.words == tuple(WORDS[0])
    assert data.endswith(encode_reset_done(TAG))


def test_a_deaf_crc_is_noticed(monkeypatch):
    """Planted fault: frames with the CRC of another polynomial differ."""
    monkeypatch.setattr("qornn_hw.rtl_gen.links.crc.CRC_POLYNOMIAL", 0x8005)
    assert send(ALL[:1]) != encode_reset_done(TAG)
