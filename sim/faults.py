"""Single faults put into a compiled network, to show that the benches notice them.

The hardware takes its memories and constants from its :class:`~qornn_hw.design.Design`, so a bit flipped
there is a bit flipped in the hardware. The network inside stays as it was: it is what the hardware is
compared with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from qornn_hw.design import Design, with_image
from qornn_hw.engine import Engine, MacSettings
from qornn_hw.integer_model import IntegerModel
from qornn_hw.network import Activation
from qornn_hw.rom import RomImage

__all__ = ["Fault", "inject_faults"]

# Half of the adder behind a hard multiplier.
MAC_HALF_BITS = 16


@dataclass(frozen=True)
class Fault:
    """A design with one fault.

    Attributes:
        name: what kind of number or wire is wrong.
        place: which bits these are, for people.
        design: the design with it.
    """

    name: str
    place: str
    design: Design


def inject_faults(design: Design, sequences: Sequence[ArrayLike]) -> tuple[Fault, ...]:
    """Return one fault of each kind that the design has room for: a flipped bit, or a wrong wire.

    Each is where playing ``sequences`` shows it: signs of weights, the high bits of constants, an entry of a
    table that the sequences use.
    """
    s, net = design.schedule, design.network
    faults = []

    def flip(name: str, image: RomImage, address: int, bit: int) -> None:
        place = f"{image.name}[{address}] bit {bit}"
        faults.append(Fault(name, place, with_image(design, image.flip(address, bit))))

    def flip_weight(name: str, word: int, row: int) -> None:
        element, address = s.weight_address(word, row)
        flip(name, design.weight_images[element], address, s.weight_bits[element] - 1)

    def change_all(name: str, image: RomImage, place: str, change: Callable[[int], int]) -> None:
        words = tuple(change(word) & (1 << image.width) - 1 for word in image.words)
        changed = RomImage(image.name, image.width, words)
        faults.append(Fault(name, f"{image.name} {place}", with_image(design, changed)))

    flip_weight("recurrent_weight", s.input_words, 0)
    if design.readout_image is None:
        flip_weight("output_weight", s.input_words, net.hidden_size)
    else:
        flip("output_weight", design.readout_image, 0, s.readout_weight_bits - 1)
    constants = design.constant_image
    if s.input_lanes:
        flip("input_weight", constants, 0, constants.width - 1)
    elif net.vector_input:
        flip_weight("input_weight", 0, 0)
    # The row's constant is at the chain's scale: its lowest bit that counts is that of the scale.
    if design.readout_image is None:
        flip("output_bias", constants, net.hidden_size, s.scale - 1)
    else:
        wrong = (design.readout_constants[0] ^ 1, *design.readout_constants[1:])
        faults.append(Fault("output_bias", "bit 0", replace(design, readout_constants=wrong)))
    if net.activation is Activation.MODRELU:
        flip("row_constant", constants, 0, s.constant_bits - 2)
        flip("bias", constants, 0, s.constant_bits + max(0, s.bias_bits - 2))
    else:
        flip("bias", constants, 0, s.constant_bits - 2)
    if design.multiplier is None:
        flip(
            "multiplier",
            constants,
            0,
            constants.width - 1 - s.input_lanes * s.input_weight_bits,
        )
    else:
        changed = design.multiplier ^ 1 << (s.multiplier_bits - 1)
        faults.append(
            Fault("multiplier", f"bit {s.multiplier_bits - 1}", replace(design, multiplier=changed))
        )
    if design.engine is Engine.DSP:
        # They change the upper half of a sum alone: only where there is one are they faults.
        if s.sum_bits > MAC_HALF_BITS:
            faults += [
                Fault("operand_sign", "of all multipliers", replace(design, mac=MacSettings(a_signed=False))),
                Fault("weight_sign", "of all multipliers", replace(design, mac=MacSettings(b_signed=False))),
                Fault("carry", "of all multipliers", replace(design, mac=MacSettings(carry=False))),
            ]
    else:
        # As if a wire between weights and selection were inverted: the sign of a plane of one column.
        weights = design.weight_images[s.place(s.input_words)[1]]
        change_all("sign_plane", weights, "bit 0 of every word", lambda word: word ^ 1)
    if s.total_elements:
        # As if the total of the operands were one too large: a carry too many.
        low = (1 << s.constant_bits) - 1
        change_all("total", constants, "every constant one less", lambda w: (w & ~low) | (w - 1 & low))
    # The initial state of unit 0, in the upper half of the operand memory.
    flip("initial_state", design.operand_image, s.operand_half + s.input_words, net.state_bits - 2)
    if design.rounding_constant:
        faults.append(
            Fault("rounding_constant", f"bit {net.shift - 1}", replace(design, rounding_constant=0))
        )
    if design.symbol_image is not None:
        symbol = int(np.asarray(sequences[0])[0])
        flip("symbol", design.symbol_image, symbol, net.weight_bits.input - 1)
    if design.table_image is not None:
        index = _most_used_index(design, sequences)
        flip("table", design.table_image, index % design.table_image.depth, 0)
    return tuple(faults)


def _most_used_index(design: Design, sequences: Sequence[ArrayLike]) -> int:
    model = IntegerModel(design.network)
    used = []
    for sequence in sequences:
        inputs = model.check_inputs(np.asarray(sequence)[np.newaxis])
        state = model.initial_state(1)
        for t in range(inputs.shape[1]):
            step = model.step(state, inputs[:, t])
            used.append(step.requantized.reshape(-1))
            state = step.state
    values, counts = np.unique(np.concatenate(used), return_counts=True)
    return int(values[np.argmax(counts)])
