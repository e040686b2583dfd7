"""Every bench must notice every kind of fault, and none where there is none."""

import pytest
from simulators import DEFAULT, INSTALLED

from qornn_hw.boards.devices.ice40 import ICE40_ULTRAPLUS
from qornn_hw.cells.elman_network import Activation, InputKind
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_image import HEADER_BYTES, encode_image
from qornn_hw.errors import MismatchError
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.core_simulation import build_core
from qornn_hw.sim.faults import inject_faults
from qornn_hw.sim.link_simulation import build_link, emit_linked_core
from qornn_hw.sim.netlist import build_core_netlist
from qornn_hw.sim.runner import find_simulator
from qornn_hw.sim.stimuli import random_network, random_sequences

CLOCKS_PER_BIT = 8


def make(activation, input_kind, shared_multiplier, widths=None, **engine):
    """Return a small design and sequences that show every fault in it."""
    sizes = {"hidden_size": 3, "input_size": 2, "output_size": 2}
    network = random_network(
        seed=1,
        activation=activation,
        input_kind=input_kind,
        shared_multiplier=shared_multiplier,
        index_bits=8,
        **(sizes | (widths or {})),
    )
    design = compile_network(network, **(engine or {"columns_per_element": 2, "elements": 2}))
    return design, random_sequences(network, batch=2, steps=4, seed=1)


DESIGN, SEQUENCES = make(Activation.TANH, InputKind.ONE_HOT, False)
FAULTS = {fault.name: fault for fault in inject_faults(DESIGN, SEQUENCES)}
VECTOR_DESIGN, VECTOR_SEQUENCES = make(Activation.MODRELU, InputKind.VECTOR, True)
VECTOR_FAULTS = {fault.name: fault for fault in inject_faults(VECTOR_DESIGN, VECTOR_SEQUENCES)}
# Sums of more than 16 bits, half of what a multiplier adds: a wrong sign or carry changes the other half.
DSP_DESIGN, DSP_SEQUENCES = make(
    Activation.IDENTITY,
    InputKind.VECTOR,
    False,
    widths={"weight_bits": 8, "state_bits": 12},
    elements=2,
    engine="dsp",
)
DSP_FAULTS = {fault.name: fault for fault in inject_faults(DSP_DESIGN, DSP_SEQUENCES)}
# Two elements of three have their weights in SPRAM; two passes.
SPRAM_DESIGN, SPRAM_SEQUENCES = make(
    Activation.IDENTITY, InputKind.VECTOR, True, widths={"hidden_size": 7}, columns_per_element=2, elements=3,
    spram_elements=2,
)  # fmt: skip
COMMON = {
    "recurrent_weight",
    "output_weight",
    "bias",
    "output_bias",
    "multiplier",
    "initial_state",
    "rounding_constant",
    "sign_plane",
    "total",
}


def on_verilog(simulator):
    """Return a rung that runs the emitted Verilog."""

    def run(hardware, design, sequences, folder):
        source = build_core(hardware, find_simulator(simulator), folder)
        type(source)(design, source.bench, source.seconds).run(sequences)

    return run


def on_netlist(hardware, design, sequences, folder):
    """Run the synthesized netlist."""
    build_core_netlist(design, ICE40_ULTRAPLUS, DEFAULT, folder, synthesized=hardware).run(sequences)


def on_pins(hardware, design, sequences, folder):
    """Run the linked core through its UART."""
    source = folder / "linked_core.v"
    folder.mkdir(parents=True, exist_ok=True)
    source.write_text(emit_linked_core(hardware, clocks_per_bit=CLOCKS_PER_BIT))
    build_link(
        design,
        DEFAULT,
        folder,
        sources=[source],
        top="linked_core",
        clocks_per_bit=CLOCKS_PER_BIT,
        loaded=hardware,
    ).run(sequences)


def in_python(hardware, design, sequences, folder):
    """Run in Amaranth's simulator."""
    simulate_core_in_python(hardware, sequences)


RUNGS = {
    "amaranth": in_python,
    **{name: on_verilog(name) for name in INSTALLED},
    "netlist": on_netlist,
    "pins": on_pins,
}


def test_there_is_a_fault_of_every_kind():
    """Both designs together have every kind of number that can be wrong."""
    assert set(FAULTS) == COMMON | {"symbol", "table"}
    assert set(VECTOR_FAULTS) == COMMON | {"input_weight", "row_constant"}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("rung", RUNGS)
def test_without_a_fault_every_rung_is_content(rung, tmp_path):
    """No rung complains about the right hardware."""
    RUNGS[rung](DESIGN, DESIGN, SEQUENCES, tmp_path)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("rung", ["amaranth", DEFAULT.name, "netlist", "pins"])
def test_without_a_fault_every_rung_is_content_with_vectors(rung, tmp_path):
    """The same with vector inputs."""
    RUNGS[rung](VECTOR_DESIGN, VECTOR_DESIGN, VECTOR_SEQUENCES, tmp_path)


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_notices_every_fault(rung, name, tmp_path):
    """One wrong bit or wire is a mismatch that names sequence and step."""
    with pytest.raises(MismatchError, match=r"sequence \d+, step \d+, .*: expected -?\d+, got -?\d+$"):
        RUNGS[rung](FAULTS[name].design, DESIGN, SEQUENCES, tmp_path)


