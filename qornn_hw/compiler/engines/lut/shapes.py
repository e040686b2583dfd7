"""Shapes of chains: columns in an element, elements, lanes of a readout."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from qornn_hw.cells.elman_network import IntegerNetwork, OutputMode
from qornn_hw.compiler.chain_plan import Chain
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.family import Family
from qornn_hw.errors import FormatError

if TYPE_CHECKING:
    from qornn_hw.compiler.chain_engine import ChainEngine

__all__ = ["chain_of", "device_chains", "plain_chains"]

# Beyond 8 columns an element's weight word outgrows what a lane saves in chain registers.
MAX_COLUMNS_PER_ELEMENT = 8


def chain_of(
    engine: "ChainEngine",
    network: IntegerNetwork,
    columns_per_element: int,
    elements: int,
    *,
    readout_lanes: int = 0,
    input_lanes: int = 0,
    memory_register: bool = False,
    spram_elements: int = 0,
    answer_registers: bool = False,
) -> ChainSchedule:
    """Return the schedule of a network on a chain of ``elements`` x ``columns_per_element`` columns.

    Arguments but the first two are those of :class:`~qornn_hw.compiler.chain_plan.Chain`.

    Raises:
        FormatError: there is no such chain for the network.
    """
    chain = Chain(
        engine.name,
        columns_per_element,
        elements,
        engine.usual_store(spram_elements),
        readout_lanes,
        input_lanes,
        memory_register,
        spram_elements,
        answer_registers,
    )
    return ChainSchedule(network, chain, engine)


def _shapes(engine: "ChainEngine", network: IntegerNetwork, input_lanes: int) -> Iterator[tuple[int, int]]:
    """Yield (columns of an element, elements): each width, each number of passes at its fewest elements."""
    for columns in range(1, MAX_COLUMNS_PER_ELEMENT + 1):
        try:
            words = chain_of(engine, network, columns, 1, input_lanes=input_lanes).placement.words
        except FormatError:  # too few columns for it
            continue
        for elements in sorted({-(-words // passes) for passes in range(1, words + 1)}, reverse=True):
            yield columns, elements


def plain_chains(engine: "ChainEngine", network: IntegerNetwork) -> Iterator[ChainSchedule]:
    """Yield the chains of each shape with all else as it is on any device."""
    for columns, elements in _shapes(engine, network, 0):
        with suppress(FormatError):
            yield chain_of(engine, network, columns, elements)


def device_chains(
    engine: "ChainEngine", network: IntegerNetwork, multipliers: int, family: Family, spram: int
) -> Iterator[ChainSchedule]:
    """Yield the sensible chains: each width of an element, each number of passes at its fewest elements.

    Each with the rows of V in the chain, and with each readout of up to ``multipliers`` lanes that no smaller
    one equals in sweeps; a single input in the chain and, where there is a multiplier for it, behind it. With
    the weights of as many elements in SPRAM as there are, ``spram``: those whose words fit it. Where an
    answer comes once a sequence and no logic cells are memories, with answers in flip-flops, too.
    """
    outputs = network.output_size
    alone = network.vector_input and network.input_size == 1
    once = network.output_mode is OutputMode.LAST_STEP and not family.has_lut_ram
    for behind in range(1 + (alone and multipliers > 0)):
        lanes = {-(-outputs // sweeps) for sweeps in range(1, outputs + 1)}
        readouts = (0, *sorted(n for n in lanes if n <= multipliers - behind))
        for columns, elements in _shapes(engine, network, behind):
            for readout in readouts:
                for registers in (False, True) if once and not readout else (False,):
                    with suppress(FormatError):  # more bits or words than an SPRAM has
                        yield chain_of(
                            engine,
                            network,
                            columns,
                            elements,
                            readout_lanes=readout,
                            input_lanes=behind,
                            memory_register=family.has_slow_ram,
                            spram_elements=min(spram, elements),
                            answer_registers=registers,
                        )
