"""A network as plain data: what of it the hardware depends on, and what a report says of it."""

from dataclasses import asdict
from typing import Any

from qornn_hw.cells.any_network import AnyNetwork, state_facts
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.ir.network import Network

__all__ = ["model_facts", "network_facts", "network_words"]


def network_facts(network: AnyNetwork) -> dict[str, Any]:
    """Return sizes, formats and shifts of a network, which are part of the digest of its hardware.

    The weights are in the memories. The operations of a network that is no Elman cell are there as well: they
    are instructions.
    """
    if isinstance(network, Network):
        return {
            "input_size": network.input.size,
            "input_kind": str(network.input.kind),
            "input_bits": network.input.format.bits,
            "input_signed": network.input.format.signed,
            "states": [[state.size, state.format.bits] for state in network.states.values()],
            "output_size": network.output_size,
            "output_mode": str(network.readout.mode),
            "output_kind": str(network.readout.answer.kind),
        }
    return {
        "hidden_size": network.hidden_size,
        "input_size": network.input_size,
        "output_size": network.output_size,
        "activation": str(network.activation),
        "rounding": str(network.rounding),
        "output_mode": str(network.output_mode),
        "output_kind": str(network.output_kind),
        "input_kind": str(network.input_kind),
        "input_bits": network.input_format.bits,
        "input_signed": network.input_format.signed,
        "input_shift": network.input_shift,
        "state_bits": network.state_bits,
        "index_bits": network.index_bits,
        "weight_bits": asdict(network.weight_bits),
    }


def model_facts(network: AnyNetwork) -> dict[str, Any]:
    """Return what a report says of a network, ``report["model"]``.

    For a network of operations ``hidden_size`` is the entries of all states, the bits are those of the widest
    weight of a matrix and of the widest state, ``activation`` is None, and ``states`` has the entries and the
    bits of each state by name.
    """
    if isinstance(network, IntegerNetwork):
        return {
            "hidden_size": network.hidden_size,
            "input_size": network.input_size,
            "output_size": network.output_size,
            "weight_bits": network.weight_bits.recurrent,
            "state_bits": network.state_bits,
            "activation": str(network.activation),
        }
    rows = [row for layer in network.layers for group in layer.groups for row in group.rows]
    states = network.states.values()
    return {
        "hidden_size": sum(state.size for state in states),
        "input_size": network.input.size,
        "output_size": network.output_size,
        "weight_bits": max((term.bits for row in rows for term in row.terms if not term.one_hot), default=1),
        "state_bits": max(state.format.bits for state in states),
        "activation": None,
        "states": state_facts(network),
    }


def network_words(network: AnyNetwork) -> str:
    """Return the layers of a network in words, as ``64 hidden units, relu``."""
    if isinstance(network, IntegerNetwork):
        n = network.hidden_size
        return f"{n} hidden unit{'s' * (n != 1)}, {network.activation}"
    states = ", ".join(f"{state.name} of {state.size}" for state in network.states.values())
    return f"{len(network.layers)} layer{'s' * (len(network.layers) > 1)} ({states})"
