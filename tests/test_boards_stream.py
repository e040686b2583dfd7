"""A stream on a board: chunks and steps equal one run, and no fault makes it go on from another state."""

from dataclasses import replace

import numpy as np
import pytest
from fake_board import FakeBoard
from hypothesis import given, settings
from hypothesis import strategies as st

from qornn_hw.boards.host import Host, open_port
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation, InputKind, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import encode_image
from qornn_hw.errors import FormatError, LinkError, MismatchError, StreamLostError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import (
    CRC_BYTES,
    FaultCode,
    ReplyKind,
    crc16,
    encode_answer,
    encode_fault,
    encode_reset_done,
)
from qornn_hw.sim.link_simulation import emit_linked_core
from qornn_hw.sim.stimuli import random_network, random_sequences
from qornn_hw.sim.virtual_board import build_virtual_board

# Answers every step: logits and argmax. Answers the last step: argmax alone, or logits with registers.
EVERY = random_network(seed=1, hidden_size=5, input_size=3, output_size=2)
LAST = random_network(
    seed=2, hidden_size=4, input_size=5, output_size=3,
    input_kind=InputKind.ONE_HOT, output_mode=OutputMode.LAST_STEP, output_kind=OutputKind.LOGITS,
)  # fmt: skip
DESIGNS = {
    "every": compile_network(EVERY, columns_per_element=2, elements=2),
    "last": compile_network(LAST, columns_per_element=2, elements=2),
}
HZ, BAUD = 24_000_000, 3_000_000


def host_of(board, **options):
    """Return a host of a fake board."""
    return Host(board.design.network, board, design=board.design, **({"timeout": 0.02} | options))


def answers_of(network, inputs):
    """Return the answers to all steps of one sequence, (steps, words), given or not."""
    model = IntegerModel(network)
    state = model.run(inputs[np.newaxis]).states[0]
    logits = model.logits(state)
    parts = [logits] if network.output_kind.has_logits else []
    if network.output_kind.has_argmax:
        parts.append(np.argmax(logits, axis=1)[:, np.newaxis])
    return np.concatenate(parts, axis=1)


def one_sequence(network, steps, seed=0):
    """Return one random sequence."""
    return random_sequences(network, batch=1, steps=steps, seed=seed)[0]


def play(host, inputs, sizes):
    """Play a sequence in chunks, a chunk of 1 by :meth:`Host.step`; return the answers by step."""
    every = host.network.output_mode is OutputMode.EVERY_STEP
    got, at = {}, 0
    for size in sizes:
        chunk = inputs[at : at + size]
        if size == 1:
            words = host.step(chunk[0], last=not every)[np.newaxis]
        else:
            (words,) = host.run([chunk], continue_state=True)
        steps = range(at, at + size) if every else [at + size - 1]
        got |= dict(zip(steps, words.tolist(), strict=True))
        at += size
    return got


def is_right(got, network, inputs):
    """Return whether answers by step are the integer model's of one run."""
    wanted = answers_of(network, inputs)
    return all(got[step] == wanted[step].tolist() for step in got) and len(got) > 0


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12), seed=st.integers(0, 2**32 - 1))
def test_chunks_equal_one_run(design, sizes, seed):
    """A sequence in chunks and steps of random sizes gives the answers of one run, integer for integer."""
    network = design.network
    inputs = one_sequence(network, sum(sizes), seed)
    with host_of(FakeBoard(design)) as host:
        got = play(host, inputs, sizes)
        assert host.stream_steps == sum(sizes)
        assert (host.statistics.resets, host.statistics.replayed_steps) == (0, 0)
        assert host.statistics.steps == sum(sizes)
    assert is_right(got, network, inputs)
    if design is DESIGNS["every"]:
        assert sorted(got) == list(range(sum(sizes)))


