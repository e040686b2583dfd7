"""The supervisor script: it passes the exit code on, and ends the program with whoever asked for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qornn_hw.processes import supervisor

SCRIPT = Path(supervisor.__file__)


def started(*words, **options):
    """Start the supervisor with a program, in a process group of its own."""
    return subprocess.Popen([sys.executable, "-I", "-S", SCRIPT, *words], start_new_session=True, **options)


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_code(code):
    """The exit code of the program is passed on."""
    assert started("-1", "-1", "/bin/sh", "-c", f"exit {code}").wait(60) == code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGPIPE"])
def test_signals(name):
    """A program that a signal ends makes the supervisor end by the same signal."""
    number = getattr(signal, name)
    assert started("-1", "-1", "/bin/sh", "-c", f"kill -{number.value} $$").wait(60) == -number


def test_default_action_of_signals():
    """SIGPIPE, which Python ignores, ends the program."""
    text = "while echo x; do :; done"
    with started("-1", "-1", "/bin/sh", "-c", text, stdout=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait(60) == -signal.SIGPIPE


def test_program_that_cannot_be_started(tmp_path):
    """The error number goes to the status pipe, and the exit code is 127."""
    read, write = os.pipe()
    process = started("-1", str(write), str(tmp_path / "none"), pass_fds=[write])
    os.close(write)
    assert process.wait(60) == 127
    with os.fdopen(read) as status:
        assert int(status.read()) == 2


def test_end_of_the_pipe_kills_the_group(tmp_path):
    """When the other end of the pipe is closed, supervisor, program and its children are killed."""
    read, write = os.pipe()
    text = f"sleep 600 & echo $! > {tmp_path / 'pid'}; wait"
    process = started(str(read), "-1", "/bin/sh", "-c", text, pass_fds=[read])
    os.close(read)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.close(write)
    assert process.wait(60) == -signal.SIGKILL
    stat = Path(f"/proc/{int((tmp_path / 'pid').read_text())}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)
