"""What the documentation names exists: files, modules, their members, commands, options, make targets."""

import re
import subprocess
from functools import cache
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import typer

from qornn_hw.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [
    "README.md",
    "CHANGELOG.md",
    "models/README.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]

# A file's name ends so. Files of a user (model.npz, report.json) have other endings or are in EXAMPLES.
SOURCE = re.compile(r"[\w.*/-]+\.(?:py|cpp|v|jsonl|toml|svg|md)")
FOLDER = re.compile(r"(?:qornn_hw|rtl_gen|sim|boards|tests|benchmarks|docs|models)/(?:[\w.-]+/)*[\w-]*/?")
DOTTED = re.compile(r"(?:qornn_hw|rtl_gen|sim|boards)(?:\.\w+)+")
# Files that a command writes, or that the user writes; not files of the repository.
EXAMPLES = {
    "MODULE.v",
    "MODULE_tb.v",
    "core.v",
    "netlist.v",
    "qornn_core.v",
    "qornn_core_tb.v",
    "core_ports.md",
    "FILE.py",
    "my_board.py",
}
# Options of other programs that the pages name.
FOREIGN = {"--freq", "--lint-only"}


@cache
def tree() -> frozenset[str]:
    """Return the paths of the repository's files and folders, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    files = [PurePosixPath(name) for name in listed if (ROOT / name).exists()]
    return frozenset(str(path) for file in files for path in (file, *file.parents) if path.name)


@cache
def endings() -> frozenset[str]:
    """Return every path of the tree, also without its first folders: ``cells/elman.py`` and ``elman.py``."""
    parts = [PurePosixPath(path).parts for path in tree()]
    return frozenset("/".join(one[start:]) for one in parts for start in range(len(one)))


@cache
def options() -> dict[str, frozenset[str]]:
    """Return the options by command, such as ``train copy``; a group has those of all its commands."""

    def of(command: Any) -> set[str]:
        own = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        return own.union(*(of(one) for one in getattr(command, "commands", {}).values()), {"--help"})

    top = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = {name: frozenset(of(command)) for name, command in top.items()}
    for name, command in top.items():
        for inner, one in getattr(command, "commands", {}).items():
            found[f"{name} {inner}"] = frozenset(of(one))
    return found


def newest(text: str, page: str) -> str:
    """Return the text; of the changelog its newest section."""
    return "\n## ".join(text.split("\n## ")[:2]) if page == "CHANGELOG.md" else text


def missing_member(name: str) -> bool:
    """Return whether a dotted name is neither a module nor what a module or class has under that name."""
    parts = name.split(".")
    if parts[0] != "qornn_hw":
        # The folders at the top are imported as packages of qornn_hw alone.
        return True
    for length in range(len(parts), 0, -1):
        try:
            value = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if part not in getattr(value, "__dataclass_fields__", {}) and not hasattr(value, part):
                return True
            value = getattr(value, part, None)
        return False
    return True


def stale_paths(text: str) -> list[str]:
    """Return the files and folders that a page names and the tree does not have."""
    spans = [word for span in re.findall(r"`([^`\n]+)`", text) for word in span.split()]
    named = [word for word in spans if SOURCE.fullmatch(word)] + re.findall(
        r"\b(?:docs|models)/[\w/]+\.\w+", text
    )
    stale = [word for word in named if word not in EXAMPLES and word not in endings()]
    folders = [word for word in spans if FOLDER.fullmatch(word)]
    return stale + [word for word in folders if word.rstrip("/") not in tree()]


def stale_links(text: str, page: str) -> list[str]:
    """Return the relative links of a page that lead to no file."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    local = [link for link in links if "://" not in link]
    return [link for link in local if not (ROOT / page).parent.joinpath(link).exists()]


def stale_names(text: str) -> list[str]:
    """Return the dotted names and the imports of a page that Python does not find."""
    spans = re.findall(r"`([^`\n]+)`", text)
    named = [
        match.group() for span in spans if (match := DOTTED.match(span)) and "/" not in span.split("(")[0]
    ]
    named = [name for name in named if not SOURCE.fullmatch(name)]
    named += re.findall(r"\b(qornn_hw\.[a-z_]\w*(?:\.\w+)*)\(", text)
    for module, members in re.findall(r"^\s*from (qornn_hw[\w.]*) import ([\w, ]+)$", text, re.MULTILINE):
        named += [f"{module}.{one.strip().split(' as ')[0]}" for one in members.split(",")]
    return [name for name in dict.fromkeys(named) if missing_member(name)]


def stale_options(text: str) -> list[str]:
    """Return the commands and options of a page that the command line does not have."""
    known = benchmark_options().union(*options().values(), FOREIGN)
    stale = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        for part in line.split("qornn-hw ")[1:]:
            words = part.split("`")[0].split()
            if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]) or part[0] == " ":
                continue
            command = " ".join(words[:2]) if " ".join(words[:2]) in options() else words[0]
            used = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", part.split("`")[0])
            if command in options():
                stale += [f"{command} {one}" for one in used if one not in options()[command]]
            elif used or line.startswith("    "):
                stale.append(command)
    for span in re.findall(r"`([^`\n]+)`", text):
        words = span.split()
        if words[0] in options():
            used = [word for word in words if re.fullmatch(r"--[a-z][a-z0-9-]*", word)]
            stale += [f"{words[0]} {one}" for one in used if one not in options()[words[0]]]
        elif (name := re.match(r"--[a-z][a-z0-9-]*", words[0])) and name.group() not in known:
            stale.append(span)
    return stale


@cache
def benchmark_options() -> frozenset[str]:
    """Return the options of the scripts in ``benchmarks`` and ``docs/examples``."""
    scripts = [*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "docs" / "examples").glob("*.py")]
    return frozenset(one for script in scripts for one in re.findall(r'"(--[a-z0-9-]+)"', script.read_text()))


def stale_scripts(text: str) -> list[str]:
    """Return scripts and make targets that do not exist, and options that their script does not define."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^    |`)make ([a-z]+)(?=[`\n])", text, re.MULTILINE)
    stale = [f"make {one}" for one in named if one not in targets]
    for script, rest in re.findall(r"python ((?:benchmarks|docs|tests)/[\w/]+\.py)([^`\n]*)", text):
        if script not in tree():
            stale.append(script)
            continue
        source = (ROOT / script).read_text()
        used = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", rest)
        stale += [f"{script} {one}" for one in used if f'"{one}"' not in source]
    return stale


def stale(text: str, page: str) -> list[str]:
    """Return all that a page names and that does not exist."""
    text = newest(text, page)
    return [
        *stale_paths(text),
        *stale_links(text, page),
        *stale_names(text),
        *stale_options(text),
        *stale_scripts(text),
    ]


@pytest.mark.filterwarnings("ignore:qornn_hw:DeprecationWarning")  # CHANGELOG.md names what has been renamed.
@pytest.mark.parametrize("page", PAGES)
def test_everything_named_exists(page):
    """A page names no file, module, member, command, option or make target that is not there."""
    assert stale((ROOT / page).read_text(encoding="utf-8"), page) == []


def test_the_readme_lists_every_command():
    """Each command of the command line is in an example of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    used = set(re.findall(r"^    (?:sensor \| )?qornn-hw ([a-z-]+)", text, re.MULTILINE))
    assert used == {name for name in options() if " " not in name}


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("see `qornn_hw/integer_network.py`", "qornn_hw/integer_network.py"),
        ("see `trainer_loop.py`", "trainer_loop.py"),
        ("see docs/numbers.md", "docs/numbers.md"),
        ("    qornn-hw info models/mnist.pt", "models/mnist.pt"),
        ("the components in `rtl_gen/linking/`", "rtl_gen/linking/"),
        ("[the protocol](protocol.md)", "protocol.md"),
        ("`qornn_hw.network.WeightBits(recurrent, input, output)`", "qornn_hw.network.WeightBits"),
        ("`qornn_hw.cells.elman_network.WeightBit`", "qornn_hw.cells.elman_network.WeightBit"),
        ("`boards.host.Host`", "boards.host.Host"),
        ("    checkpoint = qornn_hw.export_tensorflow(model)", "qornn_hw.export_tensorflow"),
        ("from qornn_hw.boards.host import Host, Hosts", "qornn_hw.boards.host.Hosts"),
        ("    qornn-hw build --bord icebreaker model.pt", "build --bord"),
        ("    qornn-hw train copy --blanks 1000", "train copy --blanks"),
        ("`qornn-hw simulate model.pt --json`", "simulate"),
        ("`run --prot /dev/pts/N`", "run --prot"),
        ("the option `--efort N`", "--efort N"),
        ("run `make everything`", "make everything"),
        ("`python benchmarks/hardwares.py`", "benchmarks/hardwares.py"),
        ("`python benchmarks/hardware.py --ran`", "benchmarks/hardware.py --ran"),
    ],
)
@pytest.mark.parametrize("page", ["README.md", "docs/boards.md"])
def test_a_stale_name_is_found(page, fault, found):
    """A name that does not exist is reported, whatever page it is planted in."""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert found in stale(f"{text}\n\n{fault}\n", page)


def test_only_the_newest_changes_are_read():
    """An older section of the changelog may name files that are gone since."""
    text = "# Changelog\n\n## [2.0]\n\n- `new.py`\n\n## [1.0]\n\n- `old.py`\n"
    assert stale(text, "CHANGELOG.md") == ["new.py"]
