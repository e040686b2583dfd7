"""The board's end of the link: frames of docs/link.md to the core's streams and back."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.link_protocol import (
    COUNTER_MAX,
    CRC_INIT,
    CRC_POLYNOMIAL,
    INFO_BYTES,
    PROTOCOL_VERSION,
    SYNC,
    AnswerTail,
    Command,
    FaultCode,
    LinkFormat,
    ReplyKind,
    StepFlag,
)
from qornn_hw.rom import RomImage
from rtl_gen.ram import read_register
from rtl_gen.rom import Rom
from rtl_gen.uart import ReceivedByte
from rtl_gen.words import answer_word_layout, input_word_layout

COUNTER_BITS = COUNTER_MAX.bit_length()

__all__ = ["BYTE_CYCLES_MIN", "Link", "load_signature"]

# The CRC takes a bit a cycle: bytes of the fastest UART are 80 cycles apart.
BYTE_CYCLES_MIN = 12


def load_signature() -> wiring.Signature:
    """Return the port to a :class:`rtl_gen.weight_loader.WeightLoader`, whose members these are."""
    return wiring.Signature(
        {
            "start": Out(1),
            "data": Out(8),
            "valid": Out(1),
            "loaded": In(1),
            "done": In(1),
            "status": In(3),
        }
    )


def _identity_image(form: LinkFormat) -> RomImage:
    """Return what an IDENTITY says of the design, with two words more that keep every bit in the memory.

    Synthesis drops a bit that is the same in all words.
    """
    return RomImage("identity", 8, (*form.identity.constant, 0x00, 0xFF))


class _Crc(wiring.Component):
    """The CRC of bytes, a bit a cycle: a third of the logic of a whole byte at once.

    Members:
        clear: In(1): The next byte is a frame's first.
        valid: In(1): There is a byte; not while busy. Its bits are wanted while busy. Ignored with ``clear``.
        bit: In(1): Bit ``at`` of the byte.
        at: Out(3): 7 in the first cycle after ``valid``, 0 in the last.
        busy: Out(1): The byte is not in yet.
        crc: Out(16): The CRC of the bytes since ``clear``; zero behind a frame's own CRC.

    Latency: 9 cycles from ``valid`` to ``crc``.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "valid": In(1),
                "bit": In(1),
                "at": Out(3, init=7),
                "busy": Out(1),
                "crc": Out(16, init=CRC_INIT),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        out = self.crc[-1] ^ self.bit
        with m.If(self.busy):
            m.d.sync += [
                # From 0 it goes to 7, where the next byte begins.
                self.at.eq(self.at - 1),
                self.busy.eq(self.at != 0),
                self.crc.eq((self.crc << 1) ^ Mux(out, CRC_POLYNOMIAL, 0)),
            ]
        with m.If(self.valid):
            m.d.sync += self.busy.eq(1)
        with m.If(self.clear):
            m.d.sync += [self.crc.eq(CRC_INIT), self.at.eq(7), self.busy.eq(0)]
        return m


