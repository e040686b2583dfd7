"""Another network in a bitstream that is there: the netlist computes it, and nothing but memories changed."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from fractions import Fraction

import pytest
from serial_bench import play

from qornn_hw.boards.build import build
from qornn_hw.boards.clock import reset_cycles
from qornn_hw.boards.devices.ecp5.memory_cells import BLOCK_RAM as DP16KD
from qornn_hw.boards.devices.ice40.memory_cells import BLOCK_RAM as SB_RAM40
from qornn_hw.boards.kept import KEPT_FILE, Kept, built_design
from qornn_hw.boards.memory_cells import Memory, masked, read_memories, replaced_contents
from qornn_hw.boards.netlist import find_netlist
from qornn_hw.boards.registry import find_board
from qornn_hw.boards.reload import reload
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation
from qornn_hw.compiler.chain_refit import schedule_of, with_room
from qornn_hw.compiler.design import compile_schedule
from qornn_hw.compiler.engines import dsp, lut
from qornn_hw.errors import BoardError, DataError, FormatError, MismatchError, ToolError
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint
from qornn_hw.link.protocol import (
    PROTOCOL_VERSION,
    Answer,
    LinkFormat,
    ReplyDecoder,
    ResetDone,
    encode_reset,
    encode_step,
)
from qornn_hw.sim.link_simulation import simulate_link
from qornn_hw.sim.stimuli import random_network, random_sequences

BOARD = find_board("icebreaker")
SIZES = {"hidden_size": 5, "input_size": 2, "output_size": 3}
ONE, OTHER = (random_network(seed=s, activation=Activation.TANH, **SIZES) for s in (3, 4))
# A clock that is found is written into the placed design, which the build keeps.
CLOCK = {"icebreaker": None, "ulx3s-25f": 75}


def built_for(board, folder, network=ONE):
    """Return a folder with a build that has room for other weights."""
    design = compile_schedule(with_room(lut.schedule(network, 2, 2)))
    build(design, board, folder, cycles_per_step=20, clock_mhz=CLOCK[board.name])
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder of a real build."""
    return built_for(BOARD, tmp_path_factory.mktemp("build") / "one")


def answers_of(folder, board, report, network, tmp_path):
    """Return what the netlist says over its UART, and what the integer model says."""
    design = built_design(folder, network)
    form = LinkFormat.of(design)
    (x,) = random_sequences(network, batch=1, steps=4, seed=1)
    frames = [
        encode_step(form, [int(v) for v in words], i, first=i == 0, last=i == len(x) - 1)
        for i, words in enumerate(x)
    ]
    got, red = play(
        find_netlist(folder, board),
        tmp_path,
        encode_reset() + b"".join(frames),
        clocks_per_bit=round(report["clock_mhz"] * 1e6 / report["baud"]),
        settle=16000,
        start=reset_cycles(board) + 200,
        lit="0" if board.name == "icebreaker" else "1",
    )
    trace = IntegerModel(network).run(x[None])
    expected = [ResetDone(PROTOCOL_VERSION)] + [
        Answer((*logits, argmax), last=i == len(x) - 1, number=i)
        for i, (logits, argmax) in enumerate(zip(trace.logits[0], trace.argmax[0], strict=True))
    ]
    assert not red
    return ReplyDecoder(form).feed(got), expected


@pytest.mark.slow
def test_the_netlist_computes_the_other_network(built, tmp_path):
    """Reloaded, the board gives every logit of the other network; the build that was there is as it was."""
    before = {p.name: p.read_bytes() for p in built.iterdir() if p.is_file()}
    stages = []
    done = reload(built, OTHER, BOARD, tmp_path / "out", progress=stages.append)
    assert [stage.name for stage in stages] == ["elaborate", "replace", "netlist", "pack", "read back"]
    assert {p.name: p.read_bytes() for p in built.iterdir() if p.is_file()} == before
    assert {p.name for p in (tmp_path / "out").iterdir()} == {p.name for p in built.iterdir()}
    assert (tmp_path / "out" / "top.bin").read_bytes() != before["top.bin"]
    assert done.report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert done.report["reloaded"]["block_rams"] == done.block_rams > 3
    got, expected = answers_of(tmp_path / "out", BOARD, done.report, OTHER, tmp_path)
    assert got == expected


