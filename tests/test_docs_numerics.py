"""The worked numbers of docs/numerics.md: computed here, and looked up in the text."""

from pathlib import Path

import numpy as np
import pytest
from hand_cells import TANH

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import (
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    Scales,
    WeightBits,
)
from qornn_hw.ir.formats import IntFormat, Rounding, round_shift
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import (
    OPERATIONS,
    Add,
    Answer,
    Assign,
    Diagonal,
    Factor,
    HadamardTerm,
    MatVec,
    ModRelu,
    Multiply,
    PiecewiseLinear,
    Requantize,
    Summand,
    Table,
    Term,
)

TEXT = (Path(__file__).parents[1] / "docs" / "numerics.md").read_text()
S4, S8, S9, S10, S12 = (IntFormat(bits, signed=True) for bits in (4, 8, 9, 10, 12))


def of(op, *values):
    """Return the one result of an operation on one unit."""
    return op.evaluate(*(np.array([[v]]) for v in values)).item()


def test_every_operation_has_a_section():
    """The registry and the sections name the same operations."""
    sections = [line.split("`")[1] for line in TEXT.splitlines() if line.startswith("### 3.")]
    assert sections == list(OPERATIONS)


@pytest.mark.parametrize(
    ("rounding", "row"),
    [(Rounding.HALF_UP, "half up"), (Rounding.HALF_EVEN, "half even")],
)
def test_tie_rules(rounding, row):
    """The two tie rules give the table's rows."""
    numbers = " | ".join(str(round_shift(v, 2, rounding)) for v in (-6, -5, -2, 2, 5, 6))
    assert f"| {row} | {numbers} |" in TEXT


def test_mat_vec():
    """Two terms, one of them shifted; a one-hot term and an index past its columns."""
    op = MatVec("a", (Term("g", np.array([[2, -3]]), 4), Term("x", np.array([[1, -2]]), 4, 1)), np.array([1]))
    found = op.evaluate(np.array([[1, 3]]), np.array([[3, 1]])).item()
    assert f"-7 + (1 << 1) + 1 = {found} |" in TEXT
    op = MatVec("a", (Term("x", np.array([[7, -8]]), 4, 2, one_hot=True),), np.array([5]))
    zero, one, three = (op.evaluate(np.array([x])).item() for x in (0, 1, 3))
    assert f"x = 0 gives {zero}, x = 1 gives {one}, x = 3 gives {three} |" in TEXT


