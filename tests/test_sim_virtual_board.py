"""The virtual board with a board's whole design: clock, reset, pins, and weights that are loaded."""

import numpy as np
import pytest

from boards.build import build
from boards.clock import uart_baud
from boards.host import Host, model_answers, open_port
from boards.netlist import find_netlist
from boards.registry import BOARDS, find_board
from boards.virtual import emit_board, simulated_hz
from qornn_hw.design import compile_network
from qornn_hw.engine import Engine
from qornn_hw.errors import BoardError, ToolError
from qornn_hw.link_protocol import BoardFlag
from qornn_hw.weight_image import encode_image
from sim.stimuli import random_network, random_sequences
from sim.virtual_board import build_virtual_board


def compiled(design, board, folder):
    """Return the virtual board of a design."""
    hz = simulated_hz(board)
    netlist = emit_board(design, board, folder, hz)
    return build_virtual_board(
        netlist.sources,
        netlist.top,
        folder,
        hz=hz,
        baud=uart_baud(board, hz),
        ports=netlist.ports,
        defines=netlist.defines,
    )


def check(running, design, *, image=None, loaded=BoardFlag.LOADED):
    """Talk to a running board: what it is, and every answer of some sequences."""
    network = design.network
    sequences = random_sequences(network, batch=3, steps=6, seed=1)
    with Host(network, open_port(running.port, running.baud), design=design, image=image) as host:
        assert host.identity.flags == loaded
        got = host.run(sequences)
        assert host.status().flags == BoardFlag.LOADED
    expected = model_answers(network, sequences)
    assert all(map(np.array_equal, got, expected))
    assert host.statistics.resets == 0


@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f", "tang-nano-9k"])
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
    "chain",
    [
        {"elements": 2, "engine": Engine.DSP},
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
def test_a_netlist_answers(tmp_path):
    """The netlist of a build, as it is placed, gives the integer model's answers."""
    board = find_board("icebreaker")
    network = random_network(seed=3, hidden_size=5, input_size=2, output_size=3)
    design = compile_network(network, columns_per_element=4, elements=2)
    report = build(design, board, tmp_path / "out", clock_mhz=24)
    netlist = find_netlist(tmp_path / "out", board)
    made = build_virtual_board(
        netlist.sources,
        netlist.top,
        tmp_path,
        hz=24_000_000,
        baud=report["baud"],
        ports=netlist.ports,
        defines=netlist.defines,
    )
    with made.start() as running:
        check(running, design)


def test_every_board_has_a_clock_to_simulate():
    """A bit of the fastest rate has 8 cycles, or as few as the board's clock allows."""
    for board in BOARDS:
        hz = simulated_hz(board)
        assert 8 <= hz / uart_baud(board, hz) <= 200


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
