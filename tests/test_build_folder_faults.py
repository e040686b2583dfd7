"""Build folders from strangers: each command says in one line what is wrong, runs and writes nothing else."""

import json
import os
from pathlib import Path

import pytest
from networks import make_network

from qornn_hw.boards.board import Board
from qornn_hw.boards.registry import find_board
from qornn_hw.boards.report import file_of, read_report
from qornn_hw.compiler.engines import NAMES
from qornn_hw.errors import DataError
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint
from qornn_hw.storage.folder_lock import folder_lock

REPORT = {
    "board": "icebreaker",
    "clock_mhz": 24,
    "baud": 3_000_000,
    "files": {"bitstream": "top.bin", "netlist": "netlist.v", "placed": "placed.zip"},
}
# Leaves a trace where it is run.
BOARD_FILE = """
from pathlib import Path
Path({trace!r}).write_text("ran")
from dataclasses import replace
from qornn_hw.boards.registry import find_board
BOARD = replace(find_board("icebreaker"), name={name!r})
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with a model, programmers that leave a trace, and a secret outside the build."""
    save_checkpoint(tmp_path / "model.npz", Checkpoint(make_network(n=4, m=3, p=2, seed=5)))
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "bin").mkdir()
    for name in ("iceprog", "openFPGALoader"):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/trace\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def folder_with(place, report, **files):
    """Write a build folder: a report, and files by name."""
    folder = place / "build"
    folder.mkdir()
    text = report if isinstance(report, str) else json.dumps(report)
    (folder / "report.json").write_text(text)
    for name, data in ({"top.bin": "bits", "netlist.v": "module top; endmodule\n"} | files).items():
        (folder / name).write_text(data)
    return folder


COMMANDS = {
    "program": ("program", "build"),
    "run": ("run", "model.npz", "--build", "build", "--random", "1", "--port", "no-such-port"),
    "simulate-board": ("simulate-board", "model.npz", "--build", "build", "--through", "netlist"),
    "reload": ("reload", "build", "model.npz", "--out", "out"),
    "sim": ("sim", "model.npz", "--through", "netlist", "--build", "build"),
}
REPORTS = {
    "a Python file of the folder as the board": (REPORT | {"board": "evil.py"}, "evil.py"),
    "a Python file elsewhere as the board": (REPORT | {"board": "build/evil.py"}, "its board must be a name"),
    "an option as the board": (REPORT | {"board": "--help"}, "its board must be a name"),
    "markup as the board": (REPORT | {"board": "[/nope]"}, "its board must be a name"),
    "control characters as the board": (REPORT | {"board": "a\x1b[2J"}, r"not 'a\\x1b[2J'"),
    "an absolute path": (
        REPORT | {"files": {"bitstream": "/etc/passwd"}},
        "its files.bitstream must be a name of letters, digits, '_', '-' and '.' that ends in .bin, .bit or",
    ),
    "a path upwards": (REPORT | {"files": {"bitstream": "../secret"}}, "its files.bitstream must be a name"),
    "the folder above": (REPORT | {"files": {"bitstream": "../.."}}, "its files.bitstream must be a name"),
    "an option": (REPORT | {"files": {"bitstream": "-b"}}, "its files.bitstream must be a name"),
    "an option with an ending": (
        REPORT | {"files": {"bitstream": "-b.bin"}},
        "its files.bitstream must be a name",
    ),
    "a zero byte": (REPORT | {"files": {"bitstream": "top.bin\0.bin"}}, "its files.bitstream must be a name"),
    "a line break": (REPORT | {"files": {"bitstream": "top.bin\n"}}, "its files.bitstream must be a name"),
    "a drive": (REPORT | {"files": {"bitstream": "C:top.bin"}}, "its files.bitstream must be a name"),
    "a path with backslashes": (
        REPORT | {"files": {"bitstream": "..\\top.bin"}},
        "its files.bitstream must be a name",
    ),
    "the report as the bitstream": (
        REPORT | {"files": {"bitstream": "report.json"}},
        "its files.bitstream must be a name",
    ),
    "the weights as the bitstream": (
        REPORT | {"files": {"bitstream": "weights.bin"}},
        "its files.bitstream must be a name",
    ),
    "another netlist": (
        REPORT | {"files": {"bitstream": "top.bin", "netlist": "../x.v"}},
        "its files.netlist must be netlist.v, not '../x.v'",
    ),
    "other weights": (
        REPORT | {"boot": "flash", "files": {"bitstream": "top.bin", "weights": "/etc/passwd"}},
        "its files.weights must be weights.bin, not '/etc/passwd'",
    ),
    "an unknown file": (
        REPORT | {"files": {"bitstream": "top.bin", "hook": "x.py"}},
        "its files must be one of bitstream, verilog",
    ),
    "files that are a list": (REPORT | {"files": ["top.bin"]}, "its files must be a JSON object"),
    "no clock": (REPORT | {"clock_mhz": 0}, "its clock_mhz must be a number from 0.001 to 100000, not 0"),
    "a clock without end": (json.dumps(REPORT).replace("24", "1e999"), "its clock_mhz must be a number"),
    "a clock that is no number": (json.dumps(REPORT).replace("24", "NaN"), "NaN is not a JSON number"),
    "a rate beyond the clock": (
        REPORT | {"baud": 3_000_001},
        "its baud must leave a bit 8 cycles of its clock of 24 MHz, not 3000001",
    ),
    "a rate that is true": (REPORT | {"baud": True}, "its baud must be an integer from 1 to 1e+08, not True"),
    "a rate of digits without end": (
        json.dumps(REPORT).replace("3000000", "9" * 4000),
        "its baud must be an integer from 1 to 1e+08, not 9999",
    ),
    "lanes in words": (REPORT | {"lanes": "all"}, "its lanes must be an integer from 1 to 1e+06, not 'all'"),
    "another engine": (REPORT | {"engine": "gpu"}, f"its engine must be {' or '.join(NAMES)}, not 'gpu'"),
    "a time that is a list": (REPORT | {"step_us": [1]}, "its step_us must be a number from 0 to 1e+08"),
    "another start": (REPORT | {"boot": "net"}, "its boot must be link or flash, not 'net'"),
    "a digest that is a number": (REPORT | {"design_digest": 5}, "its design_digest must be 64 hexadecimal"),
    "a key twice": ('{"board": "icebreaker", "board": "evil.py"}', "key 'board' occurs twice"),
    "nested without end": ("[" * 100_000, "its values are nested too deeply"),
    "other bytes": ("\udcff", "codec can't decode byte"),
    "nothing": ("", "Expecting value"),
    "a large file": (" " * (2 << 20), "report.json must have at most 1048576 bytes"),
}