@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_chunks_of_one_call(design):
    """Three chunks of ten in one call equal one run of thirty, and are received in order."""
    inputs = one_sequence(design.network, 30)
    wanted = answers_of(design.network, inputs)
    seen = []
    with host_of(FakeBoard(design)) as host:
        got = host.run(
            [inputs[:10], inputs[10:20], inputs[20:]],
            continue_state=True,
            receive=lambda index, words: seen.append(index),
        )
        whole = host.run([inputs])
    assert seen == [0, 1, 2]
    ends = wanted if design is DESIGNS["every"] else wanted[[9, 19, 29]]
    assert np.array_equal(np.concatenate(got), ends)
    assert np.array_equal(whole[0][-1], got[-1][-1])


def test_a_network_of_the_last_step_answers_where_it_is_asked():
    """A step without LAST has no answer, one with it has, and the stream goes on behind it."""
    design = DESIGNS["last"]
    inputs = one_sequence(LAST, 600, seed=3)
    wanted = answers_of(LAST, inputs)
    with host_of(FakeBoard(design)) as host:
        for step, x in enumerate(inputs):
            asked = step % 7 == 3
            answer = host.step(x, last=asked)
            assert (answer is not None) == asked
            assert answer is None or np.array_equal(answer, wanted[step])
        assert host.statistics.resets == 0


def test_last_changes_nothing_where_every_step_is_answered():
    """A network that answers every step answers a LAST step as any other, and the stream goes on."""
    inputs = one_sequence(EVERY, 9)
    with host_of(FakeBoard(DESIGNS["every"])) as host:
        got = [host.step(x, last=step % 3 == 1) for step, x in enumerate(inputs)]
    assert np.array_equal(got, answers_of(EVERY, inputs))


@pytest.mark.parametrize("restart", ["reset_state", "first"])
def test_the_state_is_reset_on_request(restart):
    """reset_state() and first=True begin anew with the initial state, without a reset of the board."""
    board = FakeBoard(DESIGNS["every"])
    inputs = one_sequence(EVERY, 6)
    wanted = answers_of(EVERY, inputs)
    with host_of(board) as host:
        resets = None
        for _ in range(3):
            if restart == "reset_state":
                host.reset_state()
            got = [host.step(x, first=restart == "first" and i == 0) for i, x in enumerate(inputs)]
            assert np.array_equal(got, wanted)
            assert host.stream_steps == 6
            resets = resets or board.resets
        assert board.resets == resets


def test_a_wrong_input_does_no_harm():
    """A step of another shape or range is refused, and the stream goes on from the state that it had."""
    inputs = one_sequence(EVERY, 4)
    with host_of(FakeBoard(DESIGNS["every"])) as host:
        got = [host.step(x) for x in inputs[:2]]
        with pytest.raises(FormatError, match=r"^inputs must have shape"):
            host.step(inputs[0][:2])
        with pytest.raises(FormatError, match=r"^inputs must lie in"):
            host.step(inputs[0] * 10**6 + 10**5)
        with pytest.raises(FormatError, match=r"^inputs must lie in"):
            host.step(inputs[0] * 10**6 + 10**5, first=True)
        got += [host.step(x) for x in inputs[2:]]
    assert np.array_equal(got, answers_of(EVERY, inputs))


# -- faults ------------------------------------------------------------------------------------------


def renumbered(reply):
    """Return the reply with the next number, and a CRC that fits."""
    body = bytes([reply[1], (reply[2] + 1) % 256]) + reply[3:-CRC_BYTES]
    return reply[:1] + body + crc16(body).to_bytes(2, "big")


CHANGES = {
    "lost": lambda reply: b"",
    "twice": lambda reply: reply * 2,
    "a flipped bit": lambda reply: reply[:4] + bytes([reply[4] ^ 1]) + reply[5:],
    "a lost byte": lambda reply: reply[:4] + reply[5:],
    "another number": renumbered,
    "a fault before it": lambda reply: encode_fault(FaultCode.OVERFLOW) + reply,
    "a fault behind it": lambda reply: reply + encode_fault(FaultCode.BAD_CRC),
    "a reset before it": lambda reply: encode_reset_done(1) + reply,
    "noise before it": lambda reply: b"\x00\xa5\x90" + reply,
}


