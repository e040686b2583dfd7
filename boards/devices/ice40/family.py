"""The iCE40 as a device family."""

from dataclasses import replace
from pathlib import Path

from qornn_hw.boards.device_family import CellModels, DeviceFamily
from qornn_hw.boards.devices.ice40.cost import COST
from qornn_hw.boards.devices.ice40.flow import FLOW
from qornn_hw.boards.devices.ice40.memory_cells import BLOCK_RAM, PLACED_TEXT
from qornn_hw.boards.devices.ice40.pll import ICE40_CORE, ICE40_OSCILLATOR, ICE40_PAD
from qornn_hw.boards.devices.ice40.timing import multiplier_mhz
from qornn_hw.compiler.family import Synthesis

__all__ = ["FAMILIES", "ICE40_HX_LP", "ICE40_ULTRAPLUS"]

_MODELS = Path(__file__).parent / "models"
ICE40_ULTRAPLUS = DeviceFamily(
    name="ice40",
    # SB_RAM40_4K: 4096 bits in these shapes, a write enable for every bit (Lattice FPGA-TN-02002, iCE40
    # memory usage guide).
    ram_shapes=((16, 256), (8, 512), (4, 1024), (2, 2048)),
    ram_enable_bits=1,
    has_multipliers=True,
    has_lut_ram=False,
    has_slow_ram=False,
    primitives=frozenset({"mac16", "spram"}),
    cost=COST,
    synthesis=Synthesis(
        command="synth_ice40",
        # With -dsp yosys takes an SB_MAC16 that is there for one of its own, and ties its C and D to zero.
        multiplier_options="-dsp",
        cell_folder="ice40",
        cell_files=("cells_sim.v",),
        # No default values of ports, which Icarus Verilog 11 cannot read.
        defines=(("NO_ICE40_DEFAULT_ASSIGNMENTS", 1),),
    ),
    clock_sources=(ICE40_PAD, ICE40_CORE, ICE40_OSCILLATOR),
    flow=FLOW,
    cell_models=CellModels(
        (_MODELS / "pins.v",),
        {
            "t:SB_PLL40_PAD": "qornn_sb_pll40_pad",
            "t:SB_PLL40_CORE": "qornn_sb_pll40_core",
            "t:SB_IO": "qornn_sb_io",
            # A pin that drives a global net.
            "t:SB_GB_IO": "qornn_sb_io",
        },
    ),
    stage_rates={
        "elaborate": (0.7, 0.7),
        "synthesize": (4.0, 7.2),
        "place": (2.0, 11.9),
        "sign-off": (5.0, 0.2),
        "netlist": (0.7, 0.2),
        "pack": (0.4, 0.05),
    },
    block_ram=BLOCK_RAM,
    placed_text=PLACED_TEXT,
    timing_limit=multiplier_mhz,
)
ICE40_HX_LP = replace(
    ICE40_ULTRAPLUS,
    has_multipliers=False,
    primitives=frozenset(),
    synthesis=replace(ICE40_ULTRAPLUS.synthesis, multiplier_options=""),
)
FAMILIES = (ICE40_ULTRAPLUS, ICE40_HX_LP)