@pytest.mark.slow
def test_there_and_back_gives_the_same_bytes(built, tmp_path):
    """The first network again, into the reloaded bitstream in its own folder: the bytes of the build."""
    reload(built, OTHER, BOARD, tmp_path / "out")
    reload(tmp_path / "out", ONE, BOARD, tmp_path / "out")
    for name in ("top.bin", "netlist.v"):
        assert (tmp_path / "out" / name).read_bytes() == (built / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f"])
def test_reloaded_is_as_built(name, tmp_path):
    """A bitstream that was reloaded is that of a full build of the other network, byte for byte."""
    board = find_board(name)
    done = reload(built_for(board, tmp_path / "one"), OTHER, board, tmp_path / "out")
    report = build(done.design, board, tmp_path / "two", cycles_per_step=20, clock_mhz=CLOCK[name])
    bitstream = report["files"]["bitstream"]
    assert (tmp_path / "out" / bitstream).read_bytes() == (tmp_path / "two" / bitstream).read_bytes()
    netlist = find_netlist(tmp_path / "out", board)
    # Icarus Verilog 11 cannot read yosys' models of ECP5.
    simulate_link(
        netlist.sources,
        netlist.top,
        Fraction(round(report["clock_mhz"] * 1e6), report["baud"]),
        done.design,
        random_sequences(OTHER, batch=1, steps=4, seed=1),
        simulator="verilator",
        ports=netlist.ports,
        defines=netlist.defines,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "schedule", [dsp.schedule(ONE, 2), lut.schedule(ONE, 2, 2, spram_elements=1)], ids=["dsp", "lut"]
)
def test_weights_that_are_loaded_over_the_link(schedule, tmp_path):
    """Of a design with its weights in SPRAM the image changes, too: the netlist takes it and computes."""
    design = compile_schedule(with_room(schedule))
    build(design, BOARD, tmp_path / "one", cycles_per_step=40, clock_mhz=CLOCK["icebreaker"])
    done = reload(tmp_path / "one", OTHER, BOARD, tmp_path / "out")
    image = (tmp_path / "out" / "weights.bin").read_bytes()
    assert image != (tmp_path / "one" / "weights.bin").read_bytes()
    netlist = find_netlist(tmp_path / "out", BOARD)
    (x,) = random_sequences(OTHER, batch=1, steps=4, seed=1)

    def play_with(weights):
        simulate_link(
            netlist.sources,
            netlist.top,
            Fraction(round(done.report["clock_mhz"] * 1e6), done.report["baud"]),
            done.design,
            [x],
            simulator="verilator",
            ports=netlist.ports,
            defines=netlist.defines,
            image=weights,
        )

    play_with(image)
    # Those of the network before fit the hardware, too, and give its answers.
    with pytest.raises(MismatchError):
        play_with((tmp_path / "one" / "weights.bin").read_bytes())


def test_arguments_in_a_kept_file_are_not_used(built, tmp_path):
    """The packer gets the board's arguments, whatever a file of the first version says of them."""

    def old(text):
        facts = json.loads(text) | {"version": 1, "pack": ["top.asc", str(tmp_path / "elsewhere")]}
        return json.dumps(facts)

    folder = spoiled(built, tmp_path / "build", changed("facts.json", old))
    reload(folder, ONE, BOARD, tmp_path / "out")
    assert (tmp_path / "out" / "top.bin").read_bytes() == (built / "top.bin").read_bytes()
    assert not (tmp_path / "elsewhere").exists()


# -- failures ---------------------------------------------------------------------------------------------


def spoiled(built, folder, spoil):
    """Return a copy of a build that ``spoil`` was given."""
    shutil.copytree(built, folder)
    spoil(folder)
    return folder


def without(name):
    """Return what takes a file away."""
    return lambda folder: (folder / name).unlink()


def cut(folder):
    """Cut the kept file short."""
    (folder / KEPT_FILE).write_bytes((folder / KEPT_FILE).read_bytes()[:-100])


def changed(name, change):
    """Return what changes one text in the kept file."""

    def spoil(folder):
        with zipfile.ZipFile(folder / KEPT_FILE) as archive:
            texts = {n: archive.read(n) for n in archive.namelist()}
        texts[name] = change(texts[name].decode()).encode()
        with zipfile.ZipFile(folder / KEPT_FILE, "w") as archive:
            for n, data in texts.items():
                archive.writestr(n, data)

    return spoil


def flipped(text):
    """Flip a bit of the first block RAM."""
    at = re.search(r"^\.ram_data \d+ \d+\n", text, re.MULTILINE).end()
    return f"{text[:at]}{int(text[at], 16) ^ 1:x}{text[at + 1 :]}"


def cells_changed(change):
    """Return what changes the cells of the kept netlist."""

    def spoil(text):
        netlist = json.loads(text)
        change(netlist["modules"]["top"]["cells"])
        return json.dumps(netlist)

    return changed("netlist.json", spoil)


def each_ram(change):
    """Return what changes the parameters of each block RAM."""

    def spoil(cells):
        for cell in cells.values():
            if cell["type"] == "SB_RAM40_4K":
                change(cell["parameters"])

    return cells_changed(spoil)


def facts_changed(change):
    """Return what changes the facts of the kept file."""
    return changed("facts.json", lambda text: json.dumps(json.loads(text) | change))


FAILURES = {
    "nothing kept": (
        without(KEPT_FILE),
        BoardError,
        r"^the build must have placed\.zip, .* has none; build it",
    ),
    "no bitstream": (
        without("top.bin"),
        DataError,
        r"must hold the bitstream that its report names, top\.bin is not there; build it anew$",
    ),
    "damaged": (cut, BoardError, r"placed\.zip must be what a build kept, and is not: .*; build it anew$"),
    "another version": (
        changed("facts.json", lambda text: text.replace('"version": 2', '"version": 9')),
        BoardError,
        r"placed\.zip must be what a build kept, and is not: version 9; build it anew$",
    ),
    "another design": (
        changed("design.il", lambda text: text.replace("cell $add", "cell $sub", 1)),
        FormatError,
        r"^the hardware that the network needs must be that of .* but for memories, and 1 lines of it differ",
    ),
    "another placement": (
        changed("placed", flipped),
        ToolError,
        r"^the (placed design must hold what the netlist has in|bitstream must hold what was packed)",
    ),
    "block RAMs without a mode": (
        each_ram(lambda parameters: parameters.pop("READ_MODE")),
        BoardError,
        r"^placed\.zip must hold memory \S+ in block RAM, and does not: KeyError.*; build it anew$",
    ),
    "a mode that is no number": (
        each_ram(lambda parameters: parameters.update(READ_MODE="two")),
        BoardError,
        r"^placed\.zip must hold memory \S+ in block RAM, and does not: ValueError.*; build it anew$",
    ),
    "contents that are short": (
        each_ram(lambda parameters: parameters.update(INIT_0="")),
        BoardError,
        r"^placed\.zip must hold memory \S+ in block RAM, and does not: IndexError.*; build it anew$",
    ),
    "no cells": (
        cells_changed(lambda cells: cells.clear()),
        FormatError,
        r"^memory \S+ must be in block RAM alone, and is not; a full build is needed$",
    ),
    "a clock of no board": (
        facts_changed({"hz": 36_000_001}),
        BoardError,
        r"^clock must be one that the board makes exactly",
    ),
    "block RAMs elsewhere": (
        facts_changed({"block_rams": {}}),
        ToolError,
        r"^the placed design must hold what the netlist has in \S+, and does not$",
    ),
    "other contents": (
        changed("netlist.json", lambda text: text.replace("0110", "0111")),
        FormatError,
        r"^block RAM \S+ must hold memory \S+ in the way that is known here, and does not; a full b",
    ),
}


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_reloaded(name, built, tmp_path):
    """A build that is not what it was: one line, and no results."""
    spoil, error, message = FAILURES[name]
    folder = spoiled(built, tmp_path / "build", spoil)
    with pytest.raises(error, match=message):
        reload(folder, OTHER, BOARD, tmp_path / "out")
    assert not (tmp_path / "out").exists() or {p.name for p in (tmp_path / "out").iterdir()} <= {"logs"}


def test_a_network_that_does_not_fit(built, tmp_path):
    """Another shape is refused with all that differs, another board with both names."""
    other = random_network(seed=1, hidden_size=6, input_size=2, output_size=3, activation=Activation.TANH)
    message = (
        r"^the network must fit the hardware of .*: hidden units must be 5, not 6; .*a full build is needed$"
    )
    with pytest.raises(FormatError, match=message):
        reload(built, other, BOARD, tmp_path / "out")
    with pytest.raises(BoardError, match=r"^the build must be for upduino, .* is for icebreaker$"):
        reload(built, OTHER, find_board("upduino"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_board_that_cannot_be_reloaded(built, tmp_path):
    """Of a family whose placed design is not known in text, before anything is read."""
    message = r"^board must be of ecp5 or ice40 for its bitstream to be reloaded, tang-nano-9k is gowin; make"
    with pytest.raises(BoardError, match=message):
        reload(built, OTHER, find_board("tang-nano-9k"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command(built, tmp_path):
    """`qornn-hw reload` writes the results; an error is one line with exit code 2."""
    model = tmp_path / "model.npz"
    save_checkpoint(model, Checkpoint(OTHER))

    def run(*arguments):
        command = [sys.executable, "-m", "qornn_hw", "reload", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    code, output, errors = run(built, model, "-o", tmp_path / "out", "--json")
    assert (code, errors) == (0, "")
    value = json.loads(output)
    assert value["block_rams"] > 3 and value["report"]["board"] == "icebreaker"
    code, output, errors = run(tmp_path, model, "-o", tmp_path / "new")
    assert (code, output, errors.count("\n")) == (2, "", 1) and "report.json" in errors
    assert not (tmp_path / "new").exists()


# -- the places of bits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ram", "parameter_bits", "widths"),
    [(SB_RAM40, 256, (16, 8, 4, 2)), (DP16KD, 320, (36, 18, 9, 4, 2, 1))],
    ids=["SB_RAM40", "DP16KD"],
)
def test_every_bit_has_a_place_of_its_own(ram, parameter_bits, widths):
    """No two bits of a block RAM share a place, in any width, and all places exist."""
    for width in widths:
        places = {ram.place(word, bit, width) for word in range(ram.depth(width)) for bit in range(width)}
        assert len(places) == ram.depth(width) * width
        assert {name for name, _ in places} == set(ram.parameters)
        assert all(0 <= at < parameter_bits for _, at in places)


def test_a_column_that_was_left_out_is_named():
    """A bit that was alike in all words of the build is not there for other weights."""
    old = Memory("m", 2, (1, 0, 1), None)
    assert old.columns == (0,)
    with pytest.raises(
        ToolError, match=r"^bit 1 of memory m must be 0 in every word, as in the build, from whi"
    ):
        replaced_contents(SB_RAM40, {}, old, Memory("m", 2, (3, 0, 1), None))
    with pytest.raises(ToolError, match=r"^memory m must be in block RAM alone, and is not$"):
        replaced_contents(SB_RAM40, {}, old, Memory("m", 2, (0, 1, 1), None))


def test_rtlil_is_read(built, tmp_path):
    """Memories of a design are found with width, words and write enables, and masked for the comparison."""
    kept = Kept.read(built / KEPT_FILE, tmp_path)
    memories = read_memories(kept.rtlil, "top")
    operands = memories["linked.core.operands.memory.memory"]
    assert operands.granularity == schedule_of(kept.plan, ONE).placement.operand_bits
    assert memories["linked.core.constants.memory"].granularity is None
    (weights,) = (m for name, m in memories.items() if ".element_0.weights" in name)
    assert len(weights.words) > 8
    assert len(masked(kept.rtlil)) == len(kept.rtlil.splitlines())
    assert sum(map(len, masked(kept.rtlil))) < len(kept.rtlil) - 1000
