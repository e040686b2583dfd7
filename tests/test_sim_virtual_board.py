"""The virtual board with a board's whole design: clock, reset, pins, and weights that are loaded."""

import re
from dataclasses import replace

import numpy as np
import pytest

from qornn_hw.boards.board import BAUD_RATES
from qornn_hw.boards.build import build
from qornn_hw.boards.clock import board_for_clock
from qornn_hw.boards.host import Host, model_answers, open_port
from qornn_hw.boards.netlist import find_netlist
from qornn_hw.boards.registry import BOARDS, find_board
from qornn_hw.boards.virtual import emit_board, simulated_hz
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import encode_image
from qornn_hw.errors import BoardError, ToolError
from qornn_hw.link.protocol import BoardFlag
from qornn_hw.sim.stimuli import random_network, random_sequences
from qornn_hw.sim.virtual_board import build_virtual_board


def compiled(design, board, folder):
    """Return the virtual board of a design."""
    hz = simulated_hz(board)
    netlist = emit_board(design, board, folder, hz)
    return build_virtual_board(
        netlist.sources,
        netlist.top,
        folder,
        hz=hz,
        baud=board.link_rate(hz),
        link=board.physical_link,
        ports=netlist.ports,
        defines=netlist.defines,
    )


def check(running, design, *, image=None, loaded=BoardFlag.LOADED, timeout=1.0):
    """Talk to a running board: what it is, and every answer of some sequences."""
    network = design.network
    sequences = random_sequences(network, batch=3, steps=6, seed=1)
    transport = open_port(running.port, running.baud)
    with Host(network, transport, design=design, image=image, timeout=timeout) as host:
        assert host.identity.flags == loaded
        got = host.run(sequences)
        assert host.status().flags == BoardFlag.LOADED
    expected = model_answers(network, sequences)
    assert all(map(np.array_equal, got, expected))
    assert host.statistics.resets == 0


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "name", ["icebreaker", "icebreaker:spi", "ulx3s-25f", "tang-nano-9k", "gatemate-a1-evb"]
)
def test_a_whole_board_answers(name, tmp_path):
    """What is emitted for a board, its clock and pins included, gives the integer model's answers."""
    network = random_network(seed=3, hidden_size=5, input_size=2, output_size=3)
    design = compile_network(network, columns_per_element=4, elements=2)
    made = compiled(design, find_board(name), tmp_path)
    with made.start() as running:
        check(running, design)
        seen = running.statistics()
        assert seen.cycles > 1000 and seen.cycles_per_second > 1000


@pytest.mark.parametrize(
    "name", ["icebreaker", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ulx3s-25f", "tang-nano-9k"))]
)
def test_a_board_without_a_pll_answers(name, tmp_path):
    """With its oscillator as the clock a board has no PLL, and gives the integer model's answers."""
    network = random_network(seed=3, hidden_size=5, input_size=2, output_size=3)
    design = compile_network(network, columns_per_element=4, elements=2)
    board = find_board(name).on_oscillator()
    assert simulated_hz(board) == board.oscillator_hz
    made = compiled(design, board, tmp_path)
    text = (tmp_path / "board.v").read_text()
    # The cell of a PLL is at most declared, by the models behind the design.
    assert not re.search(r"^\s*(SB_PLL40_\w+|EHXPLLL|rPLL) (#\(|\\?clock)", text, re.MULTILINE)
    with made.start() as running:
        check(running, design)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "chain",
    [
        {"elements": 2, "engine": "dsp"},
        {"elements": 2, "columns_per_element": 2, "spram_elements": 1},
        {"elements": 3, "columns_per_element": 2, "spram_elements": 3},
    ],
)
def test_weights_are_loaded_into_a_whole_board(chain, tmp_path):
    """A board that waits for its weights says so, gets them, and answers; a second host finds them there."""
    network = random_network(seed=4, hidden_size=4, input_size=2, output_size=2)
    design = compile_network(network, **chain)
    made = compiled(design, find_board("icebreaker"), tmp_path)
    with made.start() as running:
        check(running, design, image=encode_image(design), loaded=BoardFlag.NONE)
        check(running, design)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "clock"),
    [("icebreaker", "24"), ("icebreaker", "oscillator"), ("tinyfpga-bx", "oscillator"),
     ("ulx3s-25f", "oscillator"), ("tang-nano-9k", "oscillator")],
)  # fmt: skip
def test_a_netlist_answers(name, clock, tmp_path):
    """The netlist of a build, as it is placed, with a PLL or without, gives the integer model's answers."""
    board, mhz = board_for_clock(find_board(name), clock)
    # The bench is slow at the rate of a slow bridge.
    board = replace(board, baud_rates=BAUD_RATES)
    network = random_network(seed=3, hidden_size=5, input_size=2, output_size=3)
    design = compile_network(network, columns_per_element=4, elements=2)
    report = build(design, board, tmp_path / "out", clock_mhz=mhz)
    assert report["clock_mhz"] == mhz < report["fmax_mhz"]
    assert report["clock_source"] == board.clock_source.value
    netlist = find_netlist(tmp_path / "out", board)
    made = build_virtual_board(
        netlist.sources,
        netlist.top,
        tmp_path,
        hz=round(mhz * 1e6),
        baud=report["baud"],
        ports=netlist.ports,
        defines=netlist.defines,
    )
    with made.start() as running:
        # A netlist is slow, the more so on a busy machine.
        check(running, design, timeout=20)


def test_every_board_has_a_clock_to_simulate():
    """A bit of the fastest rate has 8 cycles, or as few as the board's clock allows."""
    for board in BOARDS:
        hz = simulated_hz(board)
        assert 8 <= hz / board.link_rate(hz) <= 200


def test_a_clock_without_a_pin_is_refused(tmp_path):
    """An oscillator on the chip cannot be driven from outside."""
    design = compile_network(random_network(seed=1, hidden_size=2, input_size=1, output_size=1), elements=1)
    message = (
        r"^the board must have a clock pin to be simulated, upduino-internal has its oscillator on the chip$"
    )
    with pytest.raises(BoardError, match=message):
        emit_board(design, find_board("upduino-internal"), tmp_path, 24_000_000)


def test_what_does_not_compile_is_told(tmp_path):
    """Verilog with an error gives its log."""
    (tmp_path / "bad.v").write_text("module bad(input clk); nonsense endmodule")
    with pytest.raises(
        ToolError, match=r"^verilator could not compile bad, exit code \d+; full log: .*compile\.log$"
    ):
        build_virtual_board([tmp_path / "bad.v"], "bad", tmp_path, hz=24_000_000, baud=3_000_000)