class Spoiler:
    """A ``mend`` of a fake board that changes one reply of a kind."""

    def __init__(self, kind, at, change):
        self.kind, self.at, self.change, self.seen = kind, at, change, 0

    def __call__(self, reply):
        """Change the reply whose turn it is."""
        if reply[1] == self.kind:
            self.seen += 1
            if self.seen == self.at:
                return self.change(reply)
        return reply


@pytest.mark.parametrize("at", [2, 3, 7])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_a_spoiled_answer_costs_time_only(design, change, at):
    """Whatever happens to one answer, it is noticed, the state is restored and every answer is right."""
    board = FakeBoard(design, mend=Spoiler(ReplyKind.ANSWER, at, change))
    inputs = one_sequence(design.network, 60, seed=at)
    with host_of(board) as host:
        got = play(host, inputs, [1, 9, 1, 1, 20, 1, 1, 26])
        s = host.statistics
        # The last answer of a chunk twice, or a fault behind it, come when nothing is due any more.
        assert s.resets == 1 or (s.resets, s.out_of_turn) == (0, 1)
        assert s.replayed_steps > 0 or s.resets == 0
    assert is_right(got, design.network, inputs)


@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_spoiled_acknowledge_costs_time_only(change, at):
    """Whatever happens to the acknowledge of a step without an answer, the later answer is right."""
    design = DESIGNS["last"]
    board = FakeBoard(design, mend=Spoiler(ReplyKind.ACKNOWLEDGE, at, change))
    inputs = one_sequence(LAST, 8, seed=at)
    with host_of(board) as host:
        got = [host.step(x, last=step == 7) for step, x in enumerate(inputs)]
    assert got[:7] == [None] * 7
    assert np.array_equal(got[7], answers_of(LAST, inputs)[7])


def test_a_board_that_lost_its_power_is_restored():
    """A board that starts anew refuses the next step, and gets all of them again."""
    board = FakeBoard(DESIGNS["every"])
    inputs = one_sequence(EVERY, 12)
    with host_of(board) as host:
        got = [host.step(x) for x in inputs[:7]]
        board.power_up()
        got += [host.step(x) for x in inputs[7:]]
        assert host.statistics.replayed_steps == 7
        assert host.statistics.faults == {"OUT_OF_SEQUENCE": 1}
    assert np.array_equal(got, answers_of(EVERY, inputs))


def test_a_stream_that_began_anew_is_restored_by_its_own_steps():
    """After reset_state() the steps and answers of the stream before have no part in a restoration."""
    board = FakeBoard(DESIGNS["every"])
    before, inputs = one_sequence(EVERY, 5, seed=1), one_sequence(EVERY, 9, seed=2)
    with host_of(board) as host:
        for x in before:
            host.step(x)
        host.reset_state()
        got = [host.step(x) for x in inputs[:4]]
        board.power_up()
        got += [host.step(x) for x in inputs[4:]]
        assert host.statistics.replayed_steps == 4
    assert np.array_equal(got, answers_of(EVERY, inputs))


@pytest.mark.parametrize("signed", [False, True])
def test_inputs_of_16_bits_are_restored(signed):
    """Entries at both ends of a format of 16 bits are sent again as they were."""
    form = IntFormat(16, signed=signed)
    network = replace(random_network(seed=4, hidden_size=3, input_size=2, output_size=2), input_format=form)
    board = FakeBoard(compile_network(network, elements=2))
    inputs = np.array([[form.min, form.max], [form.max, form.min], [form.max, form.max], [0, 1], [1, 0]])
    with host_of(board) as host:
        got = [host.step(x) for x in inputs[:3]]
        board.power_up()
        got += [host.step(x) for x in inputs[3:]]
        assert host.statistics.replayed_steps == 3
    assert np.array_equal(got, answers_of(network, inputs))