@pytest.mark.sampled(8)
@pytest.mark.parametrize("name", VECTOR_FAULTS)
@pytest.mark.parametrize("rung", ["amaranth", DEFAULT.name])
def test_faults_are_noticed_with_vectors(rung, name, tmp_path):
    """The same for a vector input, a multiplier of all units, and modrelu."""
    with pytest.raises(MismatchError, match=r"sequence \d+, step \d+, .*: expected -?\d+, got -?\d+$"):
        RUNGS[rung](VECTOR_FAULTS[name].design, VECTOR_DESIGN, VECTOR_SEQUENCES, tmp_path)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("rung", ["netlist", "pins"])
def test_a_wrong_input_weight_is_noticed_further_up(rung, tmp_path):
    """A weight of U, which a one-hot network keeps elsewhere, on the netlist and at the pins."""
    with pytest.raises(MismatchError, match=r"expected -?\d+, got -?\d+$"):
        RUNGS[rung](VECTOR_FAULTS["input_weight"].design, VECTOR_DESIGN, VECTOR_SEQUENCES, tmp_path)


def test_the_dsp_engine_has_faults_of_its_own():
    """Signs and carry of its multipliers beside the numbers."""
    own = {"operand_sign", "weight_sign", "carry"}
    assert set(DSP_FAULTS) >= own | {
        "recurrent_weight",
        "output_weight",
        "input_weight",
        "bias",
        "multiplier",
    }


@pytest.mark.sampled(2)
@pytest.mark.parametrize("rung", ["amaranth", DEFAULT.name, "netlist", "pins"])
def test_without_a_fault_every_rung_is_content_with_the_dsp_engine(rung, tmp_path):
    """The right weights, loaded over the link at the pins and in the netlist."""
    RUNGS[rung](DSP_DESIGN, DSP_DESIGN, DSP_SEQUENCES, tmp_path)


@pytest.mark.parametrize("name", DSP_FAULTS)
def test_faults_are_noticed_with_the_dsp_engine(name, tmp_path):
    """A wrong bit of a weight in SPRAM, of a constant, a wrong sign flag, a missing carry."""
    with pytest.raises(MismatchError, match=r"sequence \d+, step \d+, .*: expected -?\d+, got -?\d+$"):
        in_python(DSP_FAULTS[name].design, DSP_DESIGN, DSP_SEQUENCES, tmp_path)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["recurrent_weight", "weight_sign", "carry"])
def test_faults_of_the_dsp_engine_are_noticed_in_the_netlist(name, tmp_path):
    """The same in the vendor's models of memory and multiplier."""
    with pytest.raises(MismatchError, match=r"sequence \d+, step \d+, .*: expected -?\d+, got -?\d+$"):
        on_netlist(DSP_FAULTS[name].design, DSP_DESIGN, DSP_SEQUENCES, tmp_path)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("rung", ["amaranth", DEFAULT.name, "netlist", "pins"])
def test_without_a_fault_every_rung_is_content_with_weights_in_spram(rung, tmp_path):
    """Weights of the first elements, loaded over the link at the pins and in the netlist."""
    RUNGS[rung](SPRAM_DESIGN, SPRAM_DESIGN, SPRAM_SEQUENCES, tmp_path)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("element", range(3))
@pytest.mark.parametrize("rung", ["amaranth", DEFAULT.name, "netlist", "pins"])
def test_a_wrong_bit_of_a_weight_in_spram_is_noticed(rung, element, tmp_path):
    """The sign of a weight of W in the first row, in both SPRAMs and in the element beside them."""
    image = SPRAM_DESIGN.memory(f"weights_{element}")
    faulty = SPRAM_DESIGN.with_memory(image.flip(0, image.width - 1))
    with pytest.raises(MismatchError, match=r"sequence \d+, step \d+, .*: expected -?\d+, got -?\d+$"):
        RUNGS[rung](faulty, SPRAM_DESIGN, SPRAM_SEQUENCES, tmp_path)


def test_a_wrong_image_of_weights_is_refused(tmp_path):
    """A bit of the weights, then of the checksum: the board says so, and the bench with it."""
    source = tmp_path / "linked_core.v"
    source.write_text(emit_linked_core(DSP_DESIGN, clocks_per_bit=CLOCKS_PER_BIT))
    build = build_link(
        DSP_DESIGN, DEFAULT, tmp_path, sources=[source], top="linked_core", clocks_per_bit=CLOCKS_PER_BIT
    )
    for at in (HEADER_BYTES + 3, -1):
        image = bytearray(encode_image(DSP_DESIGN))
        image[at] ^= 1
        with pytest.raises(MismatchError, match=r"must load its weights, and found .*BAD_CHECKSUM"):
            build.run(DSP_SEQUENCES, image=bytes(image))
    assert build.run(DSP_SEQUENCES).mismatches == 0
