"""The core of a design, whatever its engine."""

from typing import Any

from qornn_hw.design import Design
from qornn_hw.engine import Engine
from rtl_gen.core import Core
from rtl_gen.dsp_core import DspCore

__all__ = ["make_core"]


def make_core(design: Design, *, preloaded: bool = False) -> Any:
    """Return the core of ``design``.

    Args:
        design: a compiled network.
        preloaded: large memories start with their weights, which only a simulation can have.
    """
    core = DspCore if design.engine is Engine.DSP else Core
    return core(design, preloaded=preloaded)
