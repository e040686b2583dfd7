"""The core against the interpreter of networks: random networks on random shapes, pauses, resets, faults."""

import random
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from test_rtl_gen_random_exports import play
from tile_designs import design_of, draw, quantized_cells, sequences_of

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.cells.hadamard import HadamardUnits
from qornn_hw.compiler.engines.tile.layout import Shape
from qornn_hw.compiler.engines.tile.transform import transformed_rows
from qornn_hw.errors import MismatchError
from qornn_hw.ir.kinds import InputKind
from qornn_hw.ir.ops import MatVec, Table
from qornn_hw.quantization.quantize_stack import quantized_stack
from qornn_hw.quantization.stack import RealStack
from qornn_hw.rtl_gen.emit import emit_core_verilog, emit_verilogs
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.yosys import find_cells, find_yosys
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.answer_latency import measure_answer_latency
from qornn_hw.sim.core_simulation import simulate_core
from qornn_hw.sim.faults import inject_faults
from qornn_hw.sim.pauses import PATTERNS
from qornn_hw.sim.stimuli import random_network

# Networks in Amaranth's simulator; batches of them as Verilog; netlists.
# All of them: pytest -m "slow or not slow".
FEW, MANY = 9, 240
BATCH, FEW_BATCHES, MANY_BATCHES = 10, 1, 20
FEW_NETLISTS, NETLISTS = 1, 20
GRU = quantized_cells([("gru", 5)], 3, weight_bits=4, state_bits=8)
SHAPE = Shape(columns=2, lanes=6, interval=3, multipliers=3)


def marked(few, many):
    """Return numbers, those from ``few`` on marked as slow."""
    return [s if s < few else pytest.param(s, marks=pytest.mark.slow) for s in range(many)]


@pytest.mark.parametrize("seed", marked(FEW, MANY))
def test_any_network(seed):
    """Every state and every answer, with pauses and a reset, too; a step takes its cycles."""
    design = draw(seed, units=8 if seed < FEW else 65)
    sequences = sequences_of(design.operations, [5, 1, 2], seed)
    result = simulate_core_in_python(design, sequences)
    if design.schedule.cycles_are_exact:
        assert result.cycles_per_step == design.schedule.cycles_per_step
    else:
        assert result.cycles_per_step >= design.schedule.cycles_per_step
    idle, back_pressure = random.Random(seed).choices(PATTERNS, k=2)
    simulate_core_in_python(
        design, sequences, idle=idle, back_pressure=back_pressure, reset_after=2, seed=seed
    )


@pytest.mark.parametrize("seed", marked(FEW, 60))
def test_the_latency_of_an_answer(seed):
    """From the last word of the input to the first and to the last word of the answer, in an idle core."""
    design = draw(seed, units=8)
    measured = measure_answer_latency(design)
    expected = design.schedule.answer_latency, design.schedule.answer_end_latency
    assert (measured.first, measured.last) == expected


@pytest.mark.parametrize("batch", marked(FEW_BATCHES, MANY_BATCHES))
def test_any_network_as_verilog(batch, tmp_path):
    """In a four-state simulator, at full speed, cut off by a reset, with pauses: no x, and no mismatch."""
    seeds = range(batch * BATCH, (batch + 1) * BATCH)
    designs = {f"tile_{seed}": draw(seed, units=8 if batch < FEW_BATCHES else 40) for seed in seeds}
    cores = emit_verilogs({name: make_core(design, preloaded=True) for name, design in designs.items()})
    wrong = {}
    for seed, (name, design) in zip(seeds, designs.items(), strict=True):
        printed, integers = play(tmp_path / name, design, cores[name], seed=seed, name=name)
        if f"PASS: {integers} integers compared, 0 mismatches" not in printed:
            wrong[seed] = printed
    assert not wrong


