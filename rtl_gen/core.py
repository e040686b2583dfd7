"""The core: a whole recurrent network, input stream to output stream."""

from itertools import accumulate, pairwise
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import connect, flipped

from qornn_hw.design import Design
from qornn_hw.network import Activation
from rtl_gen.activation import ModRelu
from rtl_gen.answer import Answer
from rtl_gen.core_ports import core_members
from rtl_gen.operand_memory import OperandMemory
from rtl_gen.operand_total import OperandTotal
from rtl_gen.processing_element import token_layout
from rtl_gen.readout import Readout
from rtl_gen.requantizer import Requantizer
from rtl_gen.rom import Rom
from rtl_gen.sequencer import Sequencer, pass_layout
from rtl_gen.systolic_chain import SystolicChain

__all__ = ["Core"]


class Core(wiring.Component):
    """``g' = act(W g + (U x << e) + b)`` and ``y = V g' + c`` for streams of sequences.

    Equals :class:`qornn_hw.integer_model.IntegerModel`, every hidden unit of every step, whatever the pauses
    on either stream.

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
            :func:`rtl_gen.primitives.spram.weight_write_signature`. While it is in use, and until all weights
            are there, the core must be held in reset.

    Latency: ``schedule.answer_latency`` cycles from the last word of an input to the first of its answer, in
    an idle core. Throughput: a step every ``schedule.cycles_per_step`` cycles.

    Verified range: hidden sizes 1 to 170, weights 1 to 8 bits, states 4 to 16 bits, every activation.
    """

    def __init__(self, design: Design, *, preloaded: bool = False) -> None:
        self._design = design
        self._preloaded = preloaded
        super().__init__(core_members(design))

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        design, s, net = self._design, self._design.schedule, self._design.network
        m.submodules.sequencer = sequencer = Sequencer(design)
        m.submodules.operands = operands = OperandMemory(design)
        m.submodules.chain = chain = SystolicChain(design, preloaded=self._preloaded)
        m.submodules.constants = constants = Rom(design.constant_image)
        m.submodules.answer = answer = Answer(design)

        connect(m, operands.i, flipped(self.i))
        connect(m, flipped(self.o), answer.o)
        if s.weight_banks:
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

        # -- tail: the token follows its row out of the chain -----------------------------------------
        # Stages are named by what is there: "address" two cycles before the sum leaves the chain.
        def delay(value: Any, cycles: int, name: str, *, reset_less: bool = False) -> Any:
            for i in range(cycles):
                register = Signal.like(value, name=f"{name}_{i}", reset_less=reset_less)
                m.d.sync += register.eq(value)
                value = register
            return value

        addends = s.addend_latency
        early = delay(chain.o_token, s.dot_product_latency - addends, "tail_token")
        token = Signal(token_layout())
        # Written by each token that starts, like the symbol below.
        running = Signal(pass_layout(), reset_less=True)
        row = Signal(range(s.rows), reset_less=True)
        m.d.sync += token.eq(early)
        with m.If(early.start):
            m.d.sync += [row.eq(0), running.eq(sequencer.running)]
            if not s.readout_lanes:
                with m.If(sequencer.running.answer):
                    m.d.sync += row.eq(net.hidden_size)
        with m.Else():
            m.d.sync += row.eq(row + 1)
        is_unit = Const(1) if s.readout_lanes else row < net.hidden_size
        stage = data.StructLayout({"unit": 1, "logit": 1, "store": 1, "calls": 1, "last": 1})
        address = Signal(stage)
        m.d.comb += [
            constants.addr.eq(row),
            address.unit.eq(token.valid & running.final & is_unit),
            address.logit.eq(token.valid & running.final & ~is_unit),
            address.store.eq(token.valid & ~running.final),
            address.calls.eq(running.answer),
            address.last.eq(running.last),
        ]
        held = int(s.memory_register)
        read = delay(address, 1 + held, "read")
        leave = delay(read, addends - held, "leave")
        m.d.comb += [
            chain.o_store.eq(leave.store),
            chain.o_row.eq(delay(row, 1 + addends, "row", reset_less=True)),
        ]

        # -- the row's constant, its symbol and the total ---------------------------------------------
        ends = accumulate(s.constant_widths, initial=0)
        word = delay(constants.data, held, "constants", reset_less=True)
        fields: list[Any] = [word[low:high] for low, high in pairwise(ends)]
        summand: Any = fields.pop(0).as_signed()
        if s.total_elements:
            m.submodules.total = total = OperandTotal(design)
            m.d.comb += [
                total.bus.eq(operands.bus),
                total.start.eq(delay(sequencer.token.start, held, "total_start")),
                total.first_pass.eq(delay(sequencer.first_pass, held, "total_first")),
                total.take.eq(delay(token.start, held, "take")),
            ]
            summand -= total.total
        if design.symbol_image is not None or s.input_lanes:
            # The next input may be launched before the last rows of this one leave the chain. The buffer
            # keeps the input up to the last cycle but one of a period; the first row is here by then. A
            # number meets the words of its rows, which leave their memory a cycle after their address: the
            # last row of a step is there when the first one of the next is addressed.
            symbol = Signal.like(operands.symbol, reset_less=True)
            taken_over = delay(token.start, held, "taken_over") if s.input_lanes else early.start
            with m.If(taken_over):
                m.d.sync += symbol.eq(operands.symbol)
            if s.input_lanes:
                x = symbol.as_signed() if net.input_format.signed else symbol
                # The weight of a row of V is zero.
                drive: Any = fields.pop().as_signed() * x
            else:
                assert design.symbol_image is not None
                m.submodules.symbols = symbols = Rom(design.symbol_image)
                m.d.comb += symbols.addr.eq((row << len(symbol)) | symbol)
                of_symbol = delay(symbols.data, held, "symbol_weight", reset_less=True)
                drive = Mux(read.unit, of_symbol.as_signed(), 0)
            if addends - held == 2:
                # Shifted behind the register: of a product that is the multiplier's own.
                summand, drive = (delay(v, 1, n, reset_less=True) for v, n in ((summand, "s"), (drive, "d")))
            summand += drive << (net.input_shift + s.scale - 1)
        addend = Signal(signed(s.sum_bits), reset_less=True)
        m.d.sync += addend.eq(summand)
        sum_here = Signal(signed(s.sum_bits))
        arriving = Signal(signed(s.accumulator_bits))
        accumulator = Signal.like(arriving, reset_less=True)
        m.d.comb += [sum_here.eq(chain.o_sum + addend), arriving.eq(sum_here >> (s.scale - 1))]
        m.d.sync += accumulator.eq(arriving)
        if not s.readout_lanes:
            accumulated = delay(leave, 1, "accumulated")
            m.d.comb += [
                answer.logit.eq(accumulator),
                answer.valid.eq(accumulated.logit),
                answer.last.eq(accumulated.last),
            ]

        # -- activation and requantizer ---------------------------------------------------------------
        # The requantizer's own first register holds the accumulator, where no activation stands between.
        activated: Any = arriving
        latency = addends - held
        if net.activation is Activation.MODRELU:
            m.submodules.activation = modrelu = ModRelu(
                value_bits=s.accumulator_bits, bias_bits=s.bias_bits, result_bits=s.activated_bits
            )
            m.d.comb += [
                modrelu.z.eq(accumulator),
                modrelu.bias.eq(delay(fields.pop(0), 1 + addends - held, "bias", reset_less=True)),
            ]
            activated = modrelu.result
            latency += s.activation_latency
        m.submodules.requantizer = requantizer = Requantizer(
            value_bits=s.activated_bits,
            multiplier=design.multiplier,
            multiplier_bits=s.multiplier_bits,
            constant=design.rounding_constant,
            shift=net.shift,
            rounding=net.rounding,
            bits=net.index_bits,
            relu=net.activation is Activation.RELU,
            table=design.table_image,
        )
        m.d.comb += requantizer.value.eq(activated)
        if design.multiplier is None:
            m.d.comb += requantizer.multiplier.eq(delay(fields.pop(0), latency, "factor", reset_less=True))
        done = delay(leave, s.tail_latency, "done")
        if s.readout_lanes:
            m.submodules.readout = readout = Readout(design)
            m.d.comb += [
                readout.state.eq(requantizer.result),
                readout.state_valid.eq(done.unit),
                readout.calls.eq(done.calls),
                readout.last.eq(done.last),
                answer.logit.eq(readout.logit),
                answer.valid.eq(readout.valid),
                answer.last.eq(readout.logit_last),
            ]
        m.d.comb += [
            operands.state.eq(requantizer.result),
            operands.state_valid.eq(done.unit),
            self.state.valid.eq(done.unit),
            self.state.data.eq(requantizer.result),
        ]
        return m
