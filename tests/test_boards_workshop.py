"""Builds that are killed, and builds that meet: one folder holds one whole build, and nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from fake_tools import BOARD, FAKE, PART, RESULTS, names
from test_processes_child_process import ended, number_in

from qornn_hw.boards.build import build_core
from qornn_hw.boards.report import read_report
from qornn_hw.errors import OutputError

ROOT = Path(__file__).parents[1]
# A build in a process of its own. The result of an earlier one has another clock.
BUILD = textwrap.dedent(
    """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    from pathlib import Path
    from fake_tools import BOARD, PART
    from qornn_hw.boards.build import build_core
    {hook}
    build_core(PART, BOARD, Path(sys.argv[1]), clock_mhz=24, seed=int(sys.argv[2]))
    """
)
# The point at which a tool stops: it says its process id and where its temporary files are, and waits.
STOP = 'echo "$TMPDIR" > {folder}/temporary; touch "$TMPDIR/yowasp_x"; echo $$ > {folder}/pid; sleep 300'
STAGES = {
    "synthesize": ("YOSYS", STOP + FAKE["YOSYS"]),
    "place": ("NEXTPNR_ICE40", STOP + FAKE["NEXTPNR_ICE40"]),
    "netlist": ("YOSYS", FAKE["YOSYS"].replace("printf", STOP + "; printf")),
    "pack": ("ICEPACK", STOP),
}


def started(out_dir, hook="", seed=1):
    """Start a build in a process of its own."""
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-c", BUILD.format(hook=hook), str(out_dir), str(seed)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
    )


def results(out_dir):
    """Return the results of a build, by name."""
    return {name: (out_dir / name).read_bytes() for name in RESULTS - {"logs"}}


@pytest.fixture
def stopping(fake, tmp_path):
    """Return a function that makes an earlier build, then one that stops at a stage: its process."""

    def start(stage, out_dir):
        variable, text = STAGES[stage]
        fake(**{variable: text.replace("{folder}", str(tmp_path))})
        process = started(out_dir)
        number_in(tmp_path / "pid")
        return process

    return start


@pytest.mark.sampled(2)
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_build(stage, stopping, fake, tmp_path):
    """SIGKILL at any stage: the tool ends, the earlier build is whole, and the next one tidies up."""
    out = tmp_path / "out"
    fake()
    build_core(PART, BOARD, out, clock_mhz=48)
    before = results(out)
    process = stopping(stage, out)
    process.kill()
    process.communicate()
    assert ended(number_in(tmp_path / "pid"))
    assert results(out) == before
    assert read_report(out)["clock_mhz"] == 48
    left = names(out) - RESULTS
    assert len(left) == 1
    # Temporary files of the tool are in what is removed.
    assert Path((tmp_path / "temporary").read_text().strip()).is_relative_to(out / left.pop())
    fake()
    assert build_core(PART, BOARD, out, clock_mhz=24)["clock_mhz"] == 24
    assert names(out) == RESULTS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stage", ["synthesize", "place"])
def test_an_interrupted_build(stage, number, stopping, tmp_path):
    """SIGTERM and Ctrl-C end the tool and leave no trace."""
    process = stopping(stage, tmp_path / "out")
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert ended(number_in(tmp_path / "pid"))
    assert not (tmp_path / "out").exists()


def test_two_builds_into_one_folder(stopping, fake, tmp_path):
    """The second one is refused with the process that builds; the first one is not disturbed."""
    process = stopping("place", tmp_path / "out")
    fake()
    with pytest.raises(OutputError) as caught:
        build_core(PART, BOARD, tmp_path / "out")
    assert str(caught.value) == (
        f"folder {tmp_path / 'out'} must be free, but process {process.pid} writes its build there; wait "
        "until it is done, or choose another folder"
    )
    assert [name.startswith(f".build-{process.pid}-") for name in names(tmp_path / "out")] == [True]
    process.kill()
    process.communicate()


def test_many_builds_into_one_folder(fake, tmp_path):
    """Each of several builds at the same time is whole or refused; the results are those of one of them."""
    fake()
    builds = [started(tmp_path / "out", seed=seed) for seed in range(4)]
    errors = [build.communicate(timeout=300)[1].decode() for build in builds]
    codes = [build.returncode for build in builds]
    assert 0 in codes
    for code, error in zip(codes, errors, strict=True):
        assert code == 0 or "must be free, but " in error
    assert names(tmp_path / "out") == RESULTS
    seed = read_report(tmp_path / "out")["seed"]
    assert codes[seed] == 0
    assert (tmp_path / "out" / "top.bin").read_text() == f"asc of seed {seed}\n"


# Kills the process as it renames a result into place for the Nth time.
KILL = """
    import os
    from itertools import count
    plain, at = Path.replace, count()
    def replace(path, target):
        if "logs" not in Path(target).parts and next(at) == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(path, target)
    Path.replace = replace
