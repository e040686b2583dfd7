"""Exported cores: their benches pass with a bare simulator, and fail where a bit of a weight is wrong."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from simulators import DEFAULT, INSTALLED

from qornn_hw.cells.elman_network import Activation, InputKind, OutputKind, OutputMode, WeightBits
from qornn_hw.compiler.design import compile_network
from qornn_hw.errors import FormatError, OutputError
from qornn_hw.rtl_gen.emit import core_ports
from qornn_hw.sim.export import export_core, golden_vectors, memory_images
from qornn_hw.sim.runner import find_simulator
from qornn_hw.sim.stimuli import random_network, random_sequences

SMALL = {"hidden_size": 5, "input_size": 3, "output_size": 2}
DESIGNS = {
    "vector, both kinds of answer": ({}, {"columns_per_element": 2, "elements": 2}),
    "one-hot, argmax after the last step": (
        {
            "input_kind": InputKind.ONE_HOT,
            "output_kind": OutputKind.ARGMAX,
            "output_mode": OutputMode.LAST_STEP,
        },
        {"columns_per_element": 2, "elements": 2},
    ),
    "modrelu, 12-bit states, weights of 1 to 3 bits": (
        {"activation": Activation.MODRELU, "state_bits": 12, "weight_bits": WeightBits(1, 2, 3)},
        {"columns_per_element": 3, "elements": 3},
    ),
    "tanh, a readout": (
        {"activation": Activation.TANH},
        {"columns_per_element": 2, "elements": 2, "readout_lanes": 1},
    ),
    "dsp engine, weights in SPRAM": ({}, {"elements": 3, "engine": "dsp"}),
    "weights of an element in SPRAM": ({}, {"columns_per_element": 2, "elements": 2, "spram_elements": 1}),
}


def make(name):
    """Return a small design of the table."""
    settings, chain = DESIGNS[name]
    return compile_network(random_network(seed=2, **SMALL, **settings), **chain)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a function that exports a design of the table, once."""
    made = {}

    def export(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("export") / "core"
            made[name] = folder, export_core(make(name), folder, steps=5)
        return made[name]

    return export


def check(folder, name="qornn_core"):
    """Run the bench as the README says, or with Verilator; return exit code and output.

    Nothing but the simulator is on the path: no Python, no module of ours.
    """
    if DEFAULT.name == "icarus":
        (command,) = re.findall(r"^    (iverilog .*)$", (folder / "README.md").read_text(), re.MULTILINE)
        path = folder.parent / "bin"
        path.mkdir(exist_ok=True)
        for program in ("iverilog", "vvp"):
            if not (path / program).exists():
                (path / program).symlink_to(shutil.which(program))
        environment = {"PATH": str(path)}
    else:
        command = (
            f"verilator --binary --timing -Wno-fatal --top-module {name}_tb {name}_tb.v {name}.v >/dev/null "
            f"&& obj_dir/V{name}_tb"
        )
        environment = os.environ | {
            "PATH": f"{DEFAULT.folder}{os.pathsep}{os.environ['PATH']}",
            "MAKEFLAGS": DEFAULT.makeflags,
        }
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


# With Verilator each is compiled for half a minute: there the first one has to do.
CHECKED = list(DESIGNS) if "icarus" in INSTALLED else list(DESIGNS)[:1]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", CHECKED)
def test_the_bench_passes_elsewhere(name, exported, tmp_path):
    """Copied to an empty folder, with a simulator alone: PASS, with every integer counted, twice."""
    folder, facts = exported(name)
    copy = tmp_path / "copied" / "core"
    shutil.copytree(folder, copy)
    code, output = check(copy)
    assert code == 0, output
    assert f"PASS: {2 * facts['integers']} integers compared, 0 mismatches" in output


def test_a_flipped_bit_of_a_weight_fails(exported, tmp_path):
    """One bit in one word of one weight memory: FAIL, an exit code, and where it first shows."""
    folder, _ = exported(CHECKED[0])
    copy = tmp_path / "copied" / "core"
    shutil.copytree(folder, copy)
    verilog = (copy / "qornn_core.v").read_text()
    at = verilog.index("memory[0] =", verilog.index("module \\qornn_core.chain.element_1.weights"))
    end = verilog.index(";", at)
    (bits, base, digits) = re.fullmatch(r"memory\[0\] = (\d+)'([hd])(\w+)", verilog[at:end]).groups()
    word = int(digits, 16 if base == "h" else 10) ^ 4
    (copy / "qornn_core.v").write_text(f"{verilog[:at]}memory[0] = {bits}'h{word:x}{verilog[end:]}")
    code, output = check(copy)
    assert code != 0
    assert re.search(r"mismatch: unit 0 of 0: expected \w+, got \w+", output)
    assert re.search(r"FAIL: \d+ integers compared, \d+ mismatches", output)


@pytest.mark.skipif("verilator" not in INSTALLED, reason="the linter is Verilator")
@pytest.mark.parametrize("name", DESIGNS)
def test_verilator_has_nothing_to_say(name, exported):
    """With all warnings on, and with the reasons of the file for those that it waives."""
    folder, _ = exported(name)
    verilator = find_simulator("verilator").folder / "verilator"
    command = [verilator, "--lint-only", "-Wall", "qornn_core.v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "%Warning" not in said and "%Error" not in said, said


@pytest.mark.skipif(shutil.which("make") is None, reason="the Makefile of cocotb needs make")
def test_the_cocotb_test_passes(exported, tmp_path):
    """`make` in the folder of the cocotb test, with cocotb from this environment: both tests pass."""
    folder, _ = exported(CHECKED[0])
    copy = tmp_path / "core"
    shutil.copytree(folder, copy)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COCOTB", "PYTEST", "MAKE"))}
    environment["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), str(DEFAULT.folder), os.environ["PATH"]]
    )
    environment["MAKEFLAGS"] = DEFAULT.makeflags
    command = ["make", f"SIM={DEFAULT.name}"]
    done = subprocess.run(
        command, cwd=copy / "cocotb", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TESTS=2 PASS=2 FAIL=0" in done.stdout + done.stderr


@pytest.mark.parametrize("name", DESIGNS)
def test_files_are_what_they_say(name, exported):
    """Ports, memories and vectors of the README are those of the Verilog and of the integer model."""
    folder, facts = exported(name)
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == set(facts["files"])
    readme, verilog = (folder / "README.md").read_text(), (folder / "qornn_core.v").read_text()
    for port in core_ports(make(name)):
        if not port.name.startswith("write__"):
            assert f"| `{port.name}` | {port.direction} | {port.width} |" in readme
            assert re.search(rf"\b{port.name}\b", verilog.split(";")[0])
    assert "SB_" not in verilog
    for image in memory_images(verilog):
        assert f"| `{image.name}` | {image.depth} | {image.width} |" in readme
        assert (folder / "memories" / f"{image.name}.hex").read_text() == image.to_hex()
    for file in re.findall(r"^ +- ([\w./]+)", (folder / "qornn_core.core").read_text(), re.MULTILINE):
        assert (folder / file).is_file()
    sequences = json.loads((folder / "vectors" / "vectors.json").read_text())["sequences"]
    units = [g for sequence in sequences for step in sequence["hidden"] for g in step]
    assert len(units) == len((folder / "vectors" / "units.hex").read_text().split())
    for text in (readme, verilog, (folder / "qornn_core_tb.v").read_text()):
        assert str(folder.parent) not in text and str(Path.home()) + "/" not in text


def test_memories_hold_the_weights():
    """What is read out of the Verilog is what the design put in."""
    design = make(CHECKED[0])
    from qornn_hw.rtl_gen.emit import emit_core_verilog

    found = {image.name: image.words for image in memory_images(emit_core_verilog(design))}
    for e in range(design.schedule.chain.elements):
        assert found[f"chain.element_{e}.weights"] == design.memory(f"weights_{e}").words
    assert found["constants"] == design.memory("constants").words


def test_vectors_mark_the_last_words():
    """First and last words are marked on both streams, once a sequence."""
    design = make("one-hot, argmax after the last step")
    vectors = golden_vectors(design, random_sequences(design.network, batch=2, steps=3, seed=0))
    bits = design.network.input_format.bits
    assert [word >> bits for word in vectors.inputs] == [1, 0, 2, 1, 0, 2]
    assert [word >> design.answer_bits for word in vectors.answers] == [1, 1]


def test_an_export_replaces_an_older_one(tmp_path):
    """The same folder again: nothing of the older export is left, what is the user's stays, same bytes."""
    design, folder = make(CHECKED[0]), tmp_path / "core"
    export_core(design, folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    (folder / "memories" / "old.hex").write_text("0\n")
    (folder / "mine.txt").write_text("kept")
    export_core(design, folder)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "mine.txt"} == before
    assert (folder / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"name": "2core"}, FormatError, r"^name must be letters, digits and '_', not '2core'$"),
        ({"name": "a.b"}, FormatError, r"^name must be letters, digits and '_', not 'a\.b'$"),
        ({"name": "module"}, FormatError, r"^name must be no keyword of Verilog, 'module' is one$"),
        ({"steps": 0}, FormatError, r"^steps must be 1 to 1000000, not 0$"),
        ({"sequences": 0}, FormatError, r"^sequences must be 1 to 1000000, not 0$"),
    ],
)
def test_bad_requests(options, error, message, tmp_path):
    """A bad request is one line, and writes nothing."""
    with pytest.raises(error, match=message):
        export_core(make(CHECKED[0]), tmp_path / "core", **options)
    assert not (tmp_path / "core").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    """A file in its place is named."""
    (tmp_path / "core").write_text("a file")
    with pytest.raises(OutputError, match=r"^the output folder must be writable, .*core is not"):
        export_core(make(CHECKED[0]), tmp_path / "core")
    assert (tmp_path / "core").read_text() == "a file"


