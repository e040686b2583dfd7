"""Messages of the library in the words of a command."""

import doctest
import inspect
import json

import pytest

from qornn_hw.api.build import Build
from qornn_hw.api.build import program as api_program
from qornn_hw.api.build import reload as api_reload
from qornn_hw.api.design import Design, compile
from qornn_hw.api.run_inputs import run_inputs
from qornn_hw.cli import option_names
from qornn_hw.cli.build import build
from qornn_hw.cli.estimate import estimate
from qornn_hw.cli.example import gestures
from qornn_hw.cli.export import export
from qornn_hw.cli.option_names import as_options
from qornn_hw.cli.program import program
from qornn_hw.cli.reload import reload
from qornn_hw.cli.run import run as run_command
from qornn_hw.cli.sim import sim
from qornn_hw.tasks.gestures import write_gestures

OPTIONS = {
    "lanes": "--lanes", "engine": "--engine", "build": "--build", "inputs": "--input", "steps": "--steps",
    "idle": "--idle", "back_pressure": "--back-pressure", "through": "--through", "model": "MODEL",
}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("lanes must be at least 1, not 0", "--lanes must be at least 1, not 0"),
        (
            "idle and back_pressure must go with `through` core",
            "--idle and --back-pressure must go with --through core",
        ),
        ("steps must come without `inputs`", "--steps must come without --input"),
        ("`build` must come without `lanes` and `engine`", "--build must come without --lanes and --engine"),
        ("model must hold an Elman network", "MODEL must hold an Elman network"),
        ("lanes and wires must be few", "lanes and wires must be few"),
        ("the build must be of this model", "the build must be of this model"),
        ("the steps must be 3", "the steps must be 3"),
        ("out must end in .npz", "out must end in .npz"),
        ("try `qornn-hw compare`, or `other`", "try `qornn-hw compare`, or `other`"),
        ("", ""),
    ],
)
def test_arguments_become_options(message, shown):
    """A subject and names between backquotes that are arguments of the command; nothing else."""
    assert as_options(message, OPTIONS) == shown


def test_examples():
    """The examples of the docstrings."""
    assert doctest.testmod(option_names).failed == 0


def test_the_errors_of_a_command(run, tmp_path):
    """A command shows its own options, whatever the arguments are called, and a subcommand too."""
    code, output, errors = run("compare", tmp_path / "a.npz", "--data", "x.npy", "--bits", "9")
    assert (code, output, errors) == (2, "", "qornn-hw: error: --bits must be 1 to 8, not 9\n")
    code, _, errors = run("example", "gestures", "--channels", "5")
    assert (code, errors) == (2, "qornn-hw: error: --channels must be 3 or 6, not 5\n")


def test_verbose_shows_where(run):
    """With --verbose the traceback of the library comes first."""
    code, _, errors = run("example", "gestures", "--channels", "5", "--verbose")
    assert code == 2
    assert "FormatError: channels must be 3 or 6" in errors
    assert errors.endswith("qornn-hw: error: --channels must be 3 or 6, not 5\n")


@pytest.mark.parametrize(
    ("command", "call", "own"),
    [
        (build, Design.build, {"out"}),
        (build, compile, set()),
        # Without --clock an estimate counts on the board's planned one, and an export is for no board.
        (estimate, compile, {"clock"}),
        (export, compile, {"board"}),
        (export, Design.export, {"out"}),
        (sim, Design.simulate, set()),
        (run_command, run_inputs, set()),
        (run_command, Build.open, set()),
        (reload, api_reload, set()),
        (program, api_program, set()),
        (gestures, write_gestures, {"out"}),
    ],
)
def test_defaults_are_the_librarys(command, call, own):
    """What a command and its call share by name has one default."""
    one, other = (inspect.signature(f).parameters for f in (command, call))
    shared = {name for name in one if name in other} - own
    assert shared
    assert {n: one[n].default for n in shared} == {n: other[n].default for n in shared}


def test_every_argument_has_an_option(run):
    """Each command's parameters are known by name."""
    from typer.main import get_command

    from qornn_hw.cli.main import app

    def commands(group):
        for command in group.commands.values():
            yield from commands(command) if hasattr(command, "commands") else [command]

    for command in commands(get_command(app)):
        names = option_names.option_names(command)
        assert json.dumps(names) and all(
            option.startswith("--") or option.isupper() for option in names.values()
        )
