"""A compiled network: the plain data from which the hardware is generated, bit for bit."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from qornn_hw.cells.any_network import AnyNetwork, elman_network, operations_of
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.cells.pieces import Pieces
from qornn_hw.compiler.chain_engine import ChainEngine
from qornn_hw.compiler.chain_plan import Chain
from qornn_hw.compiler.chain_schedule import ChainSchedule
from qornn_hw.compiler.engine import Engine
from qornn_hw.compiler.engines import NAMES, engine_named
from qornn_hw.compiler.mac_settings import MacSettings
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.network_facts import network_facts
from qornn_hw.compiler.ports import answer_words, input_words_per_step
from qornn_hw.compiler.schedule import Schedule
from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.network import Network

__all__ = ["CORE_VERSION", "Design", "compile_network", "compile_schedule"]

# Raised with every change of the gateware of a core that changes its RTLIL, so that a digest names the
# hardware; tests/test_rtl_gen_core_version.py says when.
CORE_VERSION = 1


@dataclass(frozen=True)
class Design:
    """Schedule, memories and constants of one network on one chain.

    The hardware takes its memories and constants from here, and of the network only sizes, formats and
    shifts, so that a wrong bit put in here (:mod:`qornn_hw.sim.faults`) is a fault of the hardware.

    Attributes:
        schedule: where and when everything happens; holds the network.
        memories: the memories that start with contents.
        multiplier: M where it is a constant of the logic, else None (it is then in a memory).
        readout_constants: with a readout only: c, filled up with zeros to a whole sweep.
        rounding_constant: what is added before the requantizer's shift, ``2**(shift-1)``, or 0 without shift.
        mac: how the hard multipliers of an engine that has such are set.
        pieces: the activation's straight pieces, which are constants of the logic; None where it has none.
    """

    schedule: Schedule
    memories: tuple[Memory, ...]
    multiplier: int | None = None
    readout_constants: tuple[int, ...] = ()
    rounding_constant: int = 0
    mac: MacSettings = MacSettings()
    pieces: Pieces | None = None

    @property
    def network(self) -> AnyNetwork:
        """What is computed."""
        return self.schedule.network

    @property
    def operations(self) -> Network:
        """The network as operations."""
        return operations_of(self.network)

    @property
    def elman(self) -> IntegerNetwork:
        """The network as parameters of an Elman cell, which every network on a chain is.

        Raises:
            FormatError: it is of other cells.
        """
        return elman_network(self.network)

    @property
    def engine(self) -> Engine:
        """What multiplies."""
        return self.schedule.engine

    @property
    def lanes(self) -> int:
        """Multiply-accumulates that the core can do in a cycle."""
        return self.schedule.lanes

    # -- memories -------------------------------------------------------------------------------------

    def find_memory(self, name: str) -> Memory | None:
        """Return the memory of a name, None where there is none."""
        return next((memory for memory in self.memories if memory.name == name), None)

    def memory(self, name: str) -> Memory:
        """Return the memory of a name; a KeyError if there is none."""
        if (found := self.find_memory(name)) is None:
            raise KeyError(name)
        return found

    def with_memory(self, memory: Memory) -> Self:
        """Return the design with the memory of the same name replaced; a KeyError if there is none."""
        self.memory(memory.name)
        memories = tuple(memory if old.name == memory.name else old for old in self.memories)
        return replace(self, memories=memories)

    @property
    def weight_banks(self) -> tuple[Memory, ...]:
        """The large memories of weights, which are loaded after start-up, in order."""
        return tuple(memory for memory in self.memories if memory.store is WeightStore.SPRAM)

    @property
    def needs_vendor_cells(self) -> bool:
        """Whether the core has memories or multipliers that synthesis cannot infer."""
        return self.engine.hard_multipliers or bool(self.weight_banks)

    # -- identity -------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Return everything that makes the hardware, as plain data."""
        return {
            "core_version": CORE_VERSION,
            "plan": self.schedule.plan.to_json(),
            "network": network_facts(self.network),
            "memories": [memory.digest for memory in self.memories],
            "multiplier": self.multiplier,
            "readout_constants": list(self.readout_constants),
            "rounding_constant": self.rounding_constant,
            "mac": asdict(self.mac),
            # Not there for the other activations, whose digests have never had it.
            **({} if self.pieces is None else {"pieces": self.pieces.to_json()}),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of :meth:`facts` as JSON, in hexadecimal: tells whether a build is of this design."""
        text = json.dumps(self.facts(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    # -- the ports of the core ------------------------------------------------------------------------

    @property
    def input_words_per_step(self) -> int:
        """Words on the input stream for a time step: one an input, or the index of the symbol."""
        return input_words_per_step(self.network)

    @property
    def answer_words(self) -> int:
        """Words on the output stream for an answer: logits, then the argmax, as the output kind says."""
        return answer_words(self.network)

    @property
    def answer_bits(self) -> int:
        """Bits of a signed word on the output stream."""
        return self.schedule.answer_bits

    @property
    def input_format(self) -> IntFormat:
        """Format of a word on the input stream."""
        return self.operations.input.format

    @property
    def every_step(self) -> bool:
        """Whether every step is answered, or the last one of a sequence only."""
        return self.operations.every_step

    @property
    def state_words(self) -> int:
        """Words of the state port for a time step: every entry of every state that each step computes."""
        return len(self.schedule.state_order)

    @property
    def state_bits(self) -> int:
        """Bits of a signed word of the state port: those of the widest state."""
        return max(state.format.signed_bits for state in self.operations.states.values())


def compile_network(
    network: IntegerNetwork,
    *,
    elements: int,
    columns_per_element: int = 1,
    readout_lanes: int = 0,
    input_lanes: int = 0,
    memory_register: bool = False,
    spram_elements: int = 0,
    answer_registers: bool = False,
    engine: str = NAMES[0],
    store: WeightStore | None = None,
) -> Design:
    """Return the design of ``network`` on a chain of ``elements`` x ``columns_per_element`` columns.

    Args:
        network: what to build.
        elements: as in :class:`~qornn_hw.compiler.chain_plan.Chain`, like all that follow.
        columns_per_element: likewise.
        readout_lanes: likewise.
        input_lanes: likewise.
        memory_register: likewise.
        spram_elements: likewise.
        answer_registers: likewise.
        engine: name of the engine, which must have a chain.
        store: where the weights are; what is usual for the engine where None.

    Raises:
        FormatError: there are more elements than the network has words of columns, or the engine cannot
            compute the network.
    """
    chosen = engine_named(engine)
    if not isinstance(chosen, ChainEngine):
        raise FormatError(f"engine must be one whose elements form a chain, not {engine!r}")
    chain = Chain(
        engine=engine,
        columns_per_element=columns_per_element,
        elements=elements,
        store=chosen.usual_store(spram_elements) if store is None else store,
        readout_lanes=readout_lanes,
        input_lanes=input_lanes,
        memory_register=memory_register,
        spram_elements=spram_elements,
        answer_registers=answer_registers,
    )
    return compile_schedule(ChainSchedule(network, chain, chosen))


def compile_schedule(schedule: Schedule) -> Design:
    """Return the design of a schedule.

    Raises:
        FormatError: the engine cannot compute the network.
    """
    return schedule.engine.compile(schedule)