# Every command has its report from the same reader: the first cases show that.
CASES = [
    (command, case) for command in COMMANDS for case in list(REPORTS)[: 8 if command != "program" else None]
]


@pytest.mark.parametrize(("command", "case"), CASES)
def test_reports_from_strangers(command, case, place, run):
    """A report with anything that a build does not write: one line, exit code 2, nothing run or made."""
    report, message = REPORTS[case]
    text = report if isinstance(report, str) else json.dumps(report)
    folder = folder_with(place, "")
    (folder / "report.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    for path in (folder / "evil.py", place / "evil.py"):
        path.write_text(BOARD_FILE.format(trace=str(place / "trace"), name="evil.py"))
    before = sorted(place.rglob("*"))
    code, output, errors = run(*COMMANDS[command])
    assert (code, errors.count("\n")) == (2, 1), errors
    assert not output
    # A netlist is simulated for the board that is typed, whatever the report says.
    if not (case == "a Python file of the folder as the board" and command == "sim"):
        assert message.replace("\\\\", "\\") in errors
    assert "\x1b" not in errors
    assert sorted(place.rglob("*")) == before


def linked_file(folder, name, target):
    """Put a link in the place of a file."""
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)


def pipe(folder, name, _):
    """Put a pipe in the place of a file, at which a reader would wait."""
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


