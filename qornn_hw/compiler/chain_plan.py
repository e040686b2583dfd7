"""The plan of a chain engine's core: its shape and the widths of its numbers."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from qornn_hw.compiler.weight_store import WeightStore
from qornn_hw.compiler.widths import Widths

__all__ = ["MOST", "Chain", "ChainPlan"]

# An upper limit for every number in a plan that is read from a file: no hardware has more of anything.
MOST = 1 << 20


@dataclass(frozen=True)
class Chain:
    """The shape of a core: its engine, its multipliers and where its weights are.

    Attributes:
        engine: name of the engine.
        columns_per_element: columns of the weight matrices in an element, at least 1.
        elements: elements in the chain, at least 1.
        store: where the weights are; SPRAM if those of any element are.
        readout_lanes: multipliers beside the chain that compute the logits; with 0 the rows of V are rows of
            the chain.
        input_lanes: 1 if a multiplier behind the chain adds U x of a network with one input; with 0 the input
            has columns in the chain.
        memory_register: whether a register follows the memories of weights, operands and constants. It is
            used where block RAM takes half a cycle to give its word.
        spram_elements: number of the first elements whose weights are in one large memory each, which is
            loaded after start-up.
        answer_registers: whether answers wait in flip-flops instead of block RAM.
    """

    engine: str
    columns_per_element: int
    elements: int
    store: WeightStore = WeightStore.BLOCK_RAM
    readout_lanes: int = 0
    input_lanes: int = 0
    memory_register: bool = False
    spram_elements: int = 0
    answer_registers: bool = False


_FLAGS = ("memory_register", "room", "answer_registers")
_PER_ELEMENT = ("dot_bits", "partial_sum_bits")
_CHAIN = tuple(f.name for f in fields(Chain))
# Builds made before these existed have no entry for them.
_LATER = ("spram_elements", "answer_registers")


@dataclass(frozen=True)
class ChainPlan:
    """The hardware of a chain, apart from its network and the contents of its memories.

    Attributes:
        chain: the shape of the core.
        shift: right shift of the requantizer, bits.
        widths: bits of every number inside the core.
        room: whether the widths are those of any weights (:func:`qornn_hw.compiler.chain_refit.with_room`).
    """

    chain: Chain
    shift: int
    widths: Widths
    room: bool

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self.chain.engine

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain data; the entries of :attr:`chain` stand beside the others."""
        return {
            **asdict(self.chain),
            "store": str(self.chain.store),
            "shift": self.shift,
            "widths": asdict(self.widths),
            "room": self.room,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the plan that :meth:`to_json` gave.

        The value may come from anybody. Every entry must have its type, and no number may exceed
        :data:`MOST`. ``engine`` is only a name here: whoever uses the plan looks it up among the engines.

        Raises:
            KeyError, TypeError, ValueError: the value is no plan.
        """
        unknown = sorted(set(value) - {*_CHAIN, "shift", "widths", "room"})
        if unknown:
            raise ValueError(f"a plan must have no entry {ascii(unknown[0])[:60]}")
        for name, item in value.items():
            if name in ("engine", "store", "widths"):
                continue
            if name in _FLAGS:
                if not isinstance(item, bool):
                    raise ValueError(f"{name} of a plan must be true or false, not {ascii(item)[:60]}")
            else:
                _count(name, item)
        if not isinstance(value["engine"], str):
            raise ValueError(f"engine of a plan must be a text, not {ascii(value['engine'])[:60]}")
        missing = [name for name in _CHAIN if name not in value and name not in _LATER]
        if missing:
            raise KeyError(missing[0])
        chain = {name: value[name] for name in _CHAIN if name in value}
        return cls(
            chain=Chain(**chain | {"store": WeightStore(value["store"])}),
            shift=value["shift"],
            widths=_widths(dict(value["widths"])),
            room=value["room"],
        )


def _widths(given: dict[str, Any]) -> Widths:
    """Return the widths that a plan's JSON holds; a ValueError or TypeError if they are none."""
    for name in _PER_ELEMENT:
        if not isinstance(given.get(name), list):
            raise ValueError(f"widths of a plan must have a list of {name}")
        given[name] = tuple(_count(name, bits) for bits in given[name])
    for name in set(given) - set(_PER_ELEMENT):
        if not (name == "shared_multiplier" and given[name] is None):
            _count(name, given[name])
    return Widths(**given)


def _count(name: str, value: Any) -> int:
    """Return a number of a plan; a ValueError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise ValueError(f"{name} of a plan must be an integer from 0 to {MOST}, not {ascii(value)[:60]}")
    return value
