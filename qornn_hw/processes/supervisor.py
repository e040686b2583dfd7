"""Runs one program, and kills it when the process that asked for it is gone.

A killed process cannot end its children. So :mod:`qornn_hw.processes.child_process` runs this file, a script
without imports from this package, between itself and a program::

    supervisor.py ALIVE STATUS PROGRAM [ARGUMENT ...]

``ALIVE`` is the read end of a pipe that nobody writes to. The kernel closes the write end when its process
dies; then the supervisor kills the whole process group: itself, the program, and what the program started. If
the program cannot be started, the error number is written to ``STATUS``. Without a pipe (both ``-1``) the
supervisor watches the parent's process id instead. The exit code of the program, or the signal that ended it,
is passed on.
"""

import contextlib
import os
import resource
import signal
import sys
import threading
import time

__all__: list[str] = []

# prctl(2): the signal that a process gets when its parent ends.
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.2


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, if it can (Linux)."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _start(status: int, arguments: list[str]) -> int:
    """Start the program; return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        _die_with_parent()
        # Python ignores these signals; the program needs their default action.
        for name in ("SIGPIPE", "SIGXFSZ"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        if status >= 0:
            os.set_inheritable(status, False)
        os.execv(arguments[0], arguments)
    except OSError as error:
        if status >= 0:
            os.write(status, str(error.errno).encode())
    os._exit(127)


def _watch(alive: int, parent: int, child: int) -> None:
    """Wait until the asking process is gone, then kill the process group."""
    if alive >= 0:
        while os.read(alive, 1):
            pass
        os.killpg(0, signal.SIGKILL)
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Run the program in the arguments."""
    alive, status, arguments = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    parent = os.getppid()
    child = _start(status, arguments)
    if status >= 0:
        os.close(status)
    threading.Thread(target=_watch, args=(alive, parent, child), daemon=True).start()
    _, ended = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ended)
    if code < 0:
        # End by the same signal as the program, without a core dump of this process.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.stdout.flush()
    os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
