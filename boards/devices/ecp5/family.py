"""The ECP5 as a device family."""

from pathlib import Path

from qornn_hw.boards.device_family import CellModels, DeviceFamily
from qornn_hw.boards.devices.ecp5.cost import COST
from qornn_hw.boards.devices.ecp5.flow import FLOW
from qornn_hw.boards.devices.ecp5.memory_cells import BLOCK_RAM, PLACED_TEXT
from qornn_hw.boards.devices.ecp5.pll import ECP5_PLL
from qornn_hw.compiler.family import Synthesis

__all__ = ["ECP5", "FAMILIES"]

_MODELS = Path(__file__).parent / "models"
ECP5 = DeviceFamily(
    name="ecp5",
    # DP16KD: 18 kbit, of which shapes of less than 9 bits use 16 (Lattice FPGA-TN-02204, ECP5 memory usage
    # guide).
    ram_shapes=((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)),
    ram_enable_bits=9,
    has_multipliers=True,
    has_lut_ram=True,
    # Without its output register 5.6 ns from clock to word in speed grade 6 (nextpnr's table of timings).
    has_slow_ram=True,
    primitives=frozenset(),
    cost=COST,
    synthesis=Synthesis(
        command="synth_ecp5",
        multiplier_options="",
        cell_folder="ecp5",
        cell_files=("common_sim.vh", "ccu2c_sim.vh"),
        # Those include further files, which are not needed here.
        defines=(("NO_INCLUDES", 1),),
    ),
    clock_sources=(ECP5_PLL,),
    flow=FLOW,
    cell_models=CellModels(
        tuple(_MODELS / name for name in ("pins.v", "mult18x18d.v", "dp16kd.v")),
        {
            "t:EHXPLLL": "qornn_ehxplll",
            "t:TRELLIS_IO r:DIR=INPUT %i": "qornn_trellis_io_input",
            "t:TRELLIS_IO r:DIR=OUTPUT %i": "qornn_trellis_io_output",
            # Before synthesis.
            "t:IB": "qornn_ib",
            "t:OBZ": "qornn_obz",
            "t:MULT18X18D": "qornn_mult18x18d",
            "t:DP16KD": "qornn_dp16kd",
        },
    ),
    stage_rates={
        "elaborate": (0.7, 0.7),
        "synthesize": (3.0, 6.5),
        "place": (4.0, 29.0),
        "sign-off": (4.0, 0.2),
        "netlist": (0.7, 0.3),
        "pack": (1.5, 0.3),
    },
    block_ram=BLOCK_RAM,
    placed_text=PLACED_TEXT,
)
FAMILIES = (ECP5,)
