"""The common step in NNgen: a matrix multiplication with weights in DRAM behind AXI, ReLU in place of tanh.

    python rival_nngen.py STEP.npz FOLDER

Run by benchmarks/rivals.py in an environment that has nngen, with Icarus Verilog. Writes Verilog to FOLDER,
counts the cycles from start to end in simulation beside NNgen's model of a memory, and prints what was
compared as JSON. The state is not fed back and has no tanh: NNgen knows neither.
"""

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import nngen as ng
import numpy as np
import veriloggen.thread as vthread
import veriloggen.types.axi as axi
from veriloggen import Delay, Module, Not, Seq, Systask, simulation

CASES = 20
WORD_BITS = 32
CHUNK = 64
CYCLES_MAX = 10_000_000


def simulate(target: Any, x: Any, y: Any, operands: np.ndarray, result: np.ndarray, folder: Path) -> str:
    """Return what a simulation of one step prints."""

    def align(address: int) -> int:
        return math.ceil(address / CHUNK) * CHUNK

    parameters = ng.export_ndarray([y], CHUNK)
    at_parameters = align(x.addr + x.memory_size)
    at_check = align(at_parameters + len(parameters))
    at_buffer = align(at_check + y.memory_size)
    content = np.zeros(1 << 18, dtype=np.int64)
    for values, bits, address in (
        (operands, x.dtype.width, x.addr),
        (parameters, 8, at_parameters),
        (result, y.dtype.width, at_check),
    ):
        axi.set_memory(content, values, WORD_BITS, bits, address, WORD_BITS // bits)
    m = Module("test")
    m.copy_params(target)
    ports = m.copy_sim_ports(target)
    clk, resetn, rst = ports["CLK"], ports["RESETN"], m.Wire("RST")
    rst.assign(Not(resetn))
    memory = axi.AxiMemoryModel(
        m, "memory", clk, rst, datawidth=WORD_BITS, memimg=content, memimg_name=str(folder / "memory.out"),
        memimg_datawidth=WORD_BITS,
    )  # fmt: skip
    memory.connect(ports, "maxi")
    saxi = vthread.AXIMLite(m, "_saxi", clk, rst, noio=True)
    saxi.connect(ports, "saxi")
    counter = m.Reg("time_counter", 32, initval=0)
    Seq(m, "seq", clk, rst)(counter.inc())
    units = result.size

    # Compiled to a state machine by veriloggen, not run by Python.
    def control() -> None:
        ng.sim.set_global_addrs(saxi, at_buffer)
        start = counter.value
        ng.sim.start(saxi)
        ng.sim.wait(saxi)
        end = counter.value
        print("cycles", end - start)
        for unit in range(units):
            found = memory.read_word(unit, y.addr, y.dtype.width)
            wanted = memory.read_word(unit, at_check, y.dtype.width)
            if vthread.verilog.NotEql(found, wanted):
                print("different", unit)
        vthread.finish()

    vthread.Thread(m, "control", clk, rst, control).start()
    m.Instance(target, "uut", params=m.connect_params(target), ports=m.connect_ports(target))
    begin = simulation.setup_reset(m, resetn, m.make_reset(), period=100, polarity="low")
    simulation.setup_clock(m, clk, hperiod=5)
    begin.add(Delay(10 * CYCLES_MAX), Systask("finish"))
    printed: str = simulation.Simulator(m, sim="iverilog").run(outputfile=str(folder / "simulation.out"))
    return printed


def main() -> None:
    """Build the step, compare it, count its cycles, write it."""
    step, folder = np.load(sys.argv[1]), Path(sys.argv[2])
    weights, bias, shift = step["weights"].astype(np.int64), step["bias"].astype(np.int64), int(step["shift"])
    units, columns = weights.shape
    x = ng.placeholder(dtype=ng.int8, shape=(1, columns), name="x")
    w = ng.variable(dtype=ng.int4, shape=(units, columns), name="w")
    b = ng.variable(dtype=ng.int32, shape=(units,), name="b")
    w.set_value(weights)
    b.set_value(bias)
    y = ng.matmul(
        x, w, bias=b, transposed_b=True, act_func=ng.relu, dtype=ng.int8, sum_dtype=ng.int32, name="y"
    )
    y.attribute(cshamt_out=shift, par_ich=1, par_och=1)
    rng = np.random.default_rng(1)
    differences = 0
    for _ in range(CASES):
        operands = rng.integers(-128, 128, (1, columns)).astype(np.int64)
        result = np.asarray(ng.eval([y], x=operands)[0]).ravel()
        accumulator = np.maximum(weights @ operands[0] + bias, 0)
        differences += int((result != np.clip((accumulator + (1 << (shift - 1))) >> shift, -128, 127)).sum())
    target = ng.to_veriloggen([y], "top", silent=True, config={"maxi_datawidth": WORD_BITS})
    printed = simulate(target, x, y, operands, result, folder)
    differences += printed.count("different")
    (folder / "top.v").write_text(target.to_verilog())
    cycles = re.search(r"cycles\s+(\d+)", printed)
    assert cycles is not None, printed
    compared = (CASES + 1) * units
    counted = {"integers_compared": compared, "differences": differences, "cycles_per_step": int(cycles[1])}
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
