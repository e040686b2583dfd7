"""The core with the dsp engine in Amaranth's simulator against the integer model."""

import pytest

from qornn_hw.cells.elman_network import Activation, InputKind, OutputKind, OutputMode, WeightBits
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.pauses import PATTERNS
from qornn_hw.sim.stimuli import corner_sequences, random_network, random_sequences


def check(elements=3, store=WeightStore.SPRAM, pauses=("none", "none"), **settings):
    """Simulate a random network and return the result with the design."""
    sizes = {"hidden_size": 5, "input_size": 3, "output_size": 3, "weight_bits": 8}
    network = random_network(**{"seed": 1, **sizes, **settings})
    design = compile_network(network, elements=elements, engine="dsp", store=store)
    sequences = [
        *random_sequences(network, batch=1, steps=6, seed=1),
        *corner_sequences(network, steps=2).values(),
    ]
    idle, back_pressure = pauses
    return simulate_core_in_python(design, sequences, idle=idle, back_pressure=back_pressure), design


@pytest.mark.sampled(12)
@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize("input_kind", list(InputKind))
@pytest.mark.parametrize("activation", list(Activation))
def test_every_activation_and_input(activation, input_kind, output_mode):
    """All integers are right, and a step takes the cycles of the schedule."""
    result, design = check(activation=activation, input_kind=input_kind, output_mode=output_mode)
    assert result.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.sampled(8)
@pytest.mark.parametrize("store", list(WeightStore))
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_width_of_weights(bits, store):
    """W, U and V have their own widths, in either memory, at both roundings."""
    rounding = list(Rounding)[bits % 2]
    check(weight_bits=WeightBits(bits, 9 - bits, 1 + bits % 8), store=store, rounding=rounding)


@pytest.mark.parametrize("state_bits", [4, 8, 12, 16])
@pytest.mark.parametrize("shared_multiplier", [False, True])
def test_every_width_of_states(state_bits, shared_multiplier):
    """Narrow and wide states, one multiplier for all units or one each."""
    form = IntFormat(4, signed=True)
    check(
        state_bits=state_bits,
        shared_multiplier=shared_multiplier,
        input_format=form,
        input_kind=InputKind.ONE_HOT,
    )


@pytest.mark.sampled(8)
@pytest.mark.parametrize("input_kind", list(InputKind))
@pytest.mark.parametrize(
    ("hidden_size", "elements"), [(1, 1), (3, 3), (5, 1), (5, 4), (7, 2), (7, 7), (17, 8), (26, 5)]
)
def test_every_number_of_elements(hidden_size, elements, input_kind):
    """One pass or many, elements that divide the columns or not."""
    result, design = check(hidden_size=hidden_size, elements=elements, input_kind=input_kind)
    assert result.cycles_per_step == design.schedule.cycles_per_step


@pytest.mark.parametrize("idle", PATTERNS)
@pytest.mark.parametrize("back_pressure", PATTERNS)
def test_pauses_change_nothing(idle, back_pressure):
    """Whatever waits for whom, every integer is right."""
    check(pauses=(idle, back_pressure), output_kind=OutputKind.BOTH)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_reset_in_the_middle_of_a_step_leaves_nothing(after):
    """Half of the units of a step are out when the reset comes; then all is played from the start."""
    network = random_network(seed=2, hidden_size=9, input_size=2, output_size=2, weight_bits=8)
    design = compile_network(network, elements=4, engine="dsp")
    sequences = random_sequences(network, batch=2, steps=4, seed=1)
    assert simulate_core_in_python(design, sequences, reset_after=after).mismatches == 0


def test_what_the_engine_cannot_do_is_refused():
    """Operands past 16 bits, several columns an element, too many weights."""
    network = random_network(seed=1, hidden_size=5, input_size=3, output_size=3, weight_bits=8)
    with pytest.raises(FormatError, match=r"^columns_per_element of the dsp engine must be 1, not 2$"):
        compile_network(network, elements=2, columns_per_element=2, engine="dsp")
    with pytest.raises(FormatError, match=r"^weights of the lut engine must be in block RAM, not in SPRAM"):
        compile_network(network, elements=2, store=WeightStore.SPRAM)
    wide = random_network(
        seed=1, hidden_size=5, input_size=1, output_size=3, weight_bits=WeightBits(8, 2, 2), state_bits=16
    )
    assert compile_network(wide, elements=2).schedule.placement.operand_bits > 16
    with pytest.raises(FormatError, match=r"^operands of the dsp engine must fit 16 bits, .* need 17$"):
        compile_network(wide, elements=2, engine="dsp")
