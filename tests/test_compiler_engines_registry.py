"""An engine's names occur only in its own folders.

The names come from the registry and from the engines' own sources. A new engine is covered as soon as it is
registered, and there is no list of names or of exempt files here.
"""

import ast
import io
import re
import tokenize
from importlib import import_module
from pathlib import Path

import pytest

from qornn_hw.compiler import engines as registry
from qornn_hw.compiler.engine import Engine
from qornn_hw.compiler.engines import NAMES, engine_named, engines
from qornn_hw.errors import FormatError

ROOT = Path(__file__).parent.parent
PLANS = ROOT / "qornn_hw" / "compiler" / "engines"
GATEWARE = ROOT / "rtl_gen" / "engines"
FOLDERS = [folder / name for folder in (PLANS, GATEWARE) for name in NAMES]
REGISTRY = PLANS / "__init__.py"


def sources():
    """Return every source file of the four packages that may not name an engine."""
    files = [path for top in ("boards", "sim", "rtl_gen") for path in (ROOT / top).rglob("*.py")]
    # The packages below qornn_hw that are no links to those three.
    files += [
        path
        for folder in (ROOT / "qornn_hw").iterdir()
        for path in (folder.rglob("*.py") if folder.is_dir() else [folder])
        if not folder.is_symlink() and path.suffix == ".py"
    ]
    own = {PLANS / path.name for path in PLANS.iterdir()} | {
        GATEWARE / path.name for path in GATEWARE.iterdir()
    }
    own = {path for path in own if path.is_dir()}
    return [path for path in files if path != REGISTRY and not own & set(path.parents)]


def class_names():
    """Return the names of all classes that the engines define and that begin with an engine's name."""
    trees = (ast.parse(path.read_text()) for folder in FOLDERS for path in folder.rglob("*.py"))
    names = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return {name for name in names if name.lower().startswith(NAMES)}


CLASSES = class_names()


def faults(path):
    """Return the names of engines in the code of a source: literals, imports, classes, attributes."""
    text, found = path.read_text(), []
    tree = ast.parse(text)
    documents = {
        node.value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    # A key, as of the resources in a report, is no name of an engine.
    keys = {
        (key.lineno, key.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    keys |= {
        (node.slice.lineno, node.slice.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
    }
    compared = {
        (side.lineno, side.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Compare, ast.Call, ast.keyword, ast.Assign, ast.Return, ast.arguments))
        for side in ast.walk(node)
        if isinstance(side, ast.Constant)
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING and token.start[0] not in documents:
            literal = token.string.strip("rbf\"'")
            if literal in NAMES and token.start not in keys and token.start in compared:
                found.append(f"{path.name}:{token.start[0]} {token.string}")
        elif token.type == tokenize.NAME and token.string in CLASSES:
            found.append(f"{path.name}:{token.start[0]} {token.string}")
    for node in ast.walk(tree):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("engines"):
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
        found += [
            f"{path.name}:{node.lineno} imports {module}"
            for module in modules
            if re.search(rf"engines\.({'|'.join(NAMES)})\b", module)
        ]
    return found


def test_every_engine_is_one_line():
    """The registry names each engine once, and each has a folder of its own, here and for its gateware."""
    text = REGISTRY.read_text()
    listed = re.search(r"NAMES = \((.*?)\)", text, re.DOTALL)[1]
    for name in NAMES:
        assert listed.count(f'"{name}"') == 1
        assert (PLANS / name / "__init__.py").exists() and (GATEWARE / name / "__init__.py").exists()
        assert import_module(f"qornn_hw.rtl_gen.engines.{name}").CORE


def test_engines_are_what_the_protocol_says():
    """Each engine has its name and all members of the protocol."""
    members = [name for name in vars(Engine) if not name.startswith("_")] + list(Engine.__annotations__)
    for name, engine in zip(NAMES, engines(), strict=True):
        assert engine.name == name and engine is engine_named(name)
        assert all(hasattr(engine, member) for member in members)


def test_an_engine_that_is_not_there_is_refused():
    """A name from a file is looked up before anything is imported."""
    with pytest.raises(FormatError, match=r"^engine must be lut or dsp.*, not 'os'$"):
        engine_named("os")
    assert registry.NAMES[0] == "lut"


def test_engines_are_not_named_outside_their_folders():
    """No source but an engine's own compares a name of an engine, imports its modules or uses its classes."""
    assert [fault for path in sources() for fault in faults(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "if design.engine.name == 'lut': pass",
        "plan(network, engine='dsp')",
        "ENGINES = ('lut',)",
        "from qornn_hw.compiler.engines import lut",
        "from qornn_hw.compiler.engines.dsp.timing import DspTiming",
        "import qornn_hw.rtl_gen.engines.lut",
        "isinstance(schedule.timing, LutTiming)",
        "core = DspCore(design)",
    ],
)
def test_a_planted_name_is_found(line, tmp_path):
    """The search sees a comparison, an argument, an import and a class."""
    path = tmp_path / "planted.py"
    path.write_text(f"{line}\n")
    assert faults(path)
