"""The command boards: the boards, and what of a model fits on them."""

import json
import subprocess
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture
def no_tools(monkeypatch):
    """Make every attempt to run a program fail."""

    def refuse(*arguments, **options):
        raise AssertionError(f"a program is run: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)


def test_boards_as_json(run, no_tools):
    """`boards --json` lists every board with device, budget, clock and link."""
    code, output, _ = run("boards", "--json")
    facts = {f["board"]: f for f in json.loads(output)["boards"]}
    assert code == 0
    assert facts["icebreaker"]["available"]["bram"] == 30
    assert facts["tinyfpga-bx"]["oscillator_mhz"] == 16
    assert facts["colorlight-i5"]["link"].startswith("DAPLink")
    assert "fits" not in facts["icebreaker"]


def test_boards_with_a_model(run, no_tools):
    """With a model each board says what of it fits, or why nothing does."""
    code, output, _ = run("boards", MODELS / "copy_256.npz", "--json")
    facts = {f["board"]: f for f in json.loads(output)["boards"]}
    assert code == 0
    assert facts["tinyfpga-bx"]["fits"] is False and "too many" in facts["tinyfpga-bx"]["reason"]
    assert facts["icebreaker"]["fits"] and facts["icebreaker"]["lanes"] == 13
    large = facts["ulx3s-85f"]
    assert large["fits"] and large["resources"]["lut"] < large["available"]["lut"]
    assert large["cycles_per_step"] < facts["ulx3s-25f"]["cycles_per_step"]
    names = ("tinyfpga-bx", "icebreaker")
    tables = {name: run("boards", MODELS / "copy_256.npz", "--board", name) for name in names}
    assert [code for code, _, _ in tables.values()] == [0, 0]
    assert "too large" in tables["tinyfpga-bx"][1] and "13" in tables["icebreaker"][1]


def test_board_of_a_file(run, no_tools, tmp_path):
    """--board takes a file with a board of the user's own."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import replace\nfrom qornn_hw.boards.registry import find_board\n"
        "BOARD = replace(find_board('ulx3s-85f'), name='mine')\n"
    )
    code, output, _ = run("boards", MODELS / "mnist_rows.npz", "--board", path, "--json")
    (facts,) = json.loads(output)["boards"]
    assert code == 0
    assert facts["board"] == "mine" and facts["fits"]
    code, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--board", path, "--json")
    assert code == 0
    assert json.loads(output)["board"] == "mine"
