"""A board in a process: its hardware in Verilator, its link at a pseudo-terminal.

Whatever talks to a board through a serial port talks to this one through the port of the terminal, which
carries the bytes of the frames, whatever the link. The clock and the pins of the link are driven in C++
(``virtual_board.cpp`` and the link's ``pin_driver.h``): no cycle passes through Python.
"""

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qornn_hw.errors import ToolError
from qornn_hw.link.physical import PhysicalLink
from qornn_hw.processes.child_process import run_child
from qornn_hw.rtl_gen.links.registry import DEFAULT_LINK
from qornn_hw.sim.link_simulation import harness, rtl_ports
from qornn_hw.sim.runner import copy_objects, find_simulator, keep_objects, verilator_runtime

__all__ = ["Statistics", "VirtualBoard", "VirtualBoardBuild", "build_virtual_board"]

MAIN = Path(__file__).with_name("virtual_board.cpp")
# Verilator's output is compiled once and run long; its run-time library matters less.
MAKEFLAGS = "OPT_FAST=-O2 OPT_SLOW=-O0 OPT_GLOBAL=-O1"
# Cycles without a byte either way after which a board sleeps until the next one: more than the longest
# computation of the steps in its buffer.
IDLE_CYCLES = 4_000_000
START_SECONDS = 30


@dataclass(frozen=True)
class Statistics:
    """What a virtual board did.

    Attributes:
        cycles: of its clock.
        seconds: that they took, without those in which it slept.
    """

    cycles: int
    seconds: float

    @property
    def cycles_per_second(self) -> float:
        """The speed of the simulation."""
        return self.cycles / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class VirtualBoardBuild:
    """A board compiled for the simulation.

    Attributes:
        program: what runs.
        hz: the clock that its line's rate is counted in.
        baud: rate of its link in bits a second.
        seconds: that it took to compile.
    """

    program: Path
    hz: int
    baud: int
    seconds: float

    def start(self, idle_cycles: int = IDLE_CYCLES) -> "VirtualBoard":
        """Return a running board, as after power-up; a context manager.

        After ``idle_cycles`` without a byte either way it sleeps until the next one; its time stands still.
        """
        return VirtualBoard(self, idle_cycles)


class VirtualBoard:
    """A running virtual board; ends with its context, or with this process.

    Attributes:
        port: path of the terminal: what a host opens.
        baud: rate of its link in bits a second. Over a UART a host at another rate is not understood, as on a
            real line.
    """

    def __init__(self, build: VirtualBoardBuild, idle_cycles: int = IDLE_CYCLES) -> None:
        self.baud = build.baud
        self._process = subprocess.Popen(
            [build.program, str(build.hz), str(build.baud), str(idle_cycles)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.port: str = self._line()["port"]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise ToolError(
                f"the virtual board must say its port, and died: exit code {self._process.poll()}"
            )
        value: dict[str, Any] = json.loads(line)
        return value

    def statistics(self) -> Statistics:
        """Return what it did until now."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Statistics(**self._line())

    def wait(self) -> None:
        """Wait until it ends, which it does not by itself."""
        self._process.wait()

    def close(self) -> None:
        """End it, as if its cable were pulled."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def build_virtual_board(
    sources: Sequence[Path],
    top: str,
    folder: Path,
    *,
    hz: int,
    baud: int,
    link: PhysicalLink = DEFAULT_LINK,
    ports: Mapping[str, str] | None = None,
    defines: Mapping[str, object] | None = None,
) -> VirtualBoardBuild:
    """Compile a design with the pins of a link for :meth:`VirtualBoardBuild.start`.

    Args:
        sources: Verilog files: RTL, or a netlist with the models of its cells.
        top: top module.
        folder: for what is compiled; kept.
        hz: frequency of the clock pin.
        baud: rate of the link in bits a second.
        link: the physical link.
        ports: pins of ``top`` by meaning, as in :func:`qornn_hw.sim.link_simulation.simulate_link`.
        defines: Verilog macros.

    Raises:
        ToolError: Verilator is missing, or the design does not compile.
    """
    start = time.perf_counter()
    found = find_simulator("verilator")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wrapper = folder / "link_harness.v"
    wrapper.write_text(harness(top, ports or rtl_ports(link), link, public=False))
    options = [
        *("--cc", "--exe", "--build", "--no-timing", "-O3", "-Wno-fatal", "-Wno-lint"),
        *("--x-assign", "fast", "--x-initial", "fast", "--timescale", "1ns/1ps"),
        *("--top-module", "link_harness", "-Mdir", "virtual_board", "-o", "virtual_board"),
        *("-LDFLAGS", "-lutil"),
        *("-CFLAGS", f"-I{link.pin_driver_header.parent}"),
        *(f"-D{name}={value}" for name, value in (defines or {}).items()),
    ]
    made = folder / "virtual_board"
    made.mkdir(exist_ok=True)
    runtime = verilator_runtime(found, f"virtual board {MAKEFLAGS}")
    copy_objects(runtime, made)
    log = folder / "compile.log"
    kept = [flag for flag in found.makeflags.split() if not flag.startswith("OPT_")]
    environment = os.environ | {
        "MAKEFLAGS": " ".join([MAKEFLAGS, *kept]),
        "PATH": os.pathsep.join([str(found.folder), os.environ.get("PATH", "")]),
    }
    command: list[str | Path] = [
        found.folder / "verilator",
        *options,
        MAIN,
        *(path.resolve() for path in sources),
        wrapper,
    ]
    with log.open("w") as output:
        # The compilers that it starts end with this process, too.
        code = run_child(command, cwd=folder, env=environment, stdout=output)
    program = made / "virtual_board"
    if code != 0 or not program.is_file():
        raise ToolError(f"verilator could not compile {top}, exit code {code}", log)
    keep_objects(made, runtime)
    return VirtualBoardBuild(program, hz, baud, time.perf_counter() - start)