@pytest.mark.parametrize(
    ("sizes", "kind", "said"),
    [
        (
            {"hidden_size": 1, "input_size": 1, "output_size": 1},
            OutputKind.LOGITS,
            (
                "Recurrent network, 1 hidden unit, relu, 1 input, 1 output.",
                "1 word makes a time step: the input, 4 bits, unsigned.",
                "An answer of 1 word after each step: the logit.",
                "1 multiply-accumulate a cycle.",
            ),
        ),
        (
            {"hidden_size": 3, "input_size": 2, "output_size": 2},
            OutputKind.BOTH,
            (
                "Recurrent network, 3 hidden units, relu, 2 inputs, 2 outputs.",
                "2 words make a time step: the entries of the vector in order, 4 bits, unsigned.",
                "An answer of 3 words after each step: the logits, 2 of them, then the index of the largest",
                "sequences, ",
            ),
        ),
    ],
)
def test_words_of_the_readme(sizes, kind, said, tmp_path):
    """One of a thing is in the singular, several are in the plural."""
    network = random_network(seed=1, activation=Activation.RELU, output_kind=kind, **sizes)
    design = compile_network(network, columns_per_element=1, elements=1)
    export_core(design, tmp_path, sequences=1, steps=1)
    readme = (tmp_path / "README.md").read_text()
    for words in said:
        assert words in readme
    assert not re.search(r"\b1 (words|hidden units|inputs|outputs|cycles|steps|sequences|bits)\b", readme)
