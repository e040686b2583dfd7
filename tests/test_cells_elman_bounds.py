"""The proved ranges of Elman networks: once for each network, sound, and reached."""

import gc
import weakref
from dataclasses import replace

import numpy as np

from qornn_hw.cells import elman_bounds
from qornn_hw.cells.elman_bounds import accumulator_bounds, elman_ranges, state_range
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.sim.stimuli import random_network


def test_ranges_are_computed_once_for_a_network(monkeypatch):
    """Many questions about one network cost one computation; another network has ranges of its own."""
    counted = []
    known = elman_bounds.value_ranges
    monkeypatch.setattr(elman_bounds, "value_ranges", lambda net: counted.append(net) or known(net))
    net = random_network(seed=3, hidden_size=5, input_size=3, output_size=4)
    for _ in range(3):
        accumulator_bounds(net)
        state_range(net)
        IntegerModel(net)
    assert len(counted) == 1
    wider = replace(net, bias=net.bias + 1000)
    assert accumulator_bounds(wider).state_high.max() > accumulator_bounds(net).state_high.max()
    assert len(counted) == 2


def test_ranges_do_not_keep_a_network():
    """What is known of a network goes with it."""
    net = random_network(seed=4, hidden_size=3, input_size=3, output_size=4)
    elman_ranges(net)
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None


def test_ranges_hold_what_random_inputs_give():
    """Logits and states of random networks stay within their ranges."""
    for seed in range(20):
        net = random_network(seed=seed, hidden_size=6, input_size=3, output_size=4)
        rng = np.random.default_rng(seed)
        shape = (20, 12, net.input_size) if net.vector_input else (20, 12)
        inputs = rng.integers(net.input_format.min, net.input_format.max + 1, shape)
        trace, bounds = IntegerModel(net).run(inputs), accumulator_bounds(net)
        assert np.all((bounds.output_low <= trace.logits) & (trace.logits <= bounds.output_high))
        low, high = state_range(net)
        assert low <= trace.states.min() and trace.states.max() <= high
