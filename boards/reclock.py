"""The cells that hold the clock of a placed design, alone, each where it is in the design.

Another clock changes their parameters and nothing else (:mod:`qornn_hw.boards.clock`), so the placement can
stay. nextpnr places these cells alone, once with either clock. The lines in which the two texts differ must
change in the placed design. This takes seconds; a second placement takes minutes and gives the same text,
byte for byte.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from qornn_hw.boards.netlist import NETLIST_TOP
from qornn_hw.errors import ToolError

__all__ = ["NetlistModule", "cell_places", "cells_alone", "read_module"]

NetlistModule: TypeAlias = Mapping[str, Any]
"""The top module of a netlist in JSON, as yosys writes it, or nextpnr, which adds the places."""


def read_module(path: Path) -> NetlistModule:
    """Read the top module of a netlist; a ToolError if there is none."""
    try:
        return dict(json.loads(path.read_text())["modules"][NETLIST_TOP])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{path.name} must be a netlist with a module {NETLIST_TOP}: {error!r}") from error


def cells_alone(netlist: NetlistModule, places: Mapping[str, str]) -> dict[str, Any]:
    """Return a module of some cells of a netlist and what leads to them.

    Args:
        netlist: the module that was placed.
        places: of the cells (:func:`cell_places`). What has no inputs, as the LUTs and an oscillator, is tied
            to its place; that of a PLL follows from its pin.
    """
    alone: dict[str, Any] = {}
    wanted = dict.fromkeys(places)
    while wanted:
        alone |= {name: netlist["cells"][name] for name in wanted}
        inputs = {bit for cell in alone.values() for bit in _bits(cell, "input")}
        wanted = {
            name: None
            for name, cell in netlist["cells"].items()
            if name not in alone and not inputs.isdisjoint(_bits(cell, "output"))
        }
    for name, place in places.items():
        if not any(isinstance(bit, int) for bit in _bits(alone[name], "input")):
            alone[name] = alone[name] | {"attributes": alone[name]["attributes"] | {"BEL": place}}
    bits = {bit for cell in alone.values() for port in cell["connections"].values() for bit in port}
    ports = {name: port for name, port in netlist["ports"].items() if not bits.isdisjoint(port["bits"])}
    nets = {name: net for name, net in netlist["netnames"].items() if name in ports}
    return {**netlist, "cells": alone, "ports": ports, "netnames": nets}


def cell_places(netlist: NetlistModule, placed: NetlistModule, cells: Iterable[str]) -> dict[str, str]:
    """Return where cells of a netlist are in the placed design, in nextpnr's words.

    Args:
        netlist: the module that was placed.
        placed: what nextpnr made of it.
        cells: their names.

    Raises:
        ToolError: nextpnr does not say where one of them is.
    """
    drivers = {bit: cell for cell in placed["cells"].values() for bit in _bits(cell, "output")}
    places = {}
    for name in cells:
        # It keeps its name, with the kind of cell behind it where nextpnr packs it.
        found = [c for n, c in placed["cells"].items() if re.fullmatch(rf"{re.escape(name)}(_[A-Z]+)?", n)]
        # Or is in the cell of a carry, which has another name, but drives the same net.
        found = found or [
            drivers[bit]
            for net in _nets(netlist, name)
            if net in placed["netnames"]
            for bit in placed["netnames"][net]["bits"]
            if bit in drivers
        ]
        bels = {cell["attributes"].get("NEXTPNR_BEL") for cell in found}
        if len(bels) != 1 or None in bels:
            raise ToolError(f"nextpnr must say where {name} is, and does not")
        places[name] = bels.pop()
    return places


def _bits(cell: NetlistModule, direction: str) -> Iterator[int | str]:
    """Return the bits of a cell's ports of a direction; nextpnr leaves those empty that are not connected."""
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == direction:
            yield from bits


def _nets(netlist: NetlistModule, name: str) -> Iterator[str]:
    """Return what the nets are called that a cell drives."""
    driven = set(_bits(netlist["cells"][name], "output"))
    for net, about in netlist["netnames"].items():
        for at, bit in enumerate(about["bits"]):
            if bit in driven:
                yield f"{net}[{at}]" if len(about["bits"]) > 1 else net
