"""Every bench must notice every kind of fault, and none where there is none."""

import pytest
from simulators import DEFAULT, INSTALLED

from qornn_hw.design import compile_network
from qornn_hw.errors import MismatchError
from qornn_hw.network import Activation, InputKind
from sim.amaranth_bench import simulate_core_in_python
from sim.core_simulation import build_core
from sim.faults import inject_faults
from sim.link_simulation import build_link, emit_linked_core
from sim.netlist import build_core_netlist
from sim.runner import find_simulator
from sim.stimuli import random_network, random_sequences

CLOCKS_PER_BIT = 8


def make(activation, input_kind, shared_multiplier):
    """Return a small design and sequences that show every fault in it."""
    network = random_network(
        seed=1,
        hidden_size=3,
        input_size=2,
        output_size=2,
        activation=activation,
        input_kind=input_kind,
        shared_multiplier=shared_multiplier,
        index_bits=8,
    )
    design = compile_network(network, columns_per_element=2, elements=2)
    return design, random_sequences(network, batch=2, steps=4, seed=1)


DESIGN, SEQUENCES = make(Activation.TANH, InputKind.ONE_HOT, False)
FAULTS = {fault.name: fault for fault in inject_faults(DESIGN, SEQUENCES)}
VECTOR_DESIGN, VECTOR_SEQUENCES = make(Activation.MODRELU, InputKind.VECTOR, True)
VECTOR_FAULTS = {fault.name: fault for fault in inject_faults(VECTOR_DESIGN, VECTOR_SEQUENCES)}
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
    build_core_netlist(design, DEFAULT, folder, synthesized=hardware).run(sequences)


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


@pytest.mark.parametrize("rung", RUNGS)
def test_without_a_fault_every_rung_is_content(rung, tmp_path):
    """No rung complains about the right hardware."""
    RUNGS[rung](DESIGN, DESIGN, SEQUENCES, tmp_path)


@pytest.mark.parametrize("rung", ["amaranth", DEFAULT.name, "netlist", "pins"])
def test_without_a_fault_every_rung_is_content_with_vectors(rung, tmp_path):
    """The same with vector inputs."""
    RUNGS[rung](VECTOR_DESIGN, VECTOR_DESIGN, VECTOR_SEQUENCES, tmp_path)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("rung", RUNGS)
def test_every_rung_notices_every_fault(rung, name, tmp_path):
    """One wrong bit or wire is a mismatch that names sequence and step."""
    with pytest.raises(MismatchError, match=r"sequence \d+, step \d+, .*: expected -?\d+, got -?\d+$"):
        RUNGS[rung](FAULTS[name].design, DESIGN, SEQUENCES, tmp_path)


@pytest.mark.parametrize("name", VECTOR_FAULTS)
@pytest.mark.parametrize("rung", ["amaranth", DEFAULT.name])
def test_faults_are_noticed_with_vectors(rung, name, tmp_path):
    """The same for a vector input, a multiplier of all units, and modrelu."""
    with pytest.raises(MismatchError, match=r"sequence \d+, step \d+, .*: expected -?\d+, got -?\d+$"):
        RUNGS[rung](VECTOR_FAULTS[name].design, VECTOR_DESIGN, VECTOR_SEQUENCES, tmp_path)


@pytest.mark.parametrize("rung", ["netlist", "pins"])
def test_a_wrong_input_weight_is_noticed_further_up(rung, tmp_path):
    """A weight of U, which a one-hot network keeps elsewhere, on the netlist and at the pins."""
    with pytest.raises(MismatchError, match=r"expected -?\d+, got -?\d+$"):
        RUNGS[rung](VECTOR_FAULTS["input_weight"].design, VECTOR_DESIGN, VECTOR_SEQUENCES, tmp_path)
