"""The cores of the engines.

The gateware of an engine is in the folder of its name, which has its core as ``CORE``. The names are those of
:data:`qornn_hw.compiler.engines.NAMES`.
"""

from functools import cache
from importlib import import_module
from typing import Any

from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines import engine_named

__all__ = ["make_core"]


def make_core(design: Design, *, preloaded: bool = False) -> Any:
    """Return the core of ``design``.

    Args:
        design: a compiled network.
        preloaded: whether large memories start with their weights, which only a simulation can have.
    """
    return _core_of(design.engine.name)(design, preloaded=preloaded)


@cache
def _core_of(name: str) -> Any:
    """Return the class of an engine's core; a FormatError if there is no such engine."""
    return import_module(f"{__name__}.{engine_named(name).name}").CORE
