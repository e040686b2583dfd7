"""Child processes that end with this process, however it ends.

When a process is killed, its children keep running: a build of minutes would go on for nobody. On POSIX each
program therefore runs in a process group of its own under :mod:`qornn_hw.processes.supervisor`, which kills
the group when this process is gone. On other systems the program is a plain child.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["ChildProcess", "run_child", "supervised_script"]

SUPERVISOR = Path(__file__).with_name("supervisor.py")
_SUPERVISED = os.name == "posix" and bool(sys.executable)


class ChildProcess:
    """A running program, with its output in a file.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(
        self,
        arguments: Sequence[str | os.PathLike[str]],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: IO[Any],
    ) -> None:
        command = [os.fspath(argument) for argument in arguments]
        options: dict[str, Any] = {
            "cwd": cwd,
            "env": dict(env),
            "stdin": subprocess.DEVNULL,
            "stdout": stdout,
            "stderr": subprocess.STDOUT,
        }
        self._alive = self._status = -1
        if not _SUPERVISED:
            self._process = subprocess.Popen(command, **options)
            return
        ours, self._alive = os.pipe()
        self._status, theirs = os.pipe()
        try:
            # -I, -S: ignore the user's environment and site packages; start in 20 ms.
            start = [sys.executable, "-I", "-S", str(SUPERVISOR), str(ours), str(theirs)]
            self._process = subprocess.Popen(
                [*start, *command], pass_fds=(ours, theirs), process_group=0, **options
            )
        except BaseException:
            self._close()
            raise
        finally:
            os.close(ours)
            os.close(theirs)

    def wait(self) -> int:
        """Wait for the program to end; return its exit code, or minus the number of the fatal signal.

        Raises:
            OSError: the program could not be started.
        """
        code = self._process.wait()
        if self._status >= 0:
            said = os.read(self._status, 16)
            self._close()
            if said:
                raise OSError(int(said), os.strerror(int(said)))
        return code

    def kill(self) -> None:
        """Kill the program and all processes that it started, if it still runs."""
        if not _SUPERVISED:
            self._process.kill()
        elif self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _close(self) -> None:
        for descriptor in (self._alive, self._status):
            if descriptor >= 0:
                os.close(descriptor)
        self._alive = self._status = -1


def run_child(
    arguments: Sequence[str | os.PathLike[str]], *, cwd: Path, env: Mapping[str, str], stdout: IO[Any]
) -> int:
    """Run a program to its end and return its exit code; an interrupt kills it.

    Args:
        arguments: path and arguments of the program.
        cwd: working folder.
        env: the complete environment.
        stdout: an open file for all its output.

    Raises:
        OSError: the program cannot be started.
    """
    child = ChildProcess(arguments, cwd=cwd, env=env, stdout=stdout)
    try:
        return child.wait()
    except BaseException:
        child.kill()
        with suppress(OSError):
            child.wait()
        raise


def supervised_script(program: Path, environment: Mapping[str, str], path: Path) -> Path:
    """Write a script that runs ``program`` and kills it when the script's own parent is gone.

    It is for libraries that start programs themselves.

    Args:
        program: the program.
        environment: variables to set for it.
        path: path of the script. Where scripts cannot be run, none is written, and ``program`` is returned.
    """
    if not _SUPERVISED:
        return program
    settings = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    words = [sys.executable, "-I", "-S", str(SUPERVISOR), "-1", "-1", str(program)]
    path.write_text(f'#!/bin/sh\n{settings}exec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)
    return path
