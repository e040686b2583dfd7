"""A stand-in part and stand-in tools: builds, and their failures, in milliseconds."""

import json

import pytest
from stub_core import StubCore

from qornn_hw.boards.buildable import Buildable
from qornn_hw.boards.clock import cell_parameters
from qornn_hw.boards.registry import find_board
from qornn_hw.boards.report import ModelFacts
from qornn_hw.ir.formats import IntFormat
from qornn_hw.link.protocol import LinkFormat

BOARD = find_board("icebreaker")
FORM = LinkFormat(2, IntFormat(4, signed=True), 1, 12)
FACTS = ModelFacts(4, 2, 1, 4, 8, "relu", "lut", 4, 28, 10, 16)
PART = Buildable(
    core=lambda: StubCore(form=FORM),
    form=FORM,
    facts=FACTS,
    documents=lambda: {"core.v": "// core\n", "core_ports.md": "| Port |\n"},
)
RESULTS = {"top.bin", "core.v", "core_ports.md", "netlist.v", "report.json", "logs"}

# Tools that do nothing but leave the files that a build needs: failures are then a matter of milliseconds.
FAKE = {
    "YOSYS": """
case "$*" in
  *netlist.ys*) printf 'header\\nmodule top; endmodule\\n' > netlist.v ;;
  *) cp "$NETLIST" top.json; echo '{"design": {"num_cells_by_type": {"SB_DFF": 3}}}' > cells.json ;;
esac""",
    "NEXTPNR_ICE40": """
while [ $# -gt 0 ]; do
  case "$1" in --seed) seed=$2 ;; --asc) asc=$2 ;; --report) report=$2 ;; esac
  shift
done
echo asc of seed $seed > $asc
case $seed in 3|5) mhz=55.5 ;; *) mhz=50 ;; esac
echo "{\\"fmax\\": {\\"clk\\": {\\"achieved\\": $mhz}}, \\"utilization\\": {}}" > $report""",
    "ICEPACK": "cp top.asc top.bin",
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a function that replaces the tools by fakes, some of them by a script of the test."""
    folder = tmp_path / "tools"
    folder.mkdir()

    cells = {
        cell: {
            "type": "X",
            "parameters": dict.fromkeys(parameters, ""),
            "attributes": {},
            "port_directions": {},
            "connections": {},
        }
        for cell, parameters in cell_parameters(BOARD, 36_000_000).items()
    }
    cells["clock.pll"]["parameters"]["CLKHF_DIV"] = ""
    top = {"cells": cells, "ports": {}, "netnames": {}}
    (folder / "netlist.json").write_text(json.dumps({"modules": {"top": top}}))
    monkeypatch.setenv("NETLIST", str(folder / "netlist.json"))

    def install(**scripts):
        for variable, text in (FAKE | scripts).items():
            path = folder / variable.lower()
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
            monkeypatch.setenv(variable, str(path))

    return install


def clocks_per_bit(report):
    """Return the cycles of a UART bit, near enough for a bench that knows whole ones."""
    return round(report["clock_mhz"] * 1e6 / report["baud"])


def names(folder):
    """Return the names in a folder."""
    return {p.name for p in folder.iterdir()}


def placed_again(folder):
    """Return whether a build placed its design again to give it its clock: by its logs."""
    return (folder / "logs" / "sign-off.log").exists()
