"""The plan of the tile engine: JSON there and back, what changes it, what is no plan."""

import json
from dataclasses import replace

import pytest
from hand_networks import make_stack
from tile_designs import ENGINE, quantized_cells

from qornn_hw.compiler.engines.tile.layout import Shape, layout_of
from qornn_hw.compiler.engines.tile.plan import TilePlan, shape_of

GRU = quantized_cells([("gru", 5)], 3)
SHAPE = Shape(columns=2, lanes=6, interval=3, multipliers=3)
PLAN = TilePlan.of("tile", layout_of(GRU, SHAPE))


def test_there_and_back():
    """As text, for networks of all kinds."""
    for network in (GRU, *(make_stack(seed).network for seed in range(6))):
        plan = TilePlan.of("tile", layout_of(network, Shape(2, 12, 4, 4)))
        assert TilePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
    assert shape_of(PLAN) == SHAPE


def test_another_network_has_another_plan_if_its_hardware_differs():
    """Weights of the same bits are in memories; sizes, formats, shifts and the shape are in the plan."""
    layer = GRU.layers[0]
    group = layer.groups[0]
    row = group.rows[0]
    term = replace(row.terms[0], weights=row.terms[0].weights[::-1].copy())
    rows = (replace(row, terms=(term,)), *group.rows[1:])
    same = replace(GRU, layers=(replace(layer, groups=(replace(group, rows=rows),)),))
    assert TilePlan.of("tile", layout_of(same, SHAPE)).hardware[0][0][:3] == PLAN.hardware[0][0][:3]
    for other in (quantized_cells([("gru", 6)], 3), quantized_cells([("gru", 5)], 3, state_bits=7)):
        assert TilePlan.of("tile", layout_of(other, SHAPE)) != PLAN
    for change in ({"columns": 4}, {"lanes": 9}, {"interval": 4}, {"banks": 1}):
        assert TilePlan.of("tile", layout_of(GRU, replace(SHAPE, **change))) != PLAN


def changed(**entries):
    """Return the plan as data with other entries."""
    return PLAN.to_json() | entries


def nested(depth):
    """Return a list in lists."""
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    "value, message",
    [
        (changed(more=1), "^a plan must have no entry 'more'$"),
        (changed(engine=3), "^engine of a plan must be str, not 3$"),
        (changed(columns=-1), "^columns of a plan must be 0 to 65536, not -1$"),
        (changed(lanes=1 << 17), "^lanes of a plan must be 0 to 65536"),
        (changed(interval=True), "^interval of a plan must be 0 to 65536, not True$"),
        (changed(hardware="all"), "^hardware of a plan must be a list, not 'all'$"),
        (changed(hardware=[1.5]), r"^hardware of a plan must hold integers and names, not 1\.5$"),
        (changed(hardware=[True]), "must hold integers and names, not True$"),
        (changed(hardware=[1 << 70]), "must hold integers of 62 bits"),
        (changed(hardware=nested(20)), "must not be nested or long"),
        (changed(hardware=[0] * ((1 << 16) + 1)), "must not be nested or long"),
    ],
)
def test_what_is_no_plan(value, message):
    """Entries of other names, types and sizes."""
    with pytest.raises(ValueError, match=message):
        TilePlan.from_json(value)


def test_a_missing_entry():
    """Each is needed."""
    for name in PLAN.to_json():
        value = PLAN.to_json()
        del value[name]
        with pytest.raises(KeyError):
            TilePlan.from_json(value)


def test_the_engine_reads_and_checks_a_plan():
    """Of the network, and of no other one."""
    found = ENGINE.read_plan(PLAN.to_json())
    ENGINE.check_plan(found, GRU)
    with pytest.raises(ValueError, match=r"^the plan must be that of the network's stages$"):
        ENGINE.check_plan(found, quantized_cells([("gru", 6)], 3))
    for change, message in (
        ({"lanes": 1}, "lanes must be at least 3"),
        ({"lanes": 65536}, "lanes must be 1 to 256"),
        ({"interval": 0}, "interval must be 1 to 8"),
        ({"columns": 3}, "columns must be one of"),
        ({"banks": 9}, "banks must be at most 3"),
    ):
        with pytest.raises(ValueError, match=message):
            ENGINE.check_plan(replace(found, **change), GRU)
