"""The step of :mod:`common_step` in other people's tools, each in an environment of its own.

Installed from PyPI into a temporary folder, run, compared with NumPy on their own model, and synthesized as
our core is: SB_LUT4 of yosys' synth_ice40. benchmarks/hardware.py runs it.
"""

import json
import subprocess
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from build_rows import Row
from common_step import common_network, ice40_cells

from qornn_hw.boards.toolchain import tool_environment
from qornn_hw.errors import ToolError

__all__ = ["RIVALS", "Rival", "run_rival"]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Rival:
    """Another tool.

    Attributes:
        name: of its row.
        package: what pip installs.
        script: beside this file; takes the step's arrays and a folder, prints JSON.
        sources: Verilog below the folder, as yosys reads it, the top last.
        says: its result in words.
    """

    name: str
    package: str
    script: str
    sources: tuple[str, ...]
    says: str


RIVALS = (
    Rival(
        "da4ml",
        "da4ml==0.6.0",
        "rival_da4ml.py",
        (
            # Their defaults name a file that is not there.
            "-defer src/static/multiplier.v src/static/shift_adder.v src/static/binop.v",
            "-defer src/static/negative.v src/static/lookup_table.v src/static/mux.v",
            "src/step.v top.v",
        ),
        "unrolls the complete step into one slow cycle; too large for any iCE40",
    ),
    Rival(
        "nngen",
        "nngen==1.3.4",
        "rival_nngen.py",
        ("top.v",),
        "reads weights from DRAM over AXI; has no tanh and no feedback of the state",
    ),
)


def run_rival(rival: Rival) -> Row:
    """Install a tool, build the step with it, synthesize that, and return the row.

    Raises:
        ToolError: it cannot be installed or run, or computes another step.
    """
    network = common_network()
    weights = np.concatenate([network.recurrent_weight, network.input_weight], axis=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / "bin" / "python")
        _run([python, "-m", "pip", "install", "--quiet", rival.package], folder)
        np.savez(
            folder / "step.npz",
            weights=weights,
            bias=network.bias,
            shift=network.shift,
            table=np.asarray(network.table),
        )
        out = folder / "out"
        out.mkdir()
        said = _run([python, str(HERE / rival.script), str(folder / "step.npz"), str(out)], folder)
        counted = json.loads(said.splitlines()[-1])
        if counted["differences"]:
            raise ToolError(f"{rival.name} must compute the common step, and does not: {counted}")
        made = ice40_cells(out, [f"read_verilog -sv {source}" for source in rival.sources], "top")
    return {
        "package": rival.package,
        "cycles_per_step": counted["cycles_per_step"],
        "integers_compared": counted["integers_compared"],
        "macs_per_step": int(weights.size),
        **made,
    }


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=tool_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise ToolError(f"{' '.join(command[:3])} failed with exit code {done.returncode}: {last}")
    return done.stdout