def test_weights_that_were_lost_are_loaded_again():
    """A board that lost its weights gets them, then the steps of the stream."""
    network = random_network(seed=3, hidden_size=3, input_size=2, output_size=2)
    design = compile_network(network, elements=2, engine="dsp")
    board = FakeBoard(design)
    inputs = one_sequence(network, 8)
    with host_of(board, image=encode_image(design)) as host:
        got = [host.step(x) for x in inputs[:5]]
        board.power_up()
        board.loaded = False
        got += [host.step(x) for x in inputs[5:]]
    assert np.array_equal(got, answers_of(network, inputs))


def test_whole_sequences_in_between():
    """Whole sequences and a self-test use the board's one state; the stream gets its own back."""
    inputs = one_sequence(EVERY, 9)
    others = random_sequences(EVERY, batch=3, steps=5, seed=7)
    with host_of(FakeBoard(DESIGNS["every"])) as host:
        got = [host.step(x) for x in inputs[:4]]
        for words, sequence in zip(host.run(others), others, strict=True):
            assert np.array_equal(words, answers_of(EVERY, sequence))
        got += [host.step(x) for x in inputs[4:6]]
        assert host.self_test(count=2, steps=3) == 18
        got += [host.step(x) for x in inputs[6:]]
        assert host.statistics.replayed_steps == 4 + 6
        assert host.statistics.resets == 0
    assert np.array_equal(got, answers_of(EVERY, inputs))


def test_a_call_that_was_broken_off_does_no_harm():
    """An exception of the caller within a chunk's answers leaves the stream at the last whole chunk."""
    inputs = one_sequence(EVERY, 12)

    def refuse(index, words):
        raise KeyboardInterrupt

    with host_of(FakeBoard(DESIGNS["every"])) as host:
        (before,) = host.run([inputs[:6]], continue_state=True)
        with pytest.raises(KeyboardInterrupt):
            host.run(random_sequences(EVERY, batch=9, steps=9, seed=5), receive=refuse)
        assert host.stream_steps == 6
        (behind,) = host.run([inputs[6:]], continue_state=True)
    assert np.array_equal(np.concatenate([before, behind]), answers_of(EVERY, inputs))


@pytest.mark.parametrize(("history", "steps"), [(0, 1), (5, 6), (5, 40)])
def test_a_stream_beyond_its_history_is_lost_and_says_so(history, steps):
    """If the steps are not kept any more, each call fails until the stream begins anew; none is wrong."""
    board = FakeBoard(DESIGNS["every"])
    inputs = one_sequence(EVERY, 50)
    message = (
        rf"^the board on fake must keep the state of the stream, and lost it after {steps} steps \(.*\), "
        rf"where at most {history} can be sent again; begin anew with reset_state\(\), or connect with a "
        r"larger history$"
    )
    with host_of(board, history=history) as host:
        got = [host.step(x) for x in inputs[:steps]]
        assert np.array_equal(got, answers_of(EVERY, inputs)[:steps])
        board.power_up()
        for _ in range(2):
            with pytest.raises(StreamLostError, match=message):
                host.step(inputs[steps])
            with pytest.raises(StreamLostError, match=message):
                host.run([inputs[steps:]], continue_state=True)
        assert host.self_test(count=1, steps=3) == 9
        host.reset_state()
        (again,) = host.run([inputs], continue_state=True)
        assert np.array_equal(again, answers_of(EVERY, inputs))


def test_a_stream_within_its_history_is_restored():
    """As many steps as are kept are sent again; a board that fails then is told."""
    board = FakeBoard(DESIGNS["every"])
    inputs = one_sequence(EVERY, 7)
    with host_of(board, history=6) as host:
        got = [host.step(x) for x in inputs[:6]]
        board.power_up()
        got.append(host.step(inputs[6]))
        assert np.array_equal(got, answers_of(EVERY, inputs))
        assert host.statistics.replayed_steps == 6


