"""The help lists commands in the order of use with whole summaries, and every command has -q and -v."""

import os
import subprocess
import sys

import pytest
import typer

from qornn_hw.cli.main import COMMANDS, app
from qornn_hw.terminal.verbosity import Verbosity, set_verbosity, verbosity

GROUP = typer.main.get_command(app)
TRAIN = GROUP.commands["train"]
EXAMPLE = GROUP.commands["example"]


@pytest.fixture(autouse=True)
def level():
    """Each test begins and ends with the normal level."""
    set_verbosity(Verbosity.NORMAL)
    yield
    set_verbosity(Verbosity.NORMAL)


def test_every_command_has_a_place():
    """Every command is in the order of use, so that no new one goes to the end unseen."""
    assert set(GROUP.commands) <= set(COMMANDS)


def test_commands_come_in_the_order_of_use(run):
    """The help lists training before building, and building before running."""
    _, output, _ = run("--help")
    places = [output.index(f"\n  {name} ") for name in COMMANDS if name in GROUP.commands]
    assert places == sorted(places)


@pytest.mark.parametrize(("arguments", "group"), [((), GROUP), (("train",), TRAIN), (("example",), EXAMPLE)])
def test_no_summary_is_cut(run, arguments, group):
    """The first sentence of each command's help is in the list of commands, whole."""
    _, output, _ = run(*arguments, "--help")
    # A long word may be broken at its hyphen.
    text = "".join(output.split())
    assert "..." not in output.partition("Commands:")[2]
    for command in group.commands.values():
        assert "".join(command.help.split("\n\n")[0].split()).rstrip(".") in text


@pytest.mark.parametrize("option", ["-q", "--quiet", "-v", "--verbose"])
@pytest.mark.parametrize(
    "name", [n for n in COMMANDS if n in GROUP.commands and n not in ("train", "example")]
)
def test_every_command_has_a_verbosity(name, option):
    """Every command takes -q and -v in both forms."""
    assert any(option in parameter.opts for parameter in GROUP.commands[name].params)


@pytest.mark.parametrize("command", [*TRAIN.commands.values(), *EXAMPLE.commands.values()])
def test_every_training_and_example_has_a_verbosity(command):
    """Every training and every example takes -q and -v."""
    assert {"-q", "-v"} <= {opt for parameter in command.params for opt in parameter.opts}


@pytest.mark.parametrize(
    ("options", "level"), [((), Verbosity.NORMAL), (("-q",), Verbosity.QUIET), (("-v",), Verbosity.VERBOSE)]
)
def test_the_level_lasts_for_one_call(run, options, level):
    """A call sets the level, and the next call begins with the normal one."""
    run("info", "absent.npz", *options)
    assert verbosity() is level
    run("info", "absent.npz")
    assert verbosity() is Verbosity.NORMAL


def test_verbose_errors_show_where_they_come_from(run):
    """With -v the traceback stands before the one line of an error, without it there is the line alone."""
    code, _, errors = run("info", "absent.npz", "-v")
    assert code == 2 and "Traceback" in errors and errors.splitlines()[-1].startswith("qornn-hw: error: ")
    code, _, errors = run("info", "absent.npz")
    assert code == 2 and errors == "qornn-hw: error: absent.npz: no such file\n"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_short_help(run, option):
    """-h is --help, of the program and of a command."""
    for arguments in ((), ("build",), ("train", "copy")):
        code, output, _ = run(*arguments, option)
        assert code == 0 and output.startswith(f"Usage: {' '.join(('qornn-hw', *arguments))}")


@pytest.mark.parametrize(
    ("command", "choices"),
    [
        (("build",), ["--engine lut|dsp", "--boot <link|flash>"]),
        (
            ("sim",),
            ["--through core|pins|netlist", "--simulator icarus|verilator", "--idle none|periodic|random"],
        ),
        (("simulate-board",), ["--through rtl|netlist"]),
        (("train", "copy"), ["--method bjorck|projunn|penalty|free|ptq", "--rounding half_up|half_even"]),
    ],
)
def test_choices_are_listed(run, command, choices):
    """The help names the values that an option can have."""
    _, output, _ = run(*command, "--help")
    for choice in choices:
        assert choice in " ".join(output.split())


def test_a_shell_completes_commands():
    """The completion of bash knows the commands."""
    environment = os.environ | {
        "_QORNN_HW_COMPLETE": "complete_bash",
        "COMP_WORDS": "qornn-hw re",
        "COMP_CWORD": "1",
    }
    code = "import sys; sys.argv[0] = 'qornn-hw'; from qornn_hw.cli.main import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert sorted(found.stdout.split()) == ["reload", "requantize"]
