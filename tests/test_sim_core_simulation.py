"""The core's Verilog against the integer model, whatever the simulator and however the streams wait."""

import re

import numpy as np
import pytest
from simulators import DEFAULT

from qornn_hw.cells.elman_network import Activation, InputKind, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.errors import FormatError, MismatchError
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.core_simulation import build_core, cycles_from_step_to_step, simulate_core
from qornn_hw.sim.pauses import PATTERNS
from qornn_hw.sim.runner import find_simulator
from qornn_hw.sim.stimuli import corner_sequences, random_network, random_sequences

NETWORK = random_network(seed=3, hidden_size=7, input_size=3, output_size=3, activation=Activation.TANH)
DESIGN = compile_network(NETWORK, columns_per_element=2, elements=3)
SEQUENCES = [
    *random_sequences(NETWORK, batch=2, steps=6, seed=1),
    *corner_sequences(NETWORK, steps=2).values(),
    *random_sequences(NETWORK, batch=2, steps=1, seed=2),
]
STEPS = sum(len(sequence) for sequence in SEQUENCES)
INTEGERS = STEPS * (7 + 3 + 1)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return the core compiled for whichever simulator comes first here."""
    return build_core(DESIGN, DEFAULT, tmp_path_factory.mktemp("core"), traced=True)


@pytest.mark.slow
def test_verilator_agrees(tmp_path):
    """Under Verilator too: all pauses, a reset, the cycles of the schedule, and waves."""
    build = build_core(DESIGN, find_simulator("verilator"), tmp_path / "build", traced=True)
    for idle in PATTERNS:
        for back_pressure in PATTERNS:
            result = build.run(SEQUENCES, idle=idle, back_pressure=back_pressure)
            assert result.integers_compared == INTEGERS
    assert build.run(SEQUENCES, reset_after=4).integers_compared >= INTEGERS + 7 * 4 + 4
    result = build.run(SEQUENCES, waves=tmp_path / "waves")
    assert result.cycles_per_step == DESIGN.schedule.cycles_per_step
    assert result.waves == tmp_path / "waves.vcd"
    assert result.waves.stat().st_size > 1000


@pytest.mark.sampled(4)
@pytest.mark.parametrize("back_pressure", PATTERNS)
@pytest.mark.parametrize("idle", PATTERNS)
def test_pauses_change_nothing(build, tmp_path, idle, back_pressure):
    """However the streams wait, every integer is right, and there are as many of them."""
    result = build.run(SEQUENCES, idle=idle, back_pressure=back_pressure, run_dir=tmp_path)
    assert (result.integers_compared, result.mismatches) == (INTEGERS, 0)
    assert (result.sequences, result.steps) == (len(SEQUENCES), STEPS)


def test_cycles_per_step_are_those_of_the_schedule(build, tmp_path):
    """Counted in simulation, a step takes what the schedule says."""
    assert build.run(SEQUENCES, run_dir=tmp_path).cycles_per_step == DESIGN.schedule.cycles_per_step
    assert build.run(SEQUENCES, idle="random", run_dir=tmp_path).cycles_per_step is None


@pytest.mark.parametrize("reset_after", [0, 1, 4, 7])
def test_reset_in_mid_sequence(build, tmp_path, reset_after):
    """After a reset in the middle of a step, sequences start afresh; what came before it was right too."""
    result = build.run(SEQUENCES, reset_after=reset_after, idle="random", run_dir=tmp_path)
    assert result.integers_compared >= INTEGERS + 7 * reset_after + 4


def test_waves_are_written_when_asked_for(build, tmp_path):
    """One file of waves with the suffix of its format, and none without asking."""
    result = build.run(SEQUENCES[:1], run_dir=tmp_path / "run", waves=tmp_path / "trace" / "waves")
    suffix = ".fst" if DEFAULT.name == "icarus" else ".vcd"
    assert result.waves == tmp_path / "trace" / f"waves{suffix}"
    assert result.waves.stat().st_size > 1000
    build.run(SEQUENCES[:1], run_dir=tmp_path / "run")
    assert not [*(tmp_path / "run").glob("*.fst"), *(tmp_path / "run").glob("*.vcd")]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("input_kind", list(InputKind))
@pytest.mark.parametrize("output_kind", list(OutputKind))
@pytest.mark.parametrize("output_mode", list(OutputMode))
def test_python_and_verilog_agree(input_kind, output_kind, output_mode):
    """Amaranth's simulator and the Verilog one see the same integers in the same number of cycles."""
    network = random_network(
        seed=1,
        hidden_size=5,
        input_size=3,
        output_size=4,
        input_kind=input_kind,
        output_kind=output_kind,
        output_mode=output_mode,
    )
    design = compile_network(network, columns_per_element=2, elements=2)
    sequences = random_sequences(network, batch=3, steps=5, seed=1)
    python = simulate_core_in_python(design, sequences)
    verilog = simulate_core(design, sequences)
    assert python.integers_compared == verilog.integers_compared
    assert python.cycles == verilog.cycles
    assert python.cycles_per_step == verilog.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.sampled(5)
