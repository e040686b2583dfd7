"""Another network in hardware that exists: the plan says which engine's hardware that is."""

from typing import Any

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.compiler.design import Design
from qornn_hw.compiler.engines import engine_named
from qornn_hw.compiler.plan import Plan

__all__ = ["check_plan", "read_plan", "refit"]


def read_plan(value: dict[str, Any]) -> Plan:
    """Return the plan whose ``to_json`` is ``value``, which may come from anybody.

    Raises:
        KeyError, TypeError, ValueError: the value is no plan.
    """
    engine = value["engine"]
    if not isinstance(engine, str):
        raise ValueError(f"engine of a plan must be a text, not {ascii(engine)[:60]}")
    return engine_named(engine).read_plan(value)


def check_plan(plan: Plan, network: AnyNetwork) -> None:
    """Raise a ValueError unless a plan can be the hardware that a network was compiled for."""
    engine_named(plan.engine).check_plan(plan, network)


def refit(plan: Plan, built: AnyNetwork, network: AnyNetwork) -> Design:
    """Return the design of ``network`` on hardware that was built for the network ``built``.

    Raises:
        FormatError: it does not fit that hardware; says all that differs.
    """
    return engine_named(plan.engine).refit(plan, built, network)
