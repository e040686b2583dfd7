"""The host client: on a board of a few lines, on a virtual board, and where there is none."""

import os
import pty
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from fake_board import FakeBoard

from qornn_hw.boards.host import Host, SerialTransport, model_answers, network_format, open_port
from qornn_hw.cells.elman_network import InputKind, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import encode_image
from qornn_hw.errors import BoardError, FormatError, LinkError, MismatchError
from qornn_hw.link.protocol import (
    CRC_BYTES,
    PROTOCOL_VERSION,
    FaultCode,
    LinkFormat,
    ReplyKind,
    crc16,
    encode_answer,
    encode_fault,
    encode_reset,
    encode_reset_done,
    encode_step,
)
from qornn_hw.sim.link_simulation import emit_linked_core
from qornn_hw.sim.stimuli import random_network, random_sequences
from qornn_hw.sim.virtual_board import build_virtual_board

VECTOR = random_network(seed=1, hidden_size=5, input_size=3, output_size=2)
SYMBOLS = random_network(
    seed=2,
    hidden_size=4,
    input_size=5,
    output_size=3,
    input_kind=InputKind.ONE_HOT,
    output_mode=OutputMode.LAST_STEP,
    output_kind=OutputKind.LOGITS,
)
DESIGN = compile_network(VECTOR, columns_per_element=2, elements=2)
SYMBOL_DESIGN = compile_network(SYMBOLS, columns_per_element=2, elements=2)
DSP_NETWORK = random_network(seed=3, hidden_size=3, input_size=2, output_size=2)
DSP_DESIGN = compile_network(DSP_NETWORK, elements=2, engine="dsp")
HZ, BAUD = 24_000_000, 3_000_000


def connected(board, **options):
    """Return a host of a fake board."""
    design = options.pop("design", board.design)
    options = {"timeout": 0.02} | options
    return Host(board.design.network, board, design=design, **options)


def equal(got, network, sequences):
    """Return whether all answers are the integer model's."""
    expected = model_answers(network, sequences)
    return len(got) == len(expected) and all(map(np.array_equal, got, expected))


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return the compiled virtual board with the vector design."""
    folder = tmp_path_factory.mktemp("virtual")
    source = folder / "linked.v"
    source.write_text(emit_linked_core(DESIGN, clocks_per_bit=HZ // BAUD))
    return build_virtual_board([source], "linked_core", folder, hz=HZ, baud=BAUD)


@pytest.fixture
def board(build):
    """Return a virtual board as after power-up."""
    with build.start() as running:
        yield running


# -- exchange ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("design", [DESIGN, SYMBOL_DESIGN], ids=["vector", "symbols"])
def test_answers_come_in_order(design):
    """Sequences of several lengths give the integer model's answers, more steps than there are numbers."""
    sequences = [
        s for n in (1, 300, 2, 7) for s in random_sequences(design.network, batch=2, steps=n, seed=n)
    ]
    seen, shown = [], []
    with connected(FakeBoard(design)) as host:
        got = host.run(
            sequences,
            progress=lambda done, total: shown.append((done, total)),
            receive=lambda index, words: seen.append((index, words)),
        )
        assert host.status().steps == sum(map(len, sequences)) % 256
    assert equal(got, design.network, sequences)
    assert shown == [(i + 1, 8) for i in range(8)]
    assert [index for index, _ in seen] == list(range(8))
    assert all(words is got[index] for index, words in seen)
    assert host.statistics.resets == 0


@pytest.mark.parametrize("design", [DESIGN, SYMBOL_DESIGN], ids=["vector", "symbols"])
@pytest.mark.parametrize("step_seconds", [None, 1e-6])
def test_no_more_is_sent_than_the_buffer_holds(design, step_seconds):
    """Steps that are neither answered nor acknowledged stay within the window, or the numbers."""
    (sequence,) = random_sequences(design.network, batch=1, steps=1000, seed=4)
    board = FakeBoard(design)
    with connected(board, step_seconds=step_seconds, baud=3_000_000) as host:
        host.run([sequence])
    # Answers of the vector design are longer than its steps.
    window = min(LinkFormat.of(design).window, 64)
    assert board.most_unanswered <= (200 if step_seconds and not LinkFormat.of(design).every_step else window)


