"""The GateMate as a device family."""

from pathlib import Path

from qornn_hw.boards.device_family import CellModels, DeviceFamily
from qornn_hw.boards.devices.gatemate.cost import COST
from qornn_hw.boards.devices.gatemate.flow import FLOW
from qornn_hw.boards.devices.gatemate.memory_cells import PLACED_TEXT
from qornn_hw.boards.devices.gatemate.pll import GATEMATE_PLL
from qornn_hw.compiler.family import Synthesis

__all__ = ["FAMILIES", "GATEMATE"]

GATEMATE = DeviceFamily(
    name="gatemate",
    # Halves of a block RAM of 40 kbit (UG1001, CC_BRAM_20K), with a mask for each bit.
    ram_shapes=((40, 512), (20, 1024), (10, 2048), (5, 4096), (2, 8192), (1, 16384)),
    ram_enable_bits=1,
    # CC_MULT is made of logic cells, too.
    has_multipliers=False,
    has_lut_ram=False,
    has_slow_ram=True,
    primitives=frozenset(),
    cost=COST,
    synthesis=Synthesis(
        command="synth_gatemate -luttree -nomx8 -nomult",
        multiplier_options="",
        cell_folder="gatemate",
        cell_files=("cells_sim.v",),
    ),
    clock_sources=(GATEMATE_PLL,),
    flow=FLOW,
    # For another clock; block RAM is not reloaded.
    placed_text=PLACED_TEXT,
    cell_models=CellModels((Path(__file__).parent / "models" / "pll.v",), {"t:CC_PLL": "qornn_cc_pll"}),
)
FAMILIES = (GATEMATE,)
