"""Placement with several seeds, and of designs that are too large or crowded, with stand-in tools."""

import time

import pytest
from fake_tools import BOARD, FAKE, PART, RESULTS, names

from qornn_hw.boards.build import build_core
from qornn_hw.errors import (
    CapacityError,
    ToolError,
)


def test_effort_keeps_the_fastest_seed(fake, tmp_path):
    """Of several seeds the fastest placement is kept, the first of those that are equal, with its log."""
    fake()
    report = build_core(PART, BOARD, tmp_path / "out", seed=2, effort=4)
    assert (report["clock_mhz"], report["fmax_mhz"], report["seed"]) == (55.5, 55.5, 3)
    assert (tmp_path / "out" / "top.bin").read_text() == "asc of seed 3\n"
    # The fake tells no places: it is asked to place again, and the logs say why.
    tools = ("synthesize", "place", "sign-off-again", "sign-off", "netlist", "pack")
    assert names(tmp_path / "out" / "logs") == {f"{tool}.log" for tool in tools}
    why = (tmp_path / "out" / "logs" / "sign-off-again.log").read_text()
    assert why.startswith("placed.json must be a netlist with a module top: ")


def test_one_dead_seed_ends_the_others(fake, tmp_path):
    """A placement that dies is reported, and those beside it are ended."""
    fake(NEXTPNR_ICE40='case "$*" in *"--seed 2 "*) exit 3 ;; *) exec sleep 60 ;; esac')
    start = time.monotonic()
    with pytest.raises(ToolError, match=r"^nextpnr-ice40 failed with exit code 3 \(place-2\)"):
        build_core(PART, BOARD, tmp_path / "out", effort=2)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("log", "needs"),
    [
        (
            "Info: \tICESTORM_LC: 8937/ 5280 169%\nInfo: \tICESTORM_RAM: 41/ 30 136%\nERROR: no BELs",
            "8937 lut where there are 5280, 41 bram where there are 30",
        ),
        (
            "Info: \tICESTORM_LC: 5270/ 5280 99%\nERROR: Unable to find legal placement",
            "all but a few of its logic cells, which leaves no legal placement",
        ),
    ],
)
def test_too_large_a_design_is_refused_with_its_needs(log, needs, fake, tmp_path):
    """What does not fit says of which resource there is too little."""
    fake(NEXTPNR_ICE40=f"cat <<'END'\n{log}\nEND\nexit 125")
    with pytest.raises(CapacityError, match=rf"^the design must fit icebreaker, it needs {needs}; take a"):
        build_core(PART, BOARD, tmp_path / "out")
    assert names(tmp_path / "out") == {"logs"}


@pytest.mark.parametrize("effort", [1, 2])
def test_a_crowded_design_gets_fewer_sets_of_control_signals(effort, fake, tmp_path):
    """Where no legal placement is found, it is synthesized and placed once more; after other failures not."""
    refuse = 'echo "$*" >> ../attempts; case "$*" in *timeout\\ 50*) ;; *) echo "ERROR: {}"; exit 125 ;; esac'
    keep = "cp top.ys ../script_$(ls .. | grep -c script)"
    scripts = {"YOSYS": keep + FAKE["YOSYS"]}
    fake(
        NEXTPNR_ICE40=refuse.format("Unable to find legal placement for cell X") + FAKE["NEXTPNR_ICE40"],
        **scripts,
    )
    build_core(PART, BOARD, tmp_path / "out", clock_mhz=24, effort=effort)
    out = tmp_path / "out"
    assert names(out) == RESULTS | {"attempts", "script_0", "script_1", "script_2"}
    attempts = (out / "attempts").read_text()
    # The first failure ends the other attempts of its kind.
    assert 1 <= attempts.count("timeout 200 ") <= effort
    assert attempts.count("timeout 50 ") == effort
    first, second = ((out / f"script_{i}").read_text().splitlines() for i in range(2))
    synth = next(line for line in first if line.startswith("synth_ice40"))
    at = first.index(synth)
    assert second[at] == f"{synth} -run begin:map_ffs"
    assert second[at + 1].startswith("dfflegalize ") and second[at + 1].endswith(" -mince 12 -minsrst 12")
    assert second[at + 2] == f"{synth} -run map_ffs:"
    assert first[:at] + first[at + 1 :] == second[:at] + second[at + 3 :]
    fake(NEXTPNR_ICE40=refuse.format("something else") + FAKE["NEXTPNR_ICE40"])
    with pytest.raises(ToolError, match="something else"):
        build_core(PART, BOARD, tmp_path / "other", clock_mhz=24)
    assert len((tmp_path / "other" / "attempts").read_text().splitlines()) == 1
