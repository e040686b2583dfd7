"""Designs of the Python API: what is asked of them, and the designs that the compiler gives for it."""

from pathlib import Path

import pytest
from networks import make_network

from qornn_hw.api.design import compile
from qornn_hw.api.network import Network, load
from qornn_hw.boards.board import PIN
from qornn_hw.boards.estimation import estimate_whole, plan_for
from qornn_hw.boards.registry import find_board
from qornn_hw.compiler.engines import NAMES
from qornn_hw.errors import BoardError, CapacityError, FormatError
from qornn_hw.files.checkpoint import Checkpoint

MODELS = Path(__file__).parents[1] / "models"
SMALL = Network(Checkpoint(make_network(n=4, m=3, p=2, seed=5)))


def test_the_planned_design():
    """A design is the planner's, with its estimated cost and cycles."""
    net = load(MODELS / "copy.npz")
    board = find_board("ulx3s-12f")
    design, planned = compile(net, "ulx3s-12f"), plan_for(net.network, board)
    assert design.core.digest == planned.digest and design.board is board
    assert design.cost == estimate_whole(planned, board)
    assert design.cycles == planned.schedule.cycles_per_step == design.estimate()["cycles_per_step"]
    assert repr(design) == (
        f"Design('ulx3s-12f', {planned.engine.name} engine, {planned.lanes} lanes, "
        f"{design.cycles} cycles a step)"
    )
    rows = design.explain().rows
    assert any(not row["too_many"] and row["lanes"] == design.core.lanes for row in rows)
    assert str(design.explain()).count("\n") >= len(rows)


def test_lanes_engine_clock_and_rate():
    """Lanes, engine, clock and rate reach the planner."""
    assert compile(SMALL, lanes=4).core.lanes <= 4
    assert compile(SMALL, engine="dsp").core.engine.name == "dsp"
    assert compile(SMALL, clock=24).clock_mhz == compile(SMALL, clock="24").clock_mhz == 24
    oscillator = compile(SMALL, clock="oscillator")
    assert (oscillator.clock_mhz, oscillator.board.clock_source) == (12, PIN)
    slow, fast = compile(SMALL, target_rate=1000), compile(SMALL)
    assert slow.cycles > fast.cycles and slow.core.lanes < fast.core.lanes


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"board": "spartan"}, BoardError, "^board must be one of icebreaker"),
        ({"engine": "fpga"}, FormatError, f"^engine must be {' or '.join(NAMES)}, not 'fpga'$"),
        ({"lanes": 0}, FormatError, "^lanes must be at least 1, not 0"),
        ({"board": None, "lanes": 0}, FormatError, "^lanes must be at least 1, not 0"),
        ({"board": None, "lanes": 0, "engine": "dsp"}, FormatError, "^lanes must be at least 1, not 0"),
        (
            {"target_rate": 0.0},
            FormatError,
            "^target_rate must be a number of steps a second above 0",
        ),
        ({"target_rate": 1e9}, CapacityError, "^target_rate must be one that icebreaker can do"),
        ({"clock": "fast"}, FormatError, "^clock must be auto, oscillator or a number of MHz, not 'fast'$"),
        ({"clock": 400}, BoardError, "^clock must be at most"),
    ],
)
def test_what_cannot_be(options, error, message):
    """A wrong argument is named, without an option of the command line."""
    with pytest.raises(error, match=message) as caught:
        compile(SMALL, **options)
    assert "--" not in str(caught.value)


def test_a_core_for_no_board():
    """Without a board a core has 32 lanes or 8 multipliers, and no cost."""
    assert compile(load(MODELS / "copy.npz"), None).core.lanes <= 32
    assert compile(load(MODELS / "copy.npz"), None, engine="dsp").core.lanes == 8
    bare = compile(SMALL, None)
    assert repr(bare).startswith("Design(None, lut engine, ")
    with pytest.raises(FormatError, match=r"^board must be named"):
        _ = bare.cost


def test_an_export(tmp_path):
    """The export has the module's name, and refuses what is no name."""
    value = compile(SMALL, None).export(tmp_path / "core", name="mine", sequences=1, steps=2)
    assert (tmp_path / "core/mine.v").is_file() and value["integers"] > 0
    with pytest.raises(FormatError, match="name must be letters, digits and '_', not 'a-b'"):
        compile(SMALL, None).export(tmp_path / "core", name="a-b")
