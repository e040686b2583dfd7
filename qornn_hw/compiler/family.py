"""Device families for the compiler: what an FPGA is made of, and what a design costs on it.

A family's instance is in its own folder, ``boards/devices/<family>/``. The compiler gets it with the board's
budget and never asks for its name.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

from qornn_hw.compiler.core_counts import CoreCounts

__all__ = [
    "RESOURCE_NAMES",
    "SPRAM_ADDR_BITS",
    "SPRAM_DEPTH",
    "SPRAM_WORD_BITS",
    "CostModel",
    "Family",
    "Resources",
    "Synthesis",
    "block_rams",
]


# The memory of rtl_gen.primitives.spram: one port, words of 16 bits.
SPRAM_ADDR_BITS = 14
SPRAM_DEPTH = 1 << SPRAM_ADDR_BITS
SPRAM_WORD_BITS = 16

# What people call the fields of Resources.
RESOURCE_NAMES = {
    "lut": "logic cells",
    "ff": "flip-flops",
    "bram": "block RAMs",
    "spram": "large RAMs",
    "dsp": "multipliers",
}


@dataclass(frozen=True)
class Resources:
    """Counts of what an FPGA is made of.

    What counts as one of each is the family's definition, which its flow gives in nextpnr's names of cells
    (:attr:`qornn_hw.boards.flow.Flow.cells`).

    Attributes:
        lut: logic cells.
        ff: flip-flops.
        bram: block RAMs.
        spram: large single-port RAMs, as in ``rtl_gen.primitives.spram``.
        dsp: hard multipliers.
    """

    lut: int = 0
    ff: int = 0
    bram: int = 0
    spram: int = 0
    dsp: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def excess(self, available: "Resources") -> dict[str, int]:
        """Return by how much each resource goes beyond ``available``, where it does."""
        over = {f.name: getattr(self, f.name) - getattr(available, f.name) for f in fields(self)}
        return {name: amount for name, amount in over.items() if amount > 0}


@dataclass(frozen=True)
class CostModel:
    """How many logic cells a design takes, and which memories synthesis makes of logic cells.

    The coefficients are fitted to placed designs; ``benchmarks/estimate.py`` compares them with builds.

    Attributes:
        core_cells: logic cells of a core whose multipliers are logic cells, from the counts of its engine;
            without the product of the requantizer where the family has no multipliers.
        product_factor: logic cells of a product made of logic, over bits of the value times bits of the
            factor; from the same counts. Where the family has no multipliers.
        is_logic: whether synthesis keeps a memory of ``(depth, width)`` without preference in flip-flops or
            in RAM of logic cells: depth, width and the block RAMs that it would take.
        surroundings: what clock, UART, link and LEDs of a board take. The part of the link that grows with
            the words of a step is in ``core_cells``.
    """

    core_cells: Callable[[CoreCounts], int]
    is_logic: Callable[[int, int, int], bool]
    surroundings: Resources
    product_factor: Callable[[CoreCounts], float] | None = None


@dataclass(frozen=True)
class Synthesis:
    """Yosys' synthesis command for a family, and its simulation models of the family's cells.

    Attributes:
        command: the command.
        multiplier_options: its options where it is to make hard multipliers of products. They are left out
            for an engine that instantiates hard multipliers itself: synthesis might take these for its own.
        cell_folder: folder of the models in yosys' share folder.
        cell_files: the files there.
        defines: preprocessor definitions that these need.
    """

    command: str
    multiplier_options: str
    cell_folder: str
    cell_files: tuple[str, ...]
    defines: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the compiler must know of a device family, besides the number of each resource.

    Attributes:
        name: of the tools' family, as in the report.
        ram_shapes: (bits of a word, words) of one block RAM, each shape that it can take.
        ram_enable_bits: bits of a word that share a write enable; the parts of a word that are written
            alone are rounded up to it.
        has_multipliers: whether synthesis makes hard multipliers of products; else a product costs logic
            cells.
        has_lut_ram: whether logic cells can be a small memory, so that synthesis makes no flip-flops of one.
        has_slow_ram: whether block RAM takes longer to give its word than a word takes through an adder, so
            that it sets the clock unless nothing but a register follows it.
        primitives: names of the modules of ``rtl_gen.primitives`` whose hard cell the device has; an engine
            may instantiate these alone.
        cost: what a design takes.
        synthesis: yosys' command and its models of cells.
    """

    name: str
    ram_shapes: tuple[tuple[int, int], ...]
    ram_enable_bits: int
    has_multipliers: bool
    has_lut_ram: bool
    has_slow_ram: bool
    primitives: frozenset[str]
    cost: CostModel
    synthesis: Synthesis

    def block_rams(self, depth: int, width: int) -> int:
        """Return the block RAMs of a memory; see :func:`block_rams`."""
        return block_rams(depth, width, self.ram_shapes)

    def is_logic(self, depth: int, width: int) -> bool:
        """Return whether synthesis keeps a memory without preference out of block RAM."""
        return self.cost.is_logic(depth, width, self.block_rams(depth, width))


def block_rams(depth: int, width: int, shapes: tuple[tuple[int, int], ...]) -> int:
    """Return the block RAMs of a memory, in the shape that takes the fewest.

    Words beyond the depth of a shape are stored beside the first words, and the upper bits of the address
    select them: so a block holds parts of several columns (yosys 0.70, memory_libmap).

    Args:
        depth: words.
        width: bits of a word.
        shapes: (bits of a word, words) that one block RAM can take.

    >>> shapes = ((16, 256), (8, 512), (4, 1024), (2, 2048))
    >>> [block_rams(d, w, shapes) for d, w in ((74, 16), (257, 16), (2048, 2), (1100, 3), (4096, 5))]
    [1, 2, 1, 1, 5]
    """
    return min(-(-width * -(-depth // d) // w) for w, d in shapes)
