"""Where the numbers of an Elman network are in the memories of the simple engine."""

from collections.abc import Iterator
from dataclasses import replace

from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.engines.simple.schedule import program_of
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.site import Site

__all__ = ["sites"]

_WEIGHTS = {"recurrent_weight": "recurrent", "input_weight": "input", "output_weight": "output"}


def sites(network: IntegerNetwork) -> dict[str, Site]:
    """Return where numbers are, by what they are: where the memories change if the numbers change.

    Numbers whose change makes a program of another shape are left out.
    """
    memories, found = program_of(network).memories, {}
    for name, changed in _changed(network):
        for old, new in zip(memories, program_of(changed).memories, strict=True):
            if old.fields == new.fields and old.depth == new.depth and old.words != new.words:
                found[name] = _first_difference(old, new)
                break
    return found


def _changed(network: IntegerNetwork) -> Iterator[tuple[str, IntegerNetwork]]:
    """Yield networks with other numbers of one kind, of the same bits."""
    for name, kind in _WEIGHTS.items():
        weights = getattr(network, name)
        other = -weights if getattr(network.weight_bits, kind) == 1 else ~weights
        yield name, replace(network, **{name: other})
    yield "bias", replace(network, bias=~network.bias)
    yield "output_bias", replace(network, output_bias=~network.output_bias)
    yield "initial_state", replace(network, initial_state=network.initial_state ^ 1)
    factors = network.multiplier
    mirrored = factors.max() + factors.min() - factors
    if (mirrored == factors).all():
        mirrored = factors ^ 1 if (factors > 1).all() else factors + 1
    yield "multiplier", replace(network, multiplier=mirrored)


def _first_difference(old: Memory, new: Memory) -> Site:
    """Return the highest bit of the field in which the first words that differ do."""
    address = next(k for k, words in enumerate(zip(old.words, new.words, strict=True)) if len({*words}) > 1)
    field = next(f for f in old.fields if old.value(address, f.name) != new.value(address, f.name))
    return Site(old.name, address, field.name, field.bits - 1)
