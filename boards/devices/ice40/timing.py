"""What nextpnr leaves out of its timing: the inside of the iCE40's multiplier.

nextpnr takes an SB_MAC16 for a row of registers, whatever its parameters say. Where it has none on a side, a
path goes on through it, and nobody has added the two halves and what lies between them.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qornn_hw.errors import ToolError

__all__ = ["multiplier_mhz"]

# Ref: IceStorm's table of cell timings, icefuzz/timings_up5k.txt: slowest paths, in ns, of 16x16 and 8x8
# without registers and from the register in the middle of 16x16 on, and of the adder behind (its slowest
# set-up time).
MULTIPLY_16_NS = 9.05
MULTIPLY_8_NS = 5.86
MULTIPLY_PIPELINED_NS = 4.77
ADD_NS = 2.0

_THROUGH = {"SB_LUT4", "SB_CARRY"}


def multiplier_mhz(netlist: Path, timing: Path) -> float | None:
    """Return the clock that the paths through multipliers allow; None where there are no multipliers.

    An upper bound of each path's length: the slowest signal that enters the block, the block, and the slowest
    register that a signal from it leads to.

    Args:
        netlist: what yosys wrote.
        timing: what nextpnr wrote for ``--report`` with ``--detailed-timing-report``.
    """
    cells = json.loads(netlist.read_text())["modules"]["top"]["cells"]
    multipliers = [name for name, cell in cells.items() if cell["type"] == "SB_MAC16"]
    if not multipliers:
        return None
    try:
        nets = json.loads(timing.read_text())["detailed_net_timings"]
        arrivals = [(end["cell"], end["port"], max(end["delay"])) for net in nets for end in net["endpoints"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"nextpnr must report the timing of every net, {timing.name} has none") from error
    sinks = _sinks(cells)
    return 1000 / max(_path_ns(name, cells, sinks, arrivals) for name in multipliers)


def _sinks(cells: Mapping[str, Any]) -> dict[int, list[str]]:
    """Return the cells that each net leads to."""
    sinks: dict[int, list[str]] = {}
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell.get("port_directions", {}).get(port) == "input":
                for bit in bits:
                    sinks.setdefault(bit, []).append(name)
    return sinks


def _path_ns(
    name: str,
    cells: Mapping[str, Any],
    sinks: Mapping[int, list[str]],
    arrivals: Iterable[tuple[str, str, float]],
) -> float:
    """Return the length of the longest path through or in a multiplier."""
    cell = cells[name]
    parameters = {key: int(value, 2) for key, value in cell["parameters"].items() if set(value) <= set("01")}
    selects = {parameters.get(f"{half}OUTPUT_SELECT", 0) for half in ("TOP", "BOT")}
    # 0 and 1 are the adder without and with register, 2 and 3 the product.
    adds = bool(selects & {0, 1})
    behind = ADD_NS if adds else 0.0
    if selects != {1}:
        behind += _out_ns(cell, cells, sinks, arrivals)
    unregistered = {port for port in "ABCD" if not parameters.get(f"{port}_REG")}

    def into(ports: str) -> float:
        wanted = unregistered & set(ports)
        found = (ns for end, port, ns in arrivals if end == f"{name}_DSP" and port.split("_")[0] in wanted)
        return max(found, default=0.0)

    paths = [into("CD") + behind] if adds else []
    if parameters.get("PIPELINE_16x16_MULT_REG1") or parameters.get("TOP_8x8_MULT_REG"):
        # What stands before the register in the middle is four products of 8x8.
        paths += [into("AB") + MULTIPLY_8_NS, MULTIPLY_PIPELINED_NS + behind]
    else:
        paths.append(into("AB") + (MULTIPLY_8_NS if parameters.get("MODE_8x8") else MULTIPLY_16_NS) + behind)
    return max(paths)


def _out_ns(
    cell: Mapping[str, Any],
    cells: Mapping[str, Any],
    sinks: Mapping[int, list[str]],
    arrivals: Iterable[tuple[str, str, float]],
) -> float:
    """Return the slowest arrival at a register that the outputs of a multiplier lead to."""
    reached: set[str] = set()
    nets = list(cell["connections"].get("O", ()))
    while nets:
        for sink in sinks.get(nets.pop(), ()):
            if sink in reached:
                continue
            reached.add(sink)
            if cells[sink]["type"] in _THROUGH:
                for port in ("O", "CO"):
                    nets += cells[sink]["connections"].get(port, ())
    # A packed cell is called after what is in it: lut_LC, flip-flop_DFFLC, memory_RAM.
    ends = [ns for end, _, ns in arrivals if end.rpartition("_")[0] in reached]
    # Nothing found: as slow as the slowest path there is.
    return max(ends, default=max((ns for _, _, ns in arrivals), default=0.0))
