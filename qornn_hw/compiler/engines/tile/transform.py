"""Walsh-Hadamard transforms of a state: which rows have one, and when it reads and writes what.

The entries of the state are in 8 banks, entry i in bank ``d_0 ^ d_1 ^ d_2 ...``, the digits of i in base 8,
at row ``i >> 3``. So 8 entries whose indices differ in three neighbouring bits are in different banks. A pass
transforms along such bits: of a group of 8 entries, three levels of butterflies make 8 results. All passes
but the last take a group a cycle, and their results go to where the entries came from. The last pass is
along the lowest three bits. It takes a group when a tail reads the first of its units, and holds the results
for the tail.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from qornn_hw.ir.formats import bits_for_range
from qornn_hw.ir.intervals import Ranges
from qornn_hw.ir.network import Group, Layer, Network
from qornn_hw.ir.ops import HadamardTerm, MatVec, Requantize

__all__ = [
    "BANKS",
    "BANK_BITS",
    "LAST_LATENCY",
    "LATENCY",
    "Pass",
    "Transform",
    "transform_of",
    "transformed_rows",
]

BANK_BITS = 3
BANKS = 1 << BANK_BITS
# Cycles from a group's addresses to its results in the banks: addresses, read, three levels of two, write.
LATENCY = 9
# Cycles from a group's addresses in the last pass to the first cycle in which its results can be asked for:
# addresses, read, three levels of two, less the register of the request.
LAST_LATENCY = 7


@dataclass(frozen=True)
class Pass:
    """A pass over all groups.

    Attributes:
        base: the lowest of the three bits in which the indices of a group differ.
        levels: of each of the three bits of a bank's number, whether its butterflies add and subtract.
    """

    base: int
    levels: tuple[bool, ...]

    def group(self, index: int) -> int:
        """Return the group of an entry, which is read in that cycle of the pass."""
        return index >> self.base + BANK_BITS << self.base | index & (1 << self.base) - 1


@dataclass(frozen=True)
class Transform:
    """A transform of a state in blocks.

    Attributes:
        vector: the name of the state.
        size: its entries, a multiple of 8.
        block: entries of a block, a power of two.
        least, most: an entry before the transform.
    """

    vector: str
    size: int
    block: int
    least: int
    most: int

    @property
    def groups(self) -> int:
        """Groups of a pass."""
        return self.size // BANKS

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The passes in order: along the highest bits of a block first, along bits 0 to 2 last.

        Bits that another pass goes along are left alone.
        """
        order = self.block.bit_length() - 1
        found = []
        for first in range(0, order, BANK_BITS):
            base = max(0, min(first, order - BANK_BITS))
            bits = [base + k for k in range(BANK_BITS) if first <= base + k < order]
            found.append(Pass(base, tuple(q in {e % BANK_BITS for e in bits} for q in range(BANK_BITS))))
        return tuple(reversed(found))

    def bits_after(self, levels: int) -> int:
        """Return the signed bits of an entry to which so many levels of butterflies have been added.

        It is a sum of ``2 ** levels`` entries. Half of them less the other half need no more bits.
        """
        return bits_for_range(min(self.least << levels, 0), max(self.most << levels, 0))

    @property
    def bits(self) -> int:
        """Signed bits of a result."""
        return self.bits_after(self.block.bit_length() - 1)

    @property
    def level_bits(self) -> tuple[int, ...]:
        """Signed bits of an entry in the banks, then behind each level of the widest pass."""
        last = self.passes[-1].levels
        before = self.block.bit_length() - 1 - sum(last)
        return tuple(self.bits_after(before + sum(last[:q])) for q in range(BANK_BITS + 1))

    @property
    def cycles(self) -> int:
        """Cycles from ``go`` to the first one in which an entry may be asked for."""
        return sum(self.distances) + LAST_LATENCY

    @cached_property
    def distances(self) -> tuple[int, ...]:
        """Cycles from the start of each pass but the last to that of the next one.

        The next pass reads no entry before its result is there.
        """
        found = []
        for one, other in pairwise(self.passes):
            late = max(one.group(i) - other.group(i) for i in range(self.size))
            found.append(max(self.groups, late + LATENCY))
        return tuple(found)


@lru_cache(maxsize=64)
def transformed_rows(network: Network) -> dict[str, HadamardTerm]:
    """Return the rows that a transform computes, by name: a Hadamard term of a layer's own state.

    The row has no other term. The state begins with zeros, its entries fill the banks, and no other row has a
    Hadamard term of it. In its group only Requantize reads the row, no row before it has a transform, and
    another row multiplies a vector by a matrix that is no Hadamard term.
    """
    found: dict[str, HadamardTerm] = {}
    vectors = [term.value for row in _rows(network) for term in row.terms if isinstance(term, HadamardTerm)]
    for layer in network.layers:
        for group in layer.groups:
            for row in group.rows:
                term = row.terms[0]
                if (
                    len(row.terms) == 1
                    and isinstance(term, HadamardTerm)
                    and vectors.count(term.value) == 1
                    and _fits(layer, term)
                    and _only_requantized(group, row)
                    and _has_vector(group, row)
                ):
                    found[row.name] = term
                    # A tail takes the results of one transform.
                    break
    return found


def _rows(network: Network) -> Iterator[MatVec]:
    for layer in network.layers:
        for group in layer.groups:
            yield from group.rows
    yield network.readout.logits


def _fits(layer: Layer, term: HadamardTerm) -> bool:
    own = [state for state in layer.states if state.name == term.value]
    return bool(own) and not own[0].initial.any() and term.rows % BANKS == 0


def _only_requantized(group: Group, row: MatVec) -> bool:
    return all(isinstance(op, Requantize) for op in group.tail if row.name in op.operands)


def _has_vector(group: Group, row: MatVec) -> bool:
    others = [term for other in group.rows if other is not row for term in other.terms]
    return any(not term.one_hot and not isinstance(term, HadamardTerm) for term in others)


def transform_of(network: Network, ranges: Ranges, group: Group) -> Transform | None:
    """Return the transform of a group; None where it has none."""
    rows = transformed_rows(network)
    terms = [rows[row.name] for row in group.rows if row.name in rows]
    if not terms:
        return None
    (term,) = terms
    value = ranges.values[term.value]
    return Transform(term.value, term.rows, term.block, value.least, value.most)
