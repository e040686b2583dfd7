"""Paths through the iCE40's multiplier, by hand."""

import json

import pytest

from qornn_hw.boards.devices.ice40.timing import multiplier_mhz
from qornn_hw.errors import ToolError

# in -> SB_MAC16 "m" -> LUT "a" -> LUT "b" -> flip-flop "q"; LUT "other" leads nowhere near.
LUT = {"I0": "input", "O": "output"}


def netlist(**parameters):
    """Return a netlist with a multiplier of those parameters."""

    def cell(kind, directions, **connections):
        return {"type": kind, "parameters": {}, "port_directions": directions, "connections": connections}

    mac = cell("SB_MAC16", {"A": "input", "B": "input", "O": "output"}, A=[2], B=["0"], O=[3])
    mac["parameters"] = {"MODE_8x8": "0", "TOPOUTPUT_SELECT": "11", "BOTOUTPUT_SELECT": "11"} | parameters
    return {
        "m": mac,
        "a": cell("SB_LUT4", LUT, I0=[3], O=[4]),
        "b": cell("SB_LUT4", LUT, I0=[4], O=[5]),
        "q": cell("SB_DFF", {"D": "input", "Q": "output"}, D=[5], Q=[6]),
        "other": cell("SB_LUT4", LUT, I0=[6], O=[7]),
    }


ENDS = [
    ("m_DSP", "A_0", 5.0),
    ("m_DSP", "B_3", 1.0),
    ("m_DSP", "C_1", 0.5),
    ("b_LC", "I0", 4.0),
    ("other_LC", "I1", 30.0),
]


def mhz(tmp_path, cells, ends=ENDS):
    """Return what multiplier_mhz makes of a netlist and the arrivals at its registers."""
    (tmp_path / "top.json").write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    nets = [{"endpoints": [{"cell": c, "port": p, "delay": [ns / 2, ns]}]} for c, p, ns in ends]
    (tmp_path / "timing.json").write_text(json.dumps({"detailed_net_timings": nets}))
    return multiplier_mhz(tmp_path / "top.json", tmp_path / "timing.json")


@pytest.mark.parametrize(
    ("parameters", "ns"),
    [
        # Through 16x16, from the slowest input to the flip-flop behind two LUTs.
        ({}, 5 + 9.05 + 4),
        ({"MODE_8x8": "1"}, 5 + 5.86 + 4),
        # Inputs in registers of the block; B's signal is not slower than A's.
        ({"A_REG": "1"}, 1 + 9.05 + 4),
        ({"A_REG": "1", "B_REG": "1"}, 9.05 + 4),
        # The adder behind the product, without and with a register.
        ({"TOPOUTPUT_SELECT": "00", "BOTOUTPUT_SELECT": "00"}, 5 + 9.05 + 2 + 4),
        ({"TOPOUTPUT_SELECT": "01", "BOTOUTPUT_SELECT": "01", "A_REG": "1", "B_REG": "1"}, 9.05 + 2),
        # A register in the middle: the longer of the paths before and behind it.
        ({"PIPELINE_16x16_MULT_REG1": "1"}, 5 + 5.86),
        ({"PIPELINE_16x16_MULT_REG1": "1", "A_REG": "1"}, 4.77 + 4),
        ({"TOP_8x8_MULT_REG": "1", "A_REG": "1", "TOPOUTPUT_SELECT": "00"}, 4.77 + 2 + 4),
    ],
)
def test_path_is_the_sum_of_its_parts(parameters, ns, tmp_path):
    """What enters, the block, and what leaves, each left out where a register of the block cuts it off."""
    assert mhz(tmp_path, netlist(**parameters)) == pytest.approx(1000 / ns)


def test_addend_goes_around_the_multiplier(tmp_path):
    """C and D come to the adder alone."""
    registered = {"TOPOUTPUT_SELECT": "01", "BOTOUTPUT_SELECT": "01", "A_REG": "1", "B_REG": "1"}
    cells = netlist(**registered)
    assert mhz(tmp_path, cells, [*ENDS, ("m_DSP", "D_7", 20.0)]) == pytest.approx(1000 / (20 + 2))
    cells = netlist(**registered, D_REG="1")
    assert mhz(tmp_path, cells, [*ENDS, ("m_DSP", "D_7", 20.0)]) == pytest.approx(1000 / (9.05 + 2))


def test_unknown_ends_count_as_the_slowest(tmp_path):
    """Where nextpnr renames what is behind the block, the slowest path of all stands for it."""
    ends = [("m_DSP", "A_0", 5.0), ("renamed_LC", "I0", 30.0)]
    assert mhz(tmp_path, netlist(), ends) == pytest.approx(1000 / (5 + 9.05 + 30))


def test_no_multiplier_no_limit(tmp_path):
    """A netlist without the block is nextpnr's alone."""
    cells = netlist()
    del cells["m"]
    assert mhz(tmp_path, cells) is None


def test_rejects_a_report_without_nets(tmp_path):
    """A nextpnr that does not report every net is told so."""
    mhz(tmp_path, netlist())
    (tmp_path / "timing.json").write_text("{}")
    with pytest.raises(
        ToolError, match=r"^nextpnr must report the timing of every net, timing\.json has none$"
    ):
        multiplier_mhz(tmp_path / "top.json", tmp_path / "timing.json")
