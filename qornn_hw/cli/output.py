"""What commands print: JSON, tables, and what is going on."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.table import Table

from qornn_hw.terminal.progress import working
from qornn_hw.terminal.text import PlainConsole, say

__all__ = ["console", "print_json", "print_table", "stage", "warn"]

console = PlainConsole(soft_wrap=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print a JSON object."""
    print(json.dumps(value, indent=2, default=str))


def print_table(title: str, value: Mapping[str, Any]) -> None:
    """Print a table of names and values; those of nested mappings have names with dots."""
    table = Table(title=title, show_header=False, title_justify="left")
    for key, item in _flattened(value):
        table.add_row(key, f"{item:.6g}" if isinstance(item, float) else str(item))
    console.print(table)


def _flattened(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _flattened(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item


@contextmanager
def stage(what: str, quiet: bool, more: str = "") -> Iterator[None]:
    """Show what is going on: motion and seconds on a terminal, lines elsewhere, nothing where quiet."""
    with working(what, console=console, quiet=quiet, more=more):
        yield


def warn(text: str | None) -> None:
    """Print a warning on standard error, if there is one."""
    if text is not None:
        say(f"warning: {text}", file=sys.stderr, flush=True)
