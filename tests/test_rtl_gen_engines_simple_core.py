"""The core against the interpreter of networks: random networks of all operations, pauses, resets, faults."""

import random
import subprocess
from dataclasses import replace

import pytest
from hand_networks import make_stack
from program_bench import check, play, sequences_of_words
from program_verilog import play_verilog
from random_operations import draw_network

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.cells.elman import lower
from qornn_hw.compiler.engines.simple.instruction import Coefficient, Kind, Offset
from qornn_hw.compiler.engines.simple.lowering import assemble
from qornn_hw.rtl_gen.emit import emit_verilog, emit_verilogs
from qornn_hw.rtl_gen.engines.simple.core import SimpleCore
from qornn_hw.rtl_gen.yosys import find_cells, find_yosys
from qornn_hw.sim.stimuli import random_network

# Networks in Amaranth's simulator; batches of them as Verilog. All of them: pytest -m "slow or not slow".
FEW, MANY = 3, 100
BATCH, FEW_BATCHES, MANY_BATCHES = 10, 1, 12


def marked(few, many):
    """Return numbers, those from ``few`` on marked as slow."""
    return [s if s < few else pytest.param(s, marks=pytest.mark.slow) for s in range(many)]


def judge(network, program, words, play_core, seed):
    """Play words at full speed, then with pauses and resets; return the integers that were compared."""
    (whole,) = play_core(words)
    assert len(whole.words) == len(words)
    compared = check(network, [whole])
    assert len(whole.answers) == (6 if program.every_step else 3) * program.answer_words
    # The second and the third step of the first sequence, which has four of them, one behind the other.
    taken, n = whole.taken_at, program.input_words
    assert taken[2 * n] - taken[n] == program.cycles_per_step
    if program.every_step:
        assert whole.answered_at[program.answer_words] - taken[2 * n - 1] == program.answer_latency
    choose = random.Random(seed)
    cuts = choose.sample(range(1, taken[-1] + 20), 3)
    segments = play_core(words, idle=choose.random(), block=choose.random(), resets=cuts, seed=seed + 1)
    assert len(segments) == 4
    return compared + check(network, segments)


@pytest.mark.parametrize("seed", marked(FEW, MANY))
def test_any_network(seed):
    """Every state and every answer of a random network; a step takes its cycles."""
    network = draw_network(seed, largest=4)
    program = assemble(network, None if seed % 2 else 2 + seed % 9)

    def play_core(words, idle=0.0, block=0.0, **options):
        return play(SimpleCore(program), words, idle=0.8 * idle, block=0.8 * block, **options)

    assert judge(network, program, sequences_of_words(network, [3, 1, 2], seed), play_core, seed)


@pytest.mark.parametrize("batch", marked(FEW_BATCHES, MANY_BATCHES))
def test_any_network_as_verilog(batch, tmp_path):
    """Random networks, stacks of cells and Elman networks with four states: no x, and the same integers."""
    networks = {}
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        networks[f"any_{seed}"] = draw_network(seed)
    networks[f"stack_{batch}"] = make_stack(batch).network
    networks[f"elman_{batch}"] = lower(random_network(seed=batch, hidden_size=8, input_size=3, output_size=3))
    programs = {name: assemble(network) for name, network in networks.items()}
    cores = emit_verilogs({name: SimpleCore(program) for name, program in programs.items()})
    for seed, (name, network) in enumerate(networks.items(), batch * BATCH):
        program, verilog = programs[name], cores[name]

        def play_core(words, idle=0.0, block=0.0, *, name=name, program=program, verilog=verilog, **options):
            pauses = {"idle": int(90 * idle), "block": int(90 * block)}
            return play_verilog(tmp_path / name, name, verilog, program, words, **pauses, **options)

        assert judge(network, program, sequences_of_words(network, [3, 1, 2], seed), play_core, seed)


