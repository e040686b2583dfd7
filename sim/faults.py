"""Single faults put into a compiled network, to show that the benches notice them.

The hardware takes its memories and constants from its :class:`~qornn_hw.design.Design`, so a bit flipped
there is a bit flipped in the hardware. The network inside stays as it was: it is what the hardware is
compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from qornn_hw.design import Design, with_image
from qornn_hw.integer_model import IntegerModel
from qornn_hw.rom import RomImage

__all__ = ["Fault", "inject_faults"]


@dataclass(frozen=True)
class Fault:
    """A design with one bit flipped.

    Attributes:
        name: what kind of number the bit belongs to.
        place: which bit it is, for people.
        design: the design with it.
    """

    name: str
    place: str
    design: Design


def inject_faults(design: Design, sequences: Sequence[ArrayLike]) -> tuple[Fault, ...]:
    """Return one fault of each kind that the design has room for.

    Each is where playing ``sequences`` shows it: signs of weights, the high bits of constants, an entry of a
    table that the sequences use.
    """
    s, net = design.schedule, design.network
    faults = []

    def flip(name: str, image: RomImage, address: int, bit: int) -> None:
        place = f"{image.name}[{address}] bit {bit}"
        faults.append(Fault(name, place, with_image(design, image.flip(address, bit))))

    def flip_weight(name: str, word: int, row: int) -> None:
        column_pass, element = s.place(word)
        flip(
            name,
            design.weight_images[element],
            column_pass * s.rows + row,
            s.weight_bits[element] - 1,
        )

    flip_weight("recurrent_weight", s.input_words, 0)
    flip_weight("output_weight", s.input_words, net.hidden_size)
    if net.vector_input:
        flip_weight("input_weight", 0, 0)
    flip("bias", design.constant_image, 0, max(0, s.bias_bits - 2))
    flip("output_bias", design.constant_image, net.hidden_size, 0)
    if design.multiplier is None:
        flip("multiplier", design.constant_image, 0, s.bias_bits + s.multiplier_bits - 1)
    else:
        changed = design.multiplier ^ 1 << (s.multiplier_bits - 1)
        faults.append(
            Fault("multiplier", f"bit {s.multiplier_bits - 1}", replace(design, multiplier=changed))
        )
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