def test_steps_ahead_follow_the_bits_of_a_byte():
    """A core that keeps up with ten bits a byte may be slower than eight: then the buffer is the limit."""
    form = LinkFormat.of(SYMBOL_DESIGN)
    (sequence,) = random_sequences(SYMBOLS, batch=1, steps=1000, seed=4)
    unanswered = []
    for bits in (10, 8):
        board = FakeBoard(SYMBOL_DESIGN)
        step = 9 * form.step_frame_bytes / 3_000_000
        with connected(board, step_seconds=step, baud=3_000_000, bits_per_byte=bits) as host:
            host.run([sequence])
        unanswered.append(board.most_unanswered)
    assert unanswered[0] > min(form.window, 64) >= unanswered[1]


def spoiled(kind, change, count=1):
    """Return a ``mend`` that changes the first replies of a kind, from the third one on."""
    seen = [0]

    def mend(reply):
        if reply[1] == kind:
            seen[0] += 1
            if 3 <= seen[0] < 3 + count:
                return change(reply)
        return reply

    return mend


def renumbered(reply):
    """Return the reply with the next number, and a CRC that fits."""
    body = bytes([reply[1], (reply[2] + 1) % 256]) + reply[3:-CRC_BYTES]
    return reply[:1] + body + crc16(body).to_bytes(2, "big")


CHANGES = {
    "lost": lambda reply: b"",
    "twice": lambda reply: reply * 2,
    "a flipped bit": lambda reply: reply[:4] + bytes([reply[4] ^ 1]) + reply[5:],
    "a lost byte": lambda reply: reply[:4] + reply[5:],
    "an inserted byte": lambda reply: reply[:4] + b"\xa5" + reply[4:],
    "another number": renumbered,
    "a fault before it": lambda reply: encode_fault(FaultCode.OVERFLOW) + reply,
    "a reset before it": lambda reply: encode_reset_done(1) + reply,
    "noise before it": lambda reply: b"\x00\xa5\x90" + reply,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("design", [DESIGN, SYMBOL_DESIGN], ids=["vector", "symbols"])
def test_a_spoiled_answer_costs_a_reset(design, change):
    """Whatever happens to one answer, the sequence is sent anew and all answers are right."""
    sequences = random_sequences(design.network, batch=6, steps=4, seed=5)
    board = FakeBoard(design, mend=spoiled(ReplyKind.ANSWER, change))
    with connected(board) as host:
        got = host.run(sequences)
    assert equal(got, design.network, sequences)
    assert host.statistics.resets == 1
    assert host.statistics.sequences == 6


@pytest.mark.parametrize(("timeout", "resets"), [(0.5, True), (40, False)])
def test_a_patient_host_waits_for_the_rest_of_a_reply(timeout, resets):
    """A pause within a reply is the end of it, but to a host whose timeout is that of a slow simulation."""

    class SlowBoard(FakeBoard):
        """A board that makes a pause of a second before the rest of its first answer."""

        def __init__(self, design):
            super().__init__(design)
            self.rest = b""
            self.made = False

        def read(self, seconds):
            """Return the rest only to a host that waits a second; it is lost to others."""
            if self.rest:
                rest, self.rest = self.rest, b""
                return rest if seconds >= 1 else b""
            data = super().read(seconds)
            if not self.made and len(data) > 1 and data[1] == ReplyKind.ANSWER:
                self.made = True
                data, self.rest = data[:4], data[4:]
            return data

    (sequence,) = random_sequences(VECTOR, batch=1, steps=1, seed=2)
    with connected(SlowBoard(DESIGN), timeout=timeout) as host:
        assert equal(host.run([sequence]), VECTOR, [sequence])
        assert bool(host.statistics.resets) is resets


def test_what_comes_after_the_last_answer_does_no_harm():
    """The very last answer twice: all answers are right, and the surplus is counted."""
    sequences = random_sequences(VECTOR, batch=2, steps=3, seed=5)
    board = FakeBoard(DESIGN, mend=lambda r: r * 2 if r[1] == ReplyKind.ANSWER and r[2] == 5 else r)
    with connected(board) as host:
        assert equal(host.run(sequences), VECTOR, sequences)
        assert equal(host.run(sequences), VECTOR, sequences)
    assert (host.statistics.resets, host.statistics.out_of_turn) == (0, 2)


def test_a_board_that_fails_again_and_again_is_given_up():
    """After some resets without an answer between, the last reason is told."""
    board = FakeBoard(DESIGN, mend=spoiled(ReplyKind.ANSWER, CHANGES["a fault before it"], count=10**9))
    sequences = random_sequences(VECTOR, batch=2, steps=4, seed=6)
    with connected(board, retries=3) as host:
        message = (
            r"^the board on fake must answer sequence 0, and did not in 3 attempts; the last one: the board "
            r"dropped a frame: overflow$"
        )
        with pytest.raises(LinkError, match=message):
            host.run(sequences)


def test_sequences_that_were_answered_are_not_sent_again():
    """Answers before a fault are kept, those of the broken sequence are not."""
    seen = []
    board = FakeBoard(SYMBOL_DESIGN, mend=spoiled(ReplyKind.ANSWER, CHANGES["lost"]))
    sequences = random_sequences(SYMBOLS, batch=5, steps=3, seed=7)
    with connected(board) as host:
        host.run(sequences, receive=lambda index, words: seen.append(index))
    assert seen == [0, 1, 2, 3, 4]
    assert host.statistics.resets == 1


def test_the_self_test_finds_a_board_that_is_wrong():
    """A wrong integer in a frame that is right is a mismatch, named with its place."""
    form = LinkFormat.of(DESIGN)

    def mend(reply):
        if reply[1] != ReplyKind.ANSWER or reply[2] != 5:
            return reply
        return encode_answer(form, [1000, 0, 0], 5, last=bool(reply[-3] & 1))

    with connected(FakeBoard(DESIGN)) as host:
        assert host.self_test(count=2, steps=4) == 2 * 4 * 3
    with connected(FakeBoard(DESIGN, mend=mend)) as host:
        message = r"^sequence 1, answer 1, word 0: the board says 1000, the integer model -?\d+$"
        with pytest.raises(MismatchError, match=message):
            host.self_test(count=2, steps=4)


def test_a_sequence_of_another_network_is_refused():
    """Shape and range are checked before anything is sent."""
    board = FakeBoard(DESIGN)
    with connected(board) as host:
        with pytest.raises(
            FormatError, match=r"^inputs must have shape \(batch, steps, 3\), not \(1, 4, 2\)$"
        ):
            host.run([np.zeros((4, 2), dtype=int)])
        with pytest.raises(FormatError, match=r"^inputs must lie in "):
            host.run([np.full((4, 3), 10**6)])


# -- what a board is ---------------------------------------------------------------------------------


def test_a_board_with_another_design_is_told():
    """Same shape, other digest: both are named."""
    board = FakeBoard(DESIGN, identity=replace(LinkFormat.of(DESIGN).identity, digest=b"\x01" * 8))
    digest = DESIGN.digest[:16]
    message = rf"^the board on fake must hold the design {digest}, and holds 0101010101010101; load the "
    with pytest.raises(BoardError, match=message):
        connected(board).connect()
    # Without a design any board of the network's shape will do.
    host = Host(VECTOR, board, timeout=0.02)
    assert host.connect().digest == b"\x01" * 8


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"words_per_step": 4}, "words a step: 4, not 3"),
        ({"word_bits": 9}, r"bits of a word: 9, not \d+"),
        ({"words_per_answer": 9}, "words an answer: 9, not 3"),
        ({"every_step": False}, "an answer at every step: False, not True"),
    ],
)
def test_a_board_of_another_shape_is_told(change, what):
    """The first size that differs is named with both values."""
    board = FakeBoard(DESIGN, identity=replace(LinkFormat.of(DESIGN).identity, **change))
    message = rf"^the board on fake must hold this network, and holds another one: {what}; load the right "
    with pytest.raises(BoardError, match=message):
        connected(board).connect()