@pytest.mark.parametrize(
    ("layers", "steps"),
    [
        ([("gru", 5), ("dense", 6)], 1),
        ([("hadamard", 8), ("dense", 3), ("dense", 7)], 1),
        ([("dense", 4), ("lstm", 3), ("dense", 5)], 2),
        ([("dense", 4), ("dense", 5)], 1),
        ([("fastrnn", 4), ("gru", 3)], 2),
    ],
)
def test_layers_for_an_answer_are_left_out(layers, steps, tmp_path):
    """A step without an answer ends behind the last layer with a memory, in its cycles."""
    network = quantized_cells(layers, 3, weight_bits=4, state_bits=8, output_mode="last_step")
    assert network.step_layers == steps
    design = design_of(network, Shape(columns=2, lanes=8, interval=4, multipliers=4))
    p = design.schedule.layout
    assert design.schedule.cycles_per_step == sum(p.stage_cycles(k) for k in range(p.step_stages))
    assert p.step_cycles < p.state_cycles or steps == len(layers)
    assert design.schedule.passes == sum(p.passes(stage) for stage in p.stages[: p.step_stages])
    sequences = sequences_of(network, [6, 1, 3, 1, 1, 5], 0)
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step == design.schedule.cycles_per_step
    for seed, (idle, back_pressure) in enumerate(zip(PATTERNS, reversed(PATTERNS), strict=True)):
        simulate_core_in_python(
            design, sequences, idle=idle, back_pressure=back_pressure, reset_after=2, seed=seed
        )
    measured = measure_answer_latency(design)
    expected = design.schedule.answer_latency, design.schedule.answer_end_latency
    assert (measured.first, measured.last) == expected
    printed, integers = play(tmp_path, design, emit_core_verilog(design, name="core"))
    assert f"PASS: {integers} integers compared, 0 mismatches" in printed


@pytest.mark.parametrize(
    "network, shape",
    [
        (quantized_cells([("minGRU", 5)], 3, weight_bits=4), Shape(2, 6, 4, 4)),
        (random_network(seed=3, hidden_size=6, input_size=5, output_size=3, input_kind=InputKind.ONE_HOT),
         Shape(4, 2, 2, 2)),
        (quantized_cells([("gru", 1)], 1, outputs=1, weight_bits=4), Shape(1, 3, 3, 3)),
    ],
)  # fmt: skip
def test_sizes_of_one_as_verilog(network, shape, tmp_path):
    """One phase in every stage, one unit, one input: signals of no bits mean the same in all simulators."""
    design = design_of(network, shape)
    simulate_core_in_python(design, sequences_of(design.operations, [4, 2], 0))
    printed, integers = play(tmp_path, design, emit_core_verilog(design, name="core"))
    assert f"PASS: {integers} integers compared, 0 mismatches" in printed


@pytest.mark.parametrize("seed", marked(FEW_NETLISTS, NETLISTS))
def test_the_netlist_of_any_network(seed, tmp_path):
    """What yosys makes of a core for an iCE40 with hard multipliers: the same integers, and no x."""
    check_netlist(draw(seed + 1, units=6), tmp_path)


@pytest.mark.parametrize(
    ("units", "interval"),
    [(16, 1), pytest.param(24, 2, marks=pytest.mark.slow), pytest.param(64, 1, marks=pytest.mark.slow)],
)
def test_the_netlist_of_a_transform(units, interval, tmp_path):
    """The banks are block RAMs: no word is read in the cycle in which it is written, which would be x."""
    layers = [("hadamard", units), ("dense", 3)]
    network = quantized_cells(layers, 1, weight_bits=4, state_bits=8, output_mode="last_step")
    check_netlist(design_of(network, Shape(columns=2, lanes=2, interval=interval, multipliers=4)), tmp_path)


