"""Which change of an export's options mends a bad integer network: found by trying, never guessed.

Options are tried one at a time, those first that fit what the report shows (clipped inputs: the input's
bits; saturated states: the state's). If none is enough alone, the best one is kept and the others are
tried on top of it. An option that the result does not need is taken out again, and the rest is measured once
more on all inputs.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from qornn_hw.cells.elman_network import IntegerNetwork, WeightBits
from qornn_hw.quantization.quality import AGREEMENT_LEAST, RELRMS_MOST, Cure, Quality

__all__ = ["Attempt", "candidate_changes", "find_cure"]

Attempt = Callable[[Mapping[str, Any], bool], Quality | None]
"""From changed options, and whether a part of the inputs will do, to the report; None if they cannot be."""

_STATE_BITS = (10, 12, 16)
_INPUT_BITS = (8, 10, 12, 16)
_WEIGHT_BITS = (6, 8)
_ROUNDS = 3
# A change is kept if it takes this part of the error away, at least.
_GAIN = 0.1
# The part of the limits that a trial must meet, so that it is enough on all inputs, too.
_MARGIN = 0.8
# A share of saturated states above that which calibration saturates on purpose.
_RARE = 0.01


def candidate_changes(quality: Quality, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return single changes of an export's options, in the order in which they are tried.

    Args:
        quality: the report of the network that the options made.
        options: the options of the export; a name that is absent has its default.
    """
    net = quality.network
    states = [{"state_bits": bits} for bits in _STATE_BITS if bits > net.state_bits]
    inputs: list[dict[str, Any]] = []
    if net.vector_input:
        inputs = [{"input_bits": bits} for bits in _INPUT_BITS if bits > net.input_format.bits]
        if options.get("input_scale") is not None:
            inputs.append({"input_scale": None})
    weights: list[dict[str, Any]] = []
    if not options.get("already_quantized") and options.get("weight_steps") is None:
        weights = [{"weight_bits": bits} for bits in _wider_weights(net, options)]
        if not options.get("per_row"):
            weights.append({"per_row": True})
    groups = [weights, states, inputs]
    if quality.clipped.any():
        groups = [inputs, states, weights]
    elif quality.saturating and quality.ends_share > _RARE:
        groups = [states, inputs, weights]
    return [change for group in groups for change in group]


def _wider_weights(network: IntegerNetwork, options: Mapping[str, Any]) -> list[Any]:
    given = options.get("weight_bits")
    bits = network.weight_bits
    if not isinstance(given, WeightBits):
        # Columns of a one-hot input have bits of their own.
        now = int(given) if given is not None else bits.recurrent
        return [wider for wider in _WEIGHT_BITS if wider > now]
    apart = dataclasses.asdict(given)
    return [
        WeightBits(**{name: max(old, wider) for name, old in apart.items()})
        for wider in _WEIGHT_BITS
        if wider > min(apart.values())
    ]


def _error(quality: Quality) -> float:
    """Return the worse of the two errors, each over its limit."""
    relrms = 0.0 if quality.relrms is None else quality.relrms / RELRMS_MOST
    if not quality.network.output_kind.has_argmax:
        return relrms
    return max(relrms, (1 - quality.agreement) / (1 - AGREEMENT_LEAST))


def _enough(quality: Quality) -> bool:
    return not quality.bad and _error(quality) <= _MARGIN


def find_cure(quality: Quality, options: Mapping[str, Any], attempt: Attempt) -> Cure:
    """Try changes of an export's options on a bad network and return what helps.

    Args:
        quality: the report of the network that the options made.
        options: these options.
        attempt: exports with changed options and measures the network.
    """
    changes, found = _search(quality, options, attempt)
    whole = attempt(changes, False) if changes else None
    if found is None or whole is None:
        return Cure({}, quality.relrms, quality.agreement, enough=False)
    return Cure(changes, whole.relrms, whole.agreement, enough=not whole.bad)


def _search(
    quality: Quality, options: Mapping[str, Any], attempt: Attempt
) -> tuple[dict[str, Any], Quality | None]:
    """Return changes and the report of a part of the inputs; None where nothing helped."""
    changes: dict[str, Any] = {}
    best: Quality | None = None
    error = _error(quality)
    for _ in range(_ROUNDS):
        tried: list[tuple[dict[str, Any], Quality]] = []
        for change in candidate_changes(best or quality, {**options, **changes}):
            both = {**changes, **change}
            found = attempt(both, True)
            if found is None:
                continue
            if _enough(found):
                return _pruned(both, found, attempt)
            tried.append((both, found))
        if not tried:
            break
        both, found = min(tried, key=lambda pair: _error(pair[1]))
        if _error(found) > (1 - _GAIN) * error:
            break
        changes, best, error = both, found, _error(found)
    return changes, best


def _pruned(changes: dict[str, Any], quality: Quality, attempt: Attempt) -> tuple[dict[str, Any], Quality]:
    """Return the changes without those that are not needed."""
    for name in list(changes)[:-1]:
        fewer = {key: value for key, value in changes.items() if key != name}
        found = attempt(fewer, True)
        if found is not None and _enough(found):
            changes, quality = fewer, found
    return changes, quality
