# amaranth: UnusedElaboratable=no
"""What depends on the clock: the link's rate, and the parameters of the cells that hold it."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from qornn_hw.boards.board import PIN
from qornn_hw.boards.clock import (
    BoardRate,
    ClockGenerator,
    board_as_built,
    board_for_clock,
    cell_parameters,
    reset_cycles,
    retune,
)
from qornn_hw.boards.icebreaker import BOARD
from qornn_hw.boards.registry import BOARDS, find_board
from qornn_hw.errors import BoardError, FormatError, ToolError


@pytest.mark.parametrize(
    ("mhz", "baud"),
    [(16, 2_000_000), (24, 3_000_000), (36.75, 3_000_000), (23.25, 2_000_000), (48, 3_000_000)],
)
def test_fastest_rate_that_leaves_eight_cycles(mhz, baud):
    """Any clock has a standard rate, with at least 8 cycles a bit."""
    hz = round(mhz * 1e6)
    assert BOARD.link_rate(hz) == baud
    assert Fraction(hz, baud) >= 8


def test_rate_is_one_of_the_bridge():
    """A board whose bridge is slow gets a slow rate."""
    assert find_board("colorlight-i5").link_rate(100_000_000) == 115_200


def test_rejects_a_clock_that_is_too_slow_for_the_uart():
    """A clock of less than 8 cycles a bit at the slowest rate is refused."""
    with pytest.raises(
        BoardError,
        match=r"^clock must be at least 2 MHz, 8 cycles of a UART bit at 0\.25 Mbaud, not 1\.5 MHz$",
    ):
        BOARD.link_rate(1_500_000)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_every_clock_of_a_board_has_the_same_cells(board):
    """From the slowest clock to the fastest the cells are the same, and the rate fits its bits."""
    fastest = round(board.fastest_mhz)
    cells = None
    tried = 0
    for mhz in range(4, fastest):
        try:
            made = cell_parameters(board, hz := mhz * 1_000_000)
        except BoardError:
            continue
        tried += 1
        names = {cell: set(parameters) for cell, parameters in made.items()}
        assert cells in (None, names)
        cells = names
        bits = [made[f"linked.rate.bit_{i}"] for i in range(len(made) - 1)]
        increment = sum((next(iter(b.values()))[0] > 0) << i for i, b in enumerate(bits))
        exact = Fraction(1 << len(bits)) / Fraction(hz, board.link_rate(hz))
        width = len(BoardRate(board=board, hz=hz).increment)
        assert 0 <= increment / exact - 1 < 0.0025
        assert len(bits) == width
    assert tried >= 4


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_every_oscillator_is_a_clock(board):
    """Without a PLL a board has its oscillator's clock, no cell for it, and a rate within 0.25 %."""
    alone, hz = board.on_oscillator(), board.oscillator_hz
    made = cell_parameters(alone, hz)
    on_chip = not board.clock_source.has_pin
    assert ("clock.pll" in made) is on_chip
    bits = [made[f"linked.rate.bit_{i}"] for i in range(len(made) - on_chip)]
    increment = sum((next(iter(b.values()))[0] > 0) << i for i, b in enumerate(bits))
    exact = Fraction(1 << len(bits)) / Fraction(hz, alone.link_rate(hz))
    assert 0 <= increment / exact - 1 < 0.0025
    assert Fraction(hz, alone.link_rate(hz)) >= 8


@pytest.mark.parametrize(
    ("clock", "source", "mhz"),
    [
        ("auto", BOARD.clock_source, None),
        ("oscillator", PIN, 12),
        ("12", PIN, 12),
        ("12.0", PIN, 12),
        ("24", BOARD.clock_source, 24),
    ],
)
def test_the_words_for_a_clock(clock, source, mhz):
    """The oscillator's frequency, by name or as a number, needs no PLL; another number does."""
    board, found = board_for_clock(BOARD, clock)
    assert (board.clock_source, found) == (source, mhz)
    assert replace(board, clock_source=BOARD.clock_source) == BOARD


