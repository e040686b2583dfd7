"""Groups of commands: listed in the order of use, with whole summaries, each with --quiet and --verbose."""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from qornn_hw.cli.option_names import names_options
from qornn_hw.terminal.verbosity import Verbosity, set_verbosity

__all__ = ["CommandGroup", "ordered"]


def ordered(names: Sequence[str]) -> type["CommandGroup"]:
    """Return a group class whose help lists commands in this order, and others behind them by name."""
    return type("OrderedGroup", (CommandGroup,), {"order": tuple(names)})


class CommandGroup(TyperGroup):
    """A group whose help is made for readers: nothing of a summary is cut.

    Attributes:
        order: names of commands in the order in which the help lists them; the others keep their own.
    """

    order: tuple[str, ...] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for command in self.commands.values():
            if not isinstance(command, TyperGroup):
                command.params.extend(_verbosity_options())
                names_options(command)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, those of :attr:`order` first."""
        known = [name for name in self.order if name in self.commands]
        return known + [name for name in self.commands if name not in self.order]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with the whole first sentence of its help."""
        rows = [
            (name, _summary(command))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _summary(command: Any) -> str:
    text = " ".join((command.short_help or command.help or "").split("\n\n")[0].split())
    return text.rstrip(".")


@cache
def _verbosity_options() -> tuple[Any, ...]:
    """Return the options that every command has; their values go to :mod:`qornn_hw.terminal.verbosity`."""

    def quiet(value: bool) -> None:
        if value:
            set_verbosity(Verbosity.QUIET)

    def verbose(value: bool) -> None:
        if value:
            set_verbosity(Verbosity.VERBOSE)

    def command(
        _quiet: Annotated[
            bool, typer.Option("--quiet", "-q", callback=quiet, help="Print results and errors only.")
        ] = False,
        _verbose: Annotated[
            bool,
            typer.Option(
                "--verbose",
                "-v",
                callback=verbose,
                help="Print the command lines of tools, too, and the traceback of an error.",
            ),
        ] = False,
    ) -> None:
        pass

    # Typer makes options of a function's parameters only; the commands get them, not their values.
    app = typer.Typer(add_completion=False)
    app.command()(command)
    options = tuple(one for one in typer.main.get_command(app).params if one.name != "help")
    for option in options:
        option.expose_value = False
    return options
