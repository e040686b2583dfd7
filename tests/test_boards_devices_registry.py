"""A device family's names occur only in its folder, its boards, and the wrappers of its hard cells.

The names come from the registry and from the families' own sources: a new family is covered as soon as it is
registered, and there is no list of names or of exempt files here.
"""

import ast
import inspect
import io
import re
import tokenize
from pathlib import Path

import pytest

from qornn_hw.boards import registry
from qornn_hw.boards.devices import FAMILIES

ROOT = Path(__file__).parent.parent
DEVICES = ROOT / "boards" / "devices"
FOLDERS = sorted(path.parent for path in DEVICES.glob("*/__init__.py"))
# Vendor cells that the engines use, one file a cell.
PRIMITIVES = ROOT / "rtl_gen" / "primitives"
BOARD_FILES = {
    Path(inspect.getfile(module)).resolve()
    for module in vars(registry).values()
    if inspect.ismodule(module) and (hasattr(module, "BOARD") or hasattr(module, "BOARDS"))
}


def folder_of(family):
    """Return the folder of a family: where its cell models are."""
    return next(f for f in FOLDERS if f in family.cell_models.files[0].resolve().parents)


def sources():
    """Return every source file of the four packages that may not name a family."""
    files = [path for top in ("boards", "sim", "rtl_gen") for path in (ROOT / top).rglob("*.py")]
    # The packages below qornn_hw that are links to those three.
    files += [
        path
        for folder in (ROOT / "qornn_hw").iterdir()
        for path in (folder.rglob("*.py") if folder.is_dir() else [folder])
        if not folder.is_symlink() and path.suffix == ".py"
    ]
    return [
        path
        for path in files
        if not any(f in path.parents for f in FOLDERS)
        and PRIMITIVES not in path.parents
        and path.resolve() not in BOARD_FILES
    ]


def instantiated(path):
    """Return the names of cells that a source instantiates, as far as they are literals."""
    return [
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Instance"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]


def names_of(family):
    """Return the names by which a source could know a family: its own, its devices', tools' and cells'."""
    flow, folder = family.flow, folder_of(family)
    tools = [tool for tool in (flow.place, flow.pack, flow.unpack) if tool is not None]
    names = {folder.name, family.name, family.synthesis.command, family.synthesis.cell_folder}
    names |= {name for tool in tools for name in (tool.native, tool.package)}
    names |= {cell for cells in flow.cells.values() for cell in cells} | {flow.flip_flops, flow.constant.cell}
    names |= set(re.findall(r"t:(\w+)", " ".join(family.cell_models.modules)))
    names |= set(family.cell_models.modules.values())
    if family.block_ram is not None:
        names |= {family.block_ram.kind, family.block_ram.placed_kind}
    names |= {cell for path in folder.rglob("*.py") for cell in instantiated(path)}
    names |= {board.device for board in registry.BOARDS if board.family is family}
    return names


NAMES = {name.lower(): folder_of(family).name for family in FAMILIES for name in names_of(family)}


def words(path):
    """Yield (line, word) of a source: its code alone in rtl_gen, all of it elsewhere.

    A comment in rtl_gen may give the device on which a structure was measured as its reason.
    """
    text = path.read_text()
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    code_alone = ROOT / "rtl_gen" in path.parents
    strings = {
        node.value.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for token in tokens:
        if (
            token.type not in (tokenize.NAME, tokenize.STRING, tokenize.COMMENT)
            and "STRING" not in (tokenize.tok_name[token.type])
        ):
            continue
        documents = token.type == tokenize.COMMENT or token.start[0] in strings
        if not (code_alone and documents):
            for word in re.findall(r"\w+(?:-\w+)*", token.string):
                yield token.start[0], word


def faults(path):
    """Return what a source says about a family, and its literal instances of cells."""
    boards = {board.name for board in registry.BOARDS} | {file.stem for file in BOARD_FILES}
    found = []
    for line, word in words(path):
        if word in boards:
            continue
        # Whole words of cells and tools; the family's folder name anywhere in a word.
        folders = [f.name for f in FOLDERS if f.name in word.lower()] or [NAMES.get(word.lower())]
        found += [f"{path.name}:{line} {word} ({folder})" for folder in folders if folder is not None]
    return found + [f"{path.name} instantiates {cell}" for cell in instantiated(path)]


def test_every_folder_is_registered():
    """Each folder's families are in FAMILIES, once, and each family has its own folder."""
    assert {folder_of(family) for family in FAMILIES} == set(FOLDERS)
    assert len(set(map(id, FAMILIES))) == len(FAMILIES)


def test_every_board_has_a_registered_family():
    """A board's family is in FAMILIES, with its clock source."""
    for board in registry.BOARDS:
        assert board.family in FAMILIES
        assert board.clock_source in board.family.clock_sources


def test_a_family_is_one_import_and_one_line_in_the_registry():
    """The registry names each folder twice: in its import and in its line."""
    text = (DEVICES / "__init__.py").read_text()
    for folder in FOLDERS:
        assert len(re.findall(rf"\b{folder.name}\b", text)) == 2


def test_families_are_not_named_outside_their_folders():
    """No source but a board's, a family's own and a hard cell's wrapper has a name of a family."""
    registered = DEVICES / "__init__.py"
    assert [fault for path in sources() if path != registered for fault in faults(path)] == []


def test_hard_cells_of_engines_are_those_of_the_primitives():
    """Family.primitives are modules of rtl_gen.primitives, and each instantiates one cell."""
    wrappers = {path.stem: instantiated(path) for path in PRIMITIVES.glob("*.py") if path.stem != "__init__"}
    assert all(len(cells) == 1 for cells in wrappers.values())
    assert set().union(*(family.primitives for family in FAMILIES)) == set(wrappers)


@pytest.mark.parametrize(
    "line",
    [
        "if family.name == 'ecp5': pass",
        "from qornn_hw.boards.devices import gowin",
        "from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS",
        "m.submodules.pll = Instance('EHXPLLL')",
        "m.submodules.pll = Instance('ANY_OTHER_CELL')",
        "kind = 'SB_RAM40_4K'",
        "cells = {'TRELLIS_COMB': 1}",
        "device = 'GW1NR-9C'",
        "device = 'iCE40UP5K'",
        "command = f'nextpnr-ice40 {x}'",
        "x = 1  # as on an ECP5",
        '"""Like synth_ecp5."""',
    ],
)
def test_a_planted_name_is_found(line, tmp_path):
    """The search sees a comparison, an import, a cell, a device, a tool and a comment."""
    path = tmp_path / "planted.py"
    path.write_text(f"{line}\n")
    assert faults(path)
