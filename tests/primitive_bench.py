"""The cocotb bench of vendor cells and their twins: drives both alike and records what both say."""

import json
import os
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from qornn_hw.sim.plan import PLAN_VARIABLE


@cocotb.test()
async def run_primitives(dut):
    """Drive a row of inputs a cycle, record the outputs as text, x where undefined."""
    plan = json.loads(Path(os.environ[PLAN_VARIABLE]).read_text())
    Clock(dut.clk, 10, unit="ns").start()
    edge = FallingEdge(dut.clk)
    record = []
    await edge
    for row in plan["rows"]:
        dut.drive.value = row
        await edge
        record.append((str(dut.vendor.value), str(dut.twin.value)))
    Path(plan["record"]).write_text(json.dumps(record))
