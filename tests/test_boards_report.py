"""The report: its keys, its arithmetic, and the tools' files it is read from."""

import json

import pytest
from rich.console import Console

from qornn_hw.boards.icebreaker import BOARD
from qornn_hw.boards.report import (
    ModelFacts,
    Placement,
    make_report,
    read_flip_flops,
    read_placement,
    read_report,
    read_utilisation_log,
    report_table,
)
from qornn_hw.compiler.family import Resources
from qornn_hw.errors import DataError, ToolError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.latency import LATENCY_KEYS, StepTimes, link_cycles
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.links.uart.link import UART

FACTS = ModelFacts(
    hidden_size=64,
    input_size=28,
    output_size=10,
    weight_bits=4,
    state_bits=8,
    activation="relu",
    engine="lut",
    lanes=92,
    macs_per_step=6528,
    cycles_per_step=74,
    accumulator_bits=18,
    times=StepTimes(74, 90, 99),
    link=LinkFormat(3, IntFormat(8, signed=True), 10, 18),
)
PLACEMENT = Placement(
    used={"ICESTORM_LC": 3586, "ICESTORM_RAM": 25, "ICESTORM_DSP": 1, "ICESTORM_SPRAM": 0, "SB_IO": 5},
    available={"ICESTORM_LC": 5280},
    fmax_mhz=77.123456,
)


def report(**changes):
    """Return a report of the facts above."""
    options = {
        "board": BOARD,
        "facts": FACTS,
        "placement": PLACEMENT,
        "flip_flops": 2000,
        "clock_hz": 36_000_000,
        "baud": 3_000_000,
        "tools": {"yosys": "1"},
        "seed": 7,
        "files": {"bitstream": "top.bin"},
        "seconds": {"place": 1.23456},
    }
    return make_report(**(options | changes))


def test_keys_are_those_that_scripts_rely_on():
    """No key is missing, none is added, at every level, in the documented order."""
    r = report()
    assert list(r) == [
        "board",
        "family",
        "engine",
        "lanes",
        "model",
        "macs_per_step",
        "cycles_per_step",
        "utilisation",
        "clock_mhz",
        "clock_source",
        "fmax_mhz",
        "link",
        "baud",
        "step_us",
        "steps_per_second",
        "first_answer_word_cycles",
        "answer_latency_cycles",
        "answer_latency_us",
        "link_latency_us",
        "resources",
        "available",
        "estimated",
        "accumulator_bits",
        "design_digest",
        "tools",
        "seed",
        "files",
        "seconds",
    ]
    assert list(r["model"]) == [
        "hidden_size",
        "input_size",
        "output_size",
        "weight_bits",
        "state_bits",
        "activation",
    ]
    assert list(r["resources"]) == list(r["available"]) == ["lut", "ff", "bram", "spram", "dsp"]


def test_numbers_follow_from_the_facts():
    """Utilisation and time of a step are computed from the counted cycles and the clock."""
    r = report()
    assert r["utilisation"] == round(6528 / (92 * 74), 4)
    assert r["step_us"] == round(74 / 36, 4)
    assert r["clock_mhz"] == 36.0
    assert r["clock_source"] == "SB_PLL40_PAD, fed by the PLL's own pin"
    assert r["steps_per_second"] == round(36e6 / 74, 1)
    assert (r["first_answer_word_cycles"], r["answer_latency_cycles"]) == (90, 99)
    assert r["answer_latency_us"] == 99 / 36
    assert r["link_latency_us"] == round(float(link_cycles(FACTS.times, FACTS.link, 12, UART.line)) / 36, 2)
    assert r["fmax_mhz"] == 77.12
    assert r["resources"] == {"lut": 3586, "ff": 2000, "bram": 25, "spram": 0, "dsp": 1}
    assert r["available"] == {"lut": 5280, "ff": 5280, "bram": 30, "spram": 4, "dsp": 8}
    assert r["seconds"] == {"place": 1.23}
    assert json.loads(json.dumps(r)) == r


def test_uncounted_cycles_are_null():
    """Where nobody counted cycles, what depends on them is null."""
    facts = ModelFacts(**(vars(FACTS) | {"cycles_per_step": None, "times": None}))
    r = report(facts=facts)
    assert (r["cycles_per_step"], r["utilisation"], r["step_us"]) == (None, None, None)
    assert [r[key] for key in LATENCY_KEYS] == [None] * 5


def test_estimate_is_beside_the_actual():
    """What was expected is in the report and in the table, flip-flops excepted."""
    estimated = Resources(lut=3700, ff=1, bram=26, dsp=1)
    r = report(facts=ModelFacts(**(vars(FACTS) | {"estimated": estimated})))
    assert r["estimated"] == {"lut": 3700, "bram": 26, "spram": 0, "dsp": 1}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(report_table(r))
    (line,) = [line for line in capture.get().splitlines() if "logic cells" in line]
    assert "3586" in line and "3700" in line
    assert report()["estimated"] is None


