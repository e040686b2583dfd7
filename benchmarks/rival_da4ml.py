"""The common step in da4ml: one combinational circuit of constant multiplications, and its table 64 times.

    python rival_da4ml.py STEP.npz FOLDER

Run by benchmarks/rivals.py in an environment that has da4ml. Writes Verilog to FOLDER, with registers around
the step so that the state comes back, and prints what was compared as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np
from da4ml.codegen import RTLModel
from da4ml.trace import FixedVariableArrayInput, comb_trace

CASES = 200
BYTE = (1, 7, 0)  # sign, integer and fractional bits
TOP = """
module top (input clk, input x_in, output reg y);
  reg [{x_end}:0] x;
  reg [{h_end}:0] h;
  wire [{h_end}:0] next;
  always @(posedge clk) begin
    x <= {{x[{x_end} - 1:0], x_in}};
    h <= next;
    y <= ^h;
  end
  step step_i (.model_inp({{x, h}}), .model_out(next));
endmodule
"""


def main() -> None:
    """Trace the step, compare it, write it."""
    step, folder = np.load(sys.argv[1]), Path(sys.argv[2])
    weights, bias, table = step["weights"], step["bias"], step["table"]
    (units, columns), half = weights.shape, 2.0 ** (step["shift"] - 1)

    def byte(count: int) -> tuple[np.ndarray, ...]:
        return tuple(np.full(count, bits) for bits in BYTE)

    operands = FixedVariableArrayInput(columns)
    accumulator = operands.quantize(*byte(columns)) @ weights.T.astype(float) + bias.astype(float)
    index = ((accumulator + half) * 2.0 ** -step["shift"]).quantize(*byte(units), "SAT", "TRN")
    state = index.apply(lambda p: table[(p + 128).astype(int)].astype(float)).quantize(*byte(units))
    circuit = comb_trace(operands, state)
    values = np.random.default_rng(1).integers(-128, 128, (CASES, columns))
    wanted = table[np.clip((values @ weights.T + bias + int(half)) >> step["shift"], -128, 127) + 128]
    differences = int((circuit.predict(values.astype(float)) != wanted).sum())
    RTLModel(circuit, "step", folder).write()
    (folder / "top.v").write_text(TOP.format(x_end=8 * (columns - units) - 1, h_end=8 * units - 1))
    # iCE40 has no distributed memory: without the attribute tables and the state become block RAM.
    lookup = folder / "src" / "static" / "lookup_table.v"
    lookup.write_text("".join(li for li in lookup.open() if "rom_style" not in li))
    for memory in (folder / "src" / "memfiles").glob("*.mem"):
        memory.rename(folder / memory.name)
    # A state a cycle.
    print(json.dumps({"integers_compared": wanted.size, "differences": differences, "cycles_per_step": 1}))


if __name__ == "__main__":
    main()
