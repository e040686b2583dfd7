"""The engines by name.

A new engine is a folder here, a folder of the same name in :mod:`qornn_hw.rtl_gen.engines`, and one line in
:data:`NAMES`. A name is looked up in :data:`NAMES` before a module is imported, so a name from a file never
decides what code is loaded.
"""

from functools import cache
from importlib import import_module

from qornn_hw.compiler.engine import Engine
from qornn_hw.errors import FormatError

__all__ = ["NAMES", "engine_named", "engines"]

NAMES = (
    "lut",
    "dsp",
    "tile",
    "simple",
)


@cache
def engine_named(name: str) -> Engine:
    """Return the engine of a name.

    Raises:
        FormatError: there is no such engine.

    >>> engine_named("lut").name
    'lut'
    """
    if name not in NAMES:
        raise FormatError(f"engine must be {' or '.join(NAMES)}, not {name!r}")
    engine: Engine = import_module(f"{__name__}.{name}").ENGINE
    return engine


def engines() -> tuple[Engine, ...]:
    """Return all engines, in the order in which a planner considers them."""
    return tuple(engine_named(name) for name in NAMES)
