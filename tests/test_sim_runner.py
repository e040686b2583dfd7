"""The runner: a bench that did not pass is an error, however it did not pass."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from simulators import DEFAULT, INSTALLED
from test_processes_child_process import ended, is_running, number_in

from qornn_hw.errors import ToolError
from qornn_hw.sim import runner
from qornn_hw.sim.runner import build_bench, find_simulator

COUNTER = """
module counter (input clk /*verilator public_flat_rw*/, output reg [3:0] count);
  initial count = 0;
  always @(posedge clk) count <= count + 1;
endmodule
"""

BENCHES = {
    "good": "@cocotb.test()\nasync def one(dut):\n    await Timer(1, 'ns')\n",
    "failing": "@cocotb.test()\nasync def one(dut):\n    await Timer(1, 'ns')\n    assert 1 == 2\n",
    "empty": "",
    "broken": "import a_module_that_is_not_there\n",
    "crashing": "import os\n@cocotb.test()\nasync def one(dut):\n    os._exit(3)\n",
    "two": "@cocotb.test()\nasync def one(dut):\n    pass\n@cocotb.test()\nasync def two(dut):\n    pass\n",
}


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    """Return a compiled counter."""
    folder = tmp_path_factory.mktemp("counter")
    source = folder / "counter.v"
    source.write_text(COUNTER)
    return build_bench(DEFAULT, sources=[source], top="counter", build_dir=folder / "build")


def bench_named(name, folder, monkeypatch):
    """Write a bench and put it on the module path."""
    module = f"bench_{name}"
    head = "import cocotb\nfrom cocotb.triggers import Timer\n"
    (folder / f"{module}.py").write_text(head + BENCHES[name])
    monkeypatch.syspath_prepend(str(folder))
    return module


def test_a_passing_bench_passes(counter, tmp_path, monkeypatch):
    """One test that passes is no error, and leaves a log."""
    counter.run(bench_named("good", tmp_path, monkeypatch), run_dir=tmp_path / "run")
    assert (tmp_path / "run" / "simulation.log").stat().st_size > 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("failing", r"^bench bench_failing: 1 of 1 tests failed.*; full log: .*simulation\.log$"),
        ("empty", r"^bench bench_empty must (run 1 tests, and ran 0|leave results, and died).*; full log: "),
        (
            "broken",
            r"^bench bench_broken must (run 1 tests, and ran 0|leave results, and died).*; full log: ",
        ),
        ("crashing", r"^bench bench_crashing must leave results, and died .*; full log: "),
        ("two", r"^bench bench_two must run 1 tests, and ran 2; full log: "),
    ],
)
@pytest.mark.parametrize("inside_pytest", [True, False])
def test_every_other_bench_is_an_error(counter, tmp_path, monkeypatch, name, message, inside_pytest):
    """A failed test, no test, an import error, a crash and too many tests: each a ToolError with its log."""
    if not inside_pytest:
        monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(ToolError, match=message) as caught:
        counter.run(bench_named(name, tmp_path, monkeypatch), run_dir=tmp_path / "run")
    assert caught.value.log is None or caught.value.log.is_file()


def test_old_results_do_not_count(counter, tmp_path, monkeypatch):
    """A run that dies is an error even where an earlier run left good results."""
    counter.run(bench_named("good", tmp_path, monkeypatch), run_dir=tmp_path / "run")
    with pytest.raises(ToolError, match=r"^bench bench_crashing must leave results"):
        counter.run(bench_named("crashing", tmp_path, monkeypatch), run_dir=tmp_path / "run")


def test_verilog_that_does_not_compile_is_an_error(tmp_path):
    """The compiler's complaint is in the log that the error names."""
    source = tmp_path / "wrong.v"
    source.write_text("module wrong (input clk); nonsense here endmodule\n")
    with pytest.raises(
        ToolError, match=rf"^{DEFAULT.name} could not compile wrong: .*; full log: .*compile\.log$"
    ) as caught:
        build_bench(DEFAULT, sources=[source], top="wrong", build_dir=tmp_path / "build")
    assert "error" in caught.value.log.read_text()


