"""A folder in which tools run, and from which their results are renamed into place."""

import logging
import shlex
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from qornn_hw.boards.report import REPORT_FILE
from qornn_hw.boards.toolchain import TEMPORARY, Tool, temporary_files, tool_environment
from qornn_hw.errors import OutputError, ToolError
from qornn_hw.processes.child_process import ChildProcess
from qornn_hw.rtl_gen.yosys import tool_cache
from qornn_hw.storage import output_folder

__all__ = ["LOG_FOLDER", "Workshop", "work_folder"]

# With --verbose command lines are shown.
_log = logging.getLogger("qornn_hw.tools")
LOG_FOLDER = "logs"
# Free space below which a tool's death is put down to a full disk.
DISK_FULL_BYTES = 1 << 20


@contextmanager
def work_folder(out_dir: Path) -> Iterator[Path]:
    """A folder of :func:`qornn_hw.storage.output_folder.work_folder` of which the logs stay after a failure.

    Nobody else builds into ``out_dir`` meanwhile.
    """
    failed = partial(_keep_logs, out_dir=out_dir)
    with output_folder.work_folder(out_dir, "build", failed, exclusive=True) as work:
        (work / TEMPORARY).mkdir()
        yield work


def _keep_logs(work: Path, out_dir: Path) -> None:
    """Move the logs to where their message says they are, as far as the disk lets us."""
    with suppress(OSError):
        folder = out_dir / LOG_FOLDER
        for log in sorted((work / LOG_FOLDER).glob("*.log")):
            folder.mkdir(exist_ok=True)
            log.replace(folder / log.name)


@dataclass
class Workshop:
    """Runs tools in ``work`` and hands results on to ``out_dir``."""

    work: Path
    out_dir: Path
    running: set[ChildProcess] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: bool = False

    def __post_init__(self) -> None:
        (self.work / LOG_FOLDER).mkdir()

    def run(self, stage: str, tool: Tool, arguments: Sequence[str], outputs: Sequence[str]) -> None:
        """Run a tool in the work folder with its output in the stage's log; its outputs must be there."""
        log = self.out_dir / LOG_FOLDER / f"{stage}.log"
        _log.debug("%s: %s", stage, shlex.join([str(tool.path), *arguments]))
        environment = tool_environment() | tool_cache() | temporary_files(self.work)
        with (self.work / LOG_FOLDER / f"{stage}.log").open("wb") as output:
            try:
                code = self._run([tool.path, *arguments], environment, output)
            except OSError as error:
                raise ToolError(f"{tool.name} could not start from {tool.path}: {error.strerror}") from error
        missing = [name for name in outputs if not _is_filled(self.work / name)]
        if code == 0 and not missing:
            return
        if shutil.disk_usage(self.work).free < DISK_FULL_BYTES:
            raise OutputError(f"{tool.name} failed: the disk of {self.out_dir} is full; free some space")
        if code < 0:
            reason = f"was killed by {signal.Signals(-code).name}"
            if code == -signal.SIGKILL:
                reason += ", often for want of memory"
        elif code:
            reason = f"failed with exit code {code}{self._error_line(stage)}"
        else:
            reason = f"ended well but wrote no {' and no '.join(missing)}"
        raise ToolError(f"{tool.name} {reason} ({stage})", log)

    def _run(self, command: Sequence[str | Path], environment: Mapping[str, str], output: IO[bytes]) -> int:
        """Run a command in the work folder; return its exit code. Whatever ends this ends it."""
        # Paths relative to the work folder only: YoWASP tools see a /tmp of their own.
        process = ChildProcess(command, cwd=self.work, env=environment, stdout=output)
        with self.lock:
            self.running.add(process)
            if self.ended:
                process.kill()
        try:
            return process.wait()
        except BaseException:
            process.kill()
            with suppress(OSError):
                process.wait()
            raise
        finally:
            with self.lock:
                self.running.discard(process)

    def _error_line(self, stage: str) -> str:
        """Return the tool's own words, if it had any."""
        text = (self.work / LOG_FOLDER / f"{stage}.log").read_text(errors="replace")
        errors = [line.strip() for line in text.splitlines() if line.startswith("ERROR")]
        return f": {errors[-1]}" if errors else ""

    def kill(self) -> None:
        """End all tools that run, and those that are started later."""
        with self.lock:
            self.ended = True
            for process in self.running:
                process.kill()

    def reopen(self) -> None:
        """Let tools start again after a :meth:`kill`, when all that ran have ended."""
        with self.lock:
            self.ended = False

    def install(self, files: Mapping[str, str]) -> None:
        """Rename the logs and all results into place, or leave the results that were there."""
        (self.out_dir / LOG_FOLDER).mkdir(exist_ok=True)
        for log in sorted((self.work / LOG_FOLDER).glob("*.log")):
            log.replace(self.out_dir / LOG_FOLDER / log.name)
        results = [*files.items(), (REPORT_FILE, REPORT_FILE)]
        output_folder.replace_results(self.work, self.out_dir, results)


def _is_filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
