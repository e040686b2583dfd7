"""A network is refused if a value is missing, named twice, of another size, or read where it may not be."""

import numpy as np
import pytest
from hand_networks import make_stack

from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import Add, Answer, Assign, Factor, MatVec, Requantize, Summand, Term

S4 = IntFormat(4, signed=True)
EYE = np.eye(2, dtype=int)
ZERO = np.zeros(2, dtype=int)


def parts():
    """Return the parts of a good network of two units, for tests to spoil one."""
    return {
        "input": Input("x", InputKind.VECTOR, 2, S4),
        "row": MatVec("a", (Term("x", EYE, 2), Term("h", EYE, 2)), ZERO),
        "tail": (Requantize("q", (Factor("a", ZERO + 1),), 0, S4), Assign("h", "q")),
        "states": (State("h", S4, ZERO),),
        "logits": MatVec("y", (Term("h", EYE, 2),), ZERO),
        "answer": Answer("c", "y", OutputKind.BOTH),
        "front": (),
        "mode": OutputMode.EVERY_STEP,
        "scales": {"y": 1.0},
    }


def make(**changes):
    """Return a network of these parts."""
    p = parts() | changes
    rows = p["row"] if isinstance(p["row"], tuple) else (p["row"],)
    layer = Layer(p["states"], (Group(rows, p["tail"]),))
    readout = Readout(p["logits"], p["answer"], p["mode"], p["front"])
    return Network(p["input"], (layer,), readout, p["scales"])


def test_values():
    """Sizes are those of all values in the order of computation, and the text says what the network is."""
    net = make()
    assert net.sizes == {"x": 2, "h": 2, "a": 2, "q": 2, "y": 2, "c": 1}
    assert [op.name for op in net.operations] == ["a", "q", "h", "y", "c"]
    assert repr(net) == "Network(vector input of 2, 1 layer: h 2 x 4 bits; 2 outputs, every_step)"
    assert repr(make_stack(105).network).startswith("Network(vector input of ")


def plus(name, *values):
    """Return a sum."""
    return Add(name, tuple(Summand(v) for v in values), S4)


ONE_HOT = Input("x", InputKind.ONE_HOT, 2, IntFormat(1, signed=False))


JOINED = "'.', at most 64 characters"
SET_BOTH = (Assign("h", "a"), Assign("x", "a"))
TWICE, LATER = "must be that of one value, not of two", "must be a value that is computed before it"
ONCE, TWO_ROWS = "must be assigned once by its layer", "b must have 2 rows, not 1"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row": MatVec("a", (Term("x", EYE[:, :1], 2),), ZERO)}, "a: x must have 1 entries, not 2"),
        ({"row": MatVec("a", (Term("q", EYE, 2),), ZERO)}, f"a: q {LATER}"),
        ({"row": MatVec("x", (Term("h", EYE, 2),), ZERO)}, f"the name x {TWICE}"),
        ({"row": (parts()["row"], MatVec("b", (Term("h", EYE[:1], 2),), ZERO[:1]))}, TWO_ROWS),
        ({"row": (parts()["row"], MatVec("b", (Term("a", EYE, 2),), ZERO))}, f"b: a {LATER}"),
        ({"input": ONE_HOT}, "a: the term of x must be one-hot"),
        ({"row": MatVec("a", (Term("h", EYE, 2, 0, True),), ZERO)}, "a: the term of h must be not one-hot"),
        ({"tail": (plus("q", "a", "x"), Assign("h", "q"))}, "q: x must be read by a MatVec only"),
        ({"tail": (plus("q", "a", "b"), Assign("h", "q"))}, f"q: b {LATER}"),
        ({"tail": (plus("a", "h"), Assign("h", "a"))}, f"the name a {TWICE}"),
        ({"tail": ()}, f"state h {ONCE}, not 0 times"),
        ({"tail": (Assign("h", "a"), Assign("h", "a"))}, f"state h {ONCE}, not 2 times"),
        ({"tail": (Assign("h", "a"), Assign("a", "h"))}, "a must be a state of the layer to be assigned"),
        (
            {
                "states": (State("h", S4, ZERO), State("x", S4, ZERO)),
                "tail": (Assign("h", "a"), Assign("x", "a")),
            },
            f"the name x {TWICE}",
        ),
        ({"states": (State("h", S4, ZERO[:1]),)}, "a: h must have 2 entries, not 1"),
        ({"tail": (parts()["row"],)}, "a tail must hold element-wise operations, not MatVec"),
        ({"row": ()}, "rows of a group must be one MatVec or more"),
        ({"front": (Assign("h", "q"),)}, "a readout must assign no state"),
        ({"answer": Answer("c", "h", OutputKind.BOTH)}, "the answer must be of y, not h"),
        ({"answer": Answer("c", "y", OutputKind.BOTH, 0)}, "c: y must have 1 entry for a threshold, not 2"),
        ({"mode": "every_step"}, "mode must be every_step or last_step, not 'every_step'"),
        ({"scales": {}}, "scales must hold that of the logits, y"),
        ({"scales": {"y": 1.0, "no": 1.0}}, "scales must be of values of the network, not of 'no'"),
        ({"scales": {"y": -1.0}}, "scale of y must be positive and finite, not -1.0"),
    ],
)
def test_refused(changes, message):
    """Each fault is named in one line."""
    with pytest.raises(FormatError) as error:
        make(**changes)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "x: size must be an integer from 1 to 65536, not 0"),
        ({"format": IntFormat(17, True)}, "x: format.bits must be an integer from 1 to 16, not 17"),
        ({"kind": "vector"}, "x: kind must be one_hot or vector, not 'vector'"),
        (
            {"kind": InputKind.ONE_HOT},
            "x: format of 2 symbols must be 1 bits without sign, not IntFormat(bits=4, signed=True)",
        ),
        ({"scale": 0.0}, "x: scale must be positive and finite, not 0.0"),
        ({"scale": (1.0, 1.0, 1.0)}, "x: scale must be one number or one for each of 2 entries, not 3"),
        ({"offset": float("inf")}, "x: offset must be finite, not inf"),
        (
            {"name": "X"},
            f"input must be small letters, digits and _ in parts joined by {JOINED}, not 'X'",
        ),
    ],
)
def test_inputs(changes, message):
    """Each field of the input out of its rule is named."""
    with pytest.raises(FormatError) as error:
        Input(**({"name": "x", "kind": InputKind.VECTOR, "size": 2, "format": S4} | changes))
    assert str(error.value) == message