def test_environment_and_module_path_come_back(counter, tmp_path, monkeypatch):
    """A run changes nothing in the process that asked for it."""
    module = bench_named("good", tmp_path, monkeypatch)
    monkeypatch.setenv("COCOTB_TEST_FILTER", "nothing_matches_this")
    environment, path = dict(os.environ), list(sys.path)
    counter.run(module, run_dir=tmp_path / "run")
    assert dict(os.environ) == environment
    assert sys.path == path


@pytest.mark.parametrize("name", INSTALLED)
def test_find_simulator_gives_what_is_asked_for(name):
    """Each simulator that is installed is found by its name, with a version."""
    found = find_simulator(name)
    assert found.name == name
    assert found.version[0].isdigit()


def test_icarus_comes_first(monkeypatch):
    """Without a preference Icarus is taken where it is: it compiles in no time."""
    monkeypatch.setattr(runner, "_find_icarus", lambda: "an Icarus")
    assert find_simulator() == "an Icarus"


@pytest.mark.parametrize(
    ("preference", "message"),
    [
        ("icarus", r"^Icarus Verilog is missing; install it with: apt-get install iverilog$"),
        (
            "verilator",
            r"^Verilator 5\.036 or newer with make and a C\+\+ compiler is missing; install it with: ",
        ),
        (
            None,
            r"^no Verilog simulator found; install Icarus Verilog \(apt-get install iverilog\) or Verilator ",
        ),
        ("modelsim", r"^simulator must be icarus or verilator, not 'modelsim'$"),
    ],
)
def test_a_missing_simulator_says_what_to_install(monkeypatch, preference, message):
    """On a machine without simulators the error names the package."""
    monkeypatch.setattr(runner.shutil, "which", lambda *_, **__: None)
    with pytest.raises(ToolError, match=message):
        find_simulator(preference)


def test_verilator_is_taken_where_icarus_is_missing(monkeypatch):
    """Without Icarus, and without a preference, Verilator serves."""
    monkeypatch.setattr(runner, "_find_icarus", lambda: None)
    assert find_simulator().name == "verilator"


@pytest.mark.parametrize("as_module", [True, False])
def test_folders_named_like_ours_do_not_matter(tmp_path, as_module):
    """From a folder with its own `sim` and `boards`, outside pytest, a core still simulates."""
    for name in ("sim", "boards"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("not a package of ours")
    script = textwrap.dedent(
        """
        from qornn_hw.compiler.design import compile_network
        from qornn_hw.sim.core_simulation import simulate_core
        from qornn_hw.sim.stimuli import random_network, random_sequences
        network = random_network(seed=1, hidden_size=3, input_size=2, output_size=2)
        design = compile_network(network, columns_per_element=2, elements=2)
        result = simulate_core(design, random_sequences(network, batch=1, steps=3, seed=1))
        print(result.integers_compared)
        """
    )
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, "-c", script] if as_module else [sys.executable, "script.py"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "18", done.stderr


KILLED = """
import sys
from pathlib import Path
from qornn_hw.sim.runner import build_bench, find_simulator
folder = Path(sys.argv[1])
build = build_bench(
    find_simulator(sys.argv[2]), sources=[folder / "counter.v"], top="counter", build_dir=folder / "b"
)
build.run("bench_endless", run_dir=folder / "run")
"""
ENDLESS = """
import os
from pathlib import Path
import cocotb
from cocotb.triggers import Timer
@cocotb.test()
async def one(dut):
    Path("pid").write_text(f"{os.getpid()}\\n")
    while True:
        await Timer(1, "us")
"""


@pytest.mark.parametrize("name", INSTALLED)
def test_a_simulation_ends_with_its_parent(name, tmp_path):
    """A process that is killed leaves no simulation that runs on for hours."""
    (tmp_path / "counter.v").write_text(COUNTER)
    (tmp_path / "bench_endless.py").write_text(ENDLESS)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), name],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pid = number_in(tmp_path / "run" / "pid", seconds=300)
    assert is_running(pid)
    parent.kill()
    parent.wait()
    assert ended(pid)