def test_a_board_of_another_version_is_told():
    """A board that speaks a later version says so in its first reply."""

    def mend(reply):
        if reply[1] != ReplyKind.RESET_DONE:
            return reply
        body = reply[1:3] + bytes([PROTOCOL_VERSION + 1])
        return reply[:1] + body + crc16(body).to_bytes(2, "big")

    message = (
        rf"^the board on fake must speak version {PROTOCOL_VERSION} .*, it speaks {PROTOCOL_VERSION + 1};"
    )
    with pytest.raises(LinkError, match=message):
        connected(FakeBoard(DESIGN, mend=mend)).connect()


def test_weights_are_loaded_where_they_are_missing():
    """A board that waits for its weights gets them on connecting, and again if it loses them."""
    image = encode_image(DSP_DESIGN)
    board = FakeBoard(DSP_DESIGN, loaded=False)
    sequences = random_sequences(DSP_NETWORK, batch=3, steps=4, seed=8)
    with connected(board, image=image) as host:
        assert equal(host.run(sequences), DSP_NETWORK, sequences)
        board.loaded = False
        assert equal(host.run(sequences), DSP_NETWORK, sequences)
        assert host.statistics.faults.keys() == {"NOT_LOADED"}


def test_missing_and_wrong_weights_are_told():
    """No image, and one of another design, each name what to do."""
    with pytest.raises(BoardError, match=r"^the board on fake waits for its weights and must get them; name"):
        connected(FakeBoard(DSP_DESIGN, loaded=False)).connect()
    image = bytearray(encode_image(DSP_DESIGN))
    image[9] ^= 1
    message = (
        r"^the weights must be of the design that the board on fake holds, and are not \(BAD_DESIGN\); take"
    )
    with pytest.raises(BoardError, match=message):
        connected(FakeBoard(DSP_DESIGN, loaded=False), image=bytes(image)).connect()
    image[9] ^= 1
    image[40] ^= 1
    message = r"^the board on fake must load its weights, and did not in 2 attempts; check its cable$"
    with pytest.raises(LinkError, match=message):
        connected(FakeBoard(DSP_DESIGN, loaded=False), image=bytes(image), retries=2).connect()