@pytest.mark.parametrize("seed", marked(1, 8))
def test_the_netlist_of_any_network(seed, tmp_path):
    """What yosys makes of a core for an iCE40 with hard multipliers: the same integers, and no x."""
    network = draw_network(seed, largest=3)
    program = assemble(network)
    (tmp_path / "rtl.v").write_text(emit_verilog(SimpleCore(program), "netlist"))
    script = "read_verilog rtl.v; synth_ice40 -dsp -top netlist; write_verilog -noattr netlist.v"
    done = subprocess.run([find_yosys(), "-q", "-p", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "conflict" not in done.stdout + done.stderr
    cells = find_cells(ICE40_ULTRAPLUS.synthesis)
    netlist = (tmp_path / "netlist.v").read_text()

    def play_core(words, idle=0.0, block=0.0, **options):
        pauses = {"idle": int(90 * idle), "block": int(90 * block), "cells": cells}
        return play_verilog(tmp_path / "play", "netlist", netlist, program, words, **pauses, **options)

    assert judge(network, program, sequences_of_words(network, [3, 1, 2], seed), play_core, seed)


# -- faults ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    """Return a small network with a table, its program, and words of its input."""
    network = make_stack(1, largest=4).network
    return network, assemble(network), sequences_of_words(network, [3], 0)


def is_seen(network, program, words):
    """Return whether a core with a fault differs from the interpreter, or reads beyond a memory."""
    try:
        (segment,) = play(SimpleCore(program), words, cycles=6 * program.cycles_per_step)
        check(network, [segment])
    except AssertionError:
        return True
    return len(segment.words) < len(words)


def test_without_a_fault(small):
    """The program itself is right."""
    assert not is_seen(*small)


@pytest.mark.parametrize("part", ["first", "stream", "table"])
def test_a_wrong_coefficient_is_seen(small, part):
    """The highest bit of a digit: of an initial state, of a weight, and of all words of a table."""
    network, program, words = small
    tables = min(i.number for i in program.instructions if i.coefficient is Coefficient.TABLE)
    span = {
        "first": [0],
        "stream": [program.step_coefficient],
        "table": range(tables, len(program.coefficients)),
    }
    half, digits = 1 << program.digit_bits - 1, list(program.coefficients)
    for at in span[part]:
        digits[at] = (digits[at] + 2 * half) % (2 * half) - half
    assert is_seen(network, replace(program, coefficients=tuple(digits)), words)


def changed(program, choice, **changes):
    """Return a program in which the first instruction of a choice in its second part is another one."""
    code = list(program.instructions)
    at = next(k for k, i in enumerate(code) if k >= program.step_instruction and choice(i))
    code[at] = replace(code[at], **changes)
    return replace(program, instructions=tuple(code))


@pytest.mark.sampled(7)
@pytest.mark.parametrize(
    "choice, changes",
    [
        (lambda i: i.kind is Kind.SHIFT, {"count": 3}),
        (lambda i: i.kind is Kind.SHIFT, {"kind": Kind.ROUND_UP}),
        (lambda i: i.kind is Kind.ROUND_UP, {"kind": Kind.MULTIPLY_ADD}),
        (lambda i: i.kind is Kind.STORE, {"number": 1}),
        (lambda i: i.kind is Kind.INDEX, {"kind": Kind.STORE}),
        (lambda i: i.kind is Kind.INDEX, {"offset": Offset.UNIT}),
        (lambda i: i.coefficient is Coefficient.STREAM and i.count > 1, {"count": 1}),
        (lambda i: i.coefficient is Coefficient.STREAM, {"coefficient": Coefficient.NUMBER}),
        (lambda i: i.scale, {"scale": False}),
        (lambda i: i.units > 1, {"units": 1}),
        (lambda i: i.port == 1, {"port": 0}),
        (lambda i: i.port == 1, {"address": 0}),
        (lambda i: i.offset is Offset.UNIT, {"offset": Offset.NONE}),
        (lambda i: i.stop == 1, {"stop": 2}),
    ],
)
def test_a_wrong_field_of_an_instruction_is_seen(small, choice, changes):
    """Each field, in an instruction where it counts."""
    network, program, words = small
    assert is_seen(network, changed(program, choice, **changes), words)


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulator_bits": 12},
        {"value_bits": 7},
        {"step_instruction": 0},
        {"step_coefficient": 1},
        {"one": 0},
    ],
)
def test_a_wrong_width_or_place_is_seen(small, changes):
    """Of the program's numbers."""
    network, program, words = small
    assert is_seen(network, replace(program, **changes), words)
