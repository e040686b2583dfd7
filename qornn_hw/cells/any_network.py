"""Networks of either kind: the parameters of an Elman cell, or operations."""

from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman import lower
from qornn_hw.cells.elman_bounds import elman_ranges
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.errors import FormatError
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.intervals import Ranges, value_ranges
from qornn_hw.ir.network import Network
from qornn_hw.ir.ops import Term

__all__ = [
    "AnyNetwork",
    "answer_integers",
    "class_logits",
    "elman_network",
    "interpreter_of",
    "macs_per_step",
    "operations_of",
    "output_scale",
    "ranges_of",
    "state_facts",
    "state_order",
]

IntArray: TypeAlias = NDArray[np.int64]
AnyNetwork: TypeAlias = IntegerNetwork | Network
"""A network as the parameters of an Elman cell, or as operations."""

# A network never changes, and the compiler asks for its ranges several times.
_RANGES: WeakKeyDictionary[Network, Ranges] = WeakKeyDictionary()


def operations_of(network: AnyNetwork) -> Network:
    """Return a network as operations."""
    return network if isinstance(network, Network) else lower(network)


def ranges_of(network: AnyNetwork) -> Ranges:
    """Return sound ranges of all values of a network; they are proved once."""
    if isinstance(network, IntegerNetwork):
        return elman_ranges(network)
    if (found := _RANGES.get(network)) is None:
        found = _RANGES[network] = value_ranges(network)
    return found


def interpreter_of(network: AnyNetwork) -> Interpreter:
    """Return what computes a network, integer for integer.

    Raises:
        FormatError: an integer of the network could pass its width.
    """
    return Interpreter(operations_of(network), ranges_of(network))


def elman_network(network: AnyNetwork) -> IntegerNetwork:
    """Return a network that is known to be the parameters of an Elman cell.

    Raises:
        FormatError: it is of other cells.
    """
    if not isinstance(network, IntegerNetwork):
        raise FormatError(f"network must be one Elman layer and a readout, not {network!r}")
    return network


def answer_integers(network: AnyNetwork, logits: IntArray) -> IntArray:
    """Return the words of answers, (..., words), for logits (..., p): the logits, then the class, by kind."""
    answer = operations_of(network).readout.answer
    parts = [logits] if answer.kind.has_logits else []
    if answer.kind.has_argmax:
        parts.append(answer.evaluate(logits))
    found: IntArray = np.concatenate(parts, axis=-1)
    return found


def class_logits(network: AnyNetwork, logits: IntArray) -> IntArray:
    """Return logits whose argmax, or sign where there is one, is the class that the network answers.

    A threshold is subtracted; other logits are returned as they are.
    """
    threshold = operations_of(network).readout.answer.threshold
    return logits if threshold is None else logits - threshold


def output_scale(network: AnyNetwork) -> float:
    """Return the real worth of a unit of a logit."""
    operations = operations_of(network)
    return operations.scales[operations.readout.logits.name]


def state_facts(network: Network) -> dict[str, dict[str, int]]:
    """Return entries and bits of each state by name, as plain data."""
    return {s.name: {"units": s.size, "bits": s.format.bits} for s in network.states.values()}


def state_order(network: AnyNetwork) -> tuple[tuple[str, int], ...]:
    """Return the entries of all states, by the state's name and the unit, state by state."""
    states = operations_of(network).states.values()
    return tuple((state.name, unit) for state in states for unit in range(state.size))


def macs_per_step(network: AnyNetwork) -> int:
    """Return the multiply-accumulates of the matrix products of a step within a sequence.

    The products with V, and those of layers that matter for an answer only, count where every step is
    answered. A one-hot input selects its column and multiplies nothing; a Hadamard term adds and subtracts.
    """
    operations = operations_of(network)
    layers = operations.layers[: operations.step_layers]
    rows = [row for layer in layers for group in layer.groups for row in group.rows]
    rows += [operations.readout.logits] * operations.every_step
    terms = (term for row in rows for term in row.terms)
    return sum(t.weights.size for t in terms if isinstance(t, Term) and not t.one_hot)
