"""The commands `qornn-hw train TASK`: one for each task, its options the fields of its configuration."""

import inspect
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from qornn_hw.cli.group import CommandGroup
from qornn_hw.cli.options import typed_command
from qornn_hw.errors import CheckpointError, FormatError, TrainingError
from qornn_hw.reports.metrics_table import metrics_table
from qornn_hw.terminal.text import say
from qornn_hw.terminal.verbosity import Verbosity, verbosity
from qornn_hw.training.config import CommonConfig, choices_of
from qornn_hw.training.stack_configs import STACK_CONFIGS
from qornn_hw.training.task_configs import CONFIGS

if TYPE_CHECKING:
    from qornn_hw.training.config import RunConfig
    from qornn_hw.training.stack_configs import StackConfig

__all__ = ["add_to", "help_without_command", "needs_torch", "train_to_file"]

# The word for the layer of this package's own trainings, which is no cell of a stack.
ELMAN = "elman"


def add_to(app: typer.Typer) -> None:
    """Add the commands to an application."""
    train_app = typer.Typer(
        cls=CommandGroup,
        help="Train a network (needs the extra: pip install 'qornn-hw[train]').",
        invoke_without_command=True,
    )
    train_app.callback()(help_without_command)
    for config_class in CONFIGS:
        _training_command(train_app, config_class)
    app.add_typer(train_app, name="train")


def help_without_command(context: typer.Context) -> None:
    """Print the help where no command follows."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit()


def _training_command(app: typer.Typer, config_class: "type[RunConfig]") -> None:
    """Add `train TASK` with one option for each field of its configurations."""
    stack_class = STACK_CONFIGS.get(config_class.command)
    about = _attribute_docs(config_class)
    own_fields = {f.name: f for f in fields(config_class)}
    all_fields = dict(own_fields)
    if stack_class is not None:
        about = _stack_docs(stack_class, config_class)
        all_fields |= {f.name: f for f in fields(stack_class) if f.name not in own_fields}

    def command(context: typer.Context, out: Path, resume: bool, device: str, **options: Any) -> None:
        typed = {name: value for name, value in options.items() if _typed(context, name)}
        if stack_class is not None and options["cell"] != ELMAN:
            config: CommonConfig = _stack_config(stack_class, options, typed)
        else:
            own = {name: value for name, value in options.items() if name in own_fields}
            _refuse(typed, set(own_fields) | {"cell"}, f"--cell {ELMAN}")
            typed.pop("cell", None)
            config = _config(config_class, own, typed)
        train_to_file(config, out, resume, device)

    parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    for f in all_fields.values():
        name = "--" + f.name.replace("_", "-")
        option = typer.Option(
            ... if f.default is MISSING else ELMAN if f.name == "cell" else f.default,
            name,
            help=about.get(f.name),
            metavar="|".join(_choices(f.name)) or None,
        )
        if f.type is bool:
            option = typer.Option(f.default, f"{name}/--no-{name[2:]}", help=about.get(f.name))
        parameters.append(
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=f.type)
        )
    # The task's own options first, then those that all tasks share.
    own = {"context", "cell", *vars(config_class).get("__annotations__", {})}
    own |= {
        name
        for base in config_class.__mro__
        if not issubclass(base, CommonConfig)
        for name in vars(base).get("__annotations__", {})
    }
    parameters.sort(key=lambda p: p.name not in own)
    out = typer.Option(Path("model.pt"), "--out", "-o", help="Where to write the checkpoint.")
    again = typer.Option(False, "--resume", help="Go on with the interrupted run whose --out this is.")
    parameters.append(inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=out, annotation=Path))
    parameters.append(
        inspect.Parameter("resume", inspect.Parameter.KEYWORD_ONLY, default=again, annotation=bool)
    )
    place = typer.Option("cpu", "--device", help="cpu, or cuda for a GPU (Linux, a torch with CUDA).")
    parameters.append(
        inspect.Parameter("device", inspect.Parameter.KEYWORD_ONLY, default=place, annotation=str)
    )
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    doc = (config_class.__doc__ or "").strip().splitlines()[0]
    app.command(config_class.command, help=doc)(command)


def _choices(name: str) -> tuple[str, ...]:
    return (ELMAN, *choices_of(name)) if name == "cell" else choices_of(name)


def _stack_docs(stack_class: "type[StackConfig]", config_class: "type[RunConfig]") -> dict[str, str]:
    """Return the sentences of the options of cells: those of Elman layers, with the defaults that differ."""
    found = _attribute_docs(config_class)
    own = {f.name: f for f in fields(config_class)}
    about = _attribute_docs(stack_class)
    for f in fields(stack_class):
        if f.name not in own:
            found[f.name] = f"{about[f.name]} Not for {ELMAN}."
        elif f.default != own[f.name].default:
            found[f.name] = f"{found[f.name]} Default for other cells: {f.default}."
    found["cell"] = f"{ELMAN}, or a cell of a stack of layers (docs/cells.md)."
    return found


def _refuse(typed: Collection[str], known: Collection[str], where: str) -> None:
    """Refuse an option that the trained kind of network does not have."""
    for name in typed:
        if name not in known:
            raise FormatError(
                f"--{name.replace('_', '-')} must be left out for {where}, which has no such option"
            )


def _stack_config(
    stack_class: "type[StackConfig]", options: dict[str, Any], typed: dict[str, Any]
) -> "StackConfig":
    """Return the configuration of a stack of cells: what was typed, and the defaults of cells."""
    known = {f.name: f for f in fields(stack_class)}
    _refuse(typed, known, f"--cell {options['cell']}")
    required = {name: options[name] for name, f in known.items() if f.default is MISSING}
    return stack_class(**required | typed)


def _typed(context: typer.Context, name: str) -> bool:
    """Return whether an option was given, and its value is not the default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP")


