"""Device families: what an FPGA is made of, and the shapes of its block RAM."""

from dataclasses import dataclass, fields, replace

__all__ = [
    "ECP5",
    "FAMILIES",
    "GOWIN",
    "ICE40_HX_LP",
    "ICE40_ULTRAPLUS",
    "RESOURCE_NAMES",
    "SPRAM_ADDR_BITS",
    "SPRAM_DEPTH",
    "SPRAM_WORD_BITS",
    "Family",
    "Resources",
    "block_rams",
]


# SB_SPRAM256KA, the large memory of an iCE40 UltraPlus: words of 16 bits.
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

    Attributes:
        lut: logic cells (iCE40: ICESTORM_LC, a LUT4 with carry and flip-flop; ECP5: TRELLIS_COMB, a LUT4;
            Gowin: a LUT4, be it logic, adder, memory or the way into a flip-flop).
        ff: flip-flops.
        bram: block RAMs (iCE40: SB_RAM40_4K, 4 kbit; ECP5: DP16KD, Gowin: BSRAM, 18 kbit).
        spram: large single-port RAMs (iCE40 UltraPlus: SB_SPRAM256KA).
        dsp: hard multipliers (iCE40 UltraPlus: SB_MAC16; ECP5: MULT18X18D).
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
class Family:
    """What a design's cost depends on, besides the number of each resource.

    Attributes:
        name: of the tools' family, as in the report.
        ram_shapes: (bits of a word, words) of one block RAM, each shape that it can take.
        ram_enable_bits: bits of a word that share a write enable; the parts of a word that are written
            alone are rounded up to it.
        has_multipliers: whether there are hard multipliers; else a product costs logic cells.
        has_lut_ram: whether logic cells can be a small memory, so that synthesis makes no flip-flops of one.
        has_slow_ram: whether block RAM takes longer to give its word than a word takes through an adder, so
            that it sets the clock unless nothing but a register follows it.
    """

    name: str
    ram_shapes: tuple[tuple[int, int], ...]
    ram_enable_bits: int
    has_multipliers: bool
    has_lut_ram: bool
    has_slow_ram: bool


# SB_RAM40_4K: 4096 bits in these shapes, a write enable for every bit (Lattice FPGA-TN-02002, iCE40 memory
# usage guide).
_ICE40_RAM_SHAPES = ((16, 256), (8, 512), (4, 1024), (2, 2048))
ICE40_ULTRAPLUS = Family(
    "ice40", _ICE40_RAM_SHAPES, 1, has_multipliers=True, has_lut_ram=False, has_slow_ram=False
)
ICE40_HX_LP = replace(ICE40_ULTRAPLUS, has_multipliers=False)
# DP16KD: 18 kbit, of which shapes of less than 9 bits use 16 (Lattice FPGA-TN-02204, ECP5 memory usage
# guide). Without its output register 5.6 ns from clock to word in speed grade 6 (nextpnr's table of timings).
ECP5 = Family(
    "ecp5",
    ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)),
    9,
    has_multipliers=True,
    has_lut_ram=True,
    has_slow_ram=True,
)
# BSRAM of a GW1NR-9C: 18 kbit in the same shapes (Gowin UG285, BSRAM & SSRAM user guide). Without its output
# register 3.5 ns from clock to word in speed grade C6/I5 (Project Apicula's table of timings). nextpnr has no
# timing of its multipliers, so that no clock could be signed off: products are made of logic.
GOWIN = Family("gowin", ECP5.ram_shapes, 9, has_multipliers=False, has_lut_ram=True, has_slow_ram=True)
FAMILIES = (ICE40_ULTRAPLUS, ICE40_HX_LP, ECP5, GOWIN)


def block_rams(depth: int, width: int, family: Family = ICE40_ULTRAPLUS) -> int:
    """Return the block RAMs of a memory, in the shape that takes the fewest.

    What lies beyond the depth of a shape stands beside the first words, and the upper bits of the address
    choose: so a block holds parts of several columns (yosys 0.70, memory_libmap).

    >>> [block_rams(*m) for m in ((74, 16), (257, 16), (512, 9), (2048, 2), (1100, 3), (600, 9), (4096, 5))]
    [1, 2, 2, 1, 1, 2, 5]
    >>> [block_rams(*m, ECP5) for m in ((512, 36), (513, 36), (74, 40), (16384, 1))]
    [1, 2, 2, 1]
    """
    return min(-(-width * -(-depth // d) // w) for w, d in family.ram_shapes)