@pytest.mark.parametrize("block", [4, 2])
def test_hadamard_term(block):
    """Signs and blocks, by butterflies and by the formula of the entries."""
    signs = np.array([1, -1, 1, 1])
    op = MatVec("a", (HadamardTerm("h", signs, block, shift=1),), np.zeros(4, dtype=np.int64))
    found = op.evaluate(np.array([[5, 3, -2, 1]]))[0].tolist()
    head = "signs (1, -1, 1, 1), block 4, value (5, 3, -2, 1), shift 1, bias 0:" if block == 4 else "block 2:"
    assert f"{head} ({', '.join(map(str, found))}) |" in TEXT
    entries = [
        [
            int(signs[i]) * (-1) ** (i % block & j % block).bit_count() * (i // block == j // block)
            for j in range(4)
        ]
        for i in range(4)
    ]
    assert op.terms[0].weights.tolist() == entries


def test_diagonal():
    """A unit's own weight."""
    op = Diagonal("s", "a", "g", np.array([100]), 8, 1)
    assert f"7 + (-300 << 1) = {of(op, 7, -3)} |" in TEXT


def test_requantize():
    """One factor, and two with a bias and ties to even."""
    op = Requantize("q", (Factor("a", np.array([77])),), 9, S8)
    assert (
        f"100 gives (7700 + 256) >> 9 = {of(op, 100)}; -5000 gives -752, saturated {of(op, -5000)} |" in TEXT
    )
    wide = Requantize("q", op.factors, 9, S12)
    assert of(wide, -5000) == -752
    factors = Factor("a", np.array([3])), Factor("b", np.array([-2]))
    op = Requantize("q", factors, 2, S4, Rounding.HALF_EVEN, np.array([5]))
    first, second = of(op, 7, 10), of(op, 3, 2)
    text = f"(7, 10) gives 6 / 4 = 1.5, rounded {first}; (3, 2) gives 10 / 4 = 2.5, rounded {second} |"
    assert text in TEXT


def test_table():
    """The table is read at the index plus half its size."""
    table = np.array([-7, -6, -5, -3, 0, 3, 5, 6])
    plain = [of(Table("t", "q", table), q) for q in (-4, 0, 3)]
    more = ", ".join(str(of(Table("t", "q", table, offset=8), q)) for q in (-4, 0, 3))
    assert f"-4 gives {plain[0]}, 0 gives {plain[1]}, 3 gives {plain[2]}; with offset 8: {more} |" in TEXT


def test_piecewise_linear():
    """A piece ends below its knot; ties go up."""
    op = PiecewiseLinear(
        "f", "v", np.array([-4, 6]), np.array([0, 3, 1]), np.array([0, 1, 0]), np.array([-24, 0, 33]), 2, S8
    )
    low, knot, tie, last = (of(op, v) for v in (-5, -4, 3, 6))
    text = (
        f"-5 gives -24 / 4 = {low}; -4 gives -24 / 4 = {knot}; 3 gives 18 / 4 = 4.5, rounded {tie}; "
        f"6 gives 39 / 4 = 9.75, rounded {last} |"
    )
    assert text in TEXT


def test_modrelu():
    """Modrelu shrinks or stretches toward its sign and leaves zero alone."""
    short, long = (
        tuple(of(ModRelu("f", "z", np.array([bias])), v) for v in (-5, -2, 0, 2, 5)) for bias in (-3, 2)
    )
    assert f"bias -3: (-5, -2, 0, 2, 5) gives {short}; bias 2: {long} |" in TEXT


def test_multiply_and_add():
    """Products and sums are rounded once, then saturated."""
    op = Multiply("p", "a", "b", 8, S8)
    text = f"200 and -128 give (-25600 + 128) >> 8 = {of(op, 200, -128)}; 255 and 129 give 128, saturated "
    assert f"{text}{of(op, 255, 129)} |" in TEXT
    op = Add("s", (Summand("a"), Summand("b", 1, negative=True)), S4, 3, 1)
    text = f"a = 2, b = 5 gives -5 / 2 = -2.5, rounded {of(op, 2, 5)}; a = 2, b = -9 gives 23 / 2 = 11.5, "
    assert f"{text}saturated {of(op, 2, -9)} |" in TEXT


def test_answer():
    """The lowest of equal logits; a threshold."""
    found = Answer("c", "y", OutputKind.BOTH).evaluate(np.array([[1, 5, 5]])).item()
    op = Answer("c", "y", OutputKind.BOTH, threshold=10)
    text = f"class {found}; one logit with threshold 10: 10 gives {of(op, 10)}, 11 gives {of(op, 11)} |"
    assert text in TEXT


def elman():
    """Return the Elman network of the worked numbers."""
    return IntegerNetwork(
        activation=Activation.RELU,
        recurrent_weight=np.array([[2, -3], [1, 4]]),
        input_weight=np.array([[1, -2], [3, 0]]),
        output_weight=np.array([[1, -1], [2, 1]]),
        bias=np.array([1, -2]),
        output_bias=np.array([0, 5]),
        weight_bits=WeightBits(4, 4, 4),
        state_bits=4,
        input_kind=InputKind.VECTOR,
        input_format=IntFormat(2, signed=False),
        input_shift=1,
        multiplier=np.array([3, 3]),
        shift=3,
        rounding=Rounding.HALF_UP,
        initial_state=np.array([0, 3]),
        output_mode=OutputMode.EVERY_STEP,
        output_kind=OutputKind.BOTH,
        scales=Scales(1.0, 1.0, 1.0, 1.0),
    )


def test_elman():
    """The table of the Elman network comes out: accumulators, states, logits, ranges."""
    model = IntegerModel(elman())
    net, g = model.network, model.initial_state(1)
    for number, x in ((1, [3, 1]), (2, [0, 2])):
        step = model.step(g, np.array([x]))
        for i in range(2):
            w, u = int(net.recurrent_weight[i] @ g[0]), int(net.input_weight[i] @ x)
            z, f = int(step.accumulator[0, i]), int(step.activated[0, i])
            new, q = int(step.state[0, i]), (3 * f + 4) >> 3
            row = next(
                line.split(" | ") for line in TEXT.splitlines() if line.startswith(f"| {number} | {i} | ")
            )
            assert row[2:4] == [str(w), str(u)] and row[4].endswith(f" = {z}")
            assert row[5:8] == [str(f), str(3 * f), str(q)]
            assert row[8] == (f"{new} |" if q == new else f"{new} (saturated) |")
        if number == 1:
            logits = tuple(model.logits(step.state)[0].tolist())
            assert f"= {logits}`, argmax {int(np.argmax(logits))}." in TEXT
        g = step.state
    values = model.interpreter.ranges.values
    z, y = values["accumulator"], values["logits"]
    z_text, y_text = (
        " and ".join(f"{low} .. {high}" for low, high in zip(one.low, one.high, strict=True))
        for one in (z, y)
    )
    text = " ".join(TEXT.split())
    assert f"The accumulators lie in {z_text} by section 7 (g in 0 .. 7), the logits in {y_text}." in text


def gru():
    """Return the GRU of the worked numbers."""
    w, u = {"r": 3, "z": -2, "n": 5}, {"r": -4, "z": 6, "n": 2}
    factors = {"x": 9000, "h": 400}
    biases = {"r": 50000, "z": -90000, "n": 20000, "q": -30000, "0": 0}
    one = {name: np.array([value]) for name, value in (factors | biases).items()}

    def row(name, value, weight):
        return MatVec(name, (Term(value, np.array([[weight]]), 4),), one["0"])

    rows = [row(f"{g}x", "x", w[g]) for g in "rzn"] + [row(f"{g}h", "h", u[g]) for g in "rzn"]
    tail = []
    for g in "rz":
        sums = Factor(f"{g}x", one["x"]), Factor(f"{g}h", one["h"])
        tail += [Requantize(f"{g}i", sums, 16, S8, bias=one[g]), Table(g, f"{g}i", TANH, offset=128)]
    tail += [
        Requantize("q", (Factor("nh", one["h"]),), 16, S9, bias=one["q"]),
        Requantize("p", (Factor("nx", one["x"]),), 16, S12, bias=one["n"]),
        Multiply("rq", "r", "q", 8, S12),
        Add("v", (Summand("rq"), Summand("p")), S8),
        Table("n", "v", TANH),
        Add("d", (Summand("h"), Summand("n", negative=True)), S9),
        Multiply("zd", "z", "d", 8, S10),
        Add("new", (Summand("n"), Summand("zd")), S8),
        Assign("h", "new"),
    ]
    layer = Layer((State("h", S8, np.array([-20])),), (Group(tuple(rows), tuple(tail)),))
    readout = Readout(row("y", "h", 1), Answer("c", "y", OutputKind.LOGITS), OutputMode.EVERY_STEP)
    return Network(Input("x", InputKind.VECTOR, 1, S4), (layer,), readout, {"y": 1.0})


def test_gru():
    """Every value of three steps is in the table."""
    model = Interpreter(gru())
    state = model.initial_state(1)
    names = ["ri", "zi", "r", "z", "q", "p", "rq", "v", "n", "d", "zd"]
    for number, x in ((1, 7), (2, -8), (3, 2)):
        before = state["h"].item()
        state, values = model.step(state, np.array([[x]]))
        numbers = [number, x, before, *(values[name].item() for name in names), state["h"].item()]
        row = " | ".join(str(n) for n in numbers)
        assert f"| {row} |" in TEXT, row