def test_placement_is_limited():
    """A limit lowers the frequency and never raises it."""
    assert PLACEMENT.limited(50).fmax_mhz == 50
    assert PLACEMENT.limited(100) == PLACEMENT


@pytest.mark.parametrize("cycles", [74, None])
def test_table_shows_what_people_ask_for(cycles):
    """The tables name resources, times, the clock, and the fastest one; what nobody counted is left out."""
    changes = {"cycles_per_step": cycles} | ({} if cycles else {"times": None})
    console = Console(width=80)
    with console.capture() as capture:
        console.print(report_table(report(facts=ModelFacts(**(vars(FACTS) | changes)))))
    lines = {
        cells[0]: cells[1:]
        for line in capture.get().splitlines()
        if len(cells := [cell.strip() for cell in line.strip("│┃").split("│" if "│" in line else "┃")]) > 1
    }
    assert lines["resource"] == ["used", "available"]
    assert lines["logic cells"] == ["3586", "5280"]
    assert lines["time"] == ["cycles", "us at 36 MHz"]
    assert lines["clock"] == ["36 MHz"]
    assert lines["fastest clock as placed"] == ["77.12 MHz"]
    assert ("step" in lines) is ("steps a second" in lines) is (cycles is not None)
    if cycles:
        assert lines["step"] == ["74", "2.0556"]
        assert lines["last input to answer"] == ["99", "2.75"]
        assert lines["the same over the link"][0] == ""
        assert lines["steps a second"] == ["486486"]


def test_table_says_where_there_is_no_pll():
    """A build without a PLL says so beside its clock."""
    console = Console(width=80)
    with console.capture() as capture:
        console.print(report_table(report(board=BOARD.on_oscillator(), clock_hz=12_000_000)))
    assert "12 MHz, without a PLL" in capture.get()


def test_placement_is_read_from_nextpnr(tmp_path):
    """Cells and the slowest clock come from nextpnr's JSON."""
    path = tmp_path / "timing.json"
    path.write_text(
        json.dumps(
            {
                "fmax": {"clk": {"achieved": 50.5}, "other": {"achieved": 60.0}},
                "utilization": {"ICESTORM_LC": {"used": 10, "available": 5280}},
            }
        )
    )
    assert read_placement(path) == Placement({"ICESTORM_LC": 10}, {"ICESTORM_LC": 5280}, 50.5)


def test_flip_flops_are_read_from_yosys(tmp_path):
    """Every kind of flip-flop counts, nothing else does."""
    path = tmp_path / "cells.json"
    cells = {"SB_DFF": 1, "SB_DFFESR": 20, "SB_LUT4": 300}
    path.write_text(json.dumps({"design": {"num_cells_by_type": cells}}))
    assert read_flip_flops(path, "SB_DFF") == 21


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"fmax": {}, "utilization": {}}', None])
@pytest.mark.parametrize("read", [read_placement, lambda path: read_flip_flops(path, "SB_DFF")])
def test_rejects_a_report_without_numbers(read, content, tmp_path):
    """An empty, cut or absent file is the tool's fault and says so."""
    path = tmp_path / "tool.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ToolError, match=r"tool\.json has none$"):
        read(path)


def test_utilisation_is_read_from_the_log():
    """Where nextpnr died, its log still says what it needed."""
    log = "Info: Device utilisation:\nInfo: \t         ICESTORM_LC:    8937/   5280   169%\nInfo: done\n"
    assert read_utilisation_log(log) == {"ICESTORM_LC": (8937, 5280)}


def test_report_is_read_back(tmp_path):
    """What a build wrote is what a later command reads."""
    (tmp_path / "report.json").write_text(json.dumps(report()))
    assert read_report(tmp_path) == report()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            None,
            "must be a folder with the results of a build, it has no report.json; run qornn-hw build first",
        ),
        ("{", "must be the report of a build: Expecting property name.*; build it anew$"),
        ("[]", r"must be the report of a build: it must be a JSON object, not \[\]; build it anew$"),
        ("{}", "must be the report of a build: it has no clock_mhz; build it anew$"),
        ('{"clock_mhz": 36}', "must be the report of a build: it has no baud; build it anew$"),
        (
            '{"clock_mhz": 36, "baud": 9600, "board": ["a"], "files": {}}',
            r"must be the report of a build: its board must be a name of letters, .*, not \['a'\]; build it",
        ),
        (
            '{"clock_mhz": 36, "baud": 9600, "board": "a", "files": {"bitstream": 5}}',
            r"must be the report of a build: its files\.bitstream must be a name of letters, .*, not 5; ",
        ),
    ],
)
def test_rejects_a_folder_without_a_report(content, message, tmp_path):
    """A folder of something else is named, with what to do."""
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_report(tmp_path)
