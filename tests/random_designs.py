"""Designs drawn at random from all that a schedule can be."""

import random

from qornn_hw.cells.elman_network import (
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    WeightBits,
)
from qornn_hw.compiler.chain_refit import with_room
from qornn_hw.compiler.design import Design, compile_network, compile_schedule
from qornn_hw.compiler.engines import lut
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.sim.stimuli import random_network

ATTEMPTS = 1000


def draw(seed: int, *, units: int = 64) -> Design:
    """Return a design of at most ``units`` units; what leaves no room for the rest is drawn again."""
    choose = random.Random(seed)
    for _ in range(ATTEMPTS):
        try:
            network = _network(choose, seed, units)
            design = _dsp(choose, network) if choose.random() < 0.25 else _lut(choose, network)
            s = design.schedule
            if choose.random() < 0.15 and not s.chain.readout_lanes and not s.chain.input_lanes:
                design = compile_schedule(with_room(s))
            return design
        except ValueError:  # a FormatError, or the shape leaves no room for a lively network
            continue
    raise AssertionError(f"no design in {ATTEMPTS} attempts for seed {seed}")


def _network(choose: random.Random, seed: int, units: int) -> IntegerNetwork:
    activation = choose.choice(list(Activation))
    tanh = activation is Activation.TANH
    return random_network(
        seed=seed,
        hidden_size=choose.choice(
            (1, 2, 3, choose.randint(4, min(16, units)), choose.randint(min(17, units), units))
        ),
        input_size=choose.choice((1, 1, choose.randint(2, 6))),
        output_size=choose.randint(1, 8),
        activation=activation,
        input_kind=choose.choice(list(InputKind)),
        input_format=IntFormat(choose.randint(1, 8), signed=choose.random() < 0.5),
        weight_bits=WeightBits(*(choose.randint(1, 8) for _ in range(3))),
        state_bits=choose.randint(4, 16),
        index_bits=choose.choice((None, choose.randint(4, 9))) if tanh else None,
        shared_multiplier=choose.random() < 0.5,
        rounding=choose.choice(list(Rounding)),
        output_mode=choose.choice(list(OutputMode)),
        output_kind=choose.choice(list(OutputKind)),
    )


def _dsp(choose: random.Random, network: IntegerNetwork) -> Design:
    words = network.hidden_size + network.input_size
    return compile_network(
        network,
        elements=choose.randint(1, min(8, words)),
        engine="dsp",
        store=choose.choice(list(WeightStore)),
    )


def _lut(choose: random.Random, network: IntegerNetwork) -> Design:
    columns = choose.choice((1, 2, 2, 3, 4, 4, 8))
    options = {
        "readout_lanes": choose.choice((0, choose.randint(1, network.output_size))),
        "input_lanes": int(choose.random() < 0.7 and network.vector_input and network.input_size == 1),
        "memory_register": choose.random() < 0.3,
    }
    words = lut.schedule(network, columns, 1, **options).placement.words
    elements = -(-words // choose.randint(1, min(6, words)))
    return compile_network(
        network,
        columns_per_element=columns,
        elements=elements,
        spram_elements=choose.choice((0, 0, choose.randint(0, elements))),
        answer_registers=choose.random() < 0.2,
        **options,
    )