def test_one_hot_input():
    """A one-hot input has an index format, one scale and no offset."""
    Input("x", InputKind.ONE_HOT, 5, IntFormat(3, signed=False))
    with pytest.raises(FormatError, match=r"^x: offset of an index must be 0, not 1.0$"):
        Input("x", InputKind.ONE_HOT, 5, IntFormat(3, signed=False), offset=1.0)


def test_states():
    """A state's initial values must be in its format."""
    with pytest.raises(FormatError, match=r"^h: initial must lie in -8 to 7, not 8 at \[0\]$"):
        State("h", S4, np.array([8]))
    with pytest.raises(FormatError, match=r"^h: format.bits must be an integer from 1 to 32, not 33$"):
        State("h", IntFormat(33, True), np.array([8]))


def layered(mode, *, feedback=False, own=False):
    """Return a network of a recurrent layer h, and two layers a and b behind it."""

    def layer(name, terms):
        row = MatVec(f"{name}_sum", tuple(Term(value, EYE, 2) for value in terms), ZERO)
        tail = (Requantize(f"{name}_new", (Factor(row.name, ZERO + 1),), 0, S4), Assign(name, f"{name}_new"))
        return Layer((State(name, S4, ZERO),), (Group((row,), tail),))

    layers = (
        layer("h", ("x", "h", *(["a"] if feedback else []))),
        layer("a", ("h",)),
        layer("b", ("a", *(["b"] if own else []))),
    )
    readout = Readout(MatVec("y", (Term("b", EYE, 2),), ZERO), Answer("c", "y", OutputKind.BOTH), mode)
    return Network(Input("x", InputKind.VECTOR, 2, S4), layers, readout, {"y": 1.0})


@pytest.mark.parametrize(
    ("network", "layers"),
    [
        (layered(OutputMode.LAST_STEP), 1),
        (layered(OutputMode.EVERY_STEP), 3),
        (layered(OutputMode.LAST_STEP, feedback=True), 2),
        (layered(OutputMode.LAST_STEP, own=True), 3),
        (make(mode=OutputMode.LAST_STEP), 1),
    ],
)
def test_layers_that_each_step_must_compute(network, layers):
    """Those behind matter for an answer only: no step reads what an earlier one stored there."""
    assert network.step_layers == layers


def test_a_state_that_another_one_becomes_is_read():
    """A state that is assigned another state's old value makes that state's layer part of each step."""
    both = tuple(State(name, S4, ZERO) for name in ("a", "c"))
    row = MatVec("sum", (Term("h", EYE, 2),), ZERO)
    tail = (Requantize("new", (Factor("sum", ZERO + 1),), 0, S4), Assign("a", "new"), Assign("c", "a"))
    first = layered(OutputMode.LAST_STEP).layers[0]
    readout = Readout(
        MatVec("y", (Term("c", EYE, 2),), ZERO), Answer("d", "y", OutputKind.BOTH), OutputMode.LAST_STEP
    )
    layers = (first, Layer(both, (Group((row,), tail),)))
    network = Network(Input("x", InputKind.VECTOR, 2, S4), layers, readout, {"y": 1.0})
    assert network.step_layers == 2
