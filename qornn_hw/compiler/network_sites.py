"""Where the numbers of a network are in the memories of a core: where these change if the numbers change."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.site import Site
from qornn_hw.ir.network import Network
from qornn_hw.ir.ops import MatVec

__all__ = ["sites"]

_WEIGHTS = {"recurrent_weight": "recurrent", "input_weight": "input", "output_weight": "output"}


def sites(network: AnyNetwork, memories_of: Callable[[AnyNetwork], tuple[Memory, ...]]) -> dict[str, Site]:
    """Return where numbers are, by what they are.

    Numbers whose change makes other memories, or memories of another shape, are left out: with an initial
    state, a Hadamard row is no transform any more.

    Args:
        network: whose numbers.
        memories_of: gives the memories of a network, in one order for all.
    """
    memories, found = memories_of(network), {}
    changes: Iterator[tuple[str, AnyNetwork]]
    changes = _changed(network) if isinstance(network, IntegerNetwork) else _changed_operations(network)
    for name, changed in changes:
        others = memories_of(changed)
        if len(others) != len(memories):
            continue
        for old, new in zip(memories, others, strict=True):
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


def _changed_operations(network: Network) -> Iterator[tuple[str, Network]]:
    """Yield networks with other weights of a term, another bias, and other initial values of a state."""
    for op in network.operations:
        if not isinstance(op, MatVec):
            continue
        for term in op.terms:
            other = term.changed()
            terms = tuple(other if one is term else one for one in op.terms)
            yield f"{op.name}.{term.value}", _with(network, op, replace(op, terms=terms))
        yield f"{op.name}.bias", _with(network, op, replace(op, bias=~op.bias))
    for layer in network.layers:
        for state in layer.states:
            # The highest bit below a sign.
            bit = 1 << max(0, state.format.bits - 2)
            states = tuple(replace(s, initial=s.initial ^ bit) if s is state else s for s in layer.states)
            layers = tuple(replace(one, states=states) if one is layer else one for one in network.layers)
            yield f"{state.name}.initial", replace(network, layers=layers)


def _with(network: Network, old: MatVec, new: MatVec) -> Network:
    """Return a network with another operation in the place of one."""
    if network.readout.logits is old:
        return replace(network, readout=replace(network.readout, logits=new))
    layers = []
    for layer in network.layers:
        groups = (
            replace(group, rows=tuple(new if row is old else row for row in group.rows))
            for group in layer.groups
        )
        layers.append(replace(layer, groups=tuple(groups)))
    return replace(network, layers=tuple(layers))


def _first_difference(old: Memory, new: Memory) -> Site:
    """Return the highest bit that differs in the field in which the first words that differ do."""
    address = next(k for k, words in enumerate(zip(old.words, new.words, strict=True)) if len({*words}) > 1)
    values = ((old.value(address, f.name), new.value(address, f.name), f) for f in old.fields)
    before, after, field = next(found for found in values if found[0] != found[1])
    mask = (1 << field.bits) - 1
    return Site(old.name, address, field.name, ((before ^ after) & mask).bit_length() - 1)
