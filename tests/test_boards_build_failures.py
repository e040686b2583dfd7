"""Every way in which a build can fail, with stand-in tools: one line, and no half results."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_tools import BOARD, FAKE, PART, RESULTS, names
from test_processes_child_process import ended

from qornn_hw.boards import workshop
from qornn_hw.boards.build import build_core
from qornn_hw.boards.report import read_report
from qornn_hw.errors import (
    OutputError,
    ToolError,
)
from qornn_hw.storage import output_folder


def test_fakes_build(fake, tmp_path):
    """The fakes stand for a build that works, under another name, over an older one."""
    fake()
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    (out_dir / "report.json").write_text("old")
    (out_dir / "mine.txt").write_text("kept")
    report = build_core(PART, BOARD, out_dir, name="mnist-64")
    assert names(out_dir) == RESULTS - {"top.bin"} | {"mnist-64.bin", "mine.txt"}
    assert json.loads((out_dir / "report.json").read_text()) == report
    assert report["files"]["bitstream"] == "mnist-64.bin"
    # Nobody typed anything.
    assert "command" not in report
    # The fakes reach 50 MHz; the fastest clock below it that the PLL makes of 12 MHz.
    assert (report["clock_mhz"], report["fmax_mhz"], report["seed"]) == (49.5, 50.0, 1)


def test_the_report_has_what_was_typed(fake, tmp_path):
    """The command is in the report, as it is."""
    fake()
    typed = "qornn-hw build 'my model.npz' --out x"
    report = build_core(PART, BOARD, tmp_path / "out", command=typed)
    assert report["command"] == typed
    assert read_report(tmp_path / "out") == report


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("scripts", "message", "log"),
    [
        (
            {"YOSYS": "echo ERROR: no such cell; exit 1"},
            r"yosys failed with exit code 1: ERROR: no such cell \(synthesize\)",
            "synthesize.log",
        ),
        (
            {"NEXTPNR_ICE40": "kill -9 $$"},
            r"nextpnr-ice40 was killed by SIGKILL, often for want of memory \(place\)",
            "place.log",
        ),
        (
            {"NEXTPNR_ICE40": "echo boom; exit 3"},
            r"nextpnr-ice40 failed with exit code 3 \(place\)",
            "place.log",
        ),
        ({"ICEPACK": "exit 0"}, r"icepack ended well but wrote no top\.bin \(pack\)", "pack.log"),
        ({"ICEPACK": "touch top.bin"}, r"icepack ended well but wrote no top\.bin \(pack\)", "pack.log"),
    ],
)
def test_dead_tool_is_named_with_its_log(scripts, message, log, fake, tmp_path):
    """The message says which tool died how, the log is there, and no result is."""
    fake(**scripts)
    out_dir = tmp_path / "out"
    path = out_dir / "logs" / log
    with pytest.raises(ToolError, match=rf"^{message}; full log: {re.escape(str(path))}$") as caught:
        build_core(PART, BOARD, out_dir)
    assert caught.value.log == path
    assert path.is_file()
    assert names(out_dir) == {"logs"}


def test_failure_leaves_older_results_alone(fake, tmp_path):
    """What an earlier build left is still whole after one that failed."""
    fake()
    build_core(PART, BOARD, tmp_path / "out")
    before = {n: (tmp_path / "out" / n).read_bytes() for n in RESULTS - {"logs"}}
    fake(ICEPACK="exit 1")
    with pytest.raises(ToolError):
        build_core(PART, BOARD, tmp_path / "out")
    assert {n: (tmp_path / "out" / n).read_bytes() for n in RESULTS - {"logs"}} == before
    assert names(tmp_path / "out") == RESULTS


def test_folder_below_a_file_cannot_be_written(fake, tmp_path):
    """An impossible folder is refused before any tool runs."""
    fake(YOSYS="echo ran > ../../ran; exit 1")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"^the output folder must be writable, .*/file/out is"):
        build_core(PART, BOARD, tmp_path / "file" / "out")
    assert names(tmp_path) == {"file", "tools"}


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_unwritable_folder_is_refused(code, fake, tmp_path, monkeypatch):
    """No permission, a read-only or a full disk: one line with the reason."""
    fake()

    def refuse(**options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(output_folder.tempfile, "mkdtemp", refuse)
    reason = "the disk is full" if code == errno.ENOSPC else os.strerror(code)
    with pytest.raises(OutputError, match=f"{reason}.*choose another folder$"):
        build_core(PART, BOARD, tmp_path / "out")


@pytest.mark.parametrize("target", ["top.il", "report.json"])
def test_disk_full_in_the_middle_leaves_nothing(target, fake, tmp_path, monkeypatch):
    """A write that fails for want of space ends the build in one line, without half a result."""
    fake()
    for method in ("write_text", "write_bytes"):
        plain = getattr(Path, method)

        def full(path, data, plain=plain):
            if path.name == target:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return plain(path, data)

        monkeypatch.setattr(Path, method, full)
    with pytest.raises(
        OutputError, match=r"^the build could not be written to .*: the disk is full; free some"
    ):
        build_core(PART, BOARD, tmp_path / "out")
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") <= {"logs"}


def test_disk_full_while_installing_takes_results_back(fake, tmp_path, monkeypatch):
    """Results are whole or absent."""
    fake()
    plain = Path.replace

    def full(path, target):
        if Path(target).name == "netlist.v":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="the disk is full"):
        build_core(PART, BOARD, tmp_path / "out")
    assert names(tmp_path / "out") == {"logs"}


def test_tool_that_dies_of_a_full_disk_is_not_blamed(fake, tmp_path, monkeypatch):
    """A tool's failure on a full disk is reported as the full disk."""
    fake(NEXTPNR_ICE40="exit 1")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(workshop.shutil, "disk_usage", lambda path: usage._replace(free=4096))
    with pytest.raises(OutputError, match=r"^nextpnr-ice40 failed: the disk of .* is full; free some space$"):
        build_core(PART, BOARD, tmp_path / "out")


