"""The command line: the application, its commands, and what becomes of errors.

Each command is in a file of its name and wraps calls of the library. What a command does not need is not
imported: `build` works without torch, `train` without Amaranth.
"""

import errno
import signal
import sys
import traceback
import warnings
from typing import Annotated, Any

import typer

from qornn_hw.cli import boards as boards_command
from qornn_hw.cli import build as build_command
from qornn_hw.cli import compare as compare_command
from qornn_hw.cli import convert as convert_command
from qornn_hw.cli import estimate as estimate_command
from qornn_hw.cli import eval as eval_command
from qornn_hw.cli import example as example_command
from qornn_hw.cli import export as export_command
from qornn_hw.cli import finetune as finetune_command
from qornn_hw.cli import info as info_command
from qornn_hw.cli import program as program_command
from qornn_hw.cli import reload as reload_command
from qornn_hw.cli import requantize as requantize_command
from qornn_hw.cli import run as run_command
from qornn_hw.cli import sim as sim_command
from qornn_hw.cli import simulate_board as simulate_board_command
from qornn_hw.cli import sweep as sweep_command
from qornn_hw.cli import train as train_command
from qornn_hw.cli.group import ordered
from qornn_hw.errors import QornnError
from qornn_hw.terminal.text import printable, require_streams, say
from qornn_hw.terminal.verbosity import Verbosity, set_verbosity, verbosity

__all__ = ["app", "main"]

# The order in which a user needs them.
COMMANDS = (
    "example", "train", "sweep", "finetune", "info", "eval", "compare", "requantize", "convert", "sim",
    "boards", "estimate", "build", "program", "run", "simulate-board", "reload", "export",
)  # fmt: skip

app = typer.Typer(
    cls=ordered(COMMANDS),
    help="Turn a trained, quantized recurrent network into verified FPGA hardware and a bitstream.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

# Typer has carried a click of its own since 0.26, so `import click` names other classes; these are right with
# either: a bad parameter is a usage error is a click exception.
UsageError: Any = typer.BadParameter.__base__
ClickException: Any = UsageError.__base__


def main() -> None:
    """Run the command line; a user's error is one line and exit code 2."""
    # As Ctrl-C: what is under way is taken back, and tools that run are ended.
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        _run()
    finally:
        # A process that calls this function, such as pytest, can be ended as before.
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _run() -> None:
    set_verbosity(Verbosity.NORMAL)
    if (fault := require_streams()) is not None:
        _fail(fault)
    code: Any = 0
    try:
        code = app(prog_name="qornn-hw", standalone_mode=False)
        # The rest of the output may meet a full disk.
        sys.stdout.flush()
    except QornnError as error:
        if verbosity() is Verbosity.VERBOSE:
            say(traceback.format_exc(), file=sys.stderr)
        _fail(str(error))
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "qornn-hw"
        _fail(f"{error.format_message().rstrip('.')}. Try '{command} --help'.")
    except ClickException as error:
        _fail(error.format_message())
    except typer.Exit as error:
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        code = 141
    except MemoryError:
        _fail("what was asked for must fit into the memory of this machine, and does not; ask for less")
    except OSError as error:
        # Wherever it is found out.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        _fail(f"there must be room on the disk, and was not: {error.strerror}; free some space")
    if code == INTERRUPTED:  # typer makes one of a KeyboardInterrupt
        # Half-elaborated hardware complains that nobody used it.
        warnings.simplefilter("ignore")
        say("interrupted", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


INTERRUPTED = 130


def _terminate(*_: Any) -> None:
    sys.exit(143)


def _fail(message: str) -> None:
    say(f"qornn-hw: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(2)


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        say(f"qornn-hw {installed('qornn-hw')}")
        raise typer.Exit()
    train_command.help_without_command(context)


example_command.add_to(app)
train_command.add_to(app)
sweep_command.add_to(app)
finetune_command.add_to(app)
info_command.add_to(app)
eval_command.add_to(app)
compare_command.add_to(app)
requantize_command.add_to(app)
convert_command.add_to(app)
sim_command.add_to(app)
boards_command.add_to(app)
estimate_command.add_to(app)
build_command.add_to(app)
program_command.add_to(app)
run_command.add_to(app)
simulate_board_command.add_to(app)
reload_command.add_to(app)
export_command.add_to(app)
