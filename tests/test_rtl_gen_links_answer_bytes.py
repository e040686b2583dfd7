# amaranth: UnusedElaboratable=no
"""Words of answers as bytes against ``int.to_bytes``."""

import random

import pytest
from component_bench import run_bench
from planted_fault import must_fail

from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.links.answer_bytes import AnswerBytes

WORD = IntFormat(8, signed=True)
FORMS = [LinkFormat(1, WORD, words, bits) for words, bits in ((1, 1), (1, 8), (3, 9), (2, 20), (4, 24))]


def read(form, answers, *, pace=0.5, seed=0, aborted=(), component=AnswerBytes):
    """Return the bytes and marks of answers of (word, mark); those numbered in ``aborted`` take nothing."""
    dut, rng = component(form=form), random.Random(seed)
    queue = [word for one in answers for word in one]
    found, taken = [], []

    async def one_cycle(ctx, offered):
        if offered:
            ctx.set(dut.i.payload, {"data": queue[0][0], "last": queue[0][1]})
        ctx.set(dut.i.valid, bool(offered))
        gone = ctx.get(dut.i.valid) and ctx.get(dut.i.ready)
        await ctx.tick()
        if gone:
            taken.append(queue.pop(0))

    async def bench(ctx):
        for number in range(len(answers)):
            ctx.set(dut.start, 1)
            ctx.set(dut.aborted, number in aborted)
            await one_cycle(ctx, False)
            ctx.set(dut.start, 0)
            data, marks, done = bytearray(), [], False
            for _ in range(3000):
                if rng.random() < pace and (ctx.get(dut.there) or number in aborted):
                    ctx.set(dut.next, 1)
                    data.append(ctx.get(dut.byte))
                    if ctx.get(dut.word_done):
                        marks.append(ctx.get(dut.last))
                    done = ctx.get(dut.done)
                await one_cycle(ctx, queue)
                ctx.set(dut.next, 0)
                if done:
                    break
            # The last word is taken one cycle later.
            await one_cycle(ctx, queue)
            await one_cycle(ctx, [])
            found.append((bytes(data), marks))

    run_bench(dut, bench)
    return found, taken


def random_answers(form, count, seed):
    """Return answers of random (word, mark), the extremes among the words."""
    rng, half = random.Random(seed), 1 << (form.answer_bits - 1)
    answers = [
        [(rng.randrange(-half, half), rng.randrange(2)) for _ in range(form.words_per_answer)]
        for _ in range(count)
    ]
    answers[0][0], answers[-1][-1] = (-half, 0), (half - 1, 1)
    return answers


def check(form, component=AnswerBytes, *, seed=1, aborted=()):
    """Bytes, marks and transfers of random answers are the due ones; an aborted one has its length alone."""
    answers = random_answers(form, 6, seed)
    found, taken = read(form, answers, seed=seed, aborted=aborted, component=component)
    # An aborted answer leaves its words to the next one.
    words = [word for one in answers for word in one]
    words = words[: len(words) - len(aborted) * form.words_per_answer]
    assert taken == words
    assert [len(data) for data, _ in found] == [form.answer_bytes] * len(answers)
    due = iter(words)
    for number, (data, marks) in enumerate(found):
        if number not in aborted:
            own = [next(due) for _ in range(form.words_per_answer)]
            assert data == b"".join(w.to_bytes(form.answer_word_bytes, "little", signed=True) for w, _ in own)
            assert marks == [mark for _, mark in own]


@pytest.mark.parametrize("form", FORMS)
def test_bytes_of_words(form):
    """Little endian and sign-extended; the mark is that of each word; each word is taken once."""
    check(form)


@pytest.mark.parametrize("form", FORMS[2:4])
def test_an_aborted_answer_takes_no_word(form):
    """It has its full length, and the words stay for the next answer."""
    check(form, seed=2, aborted=[1])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("extended.eq(self.i.payload.data)", "extended.eq(self.i.payload.data.as_unsigned())"),
        ("word.word_select(byte_at, 8)", "word.word_select(byte_at ^ 1, 8)"),
        ("self.last.eq(self.i.payload.last)", "self.last.eq(self.done)"),
        ("self.done.eq(self.word_done & (words_left == 0))", "self.done.eq(self.word_done)"),
        ("taken.eq(self.word_done)", "taken.eq(self.next)"),
        ("self.i.ready.eq(taken & ~self.aborted)", "self.i.ready.eq(taken)"),
        ("self.i.valid & ~taken & ~self.word_done", "self.i.valid"),
        ("m.d.sync += byte_at.eq(0)", "pass"),
    ],
)
def test_a_wrong_byte_or_transfer_is_noticed(old, new):
    """Planted faults: sign, order, mark, length, transfers too early, too late or of an aborted answer."""
    must_fail(lambda component: check(FORMS[3], component, aborted=[1]), AnswerBytes, old, new)
