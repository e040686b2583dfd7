"""Designs drawn at random as Verilog in a four-state simulator, on the bench of an exported core.

A word beyond a memory, or a register that nobody wrote, is X there, and an X in an answer is a mismatch.
"""

import random
import re
import subprocess

import pytest
from random_designs import draw

from qornn_hw.cells.elman_network import Activation
from qornn_hw.compiler.design import compile_network
from qornn_hw.rtl_gen.emit import emit_core_verilog, emit_verilogs
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.sim.export import bench_files, golden_vectors
from qornn_hw.sim.runner import find_simulator
from qornn_hw.sim.stimuli import corner_sequences, random_network, random_sequences

# Plans in a batch, which has one start of Yosys; batches a day, and by hand:
# pytest -m "slow or not slow" tests/test_rtl_gen_random_exports.py
PLANS, FEW, MANY = 20, 3, 50
UNITS = 40

# Apart from the bench: from the second play on nothing that leaves the core is undefined, valid or not.
MONITOR = """
module monitor;
  wire any = ^{{{name}_tb.state_data, {name}_tb.o_payload, {name}_tb.i_ready}};
  always @(posedge {name}_tb.clk)
    if ({name}_tb.pauses && any === 1'bx) begin
      $display("undefined: state %b, answer %b", {name}_tb.state_data, {name}_tb.o_payload);
      $fatal(1);
    end
endmodule
"""


def play(folder, design, verilog, seed=0, name="core"):
    """Run the bench of a core in Icarus Verilog; return what it printed, and the integers to compare."""
    net = design.network
    sequences = [
        *random_sequences(net, batch=2, steps=4, seed=seed),
        *corner_sequences(net, steps=1).values(),
    ]
    vectors = golden_vectors(design, sequences)
    cut = random.Random(seed).randint(1, len(vectors.units))
    files = bench_files(design, name, vectors, cut=cut) | {
        f"{name}.v": verilog,
        "monitor.v": MONITOR.format(name=name),
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    tools = find_simulator("icarus").folder
    compiler = [tools / "iverilog", "-g2012", "-o", "bench.vvp", "-s", f"{name}_tb", "-s", "monitor"]
    sources = [f"{name}_tb.v", f"{name}.v", "monitor.v"]
    subprocess.run([*compiler, *sources], cwd=folder, check=True, capture_output=True)
    done = subprocess.run(
        [tools / "vvp", "-n", "bench.vvp"], cwd=folder, check=False, capture_output=True, text=True
    )
    return done.stdout, 2 * (len(vectors.units) + len(vectors.answers))


def fails(folder, design, verilog=None):
    """Return whether the bench of a core says FAIL or that an output is undefined."""
    printed, _ = play(folder, design, verilog or emit_core_verilog(design, name="core"))
    (verdict,) = re.findall("^(PASS|FAIL|undefined)", printed, re.MULTILINE)
    return verdict != "PASS"


@pytest.mark.parametrize(
    "batch", [b if b < FEW else pytest.param(b, marks=pytest.mark.slow) for b in range(MANY)]
)
def test_any_plan_gives_the_integers_of_the_model_and_no_x(batch, tmp_path):
    """At full speed, cut off by a reset, and with pauses: 0 mismatches, and no output is ever undefined."""
    designs = {f"plan_{seed}": draw(seed, units=UNITS) for seed in range(batch * PLANS, (batch + 1) * PLANS)}
    cores = emit_verilogs({name: make_core(design, preloaded=True) for name, design in designs.items()})
    wrong = {}
    for seed, (name, design) in enumerate(designs.items(), batch * PLANS):
        printed, integers = play(tmp_path / name, design, cores[name], seed=seed, name=name)
        if f"PASS: {integers} integers compared, 0 mismatches" not in printed:
            wrong[seed] = printed
    assert not wrong


@pytest.mark.parametrize("units", [44, 48])
def test_a_readout_whose_memory_is_no_power_of_two_gives_no_x(units, tmp_path):
    """The lanes of a readout go on behind the last word of V, while the sums wait: they stay at that word."""
    network = random_network(
        seed=0,
        hidden_size=units,
        input_size=3,
        output_size=6,
        activation=Activation.TANH,
        weight_bits=6,
    )
    design = compile_network(network, columns_per_element=3, elements=9, readout_lanes=3)
    assert not fails(tmp_path, design)


@pytest.fixture(scope="module")
def small():
    """Return a design with a readout, and its Verilog."""
    network = random_network(seed=1, hidden_size=5, input_size=2, output_size=3)
    design = compile_network(network, columns_per_element=2, elements=2, readout_lanes=2)
    return design, emit_core_verilog(design, name="core")


def test_a_wrong_bit_fails(small, tmp_path):
    """The hardware has one bit of a weight of V that the model has not."""
    design, _ = small
    faulty = design.with_memory(design.memory("readout").flip(0, 1))
    verilog = emit_core_verilog(faulty, name="core")
    assert fails(tmp_path, design, verilog)
    assert not fails(tmp_path, design)


@pytest.mark.parametrize(
    "memory, word", [("readout.weights", 3), ("constants", 4), ("chain.element_0.weights", 6)]
)
def test_a_word_that_nobody_wrote_fails(memory, word, small, tmp_path):
    """Without its initial value the word of a memory is X, as one beyond the memory is."""
    design, verilog = small
    module = re.search(rf"^module \\core\.{re.escape(memory)}(\$\d+)? .*?^endmodule", verilog, re.M | re.S)
    without = re.sub(rf"^.*\[{word}\] = .*\n", "", module[0], count=1, flags=re.M)
    assert without != module[0]
    assert fails(tmp_path, design, verilog.replace(module[0], without))


def test_a_register_that_a_reset_does_not_clear_fails(small, tmp_path):
    """The play that is cut off tells: without the reset of the chain's tokens, rows of it go on."""
    design, verilog = small
    at = verilog.index("module \\core.sequencer")
    end = verilog.index("endmodule", at)
    without = verilog[at:end].replace(" rst ? ", " 1'b0 ? ")
    assert without != verilog[at:end]
    assert fails(tmp_path, design, verilog[:at] + without + verilog[end:])
