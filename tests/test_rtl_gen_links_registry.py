"""The physical links: each is complete, and no source outside its folders knows it by name."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from qornn_hw.errors import FormatError
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK, LINKS, find_link

ROOT = Path(__file__).parents[1]
NAMES = [link.name for link in LINKS]
# Both ends of a link, and the list of the links.
FOLDERS = [ROOT / "rtl_gen" / "links", ROOT / "qornn_hw" / "link"]
REGISTRY = ROOT / "rtl_gen" / "links" / "registry.py"
# The default link of a board had a keyword of its own before there were others.
ALLOWED = {("boards/board.py", "uart")}


def sources():
    """Return the sources outside the folders of the links; the four packages without the links to them."""
    own = [folder / name for folder in FOLDERS for name in NAMES]
    paths = [p for top in ("qornn_hw", "rtl_gen", "sim", "boards") for p in (ROOT / top).rglob("*.py")]
    twins = [ROOT / "qornn_hw" / top for top in ("rtl_gen", "sim", "boards")]
    return [p for p in paths if p != REGISTRY and not any(o in p.parents for o in own + twins)]


def names_in(path):
    """Return the names of links that a source has as identifiers or in strings that are no prose."""
    tree = ast.parse(path.read_text())
    found = set()
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.Name | ast.arg | ast.alias):
            text = getattr(node, "id", None) or getattr(node, "arg", None) or node.name
        elif isinstance(node, ast.Attribute):
            text = node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            text = node.value
        elif isinstance(node, ast.ImportFrom):
            text = node.module or ""
        found |= {name for name in NAMES if name in re.split(r"[^a-z]+", text.lower())}
    return found


def test_no_source_knows_a_link_by_name():
    """Names of links are compared, imported and called in their own folders alone.

    The files of boards have them as data: in their link_resources.
    """
    found = {(str(p.relative_to(ROOT)), name) for p in sources() if not is_board(p) for name in names_in(p)}
    assert found == ALLOWED


def is_board(path):
    """Return whether a file defines boards."""
    return path.parent == ROOT / "boards" and re.search(r"^BOARDS? = ", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "text",
    [
        "if link == 'uart': pass",
        "from qornn_hw.rtl_gen.links.uart.link import UART",
        "baud = uart_baud(board)",
        "x = board.uart",
        "assert name in ('uart', 'usb')",
    ],
)
def test_a_name_of_a_link_is_noticed(text, tmp_path):
    """Planted faults: comparisons, imports, functions and attributes."""
    path = tmp_path / "planted.py"
    path.write_text(text)
    assert names_in(path) == {"uart"}


@pytest.mark.parametrize("text", ['"""Bytes over a UART."""', "# uart\nx = 1"])
def test_prose_is_no_comparison(text, tmp_path):
    """Docstrings and comments may have the name."""
    path = tmp_path / "prose.py"
    path.write_text(text)
    assert names_in(path) == set()


def test_links_are_found_by_name():
    """Each has a name of its own; the first is the default; another name is told in one line."""
    assert len(set(NAMES)) == len(LINKS)
    assert [find_link(name) for name in NAMES] == list(LINKS)
    assert DEFAULT_LINK is LINKS[0]
    with pytest.raises(FormatError, match=rf"^link must be {' or '.join(NAMES)}, not 'usb'$"):
        find_link("usb")


@pytest.mark.parametrize("link", LINKS, ids=NAMES)
def test_a_link_is_complete(link):
    """It has folders at both ends, pins in both directions, a pin driver and its C++."""
    assert all((folder / link.name / "__init__.py").is_file() for folder in FOLDERS)
    assert {pin.driven for pin in link.pins} == {False, True}
    assert all(pin.driven for pin in link.pins if pin.enable)
    module, _, name = link.pin_driver.partition(":")
    driver = getattr(importlib.import_module(module), name)
    assert all(callable(getattr(driver, method)) for method in ("send", "run"))
    assert link.pin_driver_header.name == "pin_driver.h" and link.pin_driver_header.is_file()
    assert link.rate((1000,), 100_000_000) * link.clocks_per_bit_min <= 100_000_000
