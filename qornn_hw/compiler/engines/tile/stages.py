"""The stages of a step: for each group of each layer its matrices and its tail, then the readout.

A stage computes *slots* one behind the other. The slot of a layer's stage is a unit, whose accumulators are
in lanes side by side. A slot of the readout is as many logits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compiler.engines.tile.digits import chunks, complements, digit_count
from qornn_hw.compiler.engines.tile.transform import Transform, transform_of, transformed_rows
from qornn_hw.ir.formats import bits_for_range
from qornn_hw.ir.intervals import Ranges
from qornn_hw.ir.network import Group, Network
from qornn_hw.ir.ops import MatVec

__all__ = [
    "Matrix",
    "Phase",
    "Stage",
    "is_fresh",
    "lane_digits",
    "lanes_of_a_unit",
    "stages_of",
    "symbol_weights",
]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Matrix:
    """A chunk of a term of a MatVec: what one lane of a unit adds up in a phase.

    Attributes:
        row: the name of the MatVec.
        weights: less the offset, (rows, columns).
        shift: left shift of its sums.
        offset: of each weight.
        lacking: what each sum lacks, (rows,).
        bits: of a sum without what it lacks.
    """

    row: str
    weights: IntArray
    shift: int
    offset: int
    lacking: IntArray
    bits: int


@dataclass(frozen=True, eq=False)
class Phase:
    """The products of one vector with matrices.

    Attributes:
        vector: the name of the value.
        columns: its entries.
        matrices: one for each lane of a unit.
    """

    vector: str
    columns: int
    matrices: tuple[Matrix, ...]


@dataclass(frozen=True, eq=False)
class Stage:
    """A group of a layer, or the readout.

    Attributes:
        name: of the stage.
        layer: the index of the layer; that behind the last one for the readout.
        group: the group; None for the readout.
        slots: units, or sets of logits.
        phases: in order.
        transform: of a state, which is done before all phases.
    """

    name: str
    layer: int
    group: Group | None
    slots: int
    phases: tuple[Phase, ...]
    transform: Transform | None = None


def lane_digits(network: Network) -> int:
    """Return the digits of a lane: those of the widest weight of a layer that multiplies a vector."""
    transformed = transformed_rows(network)
    rows = [row for layer in network.layers for group in layer.groups for row in group.rows]
    terms = (term for row in rows for term in row.terms if not term.one_hot and row.name not in transformed)
    return digit_count(max((term.bits for term in terms), default=1))


def lanes_of_a_unit(network: Network) -> int:
    """Return the most terms of a group on one vector."""
    counts = []
    transformed = transformed_rows(network)
    for layer in network.layers:
        for group in layer.groups:
            rows = [row for row in group.rows if row.name not in transformed]
            vectors = [term.value for row in rows for term in row.terms if not term.one_hot]
            counts += [vectors.count(vector) for vector in vectors]
    return max(counts, default=1)


def stages_of(network: Network, ranges: Ranges, logits_of_a_slot: int) -> tuple[Stage, ...]:
    """Return the stages of a network.

    Args:
        network: what is computed.
        ranges: of its values.
        logits_of_a_slot: logits side by side.

    """
    digits, found, transformed = lane_digits(network), [], transformed_rows(network)
    for number, layer in enumerate(network.layers):
        for index, group in enumerate(layer.groups):
            rows = [row for row in group.rows if row.name not in transformed]
            matrices = [m for row in rows for m in _matrices(row, ranges, digits)]
            vectors = dict.fromkeys(vector for vector, _ in matrices)
            # What a step before has stored comes last: the others need not wait for it.
            order = sorted(vectors, key=lambda vector: vector in network.states)
            phases = tuple(
                Phase(v, network.sizes[v], tuple(m for vector, m in matrices if vector == v)) for v in order
            )
            transform = transform_of(network, ranges, group)
            found.append(Stage(f"layer{number}.group{index}", number, group, group.units, phases, transform))
    logits = network.readout.logits
    phases = tuple(
        Phase(vector, network.sizes[vector], (m,)) for vector, m in _matrices(logits, ranges, digits)
    )
    slots = -(-logits.rows // logits_of_a_slot)
    return (*found, Stage("readout", len(network.layers), None, slots, phases))


def is_fresh(network: Network, value: str, layer: int) -> bool:
    """Return whether a layer reads what the same step has stored, not the value of the step before."""
    owners = (
        number
        for number, one in enumerate(network.layers)
        if any(state.name == value for state in one.states)
    )
    return next(owners, -1) < layer


def symbol_weights(row: MatVec) -> tuple[IntArray, int] | None:
    """Return the weights that an index selects, (rows, symbols), and their left shift; None without any."""
    terms = [term for term in row.terms if term.one_hot]
    if not terms:
        return None
    least = min(term.shift for term in terms)
    return np.sum([term.weights << (term.shift - least) for term in terms], axis=0), least


def _matrices(row: MatVec, ranges: Ranges, digits: int) -> list[tuple[str, Matrix]]:
    """Return the chunks of the terms of a MatVec that have a vector, each with it."""
    found = []
    for term in row.terms:
        if term.one_hot:
            continue
        value = ranges.values[term.value]
        for chunk in chunks(term.weights, term.bits, digits):
            weights = chunk.weights - chunk.offset
            lacking = complements(weights, digits)
            positive = np.maximum(chunk.weights, 0).sum(axis=1)
            negative = np.minimum(chunk.weights, 0).sum(axis=1)
            low = positive * value.least + negative * value.most - lacking
            high = positive * value.most + negative * value.least - lacking
            bits = bits_for_range(int(low.min()), int(high.max()))
            shift = term.shift + chunk.shift
            found.append((term.value, Matrix(row.name, weights, shift, chunk.offset, lacking, bits)))
    return found
