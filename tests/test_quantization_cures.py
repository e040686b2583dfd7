"""Cures: what is tried in which order, and what is made of the results."""

from dataclasses import replace

import numpy as np
import pytest
from networks import make_network

from qornn_hw.cells.elman_network import Activation, OutputKind, WeightBits
from qornn_hw.ir.formats import IntFormat
from qornn_hw.quantization.cures import candidate_changes, find_cure
from qornn_hw.quantization.quality import quality_of


def report(relrms=0.5, agreement=0.8, ends=0.0, clipped=0, **changes):
    """Return a report of a network of 3 units with the given figures."""
    network = make_network(**changes)
    found = quality_of(network, np.ones((2, 3, 2)), np.random.default_rng(0).normal(size=(2, 3, 2)))
    return replace(
        found,
        relrms=relrms,
        agreement=agreement,
        ends_by_unit=np.full(3, ends),
        clipped=np.array([clipped, 0]),
        entries=100,
    )


@pytest.mark.parametrize(
    "quality, options, first, absent",
    [
        (report(), {}, {"weight_bits": 6}, "input_scale"),
        (report(ends=0.3, activation=Activation.RELU), {}, {"state_bits": 10}, "input_scale"),
        (report(clipped=50), {"input_scale": 0.1}, {"input_bits": 8}, None),
        (report(), {"already_quantized": True}, {"state_bits": 10}, "weight_bits"),
        (report(), {"weight_steps": (1, 1, 1)}, {"state_bits": 10}, "per_row"),
        (report(), {"weight_bits": 8}, {"per_row": True}, "weight_bits"),
        (report(), {"per_row": True}, {"weight_bits": 6}, "per_row"),
        (report(), {"weight_bits": WeightBits(4, 8, 6)}, {"weight_bits": WeightBits(6, 8, 6)}, None),
        (report(input_format=IntFormat(16, signed=True)), {}, {"weight_bits": 6}, "input_bits"),
        (report(state_bits=16), {}, {"weight_bits": 6}, "state_bits"),
    ],
)
def test_order_of_the_changes(quality, options, first, absent):
    """The likely reason comes first, and what the options exclude is not tried."""
    changes = candidate_changes(quality, options)
    assert changes[0] == first
    assert not any(absent in change for change in changes)


def search(table, start=None, options=None):
    """Return the cure of a table from changes, as frozen sets, to (relrms, agreement), and what was tried."""
    tried = []

    def attempt(changes, quick):
        tried.append((dict(changes), quick))
        found = table.get(frozenset(changes.items()), (0.5, 0.8))
        return None if found is None else report(*found)

    return find_cure(start or report(), options or {}, attempt), tried


def key(**changes):
    """Return changes as a key of a table."""
    return frozenset(changes.items())


def test_the_first_that_is_enough_is_taken():
    """A change that is enough ends the search; it is measured again on all inputs."""
    cure, tried = search({key(weight_bits=8): (0.05, 0.99)})
    assert (cure.options, cure.relrms, cure.agreement, cure.enough) == ({"weight_bits": 8}, 0.05, 0.99, True)
    assert tried == [({"weight_bits": 6}, True), ({"weight_bits": 8}, True), ({"weight_bits": 8}, False)]


def test_changes_add_up():
    """If none is enough alone, the best is kept and the others are tried on top of it."""
    cure, _ = search({key(state_bits=12): (0.3, 0.9), key(state_bits=12, weight_bits=8): (0.1, 0.99)})
    assert cure.options == {"state_bits": 12, "weight_bits": 8} and cure.enough


def test_superfluous_changes_are_taken_out():
    """A change that only looked useful on the way is not part of the cure."""
    cure, _ = search(
        {
            key(per_row=True): (0.4, 0.88),
            key(per_row=True, state_bits=12): (0.3, 0.9),
            key(per_row=True, state_bits=12, weight_bits=8): (0.1, 0.99),
            key(state_bits=12, weight_bits=8): (0.1, 0.985),
        }
    )
    assert cure.options == {"state_bits": 12, "weight_bits": 8}
    assert cure.agreement == 0.985


def test_the_best_that_is_not_enough_is_told_as_such():
    """A change that helps without being enough is no cure, and says so."""
    cure, _ = search({key(state_bits=16): (0.3, 0.9)})
    assert cure.options == {"state_bits": 16} and not cure.enough
    assert "the best that was tried" in str(cure)


def test_nothing_helps():
    """Changes that make hardly a difference, or cannot be, are not recommended."""
    cure, tried = search({key(weight_bits=6): None, key(state_bits=10): (0.49, 0.805)})
    assert cure.options == {} and not cure.enough
    assert all(quick for _, quick in tried)


def test_logits_are_judged_by_relrms_alone():
    """If no argmax is answered, agreement plays no part in the search."""

    def attempt(changes, quick):
        good = changes == {"state_bits": 12}
        return report(0.1 if good else 0.4, 0.5, output_kind=OutputKind.LOGITS)

    cure = find_cure(report(0.5, 0.5, output_kind=OutputKind.LOGITS), {"weight_bits": 8}, attempt)
    assert cure.options == {"state_bits": 12} and cure.enough


def test_a_cure_of_a_part_is_checked_on_all():
    """The figures of all inputs are told, also if they are worse than those of the part."""

    def attempt(changes, quick):
        return report(0.05, 0.99) if quick else report(0.3, 0.9)

    cure = find_cure(report(), {}, attempt)
    assert cure.options and not cure.enough and cure.agreement == 0.9


@pytest.mark.parametrize(
    "near, enough",
    [((0.21, 0.99), (0.19, 0.99)), ((0.05, 0.955), (0.05, 0.965)), ((0.249, 0.951), (0.199, 0.961))],
)
def test_a_cure_keeps_a_margin_from_the_limits(near, enough):
    """A change that is good on a part of the inputs by less than a fifth of the limits is searched beyond."""
    cure, tried = search({key(weight_bits=6): near, key(weight_bits=8): enough})
    assert cure.options == {"weight_bits": 8} and cure.enough
    assert ({"weight_bits": 6}, True) in tried
