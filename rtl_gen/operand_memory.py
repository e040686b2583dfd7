"""The memory from which the elements load their operands: state, initial state, inputs."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.rtl_gen.operand_bus import operand_bus_layout
from qornn_hw.rtl_gen.ram import Ram
from qornn_hw.rtl_gen.words import input_word_layout

__all__ = ["OperandMemory"]


@dataclass(frozen=True)
class _Banks:
    """The two banks of the input buffer.

    Attributes:
        accept: a word is taken from the stream.
        fill_bank: the bank that is filled.
        use_bank: the bank that is computed with.
        at_first_word: the next word is the first of its step; driven by the user of the banks.
        at_last_word: the next word is the last of its step; likewise.
    """

    accept: Any
    fill_bank: Signal
    use_bank: Signal
    at_first_word: Signal
    at_last_word: Signal


@dataclass(frozen=True)
class _Cursor:
    """The place of an entry in the memory.

    Attributes:
        word: the address in a half.
        column: a bit for each column.
        at_end: whether the entry is the last one.
    """

    word: Signal
    column: Signal
    at_end: Signal


class OperandMemory(wiring.Component):
    """Block RAM with the words of the schedule in two halves, and the input buffer.

    Word w of the running state is at w in the lower half, of the initial state at w in the upper half, which
    is never written. Input words lie in both halves: one input is computed with while the next arrives.
    A new state overwrites the old one: the schedule loads every word of a step before it is replaced.

    Parameters:
        design: schedule, formats and initial contents.

    Members:
        i: In(stream); input words, see :func:`qornn_hw.rtl_gen.words.input_word_layout`; one step's are
            ``design.schedule.input_words_per_step``.
        state: In(signed(state_bits)); a new hidden unit, in the order of the units.
        state_valid: In; there is one. It takes the write port; the input stream waits for that cycle.
        input_ready, input_first, input_last: Out; see the sequencer of the engine.
        input_taken: In; likewise.
        symbol: Out; the complete input where it has no columns in the chain, the index of a symbol or the
            bits of a number, up to the cycle after ``input_taken``.
        word, initial: In; likewise.
        bus: Out; the operands of word ``word`` of two cycles before, and the sums and differences of their
            pairs, from registers: computed once here, and not in every element. With a register behind the
            memory of three cycles before.
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        self._schedule = s = ChainSchedule.of(design.schedule)
        net = design.elman
        super().__init__(
            {
                "i": In(stream.Signature(input_word_layout(net.input_format))),
                "state": In(signed(net.state_bits)),
                "state_valid": In(1),
                "input_ready": Out(1),
                "input_first": Out(1),
                "input_last": Out(1),
                "input_taken": In(1),
                "symbol": Out(net.input_format.bits),
                "word": In(range(s.placement.operand_half)),
                "initial": In(1),
                "bus": Out(operand_bus_layout(s.placement.operand_bits, s.chain.columns_per_element)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        s = self._schedule
        # The schedule loads a word before it is written again; between passes ``word`` runs on unread.
        m.submodules.memory = memory = Ram(
            width=s.chain.columns_per_element * s.placement.operand_bits,
            depth=2 * s.placement.operand_half,
            init=self._design.memory("operands").words,
            granularity=s.placement.operand_bits,
        )
        upper = Signal()
        self._build_bus(m, memory, upper)
        banks = self._build_banks(m)
        state = self._cursor(m, "state", s.placement.input_words, s.network.hidden_size, self.state_valid)
        if s.placement.input_words:
            operand, enable = self._build_vector_input(m, memory, upper, banks, state)
        else:
            operand, enable = self._build_symbol_input(m, memory, upper, banks, state)
        # Every column of the word sees the operand; the enable picks one.
        wide = Signal(signed(s.placement.operand_bits))
        m.d.comb += [
            wide.eq(operand),
            memory.w_data.eq(wide.replicate(s.chain.columns_per_element)),
            memory.w_en.eq(enable),
        ]
        return m

    def _build_bus(self, m: Module, memory: Ram, upper: Signal) -> None:
        """Read a word, and put its operands and their pairs into the registers of the bus."""
        s = self._schedule
        c = s.chain.columns_per_element
        bus = Signal.like(self.bus, reset_less=True)
        word = memory.r_data
        if s.chain.memory_register:
            word = Signal.like(memory.r_data, reset_less=True)
            m.d.sync += word.eq(memory.r_data)
        read = data.View(data.ArrayLayout(signed(s.placement.operand_bits), c), word)
        m.d.comb += [memory.r_addr.eq(Cat(self.word, upper)), self.bus.eq(bus)]
        m.d.sync += bus.operands.eq(read)
        for first in range(0, c, 2):
            # The unused columns of a word are zero and stay zero.
            other = read[first + 1] if first + 1 < c else 0
            m.d.sync += [
                bus.pairs[first // 2].sum.eq(read[first] + other),
                bus.pairs[first // 2].difference.eq(read[first] - other),
            ]

    def _build_banks(self, m: Module) -> _Banks:
        """Return the two banks of the input buffer: one is computed with while the other is filled."""
        full = Signal(2)
        # These are always written before they are read. With a reset and an enable they would cost a cell.
        first, last = Signal(2, reset_less=True), Signal(2, reset_less=True)
        fill_bank = Signal()
        use_bank = Signal()
        accept = self.i.valid & self.i.ready
        at_first_word, at_last_word = Signal(), Signal()
        # From flip-flops, what they say of the bank that is used or filled from the next cycle on.
        next_use, next_fill = Signal(), Signal()
        free = Signal(init=1)
        m.d.comb += [
            next_use.eq(use_bank ^ self.input_taken),
            next_fill.eq(fill_bank ^ (accept & at_last_word)),
            self.i.ready.eq(free & ~self.state_valid),
        ]
        m.d.sync += [
            self.input_ready.eq(full.bit_select(next_use, 1)),
            self.input_first.eq(first.bit_select(next_use, 1)),
            self.input_last.eq(last.bit_select(next_use, 1)),
            free.eq(~full.bit_select(next_fill, 1)),
            use_bank.eq(next_use),
            fill_bank.eq(next_fill),
        ]
        with m.If(self.input_taken):
            m.d.sync += full.bit_select(use_bank, 1).eq(0)
        with m.If(accept):
            with m.If(at_first_word):
                m.d.sync += first.bit_select(fill_bank, 1).eq(self.i.p.first)
            with m.If(at_last_word):
                m.d.sync += [
                    last.bit_select(fill_bank, 1).eq(self.i.p.last),
                    full.bit_select(fill_bank, 1).eq(1),
                ]
        return _Banks(accept, fill_bank, use_bank, at_first_word, at_last_word)

    def _build_vector_input(
        self, m: Module, memory: Ram, upper: Signal, banks: _Banks, state: _Cursor
    ) -> tuple[Any, Any]:
        """Write inputs and states into the memory; return the operand and the enables of its columns."""
        s, net = self._schedule, self._design.elman
        inputs = self._cursor(m, "input", 0, net.input_size, banks.accept)
        at_zero = Signal(init=1)
        with m.If(banks.accept):
            m.d.sync += at_zero.eq(inputs.at_end)
        m.d.comb += [
            upper.eq(Mux(self.word < s.placement.input_words, banks.use_bank, self.initial)),
            banks.at_first_word.eq(at_zero),
            banks.at_last_word.eq(inputs.at_end),
        ]
        operand = Signal(signed(s.placement.operand_bits))
        enable = Signal(s.chain.columns_per_element)
        m.d.comb += [
            operand.eq(Mux(self.state_valid, self.state, self.i.p.data << net.input_shift)),
            enable.eq(Mux(self.state_valid, state.column, Mux(banks.accept, inputs.column, 0))),
            memory.w_addr.eq(Mux(self.state_valid, state.word, Cat(inputs.word, banks.fill_bank))),
        ]
        return operand, enable

    def _build_symbol_input(
        self, m: Module, memory: Ram, upper: Signal, banks: _Banks, state: _Cursor
    ) -> tuple[Any, Any]:
        """Keep the input in registers, and write states alone into the memory."""
        m.d.comb += [upper.eq(self.initial), banks.at_first_word.eq(1), banks.at_last_word.eq(1)]
        width = self._design.elman.input_format.bits
        symbols = [Signal(width, name=f"symbol_{bank}", reset_less=True) for bank in range(2)]
        for bank, symbol in enumerate(symbols):
            with m.If(banks.accept & (banks.fill_bank == bank)):
                m.d.sync += symbol.eq(self.i.p.data)
        # A cycle after the words: the core still needs it in the cycle in which the next input is due.
        symbol_bank = Signal()
        m.d.sync += symbol_bank.eq(banks.use_bank)
        m.d.comb += self.symbol.eq(Mux(symbol_bank, symbols[1], symbols[0]))
        m.d.comb += memory.w_addr.eq(state.word)
        return self.state, Mux(self.state_valid, state.column, 0)

    def _cursor(self, m: Module, name: str, first_word: int, count: int, advance: Any) -> _Cursor:
        """Return the place of entry 0, 1, ... of ``count``, one on at ``advance``.

        A bit for each column: the way to the memory's enables is a long one.
        """
        c = self._schedule.chain.columns_per_element
        word = Signal(range(self._schedule.placement.operand_half), init=first_word, name=f"{name}_word")
        column = Signal(c, init=1, name=f"{name}_column")
        # Found out an entry earlier, so that what depends on it is no long path.
        at_end = Signal(init=count == 1, name=f"{name}_at_end")
        next_word, next_column = divmod(max(count - 2, 0), c)
        with m.If(advance):
            m.d.sync += [
                column.eq(column.rotate_left(1)),
                at_end.eq((word == first_word + next_word) & column[next_column]),
            ]
            with m.If(at_end):
                m.d.sync += [word.eq(first_word), column.eq(1)]
            with m.Elif(column[-1]):
                m.d.sync += word.eq(word + 1)
        return _Cursor(word, column, at_end)
