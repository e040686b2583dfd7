"""The core of the dsp engine: the streams of every core, with hard multipliers inside."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.dsp.placement import DspPlacement
from qornn_hw.compiler.engines.dsp.timing import DspTiming
from qornn_hw.rtl_gen.activation import ModRelu
from qornn_hw.rtl_gen.answer import Answer
from qornn_hw.rtl_gen.core_ports import core_members
from qornn_hw.rtl_gen.engines.dsp.chain import DspChain
from qornn_hw.rtl_gen.engines.dsp.sequencer import DspSequencer
from qornn_hw.rtl_gen.operand_memory import OperandMemory
from qornn_hw.rtl_gen.ram import Ram
from qornn_hw.rtl_gen.rom import Rom, below
from qornn_hw.rtl_gen.serial_requantizer import SerialRequantizer

__all__ = ["DspCore"]


@dataclass(frozen=True)
class _Parts:
    """The components that every core of the engine has."""

    sequencer: DspSequencer
    operands: OperandMemory
    chain: DspChain
    answer: Answer
    requantizer: SerialRequantizer


@dataclass(frozen=True)
class _Row:
    """What is known of the row whose sum is on the chain's output.

    Attributes:
        index: of the row; beyond the last row nothing is wanted.
        following: the index of the next cycle.
        is_unit: whether the row is one of ``[U W]``.
        is_logit: whether it is one of V.
        current: what is wanted of the pass, :func:`qornn_hw.rtl_gen.engines.dsp.sequencer.pass_layout`.
    """

    index: Signal
    following: Signal
    is_unit: Signal
    is_logit: Signal
    current: Any


class DspCore(wiring.Component):
    """``g' = act(W g + (U x << e) + b)`` and ``y = V g' + c`` for streams of sequences, by hard multipliers.

    Equals :class:`qornn_hw.cells.elman_model.IntegerModel`, every hidden unit of every step, whatever the
    pauses on either stream. What a sum starts from lies in the memory in which sums wait, behind them.

    Parameters:
        design: a network compiled for the dsp engine.
        preloaded: weights in SPRAM are there from the start, which only a simulation can have.

    Members:
        i, o, state: as in :class:`qornn_hw.rtl_gen.engines.lut.core.LutCore`.
        write: In; weights, where they are in SPRAM;
            :func:`qornn_hw.rtl_gen.primitives.spram.weight_write_signature`. While it is in use, and until
            all weights are there, the core must be held in reset.

    Latency, throughput: as in :class:`qornn_hw.rtl_gen.engines.lut.core.LutCore`, with the counts of
    :class:`qornn_hw.compiler.engines.dsp.timing.DspTiming`.

    Verified range: hidden sizes 1 to 256, weights 1 to 8 bits, states 4 to 16 bits, every activation, 1 to 8
    elements.
    """

    def __init__(self, design: Design, *, preloaded: bool = False) -> None:
        self._design = design
        self._placement = DspPlacement.of(design.schedule)
        self._preloaded = preloaded
        super().__init__(core_members(design))

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        parts = self._build_parts(m)
        self._connect_parts(m, parts)
        row = self._build_row(m, parts.sequencer)
        start = self._build_sums(m, parts, row)
        if self._design.find_memory("symbols") is not None:
            start = start + self._build_drive(m, parts)
        m.d.comb += parts.chain.i_sum.eq(start)
        self._build_out(m, parts, row)
        return m

    def _build_parts(self, m: Module) -> _Parts:
        design = self._design
        m.submodules.sequencer = sequencer = DspSequencer(design)
        m.submodules.operands = operands = OperandMemory(design)
        m.submodules.chain = chain = DspChain(design, preloaded=self._preloaded)
        m.submodules.answer = answer = Answer.of_design(design)
        m.submodules.requantizer = requantizer = SerialRequantizer(design)
        return _Parts(sequencer, operands, chain, answer, requantizer)

    def _connect_parts(self, m: Module, parts: _Parts) -> None:
        """Connect streams, sequencer, operand memory and chain."""
        sequencer, operands, chain, answer = parts.sequencer, parts.operands, parts.chain, parts.answer
        connect(m, operands.i, flipped(self.i))
        connect(m, flipped(self.o), answer.o)
        if self._placement.in_spram:
            connect(m, chain.write, flipped(self.write))
        m.d.comb += [
            sequencer.input_ready.eq(operands.input_ready),
            sequencer.input_first.eq(operands.input_first),
            sequencer.input_last.eq(operands.input_last),
            # All elements have what they need of the input by then.
            operands.input_taken.eq(sequencer.tail & sequencer.current.final & sequencer.current.update),
            sequencer.room.eq(answer.room),
            answer.launch.eq(sequencer.launch_answer),
            operands.word.eq(sequencer.word),
            operands.initial.eq(sequencer.initial),
            chain.start.eq(sequencer.start),
            chain.bus.eq(operands.bus.operands[0]),
            chain.addr.eq(sequencer.addr),
        ]

    def _build_row(self, m: Module, sequencer: DspSequencer) -> _Row:
        """Follow the rows on the chain's output."""
        rows, units = self._placement.rows, self._design.elman.hidden_size
        row, next_row = Signal(range(rows)), Signal(range(rows))
        # The sequencer may have begun another step before the last rows are out.
        is_unit, is_logit = Signal(), Signal()
        current = Signal.like(sequencer.current)
        m.d.comb += next_row.eq(Mux(sequencer.tail, 0, row + 1))
        m.d.sync += row.eq(next_row)
        with m.If(sequencer.tail):
            m.d.sync += [is_unit.eq(1), is_logit.eq(0), current.eq(sequencer.current)]
        with m.Else():
            with m.If(row == units - 1):
                m.d.sync += [is_unit.eq(0), is_logit.eq(is_unit)]
            with m.If(row == rows - 1):
                m.d.sync += is_logit.eq(0)
        return _Row(row, next_row, is_unit, is_logit, current)

    def _build_sums(self, m: Module, parts: _Parts, row: _Row) -> Any:
        """Return what the sum of a row starts from: a constant, or the sum of the pass before."""
        sequencer, memory = parts.sequencer, self._design.memory("sums")
        half = memory.depth // 2
        m.submodules.sums = sums = Ram(width=memory.width, depth=memory.depth, init=memory.words)
        # A period is longer than the chain: a sum is written before the next pass reads it.
        m.d.comb += [
            sums.w_addr.eq(row.index),
            sums.w_data.eq(parts.chain.o_sum),
            sums.w_en.eq((row.is_unit | row.is_logit) & ~row.current.final),
            sums.r_addr.eq(sequencer.next_row[: half.bit_length() - 1] | Mux(sequencer.next_first, half, 0)),
        ]
        # What the memories hold is chosen among several blocks: a register stands before the addition.
        start = Signal(signed(memory.width), reset_less=True)
        m.d.sync += start.eq(sums.r_data)
        return start

    def _build_drive(self, m: Module, parts: _Parts) -> Any:
        """Return U x of a one-hot input in the first pass, which is added to the start of a sum."""
        net, rows = self._design.elman, self._placement.rows
        sequencer, operands = parts.sequencer, parts.operands
        m.submodules.symbols = symbols = Rom(self._design.memory("symbols"))
        symbol = operands.symbol
        if self._placement.passes == 1:  # the next input may take its place before the last row is in
            symbol = Signal.like(operands.symbol)
            held = Signal.like(operands.symbol)
            m.d.sync += held.eq(symbol)
            m.d.comb += symbol.eq(Mux(sequencer.launch, operands.symbol, held))
        is_first = Signal()
        m.d.sync += is_first.eq(sequencer.next_first)
        # The sequencer counts on behind the last row, where the memory ends.
        before_last = Signal(init=1)
        m.d.sync += before_last.eq(sequencer.next_row < rows - 1)
        m.d.comb += symbols.addr.eq(Cat(symbol, below(sequencer.next_row, rows, before_last)))
        drive = Signal(signed(len(symbols.data) + net.input_shift), reset_less=True)
        m.d.sync += drive.eq(Mux(is_first, symbols.data.as_signed() << net.input_shift, 0))
        return drive

    def _build_out(self, m: Module, parts: _Parts, row: _Row) -> None:
        """Send complete sums on: logits to the answer, units through the activation to the requantizer."""
        answer, operands, requantizer = parts.answer, parts.operands, parts.requantizer
        m.d.comb += [
            answer.logit.eq(parts.chain.o_sum),
            answer.valid.eq(row.is_logit & row.current.final & row.current.answer),
            answer.last.eq(row.current.last),
        ]
        valid = Signal()
        m.d.comb += valid.eq(row.is_unit & row.current.final & row.current.update)
        unit, value, done = row.index, parts.chain.o_sum, valid
        if self._design.elman.activation.shape.unit_bias:
            unit, value, done = self._build_modrelu(m, parts.chain, row, valid)
        m.d.comb += [
            requantizer.unit.eq(unit),
            requantizer.value.eq(value),
            requantizer.valid.eq(done),
            operands.state.eq(requantizer.result),
            operands.state_valid.eq(requantizer.result_valid),
            self.state.valid.eq(requantizer.result_valid),
            self.state.data.eq(requantizer.result),
        ]

    def _build_modrelu(self, m: Module, chain: DspChain, row: _Row, valid: Signal) -> tuple[Any, Any, Any]:
        """Return ``(unit, value, valid)`` behind modrelu."""
        w = ChainSchedule.of(self._design.schedule).widths
        m.submodules.biases = biases = Rom(self._design.memory("biases"))
        m.submodules.activation = modrelu = ModRelu(
            value_bits=w.accumulator_bits, bias_bits=w.bias_bits, result_bits=w.activated_bits
        )
        m.d.comb += [
            biases.addr.eq(below(row.following, self._placement.rows, row.is_unit)),
            modrelu.z.eq(chain.o_sum),
            modrelu.bias.eq(biases.data.as_signed()),
        ]
        unit = row.index
        for i in range(DspTiming.of(self._design.schedule).activation_latency):
            later_unit, later_valid = Signal.like(row.index, name=f"unit_{i}"), Signal(name=f"valid_{i}")
            m.d.sync += [later_unit.eq(unit), later_valid.eq(valid)]
            unit, valid = later_unit, later_valid
        return unit, modrelu.result, valid
