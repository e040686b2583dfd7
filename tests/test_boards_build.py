"""Real builds to a bitstream."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fake_tools import BOARD, FORM, PART, RESULTS, clocks_per_bit, names, placed_again
from serial_bench import play
from stub_core import stub_answers

from qornn_hw.boards.board import BAUD_RATES
from qornn_hw.boards.build import STAGES, build, build_core
from qornn_hw.boards.clock import reset_cycles
from qornn_hw.boards.estimation import plan_for
from qornn_hw.boards.netlist import find_netlist
from qornn_hw.boards.pll import sign_off_hz
from qornn_hw.boards.registry import BOARDS, find_board
from qornn_hw.boards.top import TIMEOUT_BITS
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import Activation
from qornn_hw.compiler.boot import Boot
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import LoadStatus
from qornn_hw.errors import (
    TimingError,
)
from qornn_hw.files.checkpoint import load_checkpoint
from qornn_hw.link.protocol import (
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
from qornn_hw.sim.stimuli import random_network, random_sequences


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with a real build, its report and the stages that were announced."""
    out_dir = tmp_path_factory.mktemp("build") / "new" / "folder"
    stages = []
    report = build_core(PART, BOARD, out_dir, progress=lambda stage: stages.append(stage.name))
    return out_dir, report, stages


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


@pytest.mark.slow
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
        pytest.param("icebreaker", {"activation": Activation.RELU}, 37.5, marks=pytest.mark.slow),
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["icebreaker", "upduino-internal", "ulx3s-12f", "tang-nano-9k"])
def test_clock_is_written_into_the_placed_design(name, tmp_path):
    """A clock that is found is where placing with it would have put it, without a second placement."""
    board = find_board(name)
    report = build_core(PART, board, tmp_path / "found")
    assert not placed_again(tmp_path / "found")
    build_core(PART, board, tmp_path / "asked", clock_mhz=report["clock_mhz"])
    for file in (report["files"]["bitstream"], "netlist.v"):
        assert (tmp_path / "found" / file).read_bytes() == (tmp_path / "asked" / file).read_bytes()


@pytest.mark.slow
def test_weights_come_from_the_flash(tmp_path):
    """The placed netlist reads its flash and answers; of a bad image it says what is wrong, and refuses."""
    net = random_network(seed=1, hidden_size=5, input_size=2, output_size=2, weight_bits=8)
    design = compile_network(net, elements=2, engine="dsp")
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
def test_every_board_is_built(board, tmp_path):
    """A small network becomes a bitstream for every board, at a clock that it signs off with.

    The bitstream is that of a build which is told the clock.
    """
    net = random_network(seed=5, hidden_size=4, input_size=2, output_size=2, activation=Activation.RELU)
    design = plan_for(net, board)
    report = build(design, board, tmp_path / "out")
    assert (tmp_path / "out" / report["files"]["bitstream"]).stat().st_size > 10_000
    assert report["board"] == board.name
    assert report["fmax_mhz"] * 1e6 >= sign_off_hz(board.clock_source, round(report["clock_mhz"] * 1e6))
    assert not placed_again(tmp_path / "out")
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
