"""Plans of the simple engine: from JSON and back, refused where they are none, part of the digest."""

import json
from dataclasses import fields, replace

import pytest

from qornn_hw.compiler.design import compile_schedule
from qornn_hw.compiler.engines import engine_named
from qornn_hw.compiler.engines.simple.plan import SimplePlan
from qornn_hw.compiler.refit import read_plan
from qornn_hw.sim.stimuli import random_network


@pytest.fixture(scope="module")
def design():
    """Return a design of the engine."""
    network = random_network(seed=3, hidden_size=4, input_size=2, output_size=2)
    return compile_schedule(engine_named("simple").usual_schedule(network, None))


def test_json_gives_the_plan_back(design):
    """Through text, by the name of the engine."""
    plan = design.schedule.plan
    assert read_plan(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(
    "change, message",
    [
        ({"more": 1}, "a plan must have no entry 'more'"),
        ({"digit_bits": "4"}, "digit_bits of a plan must be 0 to"),
        ({"digit_bits": -1}, "digit_bits of a plan must be 0 to"),
        ({"value_depth": 1 << 40}, "value_depth of a plan must be 0 to"),
        ({"one_hot": 1}, "one_hot of a plan must be bool, not 1"),
        ({"layout": 3}, "layout of a plan must be a list, not 3"),
        ({"saturations": [3]}, "saturations of a plan must be a list, not 3"),
        ({"saturations": [[True]]}, "saturations of a plan must be 0 to"),
    ],
)
def test_what_is_no_plan_is_refused(change, message, design):
    """Each entry has its type and its range."""
    with pytest.raises(ValueError, match=message):
        SimplePlan.from_json(design.schedule.plan.to_json() | change)


def test_a_missing_entry_is_refused(design):
    """Its name is in the error."""
    value = design.schedule.plan.to_json()
    del value["one"]
    with pytest.raises(KeyError, match="one"):
        SimplePlan.from_json(value)


def test_every_entry_is_in_the_json(design):
    """A plan with another value of any field has another JSON, which the digest hashes."""
    plan = design.schedule.plan
    for field in fields(plan):
        value = getattr(plan, field.name)
        if isinstance(value, tuple):
            other = (*value, value[-1])
        else:
            other = "x" if isinstance(value, str) else value + 1
        assert replace(plan, **{field.name: other}).to_json() != plan.to_json()
    assert json.dumps(plan.to_json(), sort_keys=True) in json.dumps(design.facts(), sort_keys=True)