def test_a_network_alone_gives_the_sizes():
    """Without a design the link's sizes are those of the network, and the digest is unknown."""
    form = network_format(VECTOR)
    assert replace(form, digest=LinkFormat.of(DESIGN).digest) == LinkFormat.of(DESIGN)


# -- a virtual board ---------------------------------------------------------------------------------


def test_a_virtual_board_answers(board):
    """Through a serial port every answer is the integer model's, in the self-test too."""
    sequences = random_sequences(VECTOR, batch=5, steps=20, seed=9)
    with Host(VECTOR, open_port(board.port, BAUD), design=DESIGN) as host:
        assert equal(host.run(sequences), VECTOR, sequences)
        assert host.self_test(count=3, steps=5) == 45
        assert host.statistics.resets == 0
        assert host.status().faults == {}
    assert board.statistics().cycles > 0


def test_one_host_after_another(board):
    """A host that leaves in the midst of a frame hands the board over as it is."""
    sequences = random_sequences(VECTOR, batch=2, steps=6, seed=10)
    for cut in (3, 9, 14):
        gone = open_port(board.port, BAUD)
        gone.write((encode_reset(9) + encode_step(LinkFormat.of(DESIGN), [1, 2, 3], first=True))[:cut])
        gone.close()
        with Host(VECTOR, open_port(board.port, BAUD), design=DESIGN) as host:
            assert equal(host.run(sequences), VECTOR, sequences)


def test_two_hosts_at_once(board):
    """A port that another host has is refused, and the first host goes on."""
    sequences = random_sequences(VECTOR, batch=2, steps=6, seed=11)
    with Host(VECTOR, open_port(board.port, BAUD), design=DESIGN) as host:
        message = (
            rf"^port must be free, {board.port} is in use by another program; end that one, or take another"
        )
        with pytest.raises(LinkError, match=message):
            open_port(board.port, BAUD)
        assert equal(host.run(sequences), VECTOR, sequences)


@pytest.mark.parametrize("rate", [115_200, 1_000_000, 2_000_000])
def test_another_rate_is_told(board, rate):
    """A host at another rate is not understood, and says what to look at."""
    message = rf"^(a board|the board on {board.port}) must answer .*check .*the rate \(`baud`\)"
    with pytest.raises(LinkError, match=message):
        Host(VECTOR, open_port(board.port, rate), design=DESIGN, timeout=0.1).connect()
    with Host(VECTOR, open_port(board.port, BAUD), design=DESIGN) as host:
        assert host.self_test(count=1, steps=2) == 6


def test_a_pulled_cable_is_told(board):
    """A port that goes away in the midst of a run is an error at once."""
    sequences = random_sequences(VECTOR, batch=400, steps=20, seed=12)
    host = Host(VECTOR, open_port(board.port, BAUD), design=DESIGN)
    host.connect()
    threading.Timer(0.2, board.close).start()
    start = time.monotonic()
    with pytest.raises(LinkError, match=rf"^the port {board.port} must stay connected, and was lost \("):
        host.run(sequences)
    assert time.monotonic() - start < 10
    host.close()


# -- ports -------------------------------------------------------------------------------------------


def test_silence_is_told():
    """Nothing behind a port: what to check is said after a few attempts."""
    master, slave = pty.openpty()
    try:
        message = r"^a board must answer on /dev/pts/\d+, and nothing came; check that it is this port, "
        transport = SerialTransport(os.ttyname(slave), 115_200)
        with (
            pytest.raises(LinkError, match=message),
            Host(VECTOR, transport, timeout=0.05),
        ):
            pass
    finally:
        os.close(master)
        os.close(slave)