def test_an_oscillator_on_the_chip_has_no_pll_anyway():
    """A board with its oscillator on the chip stays as it is."""
    board = find_board("upduino-internal")
    assert board_for_clock(board, "oscillator") == (board, 48)


@pytest.mark.parametrize("clock", ["fast", "", "1e", "12 MHz"])
def test_another_word_is_refused(clock):
    """A word that is no clock is named."""
    with pytest.raises(FormatError, match=r"^clock must be auto, oscillator or a number of MHz, not "):
        board_for_clock(BOARD, clock)


def test_a_build_has_the_clock_of_its_report():
    """The report's clock source gives the board that was built; others leave it as it is."""
    assert board_as_built(BOARD, {"clock_source": PIN.value}) == BOARD.on_oscillator()
    assert board_as_built(BOARD, {"clock_source": BOARD.clock_source.value}) is BOARD
    assert board_as_built(BOARD, {}) is BOARD


def test_another_frequency_needs_a_pll():
    """Without a PLL there is one clock."""
    message = r"^clock must be that of the board's oscillator without a PLL, 12 MHz, not 24 MHz$"
    with pytest.raises(BoardError, match=message):
        cell_parameters(BOARD.on_oscillator(), 24_000_000)


def netlist(path, hz):
    """Write as much of a netlist as yosys would for the cells that hold a clock."""
    cells = {
        cell: {"parameters": {name: "" for name in parameters}, "type": "X"}
        for cell, parameters in cell_parameters(BOARD, hz).items()
    }
    path.write_text(
        json.dumps({"modules": {"top": {"cells": cells | {"other": {"parameters": {"A": "1"}}}}}})
    )


def test_retune_writes_parameters_as_yosys_does(tmp_path):
    """Each parameter gets its value in binary digits, other cells keep theirs."""
    path = tmp_path / "top.json"
    netlist(path, 36_000_000)
    retune(path, BOARD, 48_750_000)
    cells = json.loads(path.read_text())["modules"]["top"]["cells"]
    assert cells["clock.pll"]["parameters"] == {
        "DIVR": "0000",
        "DIVF": "1000000",
        "DIVQ": "100",
        "FILTER_RANGE": "001",
    }
    assert cells["linked.rate.bit_0"]["parameters"]["LUT_INIT"] in ("0" * 16, "1" * 16)
    assert cells["other"]["parameters"] == {"A": "1"}


def test_retune_rejects_a_netlist_without_the_cells(tmp_path):
    """A parameter that synthesis took away is not passed over."""
    path = tmp_path / "top.json"
    netlist(path, 36_000_000)
    data = json.loads(path.read_text())
    del data["modules"]["top"]["cells"]["clock.pll"]["parameters"]["DIVF"]
    path.write_text(text := json.dumps(data))
    with pytest.raises(
        ToolError, match=r"^top\.json must have DIVF of clock\.pll, the clock, and has it not$"
    ):
        retune(path, BOARD, 48_000_000)
    assert path.read_text() == text


def test_clock_generator_checks_its_clock():
    """The component refuses at construction what the solver refuses."""
    with pytest.raises(BoardError, match=r"^clock must be one that the board makes exactly"):
        ClockGenerator(board=BOARD, hz=37_000_000)


@pytest.mark.parametrize(
    ("name", "microseconds"), [("icebreaker", 15), ("ulx3s-25f", 15), ("upduino-internal", 100)]
)
def test_reset_is_long_enough_at_the_fastest_clock(name, microseconds):
    """Block RAM of an iCE40 needs its time, an oscillator on the chip more."""
    board = find_board(name)
    cycles = reset_cycles(board)
    assert microseconds <= cycles / board.fastest_mhz < 2 * microseconds
    assert cycles & (cycles - 1) == 0


def test_rates_of_a_board_need_not_be_close():
    """Rates far apart make a bit long below the clock for the faster one; the phase is wide enough for it."""
    board = replace(BOARD, baud_rates=(3_000_000, 9600))
    assert board.link_rate(23_250_000) == 9600
    assert cell_parameters(board, 23_250_000)
