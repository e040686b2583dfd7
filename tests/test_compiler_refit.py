"""Plans that come from a file, and other networks in the hardware of a plan, whatever the engine."""

import json

import pytest

from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.engines import NAMES
from qornn_hw.compiler.refit import check_plan, read_plan, refit
from qornn_hw.errors import FormatError
from qornn_hw.sim.stimuli import random_network

NETWORK = random_network(seed=1, hidden_size=5, input_size=2, output_size=2)
PLANS = {name: compile_network(NETWORK, elements=2, engine=name).schedule.plan for name in ("lut", "dsp")}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_read_as_it_was_written(name):
    """The engine of its name reads a plan, and the network that it was made for has the same hardware."""
    plan = read_plan(json.loads(json.dumps(PLANS[name].to_json())))
    assert plan == PLANS[name]
    check_plan(plan, NETWORK)
    assert refit(plan, NETWORK, NETWORK).digest == compile_network(NETWORK, elements=2, engine=name).digest


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (7, r"^engine of a plan must be a text, not 7$"),
        ("os", rf"^engine must be {' or '.join(NAMES)}, not 'os'$"),
    ],
)
def test_a_plan_of_no_engine_is_refused(engine, message):
    """The name is looked up among the engines before anything is imported."""
    with pytest.raises(ValueError, match=message):
        read_plan(PLANS["lut"].to_json() | {"engine": engine})


def test_a_plan_of_another_engine_is_no_plan_of_this_network():
    """The dsp engine has one column an element: the shape of a lut chain is refused by its check."""
    chain = compile_network(NETWORK, elements=2, columns_per_element=2).schedule.plan
    plan = read_plan(json.loads(json.dumps(chain.to_json())) | {"engine": "dsp"})
    with pytest.raises(FormatError, match=r"^columns_per_element of the dsp engine must be 1, not 2$"):
        check_plan(plan, NETWORK)