def test_a_replay_with_other_answers_is_a_mismatch():
    """A board whose answers to the steps that are sent again differ does not go on."""
    board = FakeBoard(DESIGNS["every"])
    inputs = one_sequence(EVERY, 8)
    with host_of(board) as host:
        for x in inputs[:5]:
            host.step(x)
        board.power_up()

        def mend(reply):
            if reply[1] != ReplyKind.ANSWER or reply[2] != 3:
                return reply
            return encode_answer(board.form, [1, 0, 0], 3)

        board.mend = mend
        message = (
            r"^the board on fake must answer the 5 steps of the stream that were sent again as before, and "
        )
        for _ in range(2):
            with pytest.raises(MismatchError, match=message):
                host.step(inputs[5])


def test_a_board_that_fails_again_and_again_is_given_up():
    """After some attempts the step and the last reason are told."""
    board = FakeBoard(DESIGNS["every"], mend=Spoiler(ReplyKind.ANSWER, 3, lambda r: r))
    with host_of(board, retries=3) as host:
        inputs = one_sequence(EVERY, 4)
        host.step(inputs[0])
        host.step(inputs[1])
        board.mend = lambda r: CHANGES["a fault before it"](r) if r[1] == ReplyKind.ANSWER else r
        message = (
            r"^the board on fake must answer step 2 of the stream, and did not in 3 attempts; the last one: "
            r"the board dropped a frame: overflow$"
        )
        with pytest.raises(LinkError, match=message):
            host.step(inputs[2])


def test_a_history_is_not_negative():
    """A negative number of steps is refused."""
    with pytest.raises(FormatError, match=r"^history must be 0 or more steps, not -1$"):
        Host(EVERY, FakeBoard(DESIGNS["every"]), history=-1)


# -- a virtual board ---------------------------------------------------------------------------------

HARDWARE = {
    **DESIGNS,
    # Weights in SPRAM, which keeps its state in another core.
    "dsp": compile_network(
        random_network(
            seed=5, hidden_size=3, input_size=2, output_size=2, activation=Activation.TANH,
            output_mode=OutputMode.LAST_STEP,
        ),
        elements=2,
        engine="dsp",
    ),
}  # fmt: skip


# The faults of tests/test_link_faults.py play streams on the two others every day.
@pytest.mark.parametrize("name", ["dsp", *(pytest.param(name, marks=pytest.mark.slow) for name in DESIGNS)])
def test_a_virtual_board_streams(name, tmp_path):
    """Through a serial port a stream of steps and chunks equals one run, before and after faults."""
    design = HARDWARE[name]
    source = tmp_path / "linked.v"
    source.write_text(emit_linked_core(design, clocks_per_bit=HZ // BAUD))
    build = build_virtual_board([source], "linked_core", tmp_path, hz=HZ, baud=BAUD)
    inputs = one_sequence(design.network, 340, seed=11)
    image = encode_image(design) if design.schedule.placement.weight_banks else None
    with build.start() as board:
        transport = open_port(board.port, BAUD)
        with Host(design.network, transport, design=design, image=image) as host:
            got = play(host, inputs[:300], [10, 10, 10, *[1] * 20, 200, *[1] * 20, 30])
            assert host.statistics.resets == 0
            host.run(random_sequences(design.network, batch=2, steps=3, seed=1))
            # A frame whose CRC is wrong, which the board finds and the host does not know of.
            transport.write(b"\xa5\x10" + bytes(40))
            rest = host.run([inputs[300:320]], continue_state=True)[0]
            assert host.statistics.replayed_steps >= 300
            last = [host.step(x, last=True) for x in inputs[320:]]
    assert is_right(got, design.network, inputs)
    wanted = answers_of(design.network, inputs)
    assert np.array_equal(rest[-1], wanted[319])
    assert np.array_equal(last, wanted[320:])
