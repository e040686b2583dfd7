"""Single faults put into a compiled network, to show that the benches notice them.

The hardware takes its memories and constants from its :class:`~qornn_hw.compiler.design.Design`, so a bit
flipped there is a bit flipped in the hardware. The network inside stays as it was: it is what the hardware is
compared with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.site import Site

__all__ = ["Fault", "inject_faults"]


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
    table that the sequences use. The engine says where the numbers are in the memories.
    """
    engine = design.engine
    faults = [_flipped(design, name, site) for name, site in engine.sites(design.schedule).items()]
    faults += [Fault(wire.name, wire.place, wire.design) for wire in engine.wrong_wires(design)]
    faults += [*_wrong_constants(design), *_wrong_tables(design, sequences)]
    return tuple(faults)


def _flipped(design: Design, name: str, site: Site) -> Fault:
    """Return a design with one bit of a memory inverted."""
    memory = design.memory(site.memory)
    bit = memory.offsets[site.field] + site.bit
    flipped = design.with_memory(memory.flip(site.address, bit))
    return Fault(name, f"{memory.name}[{site.address}] bit {bit}", flipped)


def _wrong_constants(design: Design) -> Iterator[Fault]:
    """Yield designs with a wrong constant of the logic."""
    if design.readout_constants:
        wrong = (design.readout_constants[0] ^ 1, *design.readout_constants[1:])
        yield Fault("output_bias", "bit 0", replace(design, readout_constants=wrong))
    if design.multiplier is not None:
        bit = design.multiplier.bit_length() - 1
        changed = replace(design, multiplier=design.multiplier ^ 1 << bit)
        yield Fault("multiplier", f"bit {bit}", changed)
    if design.rounding_constant:
        bit = design.elman.shift - 1
        yield Fault("rounding_constant", f"bit {bit}", replace(design, rounding_constant=0))


def _wrong_pieces(design: Design, index: int) -> Fault:
    """Return a design whose straight piece of an index gives states that are larger by one."""
    assert design.pieces is not None
    rows = design.pieces.rows.copy()
    piece = int(np.searchsorted(rows[:, 0], index, side="right")) - 1
    rows[piece, 3] += 1 << design.pieces.shift
    return Fault(
        "pieces", f"offset of piece {piece}", replace(design, pieces=replace(design.pieces, rows=rows))
    )


def _wrong_tables(design: Design, sequences: Sequence[ArrayLike]) -> Iterator[Fault]:
    """Yield designs with a wrong entry that the sequences use in each table."""
    if design.find_memory("symbols") is not None:
        symbol = int(np.asarray(sequences[0])[0])
        bit = design.elman.weight_bits.input - 1
        yield _flipped(design, "symbol", Site("symbols", symbol, "weight", bit))
    if (table := design.find_memory("table")) is not None:
        index = _most_used_index(design, sequences)
        yield _flipped(design, "table", Site("table", index % table.depth, "state", 0))
    if design.pieces is not None:
        yield _wrong_pieces(design, _most_used_index(design, sequences))


def _most_used_index(design: Design, sequences: Sequence[ArrayLike]) -> int:
    model = IntegerModel(design.elman)
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
