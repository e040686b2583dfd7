"""The core of the tile engine: a whole network, input stream to output stream."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from qornn_hw.compiler.engines.tile.layout import TileLayout
from qornn_hw.compiler.engines.tile.memories import ANSWERS_HELD, answers, constant_memory_name
from qornn_hw.compiler.family import SPRAM_ADDR_BITS
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.ports import answer_bits, input_words_per_step
from qornn_hw.rtl_gen.answer import Answer
from qornn_hw.rtl_gen.delay import delay
from qornn_hw.rtl_gen.engines.tile.capture import Capture
from qornn_hw.rtl_gen.engines.tile.input_buffer import InputBuffer
from qornn_hw.rtl_gen.engines.tile.lane import Lane
from qornn_hw.rtl_gen.engines.tile.logits import Logits
from qornn_hw.rtl_gen.engines.tile.sequencer import Sequencer
from qornn_hw.rtl_gen.engines.tile.slots import Slots
from qornn_hw.rtl_gen.engines.tile.tail import Tail
from qornn_hw.rtl_gen.engines.tile.totals import Totals
from qornn_hw.rtl_gen.primitives.spram import Spram, weight_write_signature
from qornn_hw.rtl_gen.ram import Ram
from qornn_hw.rtl_gen.rom import Rom
from qornn_hw.rtl_gen.words import answer_word_layout, input_word_layout

__all__ = ["TileCore"]


class TileCore(wiring.Component):
    """Computes a tile of a matrix a cycle; equals the interpreter of networks in every state and answer.

    Parameters:
        layout: the network on the engine.
        memories: with their contents.
        preloaded: weights in large memories are there from the start, which only a simulation can have.

    Members:
        i: In(stream): the words of an input.
        o: Out(stream): the words of an answer.
        state: Out: every new entry of a state as it is stored, in the order of
        :attr:`TileLayout.state_order`.
        write: In; weights, where large memories hold some;
            :func:`qornn_hw.rtl_gen.primitives.spram.weight_write_signature`. While it is in use, and until a
            reset behind that, the core must get no input.

    Latency and throughput: :class:`~qornn_hw.compiler.engines.tile.schedule.TileSchedule`.
    """

    def __init__(self, layout: TileLayout, memories: tuple[Memory, ...], *, preloaded: bool = False) -> None:
        self._preloaded = preloaded
        self._layout = p = layout
        self._memories = {memory.name: memory for memory in memories}
        bits = max(state.format.signed_bits for state in p.network.states.values())
        state = {"valid": Out(1), "data": Out(signed(bits))}
        members: dict[str, Any] = {
            "i": In(stream.Signature(input_word_layout(p.network.input.format))),
            "o": Out(stream.Signature(answer_word_layout(answer_bits(p.network)))),
            "state": Out(wiring.Signature(state)),
        }
        if p.shape.banks:
            members["write"] = In(weight_write_signature(p.shape.banks))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        p = self._layout
        m.submodules.input = source = InputBuffer(
            form=p.network.input.format, words=input_words_per_step(p.network)
        )
        m.submodules.sequencer = sequencer = Sequencer(p)
        m.submodules.totals = totals = Totals(p)
        m.submodules.slots = slots = Slots(p)
        m.submodules.tail = tail = Tail(p, self._memories)
        m.submodules.logits = logits = Logits(p)
        m.submodules.answer = out = self._answer(len(logits.logit))
        connect(m, source.i, flipped(self.i))
        connect(m, flipped(self.o), out.o)
        capture = self._lanes(m, sequencer, totals, self._operands(m, source, sequencer, tail))
        # The first cycle of a stage, in which no slot is there: a register, as it goes to many.
        begun = Signal()
        m.d.sync += begun.eq(sequencer.begin)
        self._constants(m, begun, sequencer.stage, slots, tail, logits)
        last_stage = len(p.stages) - 1
        ending = Signal()
        m.d.comb += [
            # -- the input and the steps
            source.blocked_next.eq(tail.store_next),
            source.busy.eq(sequencer.busy),
            source.done.eq(sequencer.done),
            sequencer.full.eq(source.full),
            sequencer.first.eq(source.first),
            sequencer.last.eq(source.last),
            sequencer.room.eq(out.room),
            sequencer.retire.eq(tail.retire | logits.retire),
            # -- sums of operands
            totals.starting.eq(sequencer.starting),
            totals.use.eq(source.use),
            totals.done.eq(sequencer.done),
            totals.write.eq(source.write),
            totals.fill.eq(source.fill),
            totals.input.eq(self.i.payload.data),
            totals.input_first.eq(source.index == 0),
            totals.stored.eq(tail.stored),
            totals.stored_first.eq(tail.stored_unit == 0),
            *(getattr(totals, f"store_{k}").eq(getattr(tail, f"store_{k}")) for k in range(len(p.vectors))),
            # -- the tail
            slots.begin.eq(begun),
            slots.stage.eq(sequencer.stage),
            capture.shift.eq(slots.shift),
            tail.begin.eq(begun),
            tail.stage.eq(sequencer.stage),
            tail.phase.eq(slots.phase),
            tail.valid.eq(slots.valid),
            tail.unit.eq(slots.unit),
            tail.starting.eq(sequencer.starting),
            tail.symbol.eq(source.symbol),
            self.state.valid.eq(tail.state_valid),
            self.state.data.eq(tail.state_data),
            # -- the answer
            logits.enable.eq(sequencer.stage == last_stage),
            logits.begin.eq(begun),
            logits.phase.eq(slots.phase),
            logits.valid.eq(slots.valid),
            out.logit.eq(logits.logit),
            out.valid.eq(logits.logit_valid),
            out.last.eq(ending),
            out.launch.eq(sequencer.launch),
        ]
        # The next step may have begun when an answer's last logits come.
        with m.If(sequencer.launch):
            m.d.sync += ending.eq(sequencer.ending)
        for f in range(len(p.phase_bits)):
            for j in range(p.unit_lanes):
                found = getattr(capture, f"sum_{f}_{j}")
                m.d.comb += [
                    getattr(tail, f"sum_{f}_{j}").eq(found),
                    getattr(logits, f"sum_{f}_{j}").eq(found),
                ]
        m.d.comb += slots.load.eq(capture.load)
        return m

    def _answer(self, logit_bits: int) -> Answer:
        """Return what sends the answers."""
        p, answer = self._layout, self._layout.network.readout.answer
        return Answer(
            rows=p.network.output_size,
            kind=answer.kind,
            logit_bits=logit_bits,
            answer_bits=answer_bits(p.network),
            held=ANSWERS_HELD,
            queue_depth=answers(p).depth,
            threshold=answer.threshold,
        )

    # -- operands -------------------------------------------------------------------------------------

    def _operands(self, m: Module, source: InputBuffer, sequencer: Sequencer, tail: Tail) -> Value:
        """Return the operands of the word that was issued a cycle before."""
        p = self._layout
        memory = self._memories["operands"]
        columns, bits = p.shape.columns, p.operand_bits
        m.submodules.operands = ram = Ram(
            width=memory.width, depth=memory.depth, init=memory.words, granularity=bits
        )
        column_bits = (columns - 1).bit_length()
        # States: the copy with the entries of the step before.
        copy = Signal()
        with m.If(sequencer.done):
            m.d.sync += copy.eq(~copy)
        region = p.bases
        chosen = Signal(range(memory.depth), name="region")
        with m.Switch(sequencer.stage):
            for number, stage in enumerate(p.stages):
                with m.Case(number):
                    with m.Switch(sequencer.phase):
                        for index, phase in enumerate(stage.phases):
                            with m.Case(index):
                                fresh = p.is_fresh(phase.vector, number)
                                m.d.comb += chosen.eq(
                                    self._region(
                                        region, phase.vector, fresh, copy, source.use, sequencer.starting
                                    )
                                )
        written, entry, index = (
            Signal.like(chosen, name="written"),
            Signal(signed(bits)),
            Signal(max(1, p.word_bits + column_bits)),
        )
        name, enable = p.network.input.name, Signal()
        if name in p.vectors:
            with m.If(source.write):
                m.d.comb += [
                    enable.eq(1),
                    written.eq(Mux(source.fill, region[name, "1"], region[name, "0"])),
                    index.eq(source.index),
                    entry.eq(source.i.payload.data),
                ]
        for number, vector in enumerate(p.vectors):
            with m.If(getattr(tail, f"store_{number}")):
                twice = (vector, "1") in region
                new = Mux(copy, region[vector, "0"], region[vector, "1"]) if twice else region[vector, "0"]
                m.d.comb += [
                    enable.eq(1),
                    written.eq(new),
                    index.eq(tail.stored_unit),
                    entry.eq(tail.stored),
                ]
        word_bits = p.word_bits
        column = index[:column_bits] if column_bits else Const(0)
        word = index[column_bits : column_bits + word_bits]
        # The first word of a region is a multiple of its words.
        m.d.comb += ram.r_addr.eq(sequencer.word[:word_bits] | chosen)
        # The port to write has registers, so an entry can be read two cycles behind its store.
        m.d.sync += [
            ram.w_addr.eq(word | written),
            ram.w_data.eq(Cat(*[entry] * columns)),
            ram.w_en.eq(Cat(enable & (column == k) for k in range(columns))),
        ]
        return ram.r_data

    def _region(
        self,
        region: Mapping[tuple[str, str], int],
        vector: str,
        fresh: bool,
        copy: Signal,
        use: Value,
        starting: Value,
    ) -> Any:
        if vector == self._layout.network.input.name:
            return Mux(use, region[vector, "1"], region[vector, "0"])
        if (vector, "1") not in region:
            return region[vector, "0"]
        if fresh:
            return Mux(copy, region[vector, "0"], region[vector, "1"])
        return Mux(starting, region[vector, "initial"], Mux(copy, region[vector, "1"], region[vector, "0"]))

    # -- lanes ----------------------------------------------------------------------------------------

    def _lanes(self, m: Module, sequencer: Sequencer, totals: Totals, operands: Value) -> Capture:
        """Add the lanes and what takes their sums."""
        p = self._layout
        latency = p.lane_latency
        codes, width = self._codes(m, sequencer), p.weight_bits // p.used_lanes
        bits = max(p.phase_bits)
        m.submodules.capture = capture = Capture(
            lanes=p.used_lanes, unit_lanes=p.unit_lanes, accumulator_bits=bits, phase_bits=p.phase_bits
        )
        enable = delay(m, sequencer.issue, latency - 1, "issue")
        start = delay(m, sequencer.start, latency - 1, "start", reset_less=True)
        phase = delay(m, sequencer.phase, latency - 2, "phase", reset_less=True)
        end = delay(m, sequencer.issue & sequencer.end, latency, "end")
        late = delay(m, delay(m, phase, 1, "late", reset_less=True), 1, "later", reset_less=True)
        m.d.comb += [totals.stage.eq(sequencer.stage), totals.phase.eq(phase)]
        for lane in range(p.used_lanes):
            m.submodules[f"lane_{lane}"] = one = Lane(
                columns=p.shape.columns,
                digits=p.digits,
                operand_bits=p.operand_bits,
                accumulator_bits=bits,
            )
            m.d.comb += [
                one.operands.eq(operands),
                one.codes.eq(codes[lane * width : (lane + 1) * width]),
                one.enable.eq(enable),
                one.start.eq(start),
                one.total.eq(totals.total),
                getattr(capture, f"accumulator_{lane}").eq(one.accumulator),
            ]
        # Phases are counted from the pass' last.
        count = len(p.phase_bits)
        with m.Switch(sequencer.stage):
            for number, stage in enumerate(p.stages):
                with m.Case(number):
                    first = count - len(stage.phases)
                    for index in range(len(stage.phases) - 1):
                        held = getattr(capture, f"hold_{first + index}")
                        m.d.comb += held.eq(end & (late == index))
                    m.d.comb += capture.load.eq(end & (late == len(stage.phases) - 1))
        return capture

    def _codes(self, m: Module, sequencer: Sequencer) -> Value:
        """Return the codes of the word that was issued a cycle before."""
        parts: list[Any] = []
        address = Signal(SPRAM_ADDR_BITS, name="weight_address")
        m.d.comb += address.eq(sequencer.address)
        for bank in range(self._layout.shape.banks):
            image = self._memories[f"weights_{bank}"]
            m.submodules[image.name] = spram = Spram(
                depth=image.depth, init=image.words if self._preloaded else ()
            )
            enable = self.write.en[bank]
            m.d.comb += [
                spram.addr.eq(address),
                spram.data.eq(self.write.data),
                spram.w_en.eq(Cat(enable & ~self.write.high, enable & self.write.high)),
            ]
            parts.append(spram.q[: image.width])
        if parts:
            with m.If(self.write.en.any()):
                m.d.comb += address.eq(self.write.addr)
        if "weights" in self._memories:
            m.submodules.weights = weights = Rom(self._memories["weights"])
            m.d.comb += weights.addr.eq(sequencer.address)
            parts.append(weights.data)
        return Cat(*parts)

    # -- constants ------------------------------------------------------------------------------------

    def _constants(
        self, m: Module, begun: Signal, at: Value, slots: Slots, tail: Tail, logits: Logits
    ) -> None:
        """Read a word of constants in each phase of each slot, in the order of its stage's memory."""
        p = self._layout
        found = []
        for k, stages in enumerate(p.constant_memories):
            memory = self._memories[constant_memory_name(k)]
            m.submodules[memory.name] = rom = Rom(memory)
            address = Signal.like(rom.addr, name=f"{memory.name}_address")
            m.d.comb += rom.addr.eq(address)
            found.append(rom.data)
            with m.If(slots.valid):
                m.d.sync += address.eq(Mux(address == memory.depth - 1, 0, address + 1))
            # A stage may end before the last phase of its last slot.
            with m.If(begun):
                with m.Switch(at):
                    for number in stages:
                        with m.Case(number):
                            m.d.sync += address.eq(p.first_constant(number))
        for number in range(len(p.tails)):
            word = found[p.constant_memory(number)]
            m.d.comb += getattr(tail, f"constants_{number}").eq(word)
        logit = found[p.constant_memory(len(p.tails))][: p.logit_bits]
        m.d.comb += logits.constant.eq(logit.as_signed())
