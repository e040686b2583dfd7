"""The command estimate: cycles and resources as JSON and as tables, without any tool."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import qornn_hw
from qornn_hw.cells.registry import CELLS
from qornn_hw.compiler.engines.lut import engine as lut_engine
from qornn_hw.compiler.engines.lut import plans as lut_plans
from qornn_hw.quantization.stack import RealStack

MODELS = Path(__file__).parents[1] / "models"


@pytest.fixture
def no_tools(monkeypatch):
    """Make every attempt to run a program fail."""

    def refuse(*arguments, **options):
        raise AssertionError(f"a program is run: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)


def test_estimate_as_json(run, no_tools):
    """`estimate --json` has the report's keys, exact blocks of each memory, and runs no tool."""
    model = MODELS / "mnist_rows.npz"
    code, output, _ = run(
        "estimate", model, "--board", "ulx3s-25f", "--lanes", "32", "--clock", "75", "--json"
    )
    value = json.loads(output)
    assert code == 0
    assert (value["board"], value["family"], value["lanes"]) == ("ulx3s-25f", "ecp5", 32)
    assert value["cycles_per_step"] == 192 and value["step_us"] == 2.56
    assert (value["clock_mhz"], value["clock_basis"], value["steps_per_second"]) == (75, "requested", 390_625)
    assert value["answer_latency_us"] == round(value["answer_latency_cycles"] / 75, 4)
    # 33 bytes to the board and 28 back, 10 bits each at 3 Mbaud, and 4 us of core and link.
    assert 203.3 + 3 < value["link_latency_us"] < 203.3 + 5
    assert value["resources"]["bram"] == sum(value["memories"].values())
    # 2656 were built.
    assert 2400 < value["resources"]["lut"] < 2900
    assert value["available"]["lut"] == 24288


@pytest.mark.parametrize(
    ("model", "board", "chains"),
    [
        ("copy_256", "ulx3s-85f", 800),
        ("copy_256", "icebreaker", 900),
        ("pmnist", "icebreaker", 2500),
        ("speech", "upduino", 500),
    ],
)
def test_estimate_is_quick(model, board, chains, run, no_tools, monkeypatch):
    """Of hundreds of chains the widths of 60 at most are proved; the others are judged by lower bounds."""
    proved, looked_at = [], []
    prove, bound = lut_engine.prove_widths, lut_plans.least_blocks
    monkeypatch.setattr(lut_engine, "prove_widths", lambda *a, **k: proved.append(a) or prove(*a, **k))
    monkeypatch.setattr(lut_plans, "least_blocks", lambda *a: looked_at.append(a) or bound(*a))
    code, _, _ = run("estimate", MODELS / f"{model}.npz", "--board", board, "--json")
    assert code == 0
    assert 1 <= len(proved) <= 60 and len(looked_at) > chains


def test_estimate_as_table(run, no_tools):
    """`estimate` shows cycles, times and resources, and says that the clock is counted on."""
    code, output, _ = run("estimate", MODELS / "mnist_rows.npz")
    assert code == 0
    assert "5280" in output and "estimated" in output
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines()]
    # 128 and 172 cycles at 40 MHz.
    assert ["step", "128", "3.2"] in rows
    assert ["last input to answer", "172", "4.3"] in rows
    assert ["clock, counted on, not measured", "40 MHz"] in rows
    assert ["steps a second", "312500"] in rows
    for clock in ("oscillator", 12):
        _, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--clock", clock, "--json")
        value = json.loads(output)
        assert (value["clock_mhz"], value["baud"]) == (12, 1_500_000)
        assert value["clock_source"] == "the board's oscillator, without a PLL"
    _, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--clock", 48)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines()]
    assert ["clock, as asked for", "48 MHz"] in rows


def test_target_rate_gives_the_smallest_design_that_is_fast_enough(run, no_tools):
    """Fewer steps a second, fewer cells, down to the least; each takes no more cycles than there are."""
    cells = []
    for rate in (312_500, 200_000, 100_000, 30_000):
        code, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--target-rate", rate, "--json")
        value = json.loads(output)
        assert code == 0
        assert value["cycles_per_step"] <= 40e6 / rate
        cells.append(value["resources"]["lut"])
    assert cells == sorted(cells, reverse=True) and len(set(cells)) == len(cells)
    code, output, _ = run(
        "estimate", MODELS / "mnist_rows.npz", "--target-rate", 200_000, "--clock", 54, "--json"
    )
    assert code == 0 and json.loads(output)["cycles_per_step"] == 256


def test_estimate_explains_what_was_considered(run, no_tools):
    """The chosen design is the fastest of those that fit; faster ones say what they have too much of."""
    for model, engine in (("mnist_rows", "lut"), ("pmnist", "lut")):
        code, output, _ = run("estimate", MODELS / f"{model}.npz", "--explain", "--json")
        value = json.loads(output)
        assert code == 0
        fits = [row for row in value["considered"] if not row["too_many"]]
        best = min((row for row in fits if row["engine"] == engine), key=lambda row: row["cycles_per_step"])
        for key in ("engine", "lanes", "cycles_per_step"):
            assert best[key] == value[key]
        assert best["lut"] == value["resources"]["lut"]
        assert any(row["too_many"] for row in value["considered"])
    code, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--explain")
    assert code == 0 and "considered, the fastest first" in output and "fits" in output


def test_estimate_explains_the_shapes_of_a_gated_network(run, no_tools, tmp_path):
    """Designs of the tile engine have columns, lanes and interval; others have no such column."""
    random = np.random.default_rng(0)
    stack = RealStack((CELLS["gru"].start(3, 8, random, 5.0),), random.normal(size=(4, 8)), np.zeros(4))
    qornn_hw.save(tmp_path / "gru.npz", qornn_hw.quantize(stack, random.normal(size=(20, 9, 3))))
    code, output, _ = run("estimate", tmp_path / "gru.npz", "--explain", "--json")
    assert code == 0
    rows = json.loads(output)["considered"]
    assert all(re.fullmatch(r"\d+ columns, \d+ lanes, G \d", row["shape"]) for row in rows)
    _, output, _ = run("estimate", tmp_path / "gru.npz", "--explain")
    assert "shape" in output
    _, output, _ = run("estimate", MODELS / "mnist_rows.npz", "--explain")
    assert "shape" not in output


def test_estimate_of_what_does_not_fit(run, no_tools):
    """What fits no board of that kind is refused as by `build`."""
    code, _, errors = run("estimate", MODELS / "copy_256.npz", "--board", "ice40-hx8k")
    assert code == 2
    assert "network must fit ice40-hx8k" in errors
