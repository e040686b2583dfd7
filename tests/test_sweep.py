"""Configurations that cover every pair of settings; benchmarks/sweep.py runs all of them."""

from itertools import combinations, product

import pytest

from qornn_hw.sim.sweep import SETTINGS, configurations, simulate_configuration

SMALL = [c for c in configurations() if c.hidden_size <= 3 or (c.hidden_size <= 17 and c.passes > 1)]


def test_every_pair_of_settings_is_covered():
    """Any value of any setting meets any value of any other setting in some configuration."""
    met = {
        (a, getattr(c, a), b, getattr(c, b)) for c in configurations() for a, b in combinations(SETTINGS, 2)
    }
    wanted = {
        (a, va, b, vb) for a, b in combinations(SETTINGS, 2) for va, vb in product(SETTINGS[a], SETTINGS[b])
    }
    assert met == wanted
    assert 60 <= len(configurations()) <= 120


def test_every_configuration_compiles():
    """There is a lively network and a chain for each."""
    for configuration in configurations():
        design = configuration.compile()
        assert design.schedule.placement.passes >= 1


@pytest.mark.sampled(12)
@pytest.mark.parametrize("configuration", SMALL, ids=lambda c: f"{configurations().index(c)}")
def test_small_configurations_equal_the_model(configuration):
    """Every integer of every small configuration is right."""
    assert simulate_configuration(configuration, steps=4).integers_compared > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "configuration",
    [c for c in configurations() if c not in SMALL],
    ids=lambda c: f"{configurations().index(c)}",
)
def test_other_configurations_equal_the_model(configuration):
    """Every integer of every other configuration is right."""
    assert simulate_configuration(configuration).integers_compared > 0
