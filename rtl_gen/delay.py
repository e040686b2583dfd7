"""Registers in a row."""

from typing import Any

from amaranth.hdl import Module, Signal

__all__ = ["delay"]


def delay(m: Module, value: Any, cycles: int, name: str, *, reset_less: bool = False) -> Any:
    """Return ``value`` of ``cycles`` cycles before.

    Args:
        m: the module that gets the registers, ``<name>_0`` and on.
        value: what is delayed.
        cycles: how many registers; with 0 the value itself is returned.
        name: of the registers.
        reset_less: whether the registers keep their contents in a reset: right for data that is only used
            together with a valid bit.
    """
    for i in range(cycles):
        register = Signal.like(value, name=f"{name}_{i}", reset_less=reset_less)
        m.d.sync += register.eq(value)
        value = register
    return value
