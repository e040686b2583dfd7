"""The core synthesized for iCE40, simulated with the models of the vendor's cells."""

import subprocess
from pathlib import Path

from qornn_hw.design import Design
from qornn_hw.engine import Engine
from qornn_hw.errors import ToolError
from rtl_gen.emit import emit_core_verilog
from rtl_gen.yosys import find_cells, find_yosys
from sim.core_simulation import CORE_NAME, CoreBuild, build_core
from sim.runner import Simulator

__all__ = ["CELL_DEFINES", "build_core_netlist", "synthesize_core"]

# Default values of ports in the cell models, which Icarus Verilog 11 cannot read.
CELL_DEFINES = {"NO_ICE40_DEFAULT_ASSIGNMENTS": 1}


def synthesize_core(design: Design, folder: Path) -> Path:
    """Synthesize the core of ``design`` alone for iCE40; return the netlist, Verilog of cells.

    Raises:
        ToolError: Yosys is missing or failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, netlist, log = f"{CORE_NAME}.v", f"{CORE_NAME}_netlist.v", folder / "synthesis.log"
    (folder / source).write_text(emit_core_verilog(design, name=CORE_NAME, vendor_cells=True))
    # With -dsp yosys takes an SB_MAC16 that is there for one of its own, and ties its C and D to zero.
    option = "" if design.engine is Engine.DSP else "-dsp"
    script = f"read_verilog {source}; synth_ice40 {option} -top {CORE_NAME}; write_verilog -noattr {netlist}"
    command = [find_yosys(), "-q", "-p", script]
    with log.open("w") as file:
        code = subprocess.run(
            command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code != 0 or not (folder / netlist).is_file():
        raise ToolError(f"Yosys could not synthesize the core, exit code {code}", log)
    return folder / netlist


def build_core_netlist(
    design: Design,
    simulator: Simulator,
    folder: Path,
    *,
    synthesized: Design | None = None,
    traced: bool = False,
) -> CoreBuild:
    """Synthesize a core and compile the netlist for a simulator.

    Args:
        design: what the hardware is compared with.
        simulator: for what.
        folder: for everything that is written.
        synthesized: what is synthesized, if not ``design``: the same with a fault.
        traced: let runs write waves.
    """
    folder = folder.resolve()
    netlist = synthesize_core(synthesized or design, folder)
    return build_core(
        design,
        simulator,
        folder,
        sources=[netlist, *find_cells()],
        defines=CELL_DEFINES,
        traced=traced,
        loaded=synthesized,
    )