@pytest.mark.parametrize("back_pressure", PATTERNS)
@pytest.mark.parametrize("idle", PATTERNS)
def test_pauses_change_nothing_in_python(idle, back_pressure):
    """The same in Amaranth's simulator, with a reset."""
    result = simulate_core_in_python(
        DESIGN, SEQUENCES[:3], idle=idle, back_pressure=back_pressure, reset_after=2
    )
    assert result.integers_compared >= 14 * 11 + 2 * 7


def test_an_index_past_the_last_symbol_adds_nothing():
    """One-hot inputs may be any index that has the bits."""
    network = random_network(seed=1, hidden_size=4, input_size=5, output_size=2, input_kind=InputKind.ONE_HOT)
    design = compile_network(network, columns_per_element=2, elements=2)
    assert simulate_core(design, [np.array([0, 5, 6, 7, 4])]).integers_compared == 5 * (4 + 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"idle": "often"}, "idle must be one of none, periodic, random, not 'often'"),
        ({"back_pressure": "x"}, "back_pressure must be one of none, periodic, random, not 'x'"),
        ({"reset_after": STEPS}, f"reset_after must be 0 to {STEPS - 1}, not {STEPS}"),
        ({"sequences": []}, "there must be at least 1 sequence, not 0"),
        ({"sequences": [np.zeros((4, 2), int)]}, "inputs must have shape (batch, steps, 3), not (1, 4, 2)"),
        ({"sequences": [np.full((4, 3), 16)]}, "inputs must lie in 0 to 15, not 16 to 16"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    """A pattern, a reset or a sequence that cannot be played is a FormatError."""
    arguments = {"sequences": SEQUENCES, **arguments}
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        simulate_core_in_python(DESIGN, **arguments)


STUB = """
module qornn_core (
  input clk, input rst, input [5:0] i__payload, input i__valid, output i__ready,
  output [{bits}:0] o__payload, output o__valid, input o__ready,
  output state__valid, output signed [7:0] state__data
);
  assign i__ready = {ready};
  assign o__payload = 0;
  assign o__valid = {valid};
  assign state__valid = {state};
  assign state__data = 0;
endmodule
"""


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ({"ready": "1'bx"}, "the hardware gave an undefined value: "),
        ({"valid": "1'bx"}, "the hardware gave an undefined value: "),
        ({"ready": "1'b0"}, "the hardware must take all "),
        (
            {"ready": "1'b1"},
            "the hardware must equal the integer model: sequence 0, step 0, unit 0: .*nothing$",
        ),
        ({"state": "1'b1"}, "the hardware must equal the integer model: .* more, the first 0$"),
        ({"valid": "1'b1"}, "the hardware must equal the integer model: .* more, the first 0$"),
    ],
)
def test_hardware_that_does_something_else_is_a_mismatch(tmp_path, behaviour, message):
    """Undefined, deaf, dumb or talkative hardware is caught and never waited for without end."""
    source = tmp_path / "stub.v"
    source.write_text(
        STUB.format(**{"ready": 0, "valid": 0, "state": 0, "bits": DESIGN.answer_bits, **behaviour})
    )
    build = build_core(DESIGN, DEFAULT, tmp_path / "build", sources=[source])
    if DEFAULT.name == "verilator" and "undefined" in message:
        message = "the hardware must "  # it knows no undefined values: the stub is then plainly wrong
    with pytest.raises(MismatchError, match=f"^{message}"):
        build.run(SEQUENCES)


def test_steady_state_is_what_most_steps_take():
    """The first distances of each sequence are left out, and short sequences say nothing."""
    assert cycles_from_step_to_step([0, 50, 60, 70, 80, 200, 210], [5, 2]) == 10
    assert cycles_from_step_to_step([0, 10, 20], [3]) is None
