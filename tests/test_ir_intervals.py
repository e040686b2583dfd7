"""Ranges hold every value that random networks take, and widths are refused where they must be."""

import numpy as np
import pytest
from hand_cells import CELLS
from hand_networks import make_stack, random_inputs

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.intervals import check_ranges, value_ranges
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import Add, Answer, Assign, Factor, MatVec, Requantize, Summand, Table, Term


def outside(network, ranges, seed, batch=40, steps=12):
    """Return the names of values that leave their ranges in a random run."""
    model = Interpreter(network)
    x = random_inputs(network, batch, steps, seed)
    found = set()
    state = model.initial_state(batch)
    for t in range(steps):
        state, values = model.step(state, x[:, t])
        values["logits"] = model.logits(values)
        for name, array in values.items():
            interval = ranges.values.get(name)
            if interval is not None and not (
                np.all(array >= interval.low) and np.all(array <= interval.high)
            ):
                found.add(name)
    return found


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.__name__)
def test_cells_stay_inside(cell):
    """Every value of every cell stays inside its range."""
    for seed in range(5):
        network = make_stack(seed, [cell]).network
        assert not outside(network, value_ranges(network), seed)


@pytest.mark.parametrize("seed", range(20))
def test_stacks_stay_inside(seed):
    """Every value of a stack stays inside its range."""
    network = make_stack(200 + seed).network
    assert not outside(network, value_ranges(network), seed)


def test_narrow_ranges_are_seen():
    """A range that is smaller than what the values take is found out."""
    network = make_stack(3, [CELLS[0]], largest=20).network
    ranges = value_ranges(network)
    for name in ("layer0.h", "layer0.z", "layer0.nx", "layer0.rq"):
        own = ranges.values[name]
        middle = (own.least + own.most) // 2
        narrow = own.monotone(lambda v, middle=middle: min(v, middle))
        changed = type(ranges)(ranges.values | {name: narrow}, ranges.inner, ranges.assigned)
        assert outside(network, changed, 0) == {name}


def make(tail=(), **changes):
    """Return a network of one accumulator, state h of 4 bits, with this tail."""
    fields = {
        "form": IntFormat(4, signed=True),
        "weight": 7,
        "shift": 0,
        "initial": 0,
        "state": IntFormat(4, signed=True),
    } | changes
    term = Term("x", np.array([[fields["weight"]]]), 4, fields["shift"])
    row = MatVec("a", (term,), np.array([0]))
    state = State("h", fields["state"], np.array([fields["initial"]]))
    layer = Layer((state,), (Group((row,), tuple(tail)),))
    readout = Readout(
        MatVec("y", (Term("h", np.array([[1]]), 2),), np.array([0])),
        Answer("c", "y", OutputKind.LOGITS),
        OutputMode.EVERY_STEP,
    )
    return Network(Input("x", InputKind.VECTOR, 1, fields["form"]), (layer,), readout, {"y": 1.0})


def requantize(name="q", value="a", multiplier=1, shift=0, bits=4, signed=True):
    """Return a requantizer of one unit."""
    return Requantize(name, (Factor(value, np.array([multiplier])),), shift, IntFormat(bits, signed))


def test_state_range():
    """The state's range is what it is assigned for accumulators of any size, and its initial value."""
    saturated = make([requantize(), Assign("h", "q")])
    assert repr(value_ranges(saturated).values["h"]) == "-8..7"
    table = Table("t", "q", np.array([-3, 1, 2, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]))
    looked_up = make([requantize(), table, Assign("h", "t")], initial=5)
    assert repr(value_ranges(looked_up).values["h"]) == "-3..5"
    # The accumulator of 0 cannot reach the ends, which a state's range does not depend on.
    assert repr(value_ranges(make([requantize(), Assign("h", "q")], weight=0)).values["h"]) == "-8..7"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            make([Assign("h", "a")]),
            "a must lie in -8 to 7, the format of h, not in -56 to 49; saturate it to that format",
        ),
        (
            make([requantize(bits=4, signed=False), Assign("h", "q")]),
            "q must lie in -8 to 7, the format of h, not in 0 to 15; saturate it to that format",
        ),
        (
            make([requantize(), Assign("h", "q")], shift=31, form=IntFormat(16, True)),
            "a must fit 48 bits, not 50",
        ),
        (
            make([requantize(bits=5), Table("t", "q", np.zeros(16, int)), Assign("h", "t")]),
            "t: q must lie in -8 to 7, not in -16 to 15; saturate it to that range",
        ),
        (
            make(
                [
                    Add("s", (Summand("a", 31), Summand("a", 31)), IntFormat(40, True)),
                    Add("r", (Summand("s", 31),), IntFormat(4, True)),
                    Assign("h", "r"),
                ],
                form=IntFormat(16, True),
            ),
            "r: the sum must fit 64 bits, not 71",
        ),
    ],
)
def test_refused(network, message):
    """A value beyond its width, its state or its table is refused, and so is an interpreter of it."""
    with pytest.raises(FormatError) as error:
        check_ranges(network, value_ranges(network))
    assert str(error.value) == message
    with pytest.raises(FormatError):
        Interpreter(network)