def _config(config_class: "type[RunConfig]", options: dict[str, Any], typed: dict[str, Any]) -> "RunConfig":
    """Return the configuration; in a warm start options that were not typed are the checkpoint's."""
    if not options["warm_start"]:
        return config_class(**options)
    with needs_torch():
        from qornn_hw.training.warm_start import warm_config
    path = typed.pop("warm_start")
    return warm_config(config_class, path, **typed)


@contextmanager
def needs_torch() -> Iterator[None]:
    """Turn an import that fails for want of torch into an error that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise CheckpointError(
            "training must have torch, which is not installed; pip install 'qornn-hw[train]'"
        ) from error


def _attribute_docs(config_class: type[Any]) -> dict[str, str]:
    """Return the sentences of the "Attributes" sections of a class and its bases, by attribute."""
    docs: dict[str, str] = {}
    for base in reversed(config_class.__mro__):
        lines = (base.__doc__ or "").partition("Attributes:")[2].splitlines()
        latest = ""
        for line in lines:
            name, colon, text = line.strip().partition(":")
            if colon and name.isidentifier():
                latest = name
                docs[name] = text.strip()
            elif latest and line.strip():
                docs[latest] = f"{docs[latest]} {line.strip()}"
    return docs


def train_to_file(config: CommonConfig, out: Path, resume: bool, device: str = "cpu") -> None:
    """Train and write the checkpoint; the saved run is deleted when that is done.

    Raises:
        TrainingError: the training came to nothing; what was best until then is written.
        ToolError: there is no such device.
        CheckpointError: torch is not installed, or the run cannot be resumed.
        OutputError: the checkpoint cannot be written.
    """
    from qornn_hw import training
    from qornn_hw.files.checkpoint import Checkpoint, check_writable, save_any
    from qornn_hw.files.network_checkpoint import NetworkCheckpoint

    check_writable(out)
    with needs_torch():
        train = training.train
        from qornn_hw.training.run import run_file_of
    quiet = verbosity() is Verbosity.QUIET
    try:
        checkpoint = train(config, out, resume, quiet=quiet, device=device)
    except TrainingError as error:
        if not isinstance(error.checkpoint, (Checkpoint, NetworkCheckpoint)):
            raise
        save_any(out, error.checkpoint)
        raise TrainingError(f"{error}; {out} is the best network until then") from error
    made = {"command": typed_command(), "options": checkpoint.provenance.get("command", "")}
    checkpoint = replace(checkpoint, provenance=checkpoint.provenance | made)
    save_any(out, checkpoint)
    run_file_of(out).unlink(missing_ok=True)
    say(metrics_table(checkpoint.metrics))
    say(f"wrote {out}")
