"""Programs under the supervisor: their exit codes, and their end when their parent ends."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from qornn_hw.processes import child_process
from qornn_hw.processes.child_process import ChildProcess, run_child, supervised_script

ROOT = Path(__file__).parents[1]


def script(path, text):
    """Write a shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run(program, tmp_path, *arguments, env=None):
    """Run a program; return its exit code and its output."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        code = run_child([program, *arguments], cwd=tmp_path, env=env or dict(os.environ), stdout=output)
    return code, log.read_text()


def is_running(pid):
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(pid, seconds=20):
    """Return whether a process ends soon."""
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def number_in(path, seconds=60):
    """Return the number that a process writes to a file."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().endswith("\n"):
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come")


@pytest.mark.parametrize("supervised", [True, False])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -9 $$", -signal.SIGKILL),
        ("kill -11 $$", -signal.SIGSEGV),
        ("kill -15 $$", -signal.SIGTERM),
    ],
)
def test_how_it_ended(text, code, supervised, tmp_path, monkeypatch):
    """Exit codes and signals are those of the program, with the supervisor between and without."""
    monkeypatch.setattr(child_process, "_SUPERVISED", supervised)
    assert run(script(tmp_path / "tool", text), tmp_path)[0] == code
    assert not list(tmp_path.glob("core*"))


def test_what_it_gets(tmp_path):
    """Arguments as they are, the folder, the environment, no input; both outputs are in the file."""
    tool = script(tmp_path / "tool", 'echo "$#|$1|$2|$PWD|$NAME|$(cat)"; echo error >&2')
    code, output = run(tool, tmp_path, "a b", "*", env={"NAME": "x y", "PATH": os.environ["PATH"]})
    assert (code, output) == (0, f"2|a b|*|{tmp_path.resolve()}|x y|\nerror\n")


@pytest.mark.parametrize("supervised", [True, False])
def test_a_program_that_cannot_start(supervised, tmp_path, monkeypatch):
    """A file that is not executable, or does not exist, gives an OSError with the reason."""
    monkeypatch.setattr(child_process, "_SUPERVISED", supervised)
    (tmp_path / "text").write_text("no program")
    with pytest.raises(PermissionError):
        run(tmp_path / "text", tmp_path)
    with pytest.raises(FileNotFoundError):
        run(tmp_path / "nothing", tmp_path)


def test_kill_ends_what_it_started(tmp_path):
    """A program and its own children end at once."""
    tool = script(tmp_path / "tool", f"sleep 300 & echo $! > {tmp_path}/pid; wait")
    with (tmp_path / "log").open("wb") as output:
        child = ChildProcess([tool], cwd=tmp_path, env=dict(os.environ), stdout=output)
        grandchild = number_in(tmp_path / "pid")
        child.kill()
        assert child.wait() == -signal.SIGKILL
    assert ended(grandchild)
    # Another kill, and one of what ended by itself, do no harm.
    child.kill()


PARENT = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from qornn_hw.processes.child_process import run_child
    with open(os.devnull, "wb") as output:
        run_child([sys.argv[1]], cwd=Path.cwd(), env=dict(os.environ), stdout=output)
    """
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_parent(number, tmp_path):
    """However the parent ends, the program and its children end, too."""
    tool = script(
        tmp_path / "tool", f"sleep 300 & echo $! > {tmp_path}/inner; echo $$ > {tmp_path}/pid; wait"
    )
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + PARENT
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tool)], cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ
    )
    pids = [number_in(tmp_path / "pid"), number_in(tmp_path / "inner")]
    parent.send_signal(number)
    parent.wait(timeout=60)
    assert all(ended(pid) for pid in pids)


def test_it_ends_with_its_supervisor(tmp_path):
    """If the supervisor itself is killed, the kernel ends the program, too."""
    if sys.platform != "linux":
        pytest.skip("only Linux ends a process with its parent")
    tool = script(tmp_path / "tool", f"echo $$ > {tmp_path}/pid; exec sleep 300")
    with (tmp_path / "log").open("wb") as output:
        child = ChildProcess([tool], cwd=tmp_path, env=dict(os.environ), stdout=output)
        pid = number_in(tmp_path / "pid")
        os.kill(child._process.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert ended(pid)


def test_a_script_for_libraries(tmp_path):
    """The script is the program, with its environment, and ends with its parent."""
    tool = script(tmp_path / "tool", 'cat; echo "$1 $PLACE"; exit 7')
    made = supervised_script(tool, {"PLACE": "it's here"}, tmp_path / "script")
    done = subprocess.run([made, "a b"], input="in\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (7, "in\na b it's here\n")
    sleeper = script(tmp_path / "sleeper", f"echo $$ > {tmp_path}/pid; exec sleep 300")
    made = supervised_script(sleeper, {}, tmp_path / "script")
    code = f"import subprocess; subprocess.run([{str(made)!r}])"
    parent = subprocess.Popen([sys.executable, "-c", code])
    pid = number_in(tmp_path / "pid")
    parent.kill()
    parent.wait()
    assert ended(pid)
