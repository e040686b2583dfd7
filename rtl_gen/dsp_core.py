"""The core with the dsp engine: the streams of :class:`rtl_gen.core.Core`, another inside."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from qornn_hw.design import Design
from qornn_hw.dsp_schedule import DspSchedule
from qornn_hw.engine import WeightStore
from qornn_hw.network import Activation
from qornn_hw.rom import RomImage, pack_fields
from rtl_gen.activation import ModRelu
from rtl_gen.answer import Answer
from rtl_gen.core_ports import core_members
from rtl_gen.dsp_chain import DspChain
from rtl_gen.dsp_sequencer import DspSequencer
from rtl_gen.operand_memory import OperandMemory
from rtl_gen.ram import Ram
from rtl_gen.rom import Rom
from rtl_gen.serial_requantizer import SerialRequantizer

__all__ = ["DspCore"]


class DspCore(wiring.Component):
    """``g' = act(W g + (U x << e) + b)`` and ``y = V g' + c`` for streams of sequences, by hard multipliers.

    Equals :class:`qornn_hw.integer_model.IntegerModel`, every hidden unit of every step, whatever the pauses
    on either stream. What a sum starts from lies in the memory in which sums wait, behind them.

    Parameters:
        design: a network compiled for the dsp engine.
        preloaded: weights in SPRAM are there from the start, which only a simulation can have.

    Members:
        i, o, state: as in :class:`rtl_gen.core.Core`.
        write: In; weights, where they are in SPRAM;
            :func:`rtl_gen.primitives.spram.weight_write_signature`. While it is in use, and until all weights
            are there, the core must be held in reset.

    Latency, throughput: as in :class:`rtl_gen.core.Core`, of :class:`qornn_hw.dsp_schedule.DspSchedule`.

    Verified range: hidden sizes 1 to 256, weights 1 to 8 bits, states 4 to 16 bits, every activation, 1 to 8
    elements.
    """

    def __init__(self, design: Design, *, preloaded: bool = False) -> None:
        self._design = design
        self._preloaded = preloaded
        super().__init__(core_members(design))

    def elaborate(self, platform: Any) -> Module:
        """Return the hardware."""
        m = Module()
        design, s, net = self._design, self._design.schedule, self._design.network
        assert isinstance(s, DspSchedule)
        m.submodules.sequencer = sequencer = DspSequencer(design)
        m.submodules.operands = operands = OperandMemory(design)
        m.submodules.chain = chain = DspChain(design, preloaded=self._preloaded)
        m.submodules.answer = answer = Answer(design)
        m.submodules.requantizer = requantizer = SerialRequantizer(design)

        connect(m, operands.i, flipped(self.i))
        connect(m, flipped(self.o), answer.o)
        if s.store is WeightStore.SPRAM:
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

        # -- tail: what is on the chain's output ----------------------------------------------------------
        row, next_row = Signal(range(s.rows)), Signal(range(s.rows))
        # The sequencer may have begun another step before the last rows are out.
        is_unit, is_logit = Signal(), Signal()
        current = Signal.like(sequencer.current)
        m.d.comb += next_row.eq(Mux(sequencer.tail, 0, row + 1))
        m.d.sync += row.eq(next_row)
        with m.If(sequencer.tail):
            m.d.sync += [is_unit.eq(1), is_logit.eq(0), current.eq(sequencer.current)]
        with m.Else():
            with m.If(row == net.hidden_size - 1):
                m.d.sync += [is_unit.eq(0), is_logit.eq(is_unit)]
            with m.If(row == s.rows - 1):
                m.d.sync += is_logit.eq(0)

        # -- sums: where they start and where they wait ---------------------------------------------------
        half = 1 << max(1, (s.rows - 1).bit_length())
        m.submodules.sums = sums = Ram(
            width=s.waiting_sum_bits, depth=2 * half, init=[0] * half + list(_starts(design).words)
        )
        # A period is longer than the chain: a sum is written before the next pass reads it.
        m.d.comb += [
            sums.w_addr.eq(row),
            sums.w_data.eq(chain.o_sum),
            sums.w_en.eq((is_unit | is_logit) & ~current.final),
            sums.r_addr.eq(sequencer.next_row[: half.bit_length() - 1] | Mux(sequencer.next_first, half, 0)),
        ]
        # What the memories hold is chosen among several blocks: a register stands before the addition.
        start: Any = Signal(signed(s.waiting_sum_bits), reset_less=True)
        m.d.sync += start.eq(sums.r_data)
        if design.symbol_image is not None:
            m.submodules.symbols = symbols = Rom(_with_zeros(design))
            symbol = operands.symbol
            if s.passes == 1:  # the next input may take its place before the last row is in
                symbol = Signal.like(operands.symbol)
                held = Signal.like(operands.symbol)
                m.d.sync += held.eq(symbol)
                m.d.comb += symbol.eq(Mux(sequencer.launch, operands.symbol, held))
            is_first = Signal()
            m.d.sync += is_first.eq(sequencer.next_first)
            m.d.comb += symbols.addr.eq(Cat(symbol, sequencer.next_row))
            drive = Signal(signed(len(symbols.data) + net.input_shift), reset_less=True)
            m.d.sync += drive.eq(Mux(is_first, symbols.data.as_signed() << net.input_shift, 0))
            start = start + drive
        m.d.comb += chain.i_sum.eq(start)

        # -- out --------------------------------------------------------------------------------------------
        m.d.comb += [
            answer.logit.eq(chain.o_sum),
            answer.valid.eq(is_logit & current.final & current.answer),
            answer.last.eq(current.last),
        ]
        unit, value, valid = row, chain.o_sum, Signal()
        m.d.comb += valid.eq(is_unit & current.final & current.update)
        if net.activation is Activation.MODRELU:
            m.submodules.biases = biases = Rom(_biases(design))
            m.submodules.activation = modrelu = ModRelu(
                value_bits=s.accumulator_bits, bias_bits=s.bias_bits, result_bits=s.activated_bits
            )
            m.d.comb += [
                biases.addr.eq(next_row),
                modrelu.z.eq(chain.o_sum),
                modrelu.bias.eq(biases.data.as_signed()),
            ]
            value = modrelu.result
            for i in range(s.activation_latency):
                later_unit, later_valid = Signal.like(row, name=f"unit_{i}"), Signal(name=f"valid_{i}")
                m.d.sync += [later_unit.eq(unit), later_valid.eq(valid)]
                unit, valid = later_unit, later_valid
        m.d.comb += [
            requantizer.unit.eq(unit),
            requantizer.value.eq(value),
            requantizer.valid.eq(valid),
            operands.state.eq(requantizer.result),
            operands.state_valid.eq(requantizer.result_valid),
            self.state.valid.eq(requantizer.result_valid),
            self.state.data.eq(requantizer.result),
        ]
        return m


def _starts(design: Design) -> RomImage:
    """Return the constant that the sum of each row starts from."""
    bits, width = design.schedule.constant_bits, design.schedule.waiting_sum_bits
    fields = [word & ((1 << bits) - 1) for word in design.constant_image.words]
    values = [field - (field >> (bits - 1) << bits) for field in fields]
    return RomImage("starts", width, tuple(pack_fields([value], [width]) for value in values))


def _biases(design: Design) -> RomImage:
    """Return b of modrelu."""
    s = design.schedule
    mask = (1 << s.bias_bits) - 1
    words = [word >> s.constant_bits & mask for word in design.constant_image.words]
    return RomImage("biases", s.bias_bits, tuple(words))


def _with_zeros(design: Design) -> RomImage:
    """Return the table of symbols with rows of zeros for the logits."""
    image, net = design.symbol_image, design.network
    assert image is not None
    zeros = (0,) * (net.output_size << net.input_format.bits)
    return RomImage(image.name, image.width, image.words + zeros)