class Link(wiring.Component):
    """Frames from a byte stream to a core, and the core's answers back into frames.

    A step's bytes go into a ring buffer at once, and are released to the core when the frame's CRC and number
    are found good; otherwise the write pointer goes back and nothing of the frame remains. So a bad frame
    never reaches the core, and the next frame is received while the core works on this one. A dropped request
    is answered by a FAULT, and steps are refused from then on until a RESET: a step on a state that lacks
    another would be wrong without a sign. Steps and answers are numbered from a RESET on, modulo 256, without
    a gap: a step that is lost or comes twice has another number than the next one, and so is a fault.

    Parameters:
        form: Words of a step and of an answer, and what IDENTIFY tells.
        timeout_bits: A pause of 1 to 2 times ``2 ** timeout_bits`` cycles between two bytes of a frame ends
            it.

    Members:
        i_bytes: In(stream.Signature(ReceivedByte, always_ready=True)): Bytes from the host, at least 12
            cycles apart.
        o_bytes: Out(stream.Signature(8)): Bytes to the host.
        o_step: Out(stream), see :func:`rtl_gen.words.input_word_layout`: A step's words. ``first`` only with
            the first word of a sequence, ``last`` only with its last.
        i_answer: In(stream), see :func:`rtl_gen.words.answer_word_layout`: An answer's words.
        starting: In(1): High while the board starts, for 2 cycles at least: keeps ``core_rst`` high.
        core_rst: Out(1): Resets the core: for one cycle at a RESET request, when the link's own buffers are
            emptied, too; a cycle behind ``starting``; and as long as weights that are loaded are missing.
        faulty: Out(1): High from a fault to the next RESET; steps are refused.
        busy: Out(1): A frame is being received or sent, or a step is waiting for the core.
        tick: Out(1): High for one cycle in ``2 ** timeout_bits``.
        load: Out(:func:`load_signature`): Bytes of an image of weights, and what became of it. Only where
            ``form.weights`` is set; steps are refused until the weights are loaded.

    Latency: A step's first word, of b bytes, is offered ``16 + 2 b`` cycles after the frame's last byte. A
        word takes ``2 b`` cycles, and longer where the core waits.
    """

    def __init__(self, *, form: LinkFormat, timeout_bits: int = 18) -> None:
        if timeout_bits < 1:
            raise ValueError(f"timeout_bits must be at least 1, not {timeout_bits!r}")
        self._form = form
        self._timeout_bits = timeout_bits
        # Requests that were found good and wait for their reply, and the reasons for refusals.
        self._fault_pending = Signal()
        self._fault_code = Signal(FaultCode)
        self._info_pending = Signal()
        self._info_is_status = Signal()
        # Numbers of the latest RESET and of the next step.
        self._tag = Signal(8, reset_less=True)
        self._steps = Signal(8)
        # Incidents by kind of fault, since power-up.
        self._counters = {code: Signal(COUNTER_BITS, name=f"{code.name}_count") for code in FaultCode}
        members: dict[str, Any] = {} if form.weights is None else {"load": Out(load_signature())}
        super().__init__(
            members
            | {
                "i_bytes": In(stream.Signature(ReceivedByte, always_ready=True)),
                "o_bytes": Out(stream.Signature(8)),
                "o_step": Out(stream.Signature(input_word_layout(form.word_format))),
                "i_answer": In(stream.Signature(answer_word_layout(form.answer_bits))),
                "starting": In(1),
                "core_rst": Out(1),
                "faulty": Out(1),
                "busy": Out(1),
                "tick": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        form = self._form
        depth = form.buffer_bytes
        m.submodules.buffer = buffer = memory.Memory(
            shape=8,
            depth=depth,
            init=[],
            # Never left to the synthesizer, which makes LUTs of small memories. The two ports meet on an
            # address only when the buffer is empty and what is read is not used: without the second
            # attribute yosys spends 40 logic cells on giving that byte a defined value.
            attrs={"ram_style": "block", "no_rw_check": 1},
        )
        write, read = buffer.write_port(), buffer.read_port(domain="comb")
        write_at = Signal(range(depth))
        commit_at = Signal(range(depth))
        read_at = Signal(range(depth))
        timer = Signal(self._timeout_bits)
        self._reset = Signal(name="reset")
        m.d.sync += Cat(timer, self.tick).eq(timer + 1)

        acknowledge, feeding = self._feed_core(m, read, read_at, commit_at)
        sending = self._send(m, acknowledge)
        # Last, so that a fault in the cycle in which another is taken stays pending.
        receiving = self._receive(m, write, write_at, commit_at, read_at)
        m.d.comb += self.busy.eq(receiving | sending | feeding)
        with m.If(self._reset):
            m.d.sync += [write_at.eq(0), commit_at.eq(0), read_at.eq(0), self._steps.eq(0)]
        return m

    def _receive(self, m: Module, write: Any, write_at: Signal, commit_at: Signal, read_at: Signal) -> Value:
        """Bytes into the buffer; commit or take back behind the CRC."""
        form = self._form
        m.submodules.receive_crc = crc = _Crc()
        # Registers without a reset are written before they are looked at; with an enable, a reset would be a
        # cell of its own before it, and a long way from where the reset comes from.
        count = Signal(range(form.step_bytes), reset_less=True)
        # Bits 4 to 6 of the command, which tell all of them apart.
        order = Signal(3, reset_less=True)
        known, is_first = Signal(reset_less=True), Signal(reset_less=True)
        # From a RESET to the first step, which must have FIRST.
        fresh = Signal(init=1)
        other_number = Signal(reset_less=True)
        out_of_sequence = Signal()
        # The CRC is complete, and it is wrong.
        settled, wrong = Signal(), Signal()
        overflow = Signal()
        late = Signal()
        # The byte, and what it or the lack of it means, from flip-flops: the receiver lies before them.
        byte = Signal(8, reset_less=True)
        good, bad, cut = Signal(), Signal(), Signal()
        store = Signal()
        fail = Signal()
        commit = Signal()
        code = Signal(FaultCode)
        next_at = Signal.like(write_at)
        full, same = Signal(), Signal(2)
        m.d.comb += [
            next_at.eq(write_at + 1),
            write.addr.eq(write_at),
            write.data.eq(byte),
            # Whatever it is: a byte that is not to be kept does not move the pointer, and the next one takes
            # its place, which is free even where the buffer is full.
            write.en.eq(good),
        ]
        # Some cycles late, which is short of the many between two bytes: a wide compare behind a carry chain.
        half = len(next_at) // 2
        m.d.sync += [
            same.eq(Cat(next_at[:half] == read_at[:half], next_at[half:] == read_at[half:])),
            full.eq(same.all()),
        ]
        arrived, error = self.i_bytes.valid, self.i_bytes.payload.error
        m.d.sync += [
            good.eq(arrived & ~error),
            bad.eq(arrived & error),
            cut.eq(Mux(arrived, error, self.tick & late)),
        ]
        # Its bits go into the CRC one by one, when all else has been done with it.
        with m.If(arrived):
            m.d.sync += byte.eq(self.i_bytes.payload.data)
        with m.Elif(crc.busy):
            m.d.sync += byte.eq(byte << 1)
        with m.If(arrived):
            m.d.sync += late.eq(0)
        with m.Elif(self.tick):
            m.d.sync += late.eq(1)
        # The core's reset and the link's, at once. The core's is a flip-flop that nothing resets, so that
        # nothing stands between it and the core, which lies all over the device.
        resetting = Signal()
        core_rst = Signal(reset_less=True)
        core_waits = 0 if form.weights is None else ~self.load.loaded | self.load.start
        m.d.sync += [self._reset.eq(resetting), core_rst.eq(resetting | self.starting | core_waits)]
        m.d.comb += self.core_rst.eq(core_rst)
        orders = [Command.RESET, Command.IDENTIFY, Command.STATUS]
        if form.weights is not None:
            m.d.sync += self.load.start.eq(0)
            orders.append(Command.LOAD)

        # Beside the states, which it would make so many that they are a long path.
        loading = Signal()
        with m.FSM(name="receive") as fsm:
            with m.State("hunt"):
                m.d.sync += overflow.eq(0)
                with m.If(good & (byte == SYNC) & ~loading):
                    m.next = "command"
            with m.State("command"):
                with m.If(good):
                    m.d.sync += [
                        order.eq(byte[4:7]),
                        is_first.eq((byte & StepFlag.FIRST) != 0),
                        known.eq((byte[3:] == Command.STEP >> 3) | byte.matches(*orders)),
                    ]
                    m.next = "order"
                with m.If(cut):
                    m.next = "hunt"
            # A cycle behind the command, when none of the bytes is.
            with m.State("order"):
                m.next = "number"
                with m.If(~known):
                    m.d.comb += [fail.eq(1), code.eq(FaultCode.BAD_COMMAND)]
                    m.next = "hunt"
                with m.Elif(order == Command.STEP >> 4):
                    m.d.comb += store.eq(1)
            with m.State("number"):
                with m.If(good):
                    m.d.sync += other_number.eq(byte != self._steps)
                    m.next = "high"
                    with m.If(order == Command.STEP >> 4):
                        m.next = "payload"
                    with m.If(order[1]):
                        m.d.sync += self._tag.eq(byte)
                with m.If(cut):
                    m.next = "hunt"
            with m.State("payload"):
                with m.If(good):
                    m.d.comb += store.eq(1)
                    with m.If(count == 0):
                        m.next = "high"
                with m.If(cut):
                    m.next = "hunt"
            with m.State("high"):
                with m.If(good):
                    m.next = "low"
                with m.If(cut):
                    m.next = "hunt"
            with m.State("low"):
                with m.If(good):
                    m.next = "verdict"
                with m.If(cut):
                    m.next = "hunt"
            with m.State("verdict"):
                with m.If(settled):
                    m.next = "hunt"
            hunting = fsm.ongoing("hunt")
            starting = fsm.ongoing("order")
            judging = fsm.ongoing("verdict")
        # Not in its state, which ``settled`` says already, a cycle for each frame.
        with m.If(settled):
            with m.If(wrong):
                m.d.comb += [fail.eq(1), code.eq(FaultCode.BAD_CRC)]
            with m.Elif(order == Command.RESET >> 4):
                m.d.comb += resetting.eq(1)
            with m.Elif(order[2]):
                m.d.sync += [self._info_pending.eq(1), self._info_is_status.eq(order[0])]
            if form.weights is not None:
                with m.Elif(order[1]):
                    m.d.comb += resetting.eq(1)
                    m.d.sync += [self.load.start.eq(1), loading.eq(1)]
                with m.Elif(~self.load.loaded):
                    m.d.comb += [fail.eq(1), code.eq(FaultCode.NOT_LOADED)]
            with m.Elif(overflow):
                m.d.comb += [fail.eq(1), code.eq(FaultCode.OVERFLOW)]
            with m.Elif(out_of_sequence):
                m.d.comb += [fail.eq(1), code.eq(FaultCode.OUT_OF_SEQUENCE)]
            with m.Else():
                m.d.comb += commit.eq(1)
        if form.weights is not None:
            m.d.comb += [self.load.data.eq(byte), self.load.valid.eq(good & loading)]
            with m.If(loading & (cut | self.load.done)):
                m.d.sync += loading.eq(0)
        receiving = ~hunting | loading
        m.d.sync += [
            settled.eq(judging & ~crc.busy & ~settled),
            wrong.eq(crc.crc != 0),
            out_of_sequence.eq(self.faulty | other_number | (fresh & ~is_first)),
        ]
        m.d.comb += [crc.clear.eq(hunting), crc.valid.eq(good), crc.bit.eq(byte[-1])]
        with m.If(receiving & ~judging & cut):
            m.d.comb += [fail.eq(1), code.eq(Mux(bad, FaultCode.BAD_BYTE, FaultCode.TRUNCATED))]

        with m.If(starting):
            m.d.sync += count.eq(form.step_bytes - 1)
        with m.Elif(store):
            m.d.sync += count.eq(count - 1)
        # The verdict takes effect a cycle later, long before the next byte that it matters to: from the byte
        # through the verdict to the pointers was the longest path of a whole design.
        failed, committed, stored, refused = Signal(), Signal(), Signal(), Signal()
        failed_code = Signal.like(code)
        m.d.sync += [failed.eq(fail), committed.eq(commit), failed_code.eq(code)]
        m.d.sync += [stored.eq(store & ~full), refused.eq(store & full)]
        # The core is behind: what is in the buffer stays, this frame is lost and will say so.
        with m.If(refused):
            m.d.sync += overflow.eq(1)
        with m.If(failed):
            m.d.sync += write_at.eq(commit_at)
        with m.Elif(stored):
            m.d.sync += write_at.eq(next_at)
        with m.If(committed):
            m.d.sync += [commit_at.eq(write_at), fresh.eq(0), self._steps.eq(self._steps + 1)]
        with m.If(failed):
            m.d.sync += [self._fault_pending.eq(1), self.faulty.eq(1)]
            # The first of several faults is the one that explains the others.
            with m.If(~self._fault_pending):
                m.d.sync += self._fault_code.eq(failed_code)
        with m.If(self._reset):
            m.d.sync += [fresh.eq(1), self.faulty.eq(0)]
        return receiving

    def _feed_core(self, m: Module, read: Any, read_at: Signal, commit_at: Signal) -> tuple[Value, Value]:
        """Committed bytes to the core's words.

        Returns a signal that is high for a cycle when a step is taken that asks to be told, and one that is
        high while there is something to feed.
        """
        form = self._form
        word_bytes = form.word_bytes
        words_left = Signal(range(form.words_per_step), reset_less=True)
        bytes_left = Signal(range(word_bytes), reset_less=True)
        # From flip-flops alone: an ECP5's block RAM takes most of a cycle.
        word = Signal(8 * word_bytes, reset_less=True)
        first, last, wants_acknowledge = (
            Signal(name=name, reset_less=True) for name in ("first", "last", "wants_acknowledge")
        )
        at_first_word = Signal(reset_less=True)
        advance = Signal()
        stored = read_register(8)
        word_done = Signal()
        waiting = Signal()
        complete = Signal()
        # From a flip-flop: two words are two cycles apart.
        final = Signal()
        m.d.sync += final.eq(words_left == 0)
        # Address in, byte out a cycle later: yosys takes this register into the block RAM.
        m.d.sync += stored.eq(read.data)
        m.d.comb += [
            read.addr.eq(read_at),
            self.o_step.payload.data.eq(word),
            self.o_step.payload.first.eq(first & at_first_word),
            self.o_step.payload.last.eq(last & final),
            self.o_step.valid.eq(complete),
        ]
        with m.FSM(name="feed") as fsm:
            with m.State("idle"):
                with m.If(waiting & ~self._reset):
                    m.next = "flags"
            with m.State("flags"):
                m.d.sync += Cat(first, last, wants_acknowledge).eq(stored)
                m.d.comb += advance.eq(1)
                m.next = "fetch"
                with m.If(self._reset):
                    m.next = "idle"
            with m.State("fetch"):
                m.next = "byte"
                with m.If(self._reset):
                    m.next = "idle"
            with m.State("byte"):
                m.d.comb += advance.eq(1)
                m.next = "fetch"
                with m.If(bytes_left == 0):
                    m.next = "offer"
                m.d.sync += complete.eq((bytes_left == 0) & ~self._reset)
                with m.If(self._reset):
                    m.next = "idle"
            # The next byte is fetched meanwhile.
            with m.State("offer"):
                m.d.comb += word_done.eq(self.o_step.ready)
                with m.If(word_done | self._reset):
                    m.d.sync += complete.eq(0)
                    m.next = "byte"
                with m.If((word_done & final) | self._reset):
                    m.next = "idle"
            idle = fsm.ongoing("idle")
            flags = fsm.ongoing("flags")
        # A cycle late, so only in a later cycle than the one that sees the last byte of a step go.
        m.d.sync += waiting.eq(idle & (read_at != commit_at) & ~self._reset)
        with m.If(advance):
            m.d.sync += [read_at.eq(read_at + 1), word.eq(Cat(word, stored)[8:])]
        with m.If(flags | word_done):
            m.d.sync += bytes_left.eq(word_bytes - 1)
        with m.Elif(advance):
            m.d.sync += bytes_left.eq(bytes_left - 1)
        with m.If(idle):
            m.d.sync += [words_left.eq(form.words_per_step - 1), at_first_word.eq(1)]
        with m.Elif(word_done):
            m.d.sync += [words_left.eq(words_left - 1), at_first_word.eq(0)]
        return word_done & final & wants_acknowledge, waiting | ~idle

    def _send(self, m: Module, acknowledge: Value) -> Value:
        """Replies: faults first, answers last, because the core can wait."""
        form = self._form
        answer = self.i_answer
        out = self.o_bytes
        m.submodules.send_crc = crc = _Crc()
        # Only bits that differ between the kinds become flip-flops.
        kind = Signal(8, init=ReplyKind.ANSWER)
        # With weights that are loaded, how the image was, too.
        tail = Signal(3 if form.weights is None else 5)
        # Number of the next answer.
        number = Signal(8)
        words_left = Signal(range(form.words_per_answer), reset_less=True)
        byte_at = Signal(range(form.answer_word_bytes), reset_less=True)
        # Not from 0 on, so that it moves: Icarus Verilog looks at a table only when its address changes.
        info_at = Signal(range(INFO_BYTES), init=INFO_BYTES - 1)
        extended = Signal(signed(8 * form.answer_word_bytes))
        # Unsigned before a byte is picked: yosys 0.70 drops the copies of the sign from a signed operand of
        # a variable part select (its wreduce pass, on a $shift cell).
        word = extended.as_unsigned()
        acknowledge_pending = Signal()
        reset_pending = Signal()
        loaded_pending = Signal()
        if form.weights is not None:
            with m.If(self.load.done):
                m.d.sync += loaded_pending.eq(1)
        word_done = Signal()
        taken = Signal()
        there = Signal()
        asked = Signal()
        sent = Signal()
        # What the kind is, for the way of the states.
        is_answer, has_info = Signal(), Signal(reset_less=True)
        aborted = tail[1]
        # A byte waits for the line in flip-flops: its choice and the line together are a long path.
        # It is known to be there a cycle after it came; until then there is no other.
        offer = Signal()
        chosen = Signal(8)
        load = Signal()
        gone = Signal()
        # Of the CRC.
        low_byte = Signal(reset_less=True)
        # From the first FAULT to the RESET.
        reported = Signal()
        # The cycles after the choice of a FAULT that counts: its counter is found, looked at, increased.
        counting, looking, increase = Signal(), Signal(), Signal()
        counter_at = Signal(range(len(FaultCode) + 1))
        counter = Signal(COUNTER_BITS)
        # In block RAM, so that another network in the same hardware (boards/reload.py) can say its own name.
        m.submodules.identity = identity = Rom(_identity_image(form))
        # From flip-flops: these tables and the choice of the payload would be the longest path.
        info = Signal(8)
        m.d.comb += extended.eq(answer.payload.data)
        # What is offered stays until it is sent, so that it may be taken a cycle later.
        m.d.sync += [load.eq(offer & ~out.valid & ~sent & ~load & ~crc.busy), sent.eq(load), gone.eq(sent)]
        with m.If(load):
            m.d.sync += [out.payload.eq(chosen), out.valid.eq(1)]
        with m.Elif(out.ready):
            m.d.sync += out.valid.eq(0)

        with m.If(acknowledge):
            m.d.sync += acknowledge_pending.eq(1)

        # Replies by precedence: what asks for one, its kind and tail. Whose turn it is, is known a cycle
        # before the frame begins, so that nothing decides and moves at once. At a reset what was asked of the
        # core and faults die; what was asked of the link itself is answered yet.
        info_kind = Mux(self._info_is_status, ReplyKind.STATUS, ReplyKind.IDENTITY)
        state = Cat(1, self.faulty)
        if form.weights is not None:
            state = Cat(self.load.loaded, self.faulty, self.load.status)
        replies: list[tuple[Signal, Any, Any]] = [
            (reset_pending, ReplyKind.RESET_DONE, PROTOCOL_VERSION),
            (self._fault_pending, ReplyKind.FAULT, self._fault_code),
            (self._info_pending, info_kind, state),
            (acknowledge_pending, ReplyKind.ACKNOWLEDGE, 0),
            (there, ReplyKind.ANSWER, AnswerTail.NONE),
        ]
        if form.weights is not None:
            replies.insert(3, (loaded_pending, ReplyKind.LOADED, self.load.status))
        pending = Cat(reply[0] for reply in replies)
        turn = Signal(len(replies))
        m.d.sync += [
            asked.eq(pending.any() & ~self._reset),
            turn.eq(Mux(self._reset, 0, Cat(pending[i] & ~pending[:i].any() for i in range(len(replies))))),
        ]
        m.d.sync += counting.eq(0)
        with m.FSM(name="send") as fsm:
            with m.State("idle"):
                # No precedence any more: one turn at most.
                kinds = (Mux(turn[i], reply[1], 0) for i, reply in enumerate(replies))
                tails = (Mux(turn[i], reply[2], 0) for i, reply in enumerate(replies))
                m.d.sync += [kind.eq(reduce(or_, kinds)), tail.eq(reduce(or_, tails))]
                m.d.sync += [is_answer.eq(turn[-1]), has_info.eq(turn[2])]
                # ``asked`` is ``turn.any()``, from a flip-flop.
                with m.If(asked & ~self._reset):
                    m.next = "sync"
                    for at, (asking, _, _) in enumerate(replies[:-1]):
                        with m.If(turn[at]):
                            m.d.sync += asking.eq(acknowledge if asking is acknowledge_pending else 0)
                    with m.If(turn[1]):
                        # What follows the first fault up to the RESET is its consequence, and not counted.
                        m.d.sync += [counting.eq(~reported), reported.eq(1)]
            with m.State("sync"):
                m.d.comb += [offer.eq(1), chosen.eq(SYNC)]
                with m.If(sent):
                    m.next = "kind"
            with m.State("kind"):
                m.d.comb += [offer.eq(1), chosen.eq(kind)]
                with m.If(sent):
                    m.next = "number"
            with m.State("number"):
                m.d.comb += [
                    offer.eq(1),
                    chosen.eq(Mux(kind == ReplyKind.RESET_DONE, self._tag, number)),
                ]
                with m.If(sent):
                    m.next = "tail"
                    with m.If(is_answer):
                        m.next = "payload"
                        with m.If(~aborted):
                            m.d.sync += number.eq(number + 1)
                    with m.If(has_info):
                        m.next = "info"
            with m.State("payload"):
                # An aborted answer is filled up with whatever is there: the host always gets whole frames.
                m.d.comb += [
                    offer.eq(there | aborted),
                    chosen.eq(word.word_select(byte_at, 8)),
                    word_done.eq(sent & (byte_at == form.answer_word_bytes - 1)),
                ]
                with m.If(word_done & (words_left == 0)):
                    m.next = "tail"
            with m.State("info"):
                m.d.comb += [offer.eq(~gone), chosen.eq(info)]
                with m.If(sent & info_at.all()):
                    m.next = "tail"
            with m.State("tail"):
                m.d.comb += [offer.eq(1), chosen.eq(tail)]
                m.d.sync += low_byte.eq(0)
                with m.If(sent):
                    m.next = "crc"
            # Sending the CRC's first byte moves its second to the same place.
            with m.State("crc"):
                m.d.comb += [offer.eq(1), chosen.eq(crc.crc[8:])]
                with m.If(sent):
                    m.d.sync += low_byte.eq(1)
                    with m.If(low_byte):
                        m.next = "idle"
            idle = fsm.ongoing("idle")
            in_sync = fsm.ongoing("sync")
            in_payload = fsm.ongoing("payload")
            in_info = fsm.ongoing("info")
            before_tail = in_sync | fsm.ongoing("kind") | fsm.ongoing("number") | in_payload
        # One place to look at a counter serves both.
        m.d.sync += [
            counter_at.eq(Mux(counting, tail, info_at[:3])),
            looking.eq(counting),
            increase.eq(looking),
        ]
        m.d.comb += [
            counter.eq(Array([Const(0, COUNTER_BITS), *self._counters.values()])[counter_at]),
            identity.addr.eq(info_at),
        ]
        m.d.sync += info.eq(self._status_byte(info_at, looking, counter))
        with m.If(kind == ReplyKind.IDENTITY):
            m.d.sync += info.eq(identity.data)
        for code, one in self._counters.items():
            with m.If(increase & (tail == code) & ~info[:COUNTER_BITS].all()):
                # No adder: a carry chain costs more than these few bits.
                carries = (info[:n].all() for n in range(1, COUNTER_BITS))
                m.d.sync += one.eq(info[:COUNTER_BITS] ^ Cat(1, *carries))
        # Registers between the UART and the core, both ways: these paths were the longest of a whole design.
        m.d.sync += [taken.eq(word_done), there.eq(answer.valid & ~taken & ~word_done)]
        m.d.comb += answer.ready.eq(taken & ~aborted)
        m.d.comb += [
            crc.clear.eq(in_sync),
            crc.valid.eq(sent & ~in_sync),
            crc.bit.eq(out.payload.bit_select(crc.at, 1)),
        ]
        with m.If(idle):
            m.d.sync += words_left.eq(form.words_per_answer - 1)
        with m.Elif(word_done):
            m.d.sync += [words_left.eq(words_left - 1), tail[0].eq(answer.payload.last)]
        with m.If(idle | word_done):
            m.d.sync += byte_at.eq(0)
        with m.Elif(sent & in_payload):
            m.d.sync += byte_at.eq(byte_at + 1)
        with m.If(idle):
            m.d.sync += info_at.eq(0)
        with m.Elif(sent & in_info):
            m.d.sync += info_at.eq(info_at + 1)
        with m.If(self._reset):
            m.d.sync += [
                reset_pending.eq(1),
                self._fault_pending.eq(0),
                acknowledge_pending.eq(0),
                reported.eq(0),
                number.eq(0),
            ]
            with m.If(before_tail & is_answer):
                m.d.sync += tail.eq(AnswerTail.ABORTED)
        return ~idle | out.valid

    def _status_byte(self, at: Value, looking: Value, counter: Value) -> Value:
        """Return a byte of what a STATUS brings, as :attr:`qornn_hw.link_protocol.Status.content`."""
        # Eight times the same costs less logic than seven zeros.
        return Mux(at[3] | looking, counter, self._steps)
