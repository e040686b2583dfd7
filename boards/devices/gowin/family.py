"""Gowin LittleBee as a device family."""

from pathlib import Path

from qornn_hw.boards.device_family import CellModels, DeviceFamily
from qornn_hw.boards.devices.gowin.cost import COST
from qornn_hw.boards.devices.gowin.flow import FLOW
from qornn_hw.boards.devices.gowin.pll import GOWIN_PLL
from qornn_hw.compiler.family import Synthesis

__all__ = ["FAMILIES", "GOWIN"]

_MODELS = Path(__file__).parent / "models"
GOWIN = DeviceFamily(
    name="gowin",
    # BSRAM of a GW1NR-9C: 18 kbit, of which shapes of less than 9 bits use 16 (Gowin UG285, BSRAM & SSRAM
    # user guide).
    ram_shapes=((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)),
    ram_enable_bits=9,
    # nextpnr has no timing of the multipliers, so that no clock could be signed off: products are made of
    # logic.
    has_multipliers=False,
    has_lut_ram=True,
    # Without its output register 3.5 ns from clock to word in speed grade C6/I5 (Project Apicula's table of
    # timings).
    has_slow_ram=True,
    primitives=frozenset(),
    cost=COST,
    synthesis=Synthesis(
        command="synth_gowin", multiplier_options="", cell_folder="gowin", cell_files=("cells_sim.v",)
    ),
    clock_sources=(GOWIN_PLL,),
    flow=FLOW,
    cell_models=CellModels(
        tuple(_MODELS / name for name in ("pll.v", "bsram.v")),
        {
            "t:rPLL": "qornn_rpll",
            **{
                f"t:{name}": f"qornn_{name.lower()}"
                for name in ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B")
            },
        },
    ),
    stage_rates={
        "elaborate": (0.7, 0.7),
        "synthesize": (4.0, 9.0),
        "place": (8.0, 48.0),
        "sign-off": (1.0, 0.2),
        "netlist": (0.7, 0.3),
        "pack": (5.0, 0.5),
    },
)
FAMILIES = (GOWIN,)