def check_netlist(design, folder):
    """Compare the netlist of a core with the model, in a four-state simulator."""
    (folder / "rtl.v").write_text(emit_core_verilog(design, name="core"))
    script = "read_verilog rtl.v; synth_ice40 -dsp -top core; write_verilog -noattr netlist.v"
    done = subprocess.run([find_yosys(), "-q", "-p", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and "conflict" not in done.stdout + done.stderr
    defines = "".join(f"`define {name} {value}\n" for name, value in ICE40_ULTRAPLUS.synthesis.defines)
    models = defines + "".join(path.read_text() for path in find_cells(ICE40_ULTRAPLUS.synthesis))
    printed, integers = play(folder / "play", design, models + (folder / "netlist.v").read_text())
    assert f"PASS: {integers} integers compared, 0 mismatches" in printed


@pytest.mark.parametrize(("units", "block"), [(8, 2), (16, 0), (24, 0), (48, 8)])
@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize("mode", ["every_step", "last_step"])
def test_transforms(units, block, interval, mode, tmp_path):
    """Signs and blocks with pauses and resets, in the middle of a transform too, and as Verilog."""
    rng = np.random.default_rng(units)
    cell = HadamardUnits.start(2, units, rng, block=block, bias=rng.normal(size=units) / 4)
    stack = RealStack((cell,), rng.normal(size=(4, units)), rng.normal(size=4), output_relu=True)
    options = {"weight_bits": 4, "state_bits": 10, "output_mode": mode}
    network = quantized_stack(stack, rng.normal(size=(8, 6, 2)), **options).network
    assert len(transformed_rows(network)) == 1
    design = design_of(network, Shape(columns=2, lanes=3, interval=interval, multipliers=4))
    sequences = sequences_of(network, [5, 1, 3], units)
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step == design.schedule.cycles_per_step
    for seed, (idle, back_pressure) in enumerate(zip(PATTERNS, reversed(PATTERNS), strict=True)):
        simulate_core_in_python(
            design, sequences, idle=idle, back_pressure=back_pressure, reset_after=1 + seed % 3, seed=seed
        )
    printed, integers = play(tmp_path, design, emit_core_verilog(design, name="core"))
    assert f"PASS: {integers} integers compared, 0 mismatches" in printed


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        # The stage before ends while its last pass counts: many lanes, long intervals, few words.
        ([("hadamard", 16)], (16, 5, 5, 4)),
        ([("hadamard", 16)], (16, 5, 8, 4)),
        ([("hadamard", 16)], (8, 4, 6, 4)),
        ([("linear", 6), ("hadamard", 8), ("hadamard", 32)], (4, 6, 4, 2)),
        # Several transforms, and several memories of constants.
        ([("hadamard", 8), ("hadamard", 16)], (2, 3, 2, 4)),
        ([("hadamard", 40), ("gru", 3)], (8, 8, 6, 2)),
        ([("gru", 2), ("gru", 32)], (8, 8, 8, 1)),
    ],
)
def test_stages_of_very_different_sizes(layers, shape):
    """Each with its own transform and constants, and no cycle more than the schedule says."""
    network = quantized_cells(layers, 3, outputs=6, weight_bits=4, state_bits=8)
    design = design_of(network, Shape(*shape))
    sequences = sequences_of(network, [4, 1, 2], 0)
    result = simulate_core_in_python(design, sequences)
    assert result.cycles_per_step == design.schedule.cycles_per_step
    idle, back_pressure = PATTERNS[1], PATTERNS[-1]
    simulate_core_in_python(design, sequences, idle=idle, back_pressure=back_pressure, reset_after=2, seed=1)


def test_in_a_simulator_of_verilog():
    """On the bench that users have, with a reset in the middle of a step."""
    design = design_of(GRU, SHAPE)
    result = simulate_core(design, sequences_of(GRU, [3, 2], 0), reset_after=1)
    assert result.integers_compared > 0 and result.mismatches == 0


@pytest.mark.parametrize(
    "layers",
    [
        [("gru", 4)],
        [("lstm", 3)],
        [("gru, reset before", 3), ("fastgrnn", 4)],
        [("hadamard", 8), ("gru", 3)],
    ],
)
def test_every_fault_is_seen(layers):
    """One of each number of the network, and addresses that are one too large."""
    network = quantized_cells(layers, 3, weight_bits=4, state_bits=8)
    design = design_of(network, replace(SHAPE, lanes=8, interval=4))
    sequences = sequences_of(network, [4, 4, 4], 0)
    simulate_core_in_python(design, sequences)
    faults = inject_faults(design, sequences)
    terms = sum(len(op.terms) for op in network.operations if isinstance(op, MatVec))
    assert len(faults) >= terms + 2
    unseen = []
    for fault in faults:
        try:
            simulate_core_in_python(fault.design, sequences)
        except MismatchError:
            continue
        unseen.append(fault.name)
    assert not unseen


def test_a_wrong_entry_of_a_table_is_seen():
    """All entries of tanh's table a unit too large."""
    design = design_of(GRU, SHAPE)
    assert any(isinstance(op, Table) for op in GRU.operations)
    table = design.memory("table_0_0")
    mask = (1 << table.width) - 1
    wrong = design.with_memory(table.with_words((word + 1) & mask for word in table.words))
    with pytest.raises(MismatchError, match="must equal the integer model"):
        simulate_core_in_python(wrong, sequences_of(GRU, [4], 0))