"""


@pytest.mark.slow
def test_killed_while_results_are_renamed(fake, tmp_path):
    """Whichever rename is the last one, the next reader finds the earlier build whole, or the new one."""
    fake()
    build_core(PART, BOARD, tmp_path / "old", clock_mhz=48)
    old = results(tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    build_core(PART, BOARD, tmp_path / "new", clock_mhz=24)
    ends = set()
    # Five results and the report are moved away and placed; other renames come before.
    for number in range(30):
        out = tmp_path / f"out-{number}"
        shutil.copytree(tmp_path / "old", out)
        process = started(out, hook=KILL.format(number=number).replace("\n    ", "\n"))
        process.communicate(timeout=300)
        clock = read_report(out)["clock_mhz"]
        if clock == 48:
            assert results(out) == old
        if process.returncode == 0:
            assert clock == 24 and number >= 8
            break
        assert process.returncode == -signal.SIGKILL
        ends.add((names(out) == RESULTS, clock))
    else:
        pytest.fail("no build came to its end")
    # Before the renames a work folder is left; within them the reader has put the results back.
    assert {(True, 48), (False, 48)} <= ends


def test_a_reader_disturbs_no_writer(stopping, tmp_path):
    """While a build runs, a report that is not there is not looked for in its work folder."""
    process = stopping("pack", tmp_path / "out")
    (work,) = (tmp_path / "out").iterdir()
    (work / "replaced-report.json").mkdir()
    (work / "replaced-report.json" / "report.json").write_text("{}")
    with pytest.raises(ValueError, match=r"has no report\.json"):
        read_report(tmp_path / "out")
    process.kill()
    process.communicate()


def test_folders_that_only_look_like_ours(fake, tmp_path):
    """A build removes work folders, and nothing of another name, no file and no link."""
    fake()
    out = tmp_path / "out"
    (out / ".build-12-abcd_123" / "logs").mkdir(parents=True)
    (out / ".build-abcd_123").mkdir()
    (out / ".export-12-abcd_123").mkdir()
    kept = [".build-mine", ".builds-12-abcd_123", "build-12-abcd_123"]
    for name in kept:
        (out / name).mkdir()
    (out / ".build-13-abcd_123").write_text("a file")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("mine")
    (out / ".build-14-abcd_123").symlink_to(tmp_path / "elsewhere")
    build_core(PART, BOARD, out)
    assert names(out) - RESULTS == {*kept, ".build-13-abcd_123", ".build-14-abcd_123"}
    assert (tmp_path / "elsewhere" / "file").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3, 10, 25, 45])
def test_a_killed_build_with_the_real_tools(seconds, tmp_path):
    """Killed at some time, a build of minutes leaves no process, and an earlier build as it was."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text(json.dumps({"board": "a", "clock_mhz": 1, "baud": 1, "files": {}}))
    command = [sys.executable, "-m", "qornn_hw", "build", str(ROOT / "models" / "copy.npz"), "-o", str(out)]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert any(line.startswith("elaborate") for line in process.stdout)
    time.sleep(seconds)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 20
    while (left := processes_in(out)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
    assert read_report(out)["board"] == "a"
    assert not [path for path in (tmp_path / "tmp").iterdir() if path.name.startswith("yowasp_")]


def processes_in(folder):
    """Return the processes that run in a folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink().is_relative_to(folder):
                found.append(link.parent.name)
        except OSError:
            continue
    return found