def test_a_netlist_with_two_drivers_is_refused(fake, tmp_path):
    """Where yosys resolves a conflict with a constant, what it wrote is not the design."""
    said = "Warning: Driver-driver conflict for total[32] between cell a.O and constant 1'0 in top: Resolved"
    fake(YOSYS=FAKE["YOSYS"] + f'\necho "{said}"')
    with pytest.raises(
        ToolError,
        match=r"^yosys must make one driver of each net, and does not: Driver-driver conflict for to",
    ) as caught:
        build_core(PART, BOARD, tmp_path / "out")
    assert caught.value.log == tmp_path / "out" / "logs" / "synthesize.log" and caught.value.log.is_file()
    assert names(tmp_path / "out") == {"logs"}


def test_interrupt_leaves_nothing(tmp_path):
    """Ctrl-C while a tool runs kills the tool and leaves no file."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for variable, text in (FAKE | {"YOSYS": f"echo $$ > {tmp_path}/pid; exec sleep 60"}).items():
        (tools / variable).write_text(f"#!/bin/sh\n{text}\n")
        (tools / variable).chmod(0o755)
    code = (
        # Whoever runs the tests in the background has Ctrl-C ignored, and so its children.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import sys; from pathlib import Path; "
        "from fake_tools import BOARD, PART; from qornn_hw.boards.build import build_core; "
        "build_core(PART, BOARD, Path(sys.argv[1]))"
    )
    environment = os.environ | {v: str(tools / v) for v in FAKE} | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "out")], env=environment, stderr=subprocess.DEVNULL
    )
    pid = tmp_path / "pid"
    for _ in range(600):
        if pid.exists() and pid.read_text().strip():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert not (tmp_path / "out").exists()
    assert ended(int(pid.read_text()))
