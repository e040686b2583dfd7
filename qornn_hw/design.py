"""A compiled network: the plain data from which the hardware is generated, bit for bit."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from qornn_hw.dsp_schedule import DspSchedule
from qornn_hw.engine import Engine, MacSettings, WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.network import Activation, InputKind, IntegerNetwork
from qornn_hw.rom import RomImage, pack_fields, pack_weights, side_by_side
from qornn_hw.schedule import Schedule

__all__ = ["Design", "compile_network", "compile_schedule", "with_image"]


# Of the smallest block RAM at its greatest width; a memory of more words takes more blocks.
WORDS_OF_A_BLOCK = 256


@dataclass(frozen=True)
class Design:
    """Schedule, memory images and constants of one network on one chain.

    The hardware takes its memories and constants from here, and of the network only sizes, formats and
    shifts, so that a wrong bit put in here (:mod:`sim.faults`) is a fault of the hardware.

    Attributes:
        schedule: where and when everything happens; holds the network.
        weight_images: the weight memory of each element: ``schedule.weight_depth`` words of its columns'
            weights, at ``schedule.weight_address``.
        constant_image: per row, its constant in ``schedule.constant_bits``; above it b of modrelu in
            ``schedule.bias_bits``; above that M where the units differ in it. Zeros in both for rows of V.
        multiplier: M where all units share it, else None (it is then in ``constant_image``).
        operand_image: initial contents of the operand memory, see ``schedule.operand_half``.
        symbol_image: one-hot only: U, entry of row i and symbol x at ``i << index bits | x``.
        readout_image: with a readout only: V, for sweep q and unit j the weights of logits ``q D`` to
            ``q D + D - 1`` at ``q n + j``.
        readout_constants: with a readout only: c, filled up with zeros to a whole sweep.
        table_image: tanh only: the state of table index i at ``i`` modulo the table's size.
        rounding_constant: what is added before the requantizer's shift, ``2**(shift-1)``, or 0 without shift.
        mac: dsp engine only: how its multipliers are set.
    """

    schedule: Schedule
    weight_images: tuple[RomImage, ...]
    constant_image: RomImage
    multiplier: int | None
    operand_image: RomImage
    symbol_image: RomImage | None
    table_image: RomImage | None
    readout_image: RomImage | None
    readout_constants: tuple[int, ...]
    rounding_constant: int
    mac: MacSettings = MacSettings()

    @property
    def network(self) -> IntegerNetwork:
        """What is computed."""
        return self.schedule.network

    @property
    def engine(self) -> Engine:
        """What multiplies."""
        return self.schedule.engine

    @property
    def lanes(self) -> int:
        """Multiply-accumulates that chain and readout can do in a cycle."""
        return self.schedule.lanes

    @property
    def images(self) -> tuple[RomImage, ...]:
        """Every memory image."""
        optional = (self.symbol_image, self.table_image, self.readout_image)
        return (
            *self.weight_images,
            self.constant_image,
            self.operand_image,
            *(image for image in optional if image is not None),
        )

    @property
    def bank_images(self) -> tuple[RomImage, ...]:
        """What each large memory holds once it is loaded: the weights of its elements side by side."""
        lanes, banks = self.schedule.lanes_per_bank, self.schedule.weight_banks
        return tuple(
            side_by_side(f"bank_{bank}", self.weight_images[bank * lanes : (bank + 1) * lanes])
            for bank in range(banks)
        )

    @property
    def needs_vendor_cells(self) -> bool:
        """Whether the core has memories or multipliers that synthesis cannot infer."""
        return self.engine is Engine.DSP or self.schedule.weight_banks > 0

    @property
    def digest(self) -> str:
        """SHA-256 of all that makes the hardware, in hexadecimal: tells whether a build is of this design."""
        net, s = self.network, self.schedule
        facts: tuple[object, ...] = (
            [(image.name, image.digest) for image in self.images],
            (s.columns_per_element, s.elements, net.hidden_size, net.input_size, net.output_size),
            (str(net.activation), str(net.rounding), str(net.output_mode), str(net.output_kind)),
            (net.input_shift, net.shift, net.state_bits, net.input_format, s.weight_bits),
            (self.multiplier, self.rounding_constant, s.readout_lanes, self.readout_constants),
        )
        if s.input_lanes or s.memory_register:
            facts = (*facts, s.input_lanes, s.memory_register)
        if s.spram_elements:
            facts = (*facts, "spram", s.spram_elements)
        if s.answer_registers:
            facts = (*facts, "answer registers")
        if self.engine is Engine.DSP:
            facts = (*facts, s.engine, s.store, self.mac)
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    # -- the ports of the core ------------------------------------------------------------------------

    @property
    def input_words_per_step(self) -> int:
        """Words on the input stream for a time step: one an input, or the index of the symbol."""
        return self.schedule.input_words_per_step

    @property
    def answer_words(self) -> int:
        """Words on the output stream for an answer: logits, then the argmax, as the output kind says."""
        return self.schedule.answer_words

    @property
    def answer_bits(self) -> int:
        """Bits of a signed word on the output stream."""
        return self.schedule.answer_bits


def compile_network(
    network: IntegerNetwork,
    *,
    columns_per_element: int = 1,
    elements: int,
    readout_lanes: int = 0,
    input_lanes: int = 0,
    memory_register: bool = False,
    spram_elements: int = 0,
    answer_registers: bool = False,
    engine: Engine = Engine.LUT,
    store: WeightStore | None = None,
) -> Design:
    """Return the design of ``network`` on a chain of ``elements`` x ``columns_per_element`` columns.

    Args:
        network: what to build.
        columns_per_element: columns in an element; 1 with the dsp engine.
        elements: elements in the chain.
        readout_lanes: as in :class:`~qornn_hw.schedule.Schedule`; none with the dsp engine.
        input_lanes: likewise.
        memory_register: likewise.
        spram_elements: likewise.
        answer_registers: likewise.
        engine: what multiplies.
        store: where the weights are: block RAM with the lut engine, but those of ``spram_elements``; SPRAM
            where None with the dsp engine.

    Raises:
        FormatError: there are more elements than the network has words of columns, or the engine cannot
            compute the network.
    """
    if engine is Engine.DSP:
        store = store or WeightStore.SPRAM
        return compile_schedule(DspSchedule(network, columns_per_element, elements, weight_store=store))
    if store is WeightStore.SPRAM:
        raise FormatError(
            "weights of the lut engine must be in block RAM, not in SPRAM, but those of spram_elements; take "
            "these, or the dsp engine"
        )
    schedule = Schedule(
        network,
        columns_per_element,
        elements,
        readout_lanes=readout_lanes,
        input_lanes=input_lanes,
        memory_register=memory_register,
        spram_elements=spram_elements,
        answer_registers=answer_registers,
    )
    return compile_schedule(schedule)


def compile_schedule(schedule: Schedule) -> Design:
    """Return the design of a schedule.

    Raises:
        FormatError: the engine cannot compute the network.
    """
    s, network = schedule, schedule.network
    if isinstance(s, DspSchedule):
        s.check()
    keep: Callable[[RomImage], RomImage] = _keep_columns if s.keeps_columns else lambda image: image
    # The dsp engine makes other memories of these.
    keep_rows = keep if s.engine is Engine.LUT else lambda image: image
    symbols, table = _symbol_image(network), _table_image(network)
    return Design(
        schedule=s,
        # Of what is loaded after start-up synthesis knows nothing.
        weight_images=tuple(
            image if s.loads(e) else keep(image) for e, image in enumerate(_weight_images(s))
        ),
        constant_image=keep_rows(_constant_image(s)),
        multiplier=s.shared_multiplier,
        operand_image=_operand_image(s),
        symbol_image=None if symbols is None else keep_rows(symbols),
        table_image=None if table is None else keep(table),
        readout_image=_readout_image(s),
        readout_constants=_readout_constants(s),
        rounding_constant=1 << (network.shift - 1) if network.shift else 0,
    )


def _keep_columns(image: RomImage) -> RomImage:
    if image.depth % WORDS_OF_A_BLOCK == 0:  # there is no room, and hardly such a column
        return image
    last = image.words[0] ^ ((1 << image.width) - 1)
    return replace(image, words=(*image.words, last))


def _weight_images(s: Schedule) -> tuple[RomImage, ...]:
    memories = [[0] * s.weight_depth for _ in range(s.elements)]
    for word in range(s.passes * s.elements):
        e = word % s.elements
        for row, weights in enumerate(s.word_weights[:, word, : s.element_columns[e]]):
            element, address = s.weight_address(word, row)
            memories[element][address] = pack_weights(weights, s.weight_bits[e])
    return tuple(
        RomImage(f"weights_{e}", s.weight_bits[e] * s.element_columns[e], tuple(words))
        for e, words in enumerate(memories)
    )


def _constant_image(s: Schedule) -> RomImage:
    net = s.network
    none = np.zeros(s.rows - net.hidden_size, dtype=np.int64)
    # Modulo a power of two, as the sum behind the chain.
    fields = [np.array(s.row_constants) & ((1 << s.constant_bits) - 1)]
    if net.activation is Activation.MODRELU:
        fields.append(np.concatenate([net.bias, none]))
    if not s.shares_multiplier:
        fields.append(np.concatenate([net.multiplier, none]))
    if s.input_lanes:
        fields.append(np.concatenate([net.input_weight[:, 0], none]))
    rows = zip(*(values.tolist() for values in fields), strict=True)
    words = [pack_fields(row, s.constant_widths) for row in rows]
    return RomImage("constants", sum(s.constant_widths), tuple(words))


def _operand_image(s: Schedule) -> RomImage:
    c, bits = s.columns_per_element, s.operand_bits
    half = s.operand_half
    words = [0] * (2 * half)
    for word in range(s.input_words, s.words):
        initial = [int(g) for g in s.network.initial_state[list(s.columns(word))]]
        words[half + word] = pack_fields(initial + [0] * (c - len(initial)), [bits] * c)
    return RomImage("operands", c * bits, tuple(words))


def _symbol_image(network: IntegerNetwork) -> RomImage | None:
    if network.input_kind is not InputKind.ONE_HOT:
        return None
    bits = network.weight_bits.input
    symbols = 1 << network.input_format.bits
    # At one bit -1 and +1 are kept in two: an index past the last symbol needs the zero.
    width = max(bits, 2)
    table = np.zeros((network.hidden_size, symbols), dtype=np.int64)
    table[:, : network.input_size] = network.input_weight
    return RomImage("symbols", width, tuple(pack_fields([int(u)], [width]) for u in table.reshape(-1)))


def _readout_image(s: Schedule) -> RomImage | None:
    if not s.readout_lanes:
        return None
    n, lanes = s.network.hidden_size, s.readout_lanes
    weights = np.zeros((s.readout_sweeps * lanes, n), dtype=np.int64)
    weights[: s.network.output_size] = s.network.output_weight
    widths = [s.readout_weight_bits] * lanes
    by_unit = weights.reshape(s.readout_sweeps, lanes, n).transpose(0, 2, 1).reshape(-1, lanes)
    return RomImage("readout", sum(widths), tuple(pack_fields(row, widths) for row in by_unit.tolist()))


def _readout_constants(s: Schedule) -> tuple[int, ...]:
    if not s.readout_lanes:
        return ()
    padding = s.readout_sweeps * s.readout_lanes - s.network.output_size
    return (*(int(c) for c in s.network.output_bias), *[0] * padding)


def _table_image(network: IntegerNetwork) -> RomImage | None:
    if network.activation is not Activation.TANH or network.table is None:
        return None
    # Ascending index -2**(t-1) .. 2**(t-1)-1 becomes the order of its two's complement bits.
    by_address = np.roll(network.table, -(len(network.table) // 2))
    bits = network.state_bits
    return RomImage("table", bits, tuple(pack_fields([int(g)], [bits]) for g in by_address))


def with_image(design: Design, image: RomImage) -> Design:
    """Return ``design`` with the memory of the same name replaced."""
    if image.name.startswith("weights_"):
        images = tuple(image if old.name == image.name else old for old in design.weight_images)
        return replace(design, weight_images=images)
    match image.name:
        case "constants":
            return replace(design, constant_image=image)
        case "operands":
            return replace(design, operand_image=image)
        case "symbols":
            return replace(design, symbol_image=image)
        case "table":
            return replace(design, table_image=image)
        case "readout":
            return replace(design, readout_image=image)
    raise KeyError(image.name)