FILES = {
    "report.json is a link": (
        linked_file,
        "report.json",
        "../secret",
        "report.json is a link that leads out",
    ),
    "report.json is a pipe": (pipe, "report.json", None, "report.json is not a file"),
    "report.json is a loop": (linked_file, "report.json", "report.json", "must be the report of a build: "),
    "top.bin is a link": (linked_file, "top.bin", "../secret", "top.bin is a link that leads out of it"),
    "top.bin is a device": (linked_file, "top.bin", "/dev/zero", "top.bin is a link that leads out of it"),
    "top.bin is a pipe": (pipe, "top.bin", None, "top.bin is not a file"),
    "top.bin is the folder": (linked_file, "top.bin", ".", "top.bin is not a file"),
    "top.bin is no file": (linked_file, "top.bin", "nowhere", "top.bin is not there"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_lead_elsewhere(case, place, run):
    """A link out of the folder, a device, a pipe and a loop are named; the programmer is not started."""
    make, name, target, message = FILES[case]
    make(folder_with(place, REPORT), name, target)
    code, output, errors = run("program", "build")
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert message in errors
    assert not (place / "trace").exists()


def test_a_link_within_the_folder_is_a_file(place):
    """A link to another file of the folder is that file."""
    folder = folder_with(place, REPORT)
    linked_file(folder, "top.bin", "netlist.v")
    assert file_of(folder, read_report(folder), "bitstream") == folder / "top.bin"


def test_a_file_that_the_report_does_not_name(place):
    """It is told by its kind."""
    folder = folder_with(place, REPORT)
    with pytest.raises(DataError, match=r"^the build must have its weights, .* has none; build it anew$"):
        file_of(folder, read_report(folder), "weights")


@pytest.mark.parametrize("command", ["program", "reload"])
def test_a_folder_that_is_written(command, place, run):
    """While another process builds into the folder nothing is loaded from it."""
    folder = folder_with(place, REPORT)
    with folder_lock(folder):
        code, _, errors = run(*COMMANDS[command])
    assert code == 2 and errors.count("\n") == 1
    assert (
        "folder build must be free, but another process reads or writes it; wait until it is done" in errors
    )
    assert not (place / "trace").exists() and not (place / "out").exists()


def test_a_folder_that_looks_like_an_option(place, run):
    """The programmer gets a path that it cannot take for an option."""
    folder_with(place, REPORT).rename(place / "-b")
    code, output, _ = run("program", "--", "-b")
    assert (code, output) == (0, "iceprog ./-b/top.bin\n")
    assert (place / "trace").read_text() == "./-b/top.bin\n"


@pytest.mark.parametrize("command", ["program", "simulate-board", "reload", "run"])
def test_a_board_of_the_users_own(command, place, run):
    """The file is run where the user types it, and must be of the board that was built for."""
    folder_with(place, REPORT | {"board": "mine"})
    (place / "mine.py").write_text(BOARD_FILE.format(trace=str(place / "seen"), name="mine"))
    code, _, errors = run(*COMMANDS[command])
    assert code == 2
    assert (
        "the board of build must be a listed one or be named, mine is not listed; name the file that defines "
        "it with --board FILE.py" in errors
    )
    assert not (place / "seen").exists()
    code, _, errors = run(*COMMANDS[command], "--board", "mine.py")
    assert (place / "seen").read_text() == "ran"
    assert "--board" not in errors
    (place / "mine.py").write_text(BOARD_FILE.format(trace=str(place / "seen"), name="yours"))
    code, _, errors = run(*COMMANDS[command], "--board", "mine.py")
    assert code == 2 and "--board must be mine, the board of build, not yours" in errors


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("icebreaker", "must give its BOARD a name of its own, icebreaker is another board's"),
        (
            "../x",
            r"must name its BOARD with letters, digits, '_', '-' and '.', no .py at the end, not '../x'",
        ),
        ("x.py", r"no .py at the end, not 'x.py'"),
    ],
)
def test_names_of_boards(name, message, place, run):
    """A board's own name is not that of a listed one with other pins, nor a path."""
    text = BOARD_FILE.format(trace=str(place / "seen"), name=name)
    (place / "mine.py").write_text(text.replace("name=", "description='other', name="))
    code, _, errors = run("boards", "--board", "mine.py")
    assert code == 2 and message in errors and errors.count("\n") == 1


def test_a_board_file_that_exits(place, run):
    """A file that ends the program is a file that fails."""
    (place / "mine.py").write_text("import sys\nsys.exit(0)\n")
    code, _, errors = run("boards", "--board", "mine.py")
    assert code == 2 and "must run, and fails (line 2) with SystemExit: 0" in errors


def test_a_file_with_a_listed_board(place):
    """A file may hand on a board that is listed."""
    (place / "mine.py").write_text("from qornn_hw.boards.ulx3s import BOARDS\nBOARD = BOARDS[0]\n")
    board = find_board(str(place / "mine.py"))
    assert isinstance(board, Board) and board.name == "ulx3s-12f"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('initial $system("touch trace");', "$system"),
        ('initial $c("system(\\"touch trace\\");");', "$c"),
        ('import "DPI-C" function int system(input string s);', "import"),
        ('`include "/etc/passwd"', "`"),
    ],
)
@pytest.mark.parametrize("command", ["simulate-board", "sim"])
def test_netlists_from_strangers(command, line, found, place, run):
    """A netlist that reaches the machine is refused before a simulator sees it."""
    from qornn_hw.boards.estimation import plan_for
    from qornn_hw.files.checkpoint import load_checkpoint

    design = plan_for(load_checkpoint(place / "model.npz").network, find_board("icebreaker"))
    report = REPORT | {"design_digest": design.digest, "lanes": design.lanes, "engine": "lut"}
    netlist = f"module top(input clk12_0__io);\n{line}\nendmodule\n"
    folder_with(place, report, **{"netlist.v": netlist})
    code, _, errors = run(*COMMANDS[command])
    assert code == 2 and errors.count("\n") == 1
    assert f"netlist.v must be hardware alone, and line 2 has {found}; build it anew" in errors
    assert not list(Path(place).rglob("trace"))
