"""SPI in simulations: the core through its pins, and a virtual board."""

import subprocess

import numpy as np
import pytest

import qornn_hw
from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.boards.host import Host, model_answers
from qornn_hw.cells.elman_network import InputKind, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import encode_image
from qornn_hw.errors import MismatchError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.rtl_gen.links.spi.link import SPI
from qornn_hw.rtl_gen.yosys import find_cells, find_yosys
from qornn_hw.sim import link_simulation
from qornn_hw.sim.link_simulation import emit_linked_core, simulate_link
from qornn_hw.sim.stimuli import random_network, random_sequences
from qornn_hw.sim.virtual_board import build_virtual_board

HZ = 24_000_000


def design_of(seed, **options):
    """Return a random network's design."""
    network = random_network(seed=seed, hidden_size=5, input_size=3, output_size=2, **options)
    return compile_network(network, columns_per_element=2, elements=2)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("options", "clocks_per_bit"),
    [
        ({}, 8),
        (
            {
                "input_kind": InputKind.ONE_HOT,
                "output_mode": OutputMode.LAST_STEP,
                "output_kind": OutputKind.ARGMAX,
            },
            13,
        ),
    ],
)
def test_every_answer_comes_right_through_the_pins(tmp_path, options, clocks_per_bit):
    """Bytes in, bytes out, with a reset between: every answer equals the model's."""
    design = design_of(1, **options)
    source = tmp_path / "linked.v"
    source.write_text(emit_linked_core(design, clocks_per_bit=clocks_per_bit, link=SPI))
    sequences = random_sequences(design.network, batch=3, steps=4, seed=1)
    result = simulate_link(
        [source], "linked_core", clocks_per_bit, design, sequences, link=SPI, reset_after=2
    )
    answers = 12 if design.network.output_mode is OutputMode.EVERY_STEP else 3
    assert result.integers_compared >= answers * design.answer_words


@pytest.mark.slow
def test_the_synthesized_link_answers_through_its_pins(tmp_path):
    """Core, frames and SPI as a netlist of iCE40 cells: every answer equals the model's."""
    network = random_network(seed=1, hidden_size=3, input_size=2, output_size=2)
    design = compile_network(network, columns_per_element=2, elements=2)
    (tmp_path / "linked.v").write_text(emit_linked_core(design, clocks_per_bit=8, link=SPI))
    script = "read_verilog linked.v; synth_ice40 -dsp -top linked_core; write_verilog -noattr netlist.v"
    subprocess.run([find_yosys(), "-q", "-p", script], cwd=tmp_path, check=True, capture_output=True)
    result = simulate_link(
        [tmp_path / "netlist.v", *find_cells(ICE40_ULTRAPLUS.synthesis)],
        "linked_core",
        8,
        design,
        random_sequences(network, batch=2, steps=3, seed=1),
        link=SPI,
        defines=dict(ICE40_ULTRAPLUS.synthesis.defines),
        reset_after=2,
    )
    assert result.integers_compared >= 6 * 3


def test_a_board_over_spi_is_simulated_through_its_pins(monkeypatch):
    """`simulate(through="pins")` plays the pins of the board's own link."""
    played = []

    def noted(*arguments, **options):
        played.append(options["link"])
        return simulate_link(*arguments, **options)

    monkeypatch.setattr(link_simulation, "simulate_link", noted)
    network = design_of(2).network
    design = qornn_hw.compile(qornn_hw.Network(Checkpoint(network)), "icebreaker:spi")
    assert design.simulate(through="pins", sequences=1, steps=2).integers_compared > 0
    assert played == [SPI]


def test_a_host_that_is_too_fast_is_a_mismatch(tmp_path):
    """A clock beyond the limit is told from wrong answers."""
    design = design_of(1)
    source = tmp_path / "linked.v"
    source.write_text(emit_linked_core(design, clocks_per_bit=8, link=SPI))
    with pytest.raises(MismatchError, match=r"^the board must answer a RESET, and did not$"):
        simulate_link(
            [source],
            "linked_core",
            3,
            design,
            random_sequences(design.network, batch=1, steps=1, seed=1),
            link=SPI,
        )


@pytest.mark.sampled(1)
@pytest.mark.parametrize("engine", ["lut", "dsp"])
def test_a_virtual_board_answers(engine, tmp_path):
    """The host client at the terminal: weights, sequences, steps; no fault, and nothing is repeated."""
    network = random_network(seed=3, hidden_size=4, input_size=2, output_size=2)
    design = compile_network(network, elements=2, engine=engine)
    image = encode_image(design) if engine == "dsp" else None
    source = tmp_path / "linked.v"
    source.write_text(emit_linked_core(design, clocks_per_bit=8, link=SPI))
    build = build_virtual_board([source], "linked_core", tmp_path, hz=HZ, baud=SPI.rate((), HZ), link=SPI)
    sequences = random_sequences(network, batch=20, steps=10, seed=4)
    with build.start(idle_cycles=200_000) as board:
        with Host(network, SPI.open(board.port, board.baud), design=design, image=image, timeout=10) as host:
            answers = host.run(sequences)
            assert all(map(np.array_equal, answers, model_answers(network, sequences)))
            steps = [host.step(x, first=t == 0) for t, x in enumerate(sequences[0])]
            assert np.array_equal(steps, answers[0])
            assert host.status().faults == {}
            assert (host.statistics.resets, host.statistics.garbled) == (0, 0)
