"""The core: a whole recurrent network, input stream to output stream."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import connect, flipped

from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines.lut.placement import LutPlacement
from qornn_hw.compiler.engines.lut.timing import LutTiming
from qornn_hw.rtl_gen.activation import ModRelu
from qornn_hw.rtl_gen.answer import Answer
from qornn_hw.rtl_gen.core_ports import core_members
from qornn_hw.rtl_gen.delay import delay
from qornn_hw.rtl_gen.engines.lut.operand_total import OperandTotal
from qornn_hw.rtl_gen.engines.lut.processing_element import token_layout
from qornn_hw.rtl_gen.engines.lut.readout import Readout
from qornn_hw.rtl_gen.engines.lut.sequencer import Sequencer, pass_layout
from qornn_hw.rtl_gen.engines.lut.systolic_chain import SystolicChain
from qornn_hw.rtl_gen.fields import fields_of
from qornn_hw.rtl_gen.operand_memory import OperandMemory
from qornn_hw.rtl_gen.requantizer import Requantizer
from qornn_hw.rtl_gen.rom import Rom, below
from qornn_hw.rtl_gen.state_pieces import StatePieces

__all__ = ["LutCore"]


@dataclass(frozen=True)
class _Parts:
    """The components that every core has."""

    sequencer: Sequencer
    operands: OperandMemory
    chain: SystolicChain
    constants: Rom
    answer: Answer


@dataclass(frozen=True)
class _Row:
    """The row that leaves the chain, in stages that are named by what is there.

    Attributes:
        early: the token as it leaves the chain's last element, so early that the row's constant can be read.
        token: the token a cycle later, with the address of the row's constant.
        index: of the row, together with ``token``.
        is_unit: whether that row is one of ``[U W]``.
        read: what is known of the row, together with its constant.
        leave: the same, together with its sum from the chain.
    """

    early: Any
    token: Any
    index: Signal
    is_unit: Any
    read: Any
    leave: Any


class LutCore(wiring.Component):
    """``g' = act(W g + (U x << e) + b)`` and ``y = V g' + c`` for streams of sequences.

    Equals :class:`qornn_hw.cells.elman_model.IntegerModel`, every hidden unit of every step, whatever the
    pauses on either stream.

    Parameters:
        design: a compiled network.
        preloaded: weights in SPRAM are there from the start, which only a simulation can have.

    Members:
        i: In(stream): the words of an input, ``design.input_words_per_step`` of them a time step. ``first``
            on the first word of a sequence loads the initial state, as reset does; without it the state
            goes on. ``last`` on the last word of a sequence; in the last-step mode it calls for the answer.
        o: Out(stream): the words of an answer, ``design.answer_words`` of them: logits, then the argmax, as
            the output kind says.
        state: Out: every new hidden unit as it is written, in the order of the units, for benches; costs
            nothing where it is not connected.
        write: In; weights, where any are in SPRAM;
            :func:`qornn_hw.rtl_gen.primitives.spram.weight_write_signature`. While it is in use, and until
            all weights are there, the core must be held in reset.

    Latency: ``timing.answer_latency`` cycles from the last word of an input to the first of its answer, in an
    idle core. Throughput: a step every ``timing.cycles_per_step`` cycles.

    Verified range: hidden sizes 1 to 170, weights 1 to 8 bits, states 4 to 16 bits, every activation.
    """

    def __init__(self, design: Design, *, preloaded: bool = False) -> None:
        self._design = design
        self._placement = LutPlacement.of(design.schedule)
        self._timing = LutTiming.of(design.schedule)
        # Cycles between a memory and the register behind it, if there is one.
        self._held = int(ChainSchedule.of(design.schedule).chain.memory_register)
        self._preloaded = preloaded
        super().__init__(core_members(design))

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        parts = self._build_parts(m)
        self._connect_parts(m, parts)
        row = self._build_row(m, parts)
        constants = self._build_constants(m, parts)
        arriving, accumulator = self._build_accumulator(m, parts, row, constants)
        if not ChainSchedule.of(self._design.schedule).chain.readout_lanes:
            accumulated = delay(m, row.leave, 1, "accumulated")
            m.d.comb += [
                parts.answer.logit.eq(accumulator),
                parts.answer.valid.eq(accumulated.logit),
                parts.answer.last.eq(accumulated.last),
            ]
        state = self._build_tail(m, constants, arriving, accumulator)
        done = delay(m, row.leave, self._timing.tail_latency, "done")
        if ChainSchedule.of(self._design.schedule).chain.readout_lanes:
            self._build_readout(m, parts.answer, state, done)
        m.d.comb += [
            parts.operands.state.eq(state),
            parts.operands.state_valid.eq(done.unit),
            self.state.valid.eq(done.unit),
            self.state.data.eq(state),
        ]
        return m

    def _build_parts(self, m: Module) -> _Parts:
        design = self._design
        m.submodules.sequencer = sequencer = Sequencer(design)
        m.submodules.operands = operands = OperandMemory(design)
        m.submodules.chain = chain = SystolicChain(design, preloaded=self._preloaded)
        m.submodules.constants = constants = Rom(design.memory("constants"))
        m.submodules.answer = answer = Answer.of_design(design)
        return _Parts(sequencer, operands, chain, constants, answer)

    def _connect_parts(self, m: Module, parts: _Parts) -> None:
        """Connect streams, sequencer, operand memory and chain."""
        sequencer, operands, chain, answer = parts.sequencer, parts.operands, parts.chain, parts.answer
        connect(m, operands.i, flipped(self.i))
        connect(m, flipped(self.o), answer.o)
        if self._placement.weight_banks:
            connect(m, chain.write, flipped(self.write))
        m.d.comb += [
            sequencer.input_ready.eq(operands.input_ready),
            sequencer.input_first.eq(operands.input_first),
            sequencer.input_last.eq(operands.input_last),
            operands.input_taken.eq(sequencer.input_taken),
            sequencer.room.eq(answer.room),
            answer.launch.eq(sequencer.launch_answer),
            operands.word.eq(sequencer.word),
            operands.initial.eq(sequencer.initial),
            chain.i_token.eq(sequencer.token),
            chain.i_addr.eq(sequencer.addr),
            chain.i_row.eq(sequencer.row),
            chain.i_first.eq(sequencer.first_pass),
            chain.bus.eq(operands.bus),
        ]

    def _build_row(self, m: Module, parts: _Parts) -> _Row:
        """Follow the token of each row out of the chain: which row it is and what becomes of its sum."""
        p, net, sequencer, chain = self._placement, self._design.elman, parts.sequencer, parts.chain
        addends = self._timing.addend_latency
        early = delay(m, chain.o_token, self._timing.dot_product_latency - addends, "tail_token")
        token = Signal(token_layout())
        # Both are written by each token that starts a pass, so they need no reset.
        running = Signal(pass_layout(), reset_less=True)
        row = Signal(range(p.rows), reset_less=True)
        m.d.sync += token.eq(early)
        with m.If(early.start):
            m.d.sync += running.eq(sequencer.running)
        # The index stays after the last row of a pass: the memories of constants and symbols end there.
        with m.If(early.valid):
            m.d.sync += row.eq(row + 1)
            with m.If(early.start):
                m.d.sync += row.eq(0)
                if not p.chain.readout_lanes:
                    with m.If(sequencer.running.answer):
                        m.d.sync += row.eq(net.hidden_size)
        is_unit = Const(1) if p.chain.readout_lanes else row < net.hidden_size
        stage = data.StructLayout({"unit": 1, "logit": 1, "store": 1, "calls": 1, "last": 1})
        address = Signal(stage)
        m.d.comb += [
            parts.constants.addr.eq(row),
            address.unit.eq(token.valid & running.final & is_unit),
            address.logit.eq(token.valid & running.final & ~is_unit),
            address.store.eq(token.valid & ~running.final),
            address.calls.eq(running.answer),
            address.last.eq(running.last),
        ]
        read = delay(m, address, 1 + self._held, "read")
        leave = delay(m, read, addends - self._held, "leave")
        m.d.comb += [
            chain.o_store.eq(leave.store),
            chain.o_row.eq(delay(m, row, 1 + addends, "row", reset_less=True)),
        ]
        return _Row(early, token, row, is_unit, read, leave)

    def _build_constants(self, m: Module, parts: _Parts) -> Any:
        """Return the fields of the row's word of constants."""
        word = delay(m, parts.constants.data, self._held, "constants", reset_less=True)
        return fields_of(self._design.memory("constants"), word)

    def _build_accumulator(
        self, m: Module, parts: _Parts, row: _Row, constants: Any
    ) -> tuple[Signal, Signal]:
        """Return the row's accumulator as it arrives behind the chain, and in a register."""
        s, p = ChainSchedule.of(self._design.schedule), self._placement
        summand = constants.constant
        if p.total_elements:
            summand = summand - self._build_total(m, parts, row)
        if self._design.find_memory("symbols") is not None or p.chain.input_lanes:
            drive = self._build_drive(m, parts, row, constants)
            if self._timing.addend_latency - self._held == 2:
                # Shifted behind the register: that of a product is the multiplier's own.
                summand = delay(m, summand, 1, "s", reset_less=True)
                drive = delay(m, drive, 1, "d", reset_less=True)
            summand = summand + (drive << (self._design.elman.input_shift + p.scale - 1))
        addend = Signal(signed(s.sum_bits), reset_less=True)
        m.d.sync += addend.eq(summand)
        sum_here = Signal(signed(s.sum_bits))
        arriving = Signal(signed(s.widths.accumulator_bits))
        accumulator = Signal.like(arriving, reset_less=True)
        m.d.comb += [sum_here.eq(parts.chain.o_sum + addend), arriving.eq(sum_here >> (p.scale - 1))]
        m.d.sync += accumulator.eq(arriving)
        return arriving, accumulator

    def _build_total(self, m: Module, parts: _Parts, row: _Row) -> Any:
        """Return the total of the operands of the row's step."""
        sequencer = parts.sequencer
        m.submodules.total = total = OperandTotal(self._design)
        m.d.comb += [
            total.bus.eq(parts.operands.bus),
            total.start.eq(delay(m, sequencer.token.start, self._held, "total_start")),
            total.first_pass.eq(delay(m, sequencer.first_pass, self._held, "total_first")),
            total.take.eq(delay(m, row.token.start, self._held, "take")),
        ]
        return total.total

    def _build_drive(self, m: Module, parts: _Parts, row: _Row, constants: Any) -> Any:
        """Return U x of the row, where U has no columns in the chain, before its shift."""
        p, net, operands = self._placement, self._design.elman, parts.operands
        # The next input may be launched before the last rows of this one leave the chain. The buffer
        # keeps the input up to the last cycle but one of a period; the first row is here by then. A
        # number meets the words of its rows, which leave their memory a cycle after their address: the
        # last row of a step is there when the first one of the next is addressed.
        symbol = Signal.like(operands.symbol, reset_less=True)
        taken_over = (
            delay(m, row.token.start, self._held, "taken_over") if p.chain.input_lanes else row.early.start
        )
        with m.If(taken_over):
            m.d.sync += symbol.eq(operands.symbol)
        if p.chain.input_lanes:
            x = symbol.as_signed() if net.input_format.signed else symbol
            # The weight of a row of V is zero.
            return constants.input_weight * x
        m.submodules.symbols = symbols = Rom(self._design.memory("symbols"))
        m.d.comb += symbols.addr.eq(Cat(symbol, below(row.index, net.hidden_size, row.is_unit)))
        of_symbol = delay(m, symbols.data, self._held, "symbol_weight", reset_less=True)
        return Mux(row.read.unit, of_symbol.as_signed(), 0)

    def _build_tail(self, m: Module, constants: Any, arriving: Signal, accumulator: Signal) -> Any:
        """Return the new state of the row: activation and requantizer."""
        design, w, net = self._design, ChainSchedule.of(self._design.schedule).widths, self._design.elman
        # The requantizer's own first register holds the accumulator, where no activation stands between.
        activated: Any = arriving
        latency = self._timing.addend_latency - self._held
        shape = net.activation.shape
        if shape.unit_bias:
            m.submodules.activation = modrelu = ModRelu(
                value_bits=w.accumulator_bits, bias_bits=w.bias_bits, result_bits=w.activated_bits
            )
            bias = delay(m, constants.bias.as_unsigned(), 1 + latency, "bias", reset_less=True)
            m.d.comb += [modrelu.z.eq(accumulator), modrelu.bias.eq(bias)]
            activated = modrelu.result
            latency += self._timing.activation_latency
        m.submodules.requantizer = requantizer = Requantizer(
            value_bits=w.activated_bits,
            multiplier=design.multiplier,
            multiplier_bits=w.multiplier_bits,
            constant=design.rounding_constant,
            shift=net.shift,
            rounding=net.rounding,
            bits=net.index_bits,
            relu=shape.rectified,
            table=design.find_memory("table"),
        )
        m.d.comb += requantizer.value.eq(activated)
        if design.multiplier is None:
            factor = delay(m, constants.multiplier, latency, "factor", reset_less=True)
            m.d.comb += requantizer.multiplier.eq(factor)
        if design.pieces is None:
            return requantizer.result
        m.submodules.pieces = pieces = StatePieces(design)
        m.d.comb += pieces.index.eq(requantizer.result)
        return pieces.state

    def _build_readout(self, m: Module, answer: Answer, state: Any, done: Any) -> None:
        """Compute the logits beside the chain, from the states as they come."""
        m.submodules.readout = readout = Readout(self._design)
        m.d.comb += [
            readout.state.eq(state),
            readout.state_valid.eq(done.unit),
            readout.calls.eq(done.calls),
            readout.last.eq(done.last),
            answer.logit.eq(readout.logit),
            answer.valid.eq(readout.valid),
            answer.last.eq(readout.logit_last),
        ]
