"""The step for comparison with other tools, in the core alone: cells times cycles a multiplication.

It has 64 units, 8 inputs of 8 bits, a random orthogonal W of 4 bits, states of 8 bits, a tanh from a table,
and one shift for all units: 4608 multiply-accumulates. Cells are counted in the same way for all tools:
SB_LUT4 of yosys' synth_ice40, without link and clock. benchmarks/hardware.py runs it.
"""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from amaranth.back import rtlil
from build_rows import Row
from limit import orthogonal, quantize

from qornn_hw.boards.toolchain import YOSYS, find_tool, tool_environment
from qornn_hw.cells.elman_network import (
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    Scales,
    WeightBits,
)
from qornn_hw.compiler.design import compile_network
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.ram import FORGET_INITIAL
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.stimuli import random_sequences

__all__ = ["common_network", "ice40_cells", "run_common"]

UNITS, INPUTS, BITS, STATE_BITS, SHIFT = 64, 8, 4, 8, 4
# One pass over 64 rows: 16 elements for W and 2 for U.
COLUMNS, ELEMENTS = 4, 18
STEPS = 5


def common_network() -> IntegerNetwork:
    """Return the network of the step; it has one output, the least that the core supports."""
    rng = np.random.default_rng(0)
    levels = 1 << STATE_BITS
    index = np.arange(levels) - levels // 2
    return IntegerNetwork(
        activation=Activation.TANH,
        recurrent_weight=quantize(orthogonal(rng, UNITS), BITS),
        input_weight=quantize(rng.standard_normal((UNITS, INPUTS)), BITS),
        output_weight=quantize(rng.standard_normal((1, UNITS)), BITS),
        bias=rng.integers(-100, 101, UNITS),
        output_bias=np.zeros(1, np.int64),
        initial_state=np.zeros(UNITS, np.int64),
        multiplier=np.ones(UNITS, np.int64),
        shift=SHIFT,
        table=np.rint(127 * np.tanh(index / 64)).astype(np.int64),
        weight_bits=WeightBits(BITS, BITS, BITS),
        state_bits=STATE_BITS,
        input_kind=InputKind.VECTOR,
        input_format=IntFormat(8, signed=True),
        input_shift=0,
        output_mode=OutputMode.LAST_STEP,
        output_kind=OutputKind.LOGITS,
        rounding=Rounding.HALF_UP,
        scales=Scales(1.0, 1.0, 1.0, 1.0),
    )


def ice40_cells(folder: Path, reads: Sequence[str], top: str, options: str = "") -> Row:
    """Return the cells by type that synth_ice40 makes from sources, and the version of yosys.

    Args:
        folder: folder of the sources.
        reads: yosys commands that read them.
        top: name of the top module.
        options: options of the synthesis.

    Raises:
        ToolError: yosys is missing.
        subprocess.CalledProcessError: yosys failed.
    """
    yosys = find_tool(YOSYS)
    synthesis = f"synth_ice40 {options} -top {top}"
    script = "\n".join((*reads, synthesis, "tee -q -o cells.json stat -json", ""))
    (folder / "synthesis.ys").write_text(script)
    subprocess.run([yosys.path, "-q", "synthesis.ys"], cwd=folder, env=tool_environment(), check=True)
    cells = json.loads((folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    return {"cells": cells, "yosys": yosys.version}


def run_common() -> Row:
    """Synthesize the core, count its cycles in simulation against the integer model, and return the row."""
    network = common_network()
    design = compile_network(network, columns_per_element=COLUMNS, elements=ELEMENTS)
    sequences = random_sequences(network, batch=1, steps=STEPS, seed=0)
    counted = simulate_core_in_python(design, sequences)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "core.il").write_text(rtlil.convert(make_core(design), name="core", emit_src=False))
        made = ice40_cells(folder, ["read_rtlil core.il", FORGET_INITIAL], "core", "-dsp")
    return {
        "engine": "lut",
        "lanes": design.lanes,
        "cycles_per_step": counted.cycles_per_step,
        "integers_compared": counted.integers_compared,
        "macs_per_step": network.hidden_size * (network.hidden_size + network.input_size),
        **made,
    }
