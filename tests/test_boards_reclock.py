"""Cells of a placed design alone: what comes along, and where nextpnr had put them."""

import json

import pytest

from qornn_hw.boards.reclock import cell_places, cells_alone, read_module
from qornn_hw.errors import ToolError


def cell(kind, inputs=(), outputs=(), **attributes):
    """Return a cell of a netlist with ports I0, I1, ... and O0, O1, ..."""
    ports = {f"I{i}": [bit] for i, bit in enumerate(inputs)} | {
        f"O{i}": [bit] for i, bit in enumerate(outputs)
    }
    return {
        "type": kind,
        "parameters": {},
        "attributes": attributes,
        "port_directions": {port: "input" if port[0] == "I" else "output" for port in ports},
        "connections": ports,
    }


NETLIST = {
    "ports": {"pin": {"direction": "input", "bits": [2]}, "led": {"direction": "output", "bits": [9]}},
    "netnames": {
        "pin": {"bits": [2]},
        "clk": {"bits": [4]},
        "increment": {"bits": [5, 6]},
        "top_bit": {"bits": [7]},
        "led": {"bits": [9]},
    },
    "cells": {
        "pad": cell("IO", [2], [3]),
        "pll": cell("PLL", [3, "0", 4], [4]),
        "bit_0": cell("LUT", ["0"], [5], keep=1),
        "bit_1": cell("LUT", [], [6]),
        "bit_2": cell("LUT", [], [7]),
        "logic": cell("LUT", [4, 5, 6], [9]),
    },
}
PLACED = {
    "netnames": {
        "increment[0]": {"bits": [105]},
        "increment[1]": {"bits": [106]},
        "top_bit": {"bits": [108]},
        "led": {"bits": [109]},
    },
    "cells": {
        "pll_PLL": cell("PLL", [103], [], NEXTPNR_BEL="X1/Y9/pll"),
        # In a cell that a carry had.
        "carry": cell("LC", [110], [105], NEXTPNR_BEL="X2/Y2/lc0"),
        "other_carry": cell("LC", [111], [108], NEXTPNR_BEL="X5/Y5/lc5"),
        "bit_1_LC": cell("LC", [], [106], NEXTPNR_BEL="X3/Y3/lc7"),
        "bit_10_LC": cell("LC", [], [107], NEXTPNR_BEL="X4/Y4/lc4"),
        "logic_LC": cell("LC", [106], [109]),
    },
}
CELLS = ["pll", "bit_0", "bit_1", "bit_2"]


def test_places_are_found_by_name_and_by_net():
    """A packed cell has its kind behind its name; a LUT in another cell is known by the net it drives."""
    assert cell_places(NETLIST, PLACED, CELLS) == {
        "pll": "X1/Y9/pll",
        "bit_0": "X2/Y2/lc0",
        "bit_1": "X3/Y3/lc7",
        "bit_2": "X5/Y5/lc5",
    }


@pytest.mark.parametrize("name", ["pad", "logic"])
def test_cell_without_a_place_is_an_error(name):
    """A cell that nextpnr does not know, or of which it does not say where it is, cannot be tied."""
    with pytest.raises(ToolError, match=f"^nextpnr must say where {name} is, and does not$"):
        cell_places(NETLIST, PLACED, [name])


def test_cells_alone_bring_what_leads_to_them():
    """The PLL has its pin and buffer, a LUT is tied to its place, nothing else is there."""
    alone = cells_alone(NETLIST, cell_places(NETLIST, PLACED, CELLS))
    assert set(alone["cells"]) == {"pad", *CELLS}
    assert set(alone["ports"]) == set(alone["netnames"]) == {"pin"}
    assert alone["cells"]["bit_0"]["attributes"] == {"keep": 1, "BEL": "X2/Y2/lc0"}
    assert alone["cells"]["bit_1"]["attributes"] == {"BEL": "X3/Y3/lc7"}
    # The pin decides where this one is.
    assert alone["cells"]["pll"] is NETLIST["cells"]["pll"]
    assert NETLIST["cells"]["bit_0"]["attributes"] == {"keep": 1}


@pytest.mark.parametrize("text", [None, "", "[]", '{"modules": {}}', '{"modules": {"top": 1}}'])
def test_file_without_a_module_is_an_error(text, tmp_path):
    """What is no netlist is told by its name."""
    path = tmp_path / "placed.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ToolError, match=r"^placed\.json must be a netlist with a module top: "):
        read_module(path)
    path.write_text(json.dumps({"modules": {"top": NETLIST}}))
    assert read_module(path) == NETLIST
