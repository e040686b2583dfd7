"""The table of what ``report.json`` may hold.

A build folder may come from anybody. Every key that code uses is listed here with its type and range, and
:func:`check_report` compares a report with the table before anything else looks at it. Keys that are not in
the table are allowed and are not used.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from qornn_hw.boards.board import PIN
from qornn_hw.boards.devices import FAMILIES
from qornn_hw.compiler.boot import Boot
from qornn_hw.compiler.engines import NAMES
from qornn_hw.compiler.family import Resources
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK, LINKS, find_link

__all__ = ["FILE_NAMES", "NAME", "REPORT", "check_report"]

# Names of boards and of bitstreams: of one folder, no option of a program, no markup, nothing to escape.
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
# A build gives all files but the bitstream these names.
FILE_NAMES = {
    "verilog": "core.v",
    "ports": "core_ports.md",
    "weights": "weights.bin",
    "netlist": "netlist.v",
    "placed": "placed.zip",
    "logs": "logs",
}
# More than any device has of anything.
_MOST = 10**9
_MOST_SHOWN = 60


class Rule(Protocol):
    """Says what a value must be."""

    def fault(self, value: Any) -> str | None:
        """Return the rest of the sentence "its KEY ...", None where the value is right."""


def _must(what: str, value: Any) -> str:
    # As ASCII: a terminal is not to obey what a file says.
    shown = ascii(value)
    if len(shown) > _MOST_SHOWN:
        shown = f"{shown[:_MOST_SHOWN]}..."
    return f" must be {what}, not {shown}"


@dataclass(frozen=True)
class Number:
    """A finite number in a range, an integer where it is ``whole``."""

    low: float
    high: float
    whole: bool = False

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value."""
        kinds = int if self.whole else int | float
        # bool is an int to Python, and 10**400 is not a float.
        if not isinstance(value, bool) and isinstance(value, kinds) and self.low <= value <= self.high:
            return None
        kind = "an integer" if self.whole else "a number"
        return _must(f"{kind} from {self.low:g} to {self.high:g}", value)


@dataclass(frozen=True)
class Text:
    """A text of a form; ``what`` names the form."""

    what: str
    pattern: str

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value."""
        if isinstance(value, str) and re.fullmatch(self.pattern, value):
            return None
        return _must(self.what, value)


@dataclass(frozen=True)
class Choice:
    """One of some texts."""

    choices: tuple[str, ...]

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value."""
        if isinstance(value, str) and value in self.choices:
            return None
        return _must(" or ".join(self.choices), value)


@dataclass(frozen=True)
class OrNull:
    """A value that its rule accepts, or null."""

    rule: Rule

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value."""
        return None if value is None else self.rule.fault(value)


@dataclass(frozen=True)
class Entries:
    """A JSON object.

    Attributes:
        keys: rule of each known key.
        required: keys that must be there.
        others: rule of all other keys; None where they are allowed and not looked at.
        closed: no other keys are allowed.
    """

    keys: Mapping[str, Rule]
    required: tuple[str, ...] = ()
    others: Rule | None = None
    closed: bool = False

    def fault(self, value: Any) -> str | None:
        """Return what is wrong with a value."""
        if not isinstance(value, dict):
            return _must("a JSON object", value)
        for key in self.required:
            if key not in value:
                return f" has no {key}"
        for key, item in value.items():
            rule = self.keys.get(key, self.others)
            shown = key if key in self.keys else ascii(key)[:_MOST_SHOWN]
            if rule is None:
                if self.closed:
                    return _must(f"one of {', '.join(self.keys)} in each of its keys", key)
            elif (fault := rule.fault(item)) is not None:
                return f".{shown}{fault}"
        return None


_COUNT = Number(0, _MOST, whole=True)
_COUNTS = Entries({name: _COUNT for name in Resources.__dataclass_fields__})
# A cell of a table for people, too.
_REQUIRED_COUNTS = Entries(_COUNTS.keys, required=tuple(_COUNTS.keys))
_DIGEST = Text("64 hexadecimal digits, or empty", r"([0-9a-f]{64})?")
_WORD = Text("letters, digits, '_', '-' and '.'", NAME)
_SECONDS = Number(0, 1e9)
_STATES = Entries({}, others=Entries({"units": _COUNT, "bits": _COUNT}, closed=True))
_MHZ = Number(0.001, 100_000)

FILES = Entries(
    {
        "bitstream": Text(
            "a name of letters, digits, '_', '-' and '.' that ends in .bin, .bit or .fs",
            rf"(?!weights\.bin$){NAME}\.(bin|bit|fs)",
        ),
        **{key: Choice((name,)) for key, name in FILE_NAMES.items()},
    },
    closed=True,
)

REPORT = Entries(
    {
        "board": Text("a name of letters, digits, '_', '-' and '.'", NAME),
        "family": Choice(tuple(dict.fromkeys(family.name for family in FAMILIES))),
        "engine": Choice(NAMES),
        "lanes": Number(1, 10**6, whole=True),
        "model": Entries({"activation": OrNull(_WORD), "states": _STATES}, others=_COUNT),
        "macs_per_step": _COUNT,
        "cycles_per_step": OrNull(Number(0, _MOST)),
        "utilisation": OrNull(Number(0, 1000)),
        "clock_mhz": _MHZ,
        "clock_source": Choice((PIN.value, *(s.value for family in FAMILIES for s in family.clock_sources))),
        "fmax_mhz": _MHZ,
        "link": Choice(tuple(link.name for link in LINKS)),
        "baud": Number(1, 10**8, whole=True),
        "step_us": OrNull(Number(0, 1e8)),
        "steps_per_second": OrNull(Number(0, 1e12)),
        "first_answer_word_cycles": OrNull(_COUNT),
        "answer_latency_cycles": OrNull(_COUNT),
        "answer_latency_us": OrNull(Number(0, 1e12)),
        "link_latency_us": OrNull(Number(0, 1e12)),
        "resources": _REQUIRED_COUNTS,
        "available": _REQUIRED_COUNTS,
        "estimated": OrNull(_COUNTS),
        "accumulator_bits": Number(0, 1024, whole=True),
        "design_digest": _DIGEST,
        "tools": Entries({}, others=Text("the version of a tool", r"[ -~]{0,200}")),
        "seed": Number(0, 2**30, whole=True),
        "boot": Choice(tuple(Boot)),
        "files": FILES,
        "reloaded": Entries({"from": _DIGEST, "block_rams": _COUNT}),
        "seconds": Entries({}, others=_SECONDS),
    },
    required=("clock_mhz", "baud", "board", "files"),
)


def check_report(report: Any) -> dict[str, Any]:
    """Return a report that is as the table says.

    Raises:
        ValueError: it is not; the message is the rest of a sentence about the file.
    """
    fault = REPORT.fault(report)
    if fault is not None:
        # ".files.bitstream must be ...": its files.bitstream must be ...
        raise ValueError(f"its {fault[1:]}" if fault.startswith(".") else f"it{fault}")
    cycles = find_link(report.get("link", DEFAULT_LINK.name)).clocks_per_bit_min
    if report["clock_mhz"] * 1e6 < cycles * report["baud"]:
        raise ValueError(
            f"its baud must leave a bit {cycles} cycles of its clock of {report['clock_mhz']:g} MHz, not "
            f"{report['baud']}"
        )
    checked: dict[str, Any] = report
    return checked
