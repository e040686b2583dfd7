"""Tables for people: what a design takes of a board, how long a step takes, and at which clock."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Table

from qornn_hw.compiler.family import RESOURCE_NAMES
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK, find_link

__all__ = ["design_tables"]


def design_tables(title: str, report: Mapping[str, Any], facts: Mapping[str, str]) -> Group:
    """Return a report, or an estimate with its keys, as three tables.

    Args:
        title: of the first table.
        report: with the keys of docs/boards.md; times that are absent or null are left out.
        facts: name and value of each row of the last table, in front of those that follow from the report.
    """
    return Group(_resources(title, report), _times(report), _facts(report, facts))


def _table(*columns: str) -> Table:
    table = Table()
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


def _resources(title: str, report: Mapping[str, Any]) -> Table:
    estimated = report.get("estimated") or {}
    table = _table("resource", "used", "available", *(["estimated"] if estimated else []))
    table.title = title
    for key, name in RESOURCE_NAMES.items():
        used = report["resources"][key]
        if used is not None:
            row = [name, str(used), str(report["available"][key])]
            table.add_row(*row, *([str(estimated[key])] if key in estimated else []))
    return table


def _times(report: Mapping[str, Any]) -> Table:
    mhz = report.get("clock_mhz")
    table = _table("time", "cycles", "us" if mhz is None else f"us at {mhz:g} MHz")
    rows = [
        ("step", report.get("cycles_per_step"), report.get("step_us")),
        ("last input to answer", report.get("answer_latency_cycles"), report.get("answer_latency_us")),
        ("the same over the link", None, report.get("link_latency_us")),
    ]
    for name, cycles, us in rows:
        if cycles is not None or us is not None:
            table.add_row(name, "" if cycles is None else f"{cycles:g}", "" if us is None else f"{us:g}")
    return table


def _facts(report: Mapping[str, Any], facts: Mapping[str, str]) -> Table:
    table = _table("design", "value")
    rows = dict(facts)
    if report.get("baud") is not None:
        link = find_link(report.get("link", DEFAULT_LINK.name))
        rows["link"] = f"{link.title}, {report['baud']} baud"
    if report.get("steps_per_second") is not None:
        rows["steps a second"] = f"{report['steps_per_second']:.0f}"
    if report.get("utilisation") is not None:
        rows["lanes at work"] = f"{100 * report['utilisation']:.1f} %"
    rows["accumulator"] = f"{report['accumulator_bits']} bits"
    if report.get("seconds"):
        rows["time of the build"] = f"{sum(report['seconds'].values()):.1f} s"
    for name, value in rows.items():
        table.add_row(name, value)
    return table
