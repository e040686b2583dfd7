"""The core synthesized for a device family, simulated with the models of the vendor's cells."""

import subprocess
from pathlib import Path

from qornn_hw.compiler.design import Design
from qornn_hw.compiler.family import Family
from qornn_hw.errors import ToolError
from qornn_hw.rtl_gen.emit import emit_core_verilog
from qornn_hw.rtl_gen.yosys import find_cells, find_yosys
from qornn_hw.sim.core_simulation import CORE_NAME, CoreBuild, build_core
from qornn_hw.sim.runner import Simulator

__all__ = ["build_core_netlist", "synthesize_core"]


def synthesize_core(design: Design, family: Family, folder: Path) -> Path:
    """Synthesize the core of ``design`` alone for ``family``; return the netlist, Verilog of cells.

    Raises:
        ToolError: Yosys is missing or failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, netlist, log = f"{CORE_NAME}.v", f"{CORE_NAME}_netlist.v", folder / "synthesis.log"
    (folder / source).write_text(emit_core_verilog(design, name=CORE_NAME, vendor_cells=True))
    synthesis = family.synthesis
    option = "" if design.engine.hard_multipliers else synthesis.multiplier_options
    command = f"{synthesis.command} {option} -top {CORE_NAME}"
    script = f"read_verilog {source}; {command}; write_verilog -noattr {netlist}"
    with log.open("w") as file:
        code = subprocess.run(
            [find_yosys(), "-q", "-p", script], cwd=folder, stdout=file, stderr=subprocess.STDOUT, check=False
        ).returncode
    if code != 0 or not (folder / netlist).is_file():
        raise ToolError(f"Yosys could not synthesize the core, exit code {code}", log)
    return folder / netlist


def build_core_netlist(
    design: Design,
    family: Family,
    simulator: Simulator,
    folder: Path,
    *,
    synthesized: Design | None = None,
    traced: bool = False,
) -> CoreBuild:
    """Synthesize a core and compile the netlist for a simulator.

    Args:
        design: what the hardware is compared with.
        family: that it is synthesized for.
        simulator: for what.
        folder: for everything that is written.
        synthesized: what is synthesized, if not ``design``: the same with a fault.
        traced: let runs write waves.
    """
    folder = folder.resolve()
    netlist = synthesize_core(synthesized or design, family, folder)
    return build_core(
        design,
        simulator,
        folder,
        sources=[netlist, *find_cells(family.synthesis)],
        defines=dict(family.synthesis.defines),
        traced=traced,
        loaded=synthesized,
    )
