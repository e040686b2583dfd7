"""The linked core through its UART pins."""

import subprocess

import pytest

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.cells.elman_network import InputKind, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.errors import MismatchError
from qornn_hw.rtl_gen.yosys import find_cells, find_yosys
from qornn_hw.sim.link_simulation import emit_linked_core, simulate_link
from qornn_hw.sim.stimuli import random_network, random_sequences


@pytest.mark.parametrize(
    ("input_kind", "output_mode", "output_kind", "clocks_per_bit"),
    [
        (InputKind.VECTOR, OutputMode.EVERY_STEP, OutputKind.BOTH, 8),
        (InputKind.ONE_HOT, OutputMode.LAST_STEP, OutputKind.ARGMAX, 13),
    ],
)
def test_every_answer_comes_right_through_the_pins(
    tmp_path, input_kind, output_mode, output_kind, clocks_per_bit
):
    """Bytes in, bytes out, with a reset between: every answer equals the model's."""
    network = random_network(
        seed=1,
        hidden_size=5,
        input_size=3,
        output_size=2,
        input_kind=input_kind,
        output_mode=output_mode,
        output_kind=output_kind,
    )
    design = compile_network(network, columns_per_element=2, elements=2)
    sequences = random_sequences(network, batch=3, steps=4, seed=1)
    source = tmp_path / "linked.v"
    source.write_text(emit_linked_core(design, clocks_per_bit=clocks_per_bit))
    result = simulate_link([source], "linked_core", clocks_per_bit, design, sequences, reset_after=2)
    answers = 12 if output_mode is OutputMode.EVERY_STEP else 3
    assert result.integers_compared >= answers * design.answer_words
    assert result.cycles > 40 * 10 * clocks_per_bit


def test_the_synthesized_link_answers_through_its_pins(tmp_path):
    """Core, link and UART as a netlist of iCE40 cells: every answer equals the model's."""
    network = random_network(seed=1, hidden_size=3, input_size=2, output_size=2)
    design = compile_network(network, columns_per_element=2, elements=2)
    (tmp_path / "linked.v").write_text(emit_linked_core(design, clocks_per_bit=8))
    script = "read_verilog linked.v; synth_ice40 -dsp -top linked_core; write_verilog -noattr netlist.v"
    subprocess.run([find_yosys(), "-q", "-p", script], cwd=tmp_path, check=True, capture_output=True)
    result = simulate_link(
        [tmp_path / "netlist.v", *find_cells(ICE40_ULTRAPLUS.synthesis)],
        "linked_core",
        8,
        design,
        random_sequences(network, batch=2, steps=3, seed=1),
        defines=dict(ICE40_ULTRAPLUS.synthesis.defines),
        reset_after=2,
    )
    assert result.integers_compared >= 6 * 3


@pytest.mark.slow
def test_a_board_at_another_rate_is_a_mismatch(tmp_path):
    """A board that does not answer is told from one that answers wrongly."""
    network = random_network(seed=1, hidden_size=2, input_size=1, output_size=1)
    design = compile_network(network, columns_per_element=2, elements=2)
    source = tmp_path / "linked.v"
    source.write_text(emit_linked_core(design, clocks_per_bit=8))
    with pytest.raises(MismatchError, match=r"^the board must answer a RESET, and did not$"):
        simulate_link(
            [source], "linked_core", 20, design, random_sequences(network, batch=1, steps=1, seed=1)
        )
