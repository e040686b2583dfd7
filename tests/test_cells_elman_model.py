"""The golden model against plain Python integers."""

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_bounds import accumulator_bounds
from qornn_hw.cells.elman_model import IntegerModel, exact_float
from qornn_hw.cells.elman_network import Activation, OutputMode, WeightBits
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding, requantize

TABLE = np.round(127 * np.tanh(np.arange(-32, 32) / 16)).astype(int)


def step_in_python(net, g, x):
    """Compute one step with Python integers and loops, straight from docs/numerics.md."""
    new = []
    for i in range(net.hidden_size):
        if net.vector_input:
            drive = sum(int(net.input_weight[i, j]) * int(x[j]) for j in range(net.input_size))
        else:
            drive = int(net.input_weight[i, x]) if x < net.input_size else 0
        z = sum(int(net.recurrent_weight[i, j]) * g[j] for j in range(net.hidden_size))
        z += drive << net.input_shift
        b = int(net.bias[i])
        if net.activation == "modrelu":
            f = (z > 0) * max(abs(z) + b, 0) - (z < 0) * max(abs(z) + b, 0)
        else:
            f = max(z + b, 0) if net.activation == "relu" else z + b
        q = requantize(f, int(net.multiplier[i]), net.shift, net.index_bits, net.rounding)
        new.append(int(net.table[q + len(net.table) // 2]) if net.table is not None else q)
    return new


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("activation", [a for a in Activation if not a.shape.pieces])
def test_states_and_logits(activation, one_hot, rounding):
    """Every state, logit and argmax of random sequences is that of plain Python integers."""
    changes = one_hot_fields(5) if one_hot else {}
    changes["table"] = TABLE if activation is Activation.TANH else None
    net = make_network(n=6, m=5, p=4, activation=activation, rounding=rounding, **changes)
    rng = np.random.default_rng(1)
    x = rng.integers(0, 8 if one_hot else 16, (3, 9) if one_hot else (3, 9, 5))
    trace = IntegerModel(net).run(x)
    for b in range(3):
        g = net.initial_state.tolist()
        for t in range(9):
            g = step_in_python(net, g, x[b, t])
            y = [
                sum(int(v) * s for v, s in zip(row, g, strict=True)) + int(c)
                for row, c in zip(net.output_weight, net.output_bias, strict=True)
            ]
            assert trace.states[b, t].tolist() == g
            assert trace.logits[b, t].tolist() == y
            assert trace.argmax[b, t] == y.index(max(y))


def test_last_step_mode_answers_once():
    """In last-step mode there is one answer, that of the last state."""
    every, last = (make_network(output_mode=mode) for mode in (OutputMode.EVERY_STEP, OutputMode.LAST_STEP))
    x = np.arange(12).reshape(1, 6, 2)
    assert IntegerModel(last).run(x).logits.tolist() == IntegerModel(every).run(x).logits[:, -1:].tolist()


def test_argmax_takes_the_lowest_of_equals():
    """Equal logits give the lowest index."""
    net = make_network(output_weight=np.zeros((4, 3), int), output_bias=np.array([1, 5, 5, 2]), p=4)
    assert IntegerModel(net).run(np.zeros((1, 1, 2), int)).argmax.tolist() == [[1]]


def test_a_sequence_can_go_on():
    """Running in two parts with the state handed over equals running in one."""
    model = IntegerModel(make_network())
    x = np.random.default_rng(0).integers(0, 16, (2, 10, 2))
    whole = model.run(x)
    first = model.run(x[:, :4])
    second = model.run(x[:, 4:], initial_state=first.states[:, -1])
    assert np.array_equal(np.concatenate([first.states, second.states], axis=1), whole.states)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((1, 3), int), "inputs must have shape (batch, steps, 2), not (1, 3)"),
        (np.zeros((1, 3, 4), int), "inputs must have shape (batch, steps, 2), not (1, 3, 4)"),
        (np.zeros((1, 0, 2), int), "inputs must have shape (batch, steps, 2), not (1, 0, 2)"),
        (np.zeros((1, 3, 2)), "inputs must be integers, not float64"),
        (np.full((1, 3, 2), 16), "inputs must lie in 0 to 15, not 16 to 16"),
    ],
)
def test_inputs_are_checked(inputs, message):
    """Inputs of another shape, type or range are refused."""
    with pytest.raises(FormatError) as error:
        IntegerModel(make_network()).run(inputs)
    assert str(error.value) == message


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("activation", [Activation.IDENTITY, Activation.RELU, Activation.MODRELU])
def test_bounds_are_reached_and_never_passed(activation, one_hot):
    """Over all states and inputs of a small network the accumulators just fill their proven range."""
    changes = one_hot_fields(2) if one_hot else {}
    net = make_network(
        n=2, m=2, p=1, activation=activation, state_bits=4, initial_state=np.array([0, 3]), **changes
    )
    low = 0 if activation is Activation.RELU else -8
    states = np.stack(np.meshgrid(range(low, 8), range(low, 8)), axis=-1).reshape(-1, 2)
    inputs = np.array([0, 1, 1]) if one_hot else np.stack(np.meshgrid([0, 15], [0, 15]), -1).reshape(-1, 2)
    model, bounds = IntegerModel(net), accumulator_bounds(net)
    seen = np.concatenate(
        [
            model.step(
                states, np.tile(x, (len(states), 1))[:, 0] if one_hot else np.tile(x, (len(states), 1))
            ).accumulator
            for x in inputs
        ]
    )
    assert np.all(seen.min(axis=0) >= bounds.state_low) and np.all(seen.max(axis=0) <= bounds.state_high)
    if not one_hot:
        assert seen.min(axis=0).tolist() == bounds.state_low.tolist()
        assert seen.max(axis=0).tolist() == bounds.state_high.tolist()
    logits = model.logits(states)
    assert (logits.min(), logits.max()) == (bounds.output_low.min(), bounds.output_high.max())
    form_low, form_high = -(1 << (bounds.state_bits - 1)), (1 << (bounds.state_bits - 1)) - 1
    assert form_low <= seen.min() and seen.max() <= form_high


def test_too_wide_an_accumulator_is_refused():
    """A network whose accumulator could pass 48 bits is refused before anything is computed."""
    changes = {"input_shift": 31, "input_weight": np.full((3, 2), -8)}
    IntegerModel(make_network(**changes, input_format=IntFormat(12, signed=False)))
    net = make_network(**changes, input_format=IntFormat(16, signed=False))
    with pytest.raises(FormatError, match=r"^the accumulator must fit 48 bits, not 52$"):
        IntegerModel(net)
    # So wide that the bounds themselves would not fit 64 bits.
    fields = {"input_weight": np.full((3, 1 << 13), -8), "input_shift": 31}
    net = make_network(m=1 << 13, **fields, input_format=IntFormat(16, signed=False))
    with pytest.raises(FormatError, match=r"^the accumulator must fit 48 bits, not 64$"):
        IntegerModel(net)


@pytest.mark.parametrize("mode", list(OutputMode))
@pytest.mark.parametrize("one_hot", [False, True])
def test_answers_without_states(one_hot, mode):
    """The answers that are computed without keeping the states are those of the whole run."""
    changes = one_hot_fields(5) if one_hot else {}
    model = IntegerModel(make_network(n=6, m=5, p=4, output_mode=mode, **changes))
    rng = np.random.default_rng(3)
    x = rng.integers(0, 8 if one_hot else 16, (4, 9) if one_hot else (4, 9, 5))
    state = rng.integers(-128, 128, (4, 6))
    for start in (None, state):
        np.testing.assert_array_equal(model.answers(x, start), model.run(x, start).logits)


@pytest.mark.parametrize("state_bits, kind", [(11, np.float32), (12, np.float64)])
def test_matrix_products_are_exact(state_bits, kind):
    """float32 is taken up to its last exact integer, and both types give the sums of 64-bit integers."""
    n = 128
    top = 1 << (state_bits - 1)
    w = np.full((n, n), -127)
    w[0, :4] -= 1  # the largest row sum is 127 * 128 + 4
    net = make_network(
        n=n,
        recurrent_weight=w,
        weight_bits=WeightBits(8, 4, 4),
        state_bits=state_bits,
        initial_state=np.full(n, -top),
    )
    assert (127 * n + 4) * top < 1 << 24 if kind is np.float32 else (127 * n + 4) * top > 1 << 24
    assert exact_float(w, top) is kind
    model = IntegerModel(net)
    states = np.random.default_rng(0).integers(-top, top, (200, n))
    states[0] = -top
    x = np.random.default_rng(1).integers(0, 16, (200, 2))
    wanted = states @ w.T + ((x @ net.input_weight.T) << net.input_shift) + net.bias
    np.testing.assert_array_equal(model.step(states, x).accumulator, wanted)
    np.testing.assert_array_equal(model.logits(states), states @ net.output_weight.T + net.output_bias)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_exact_float_is_exact_in_any_order(kind):
    """Products of the largest sums that a type is chosen for are those of 64-bit integers."""
    rng = np.random.default_rng(0)
    largest = 2**7 if kind is np.float32 else 2**15
    weights = rng.integers(-128, 128, (50, 2000 if kind is np.float32 else 4000))
    weights[0] = 127 if kind is np.float32 else -128
    if kind is np.float32:
        weights = weights[:, : ((1 << 24) - 1) // (127 * largest)]
    assert exact_float(weights[:1], largest) is kind
    vectors = rng.integers(-largest, largest + 1, (300, weights.shape[1]))
    vectors[0] = largest
    found = (vectors.astype(kind) @ weights[:1].T.astype(kind)).astype(np.int64)
    np.testing.assert_array_equal(found, vectors @ weights[:1].T)


def test_float32_ends_below_its_last_integer():
    """A sum of 2**24 - 1 is float32's, one of 2**24 is float64's."""
    assert exact_float(np.array([[(1 << 24) - 1]]), 1) is np.float32
    assert exact_float(np.array([[1 << 24]]), 1) is np.float64
    assert exact_float(np.array([[0]]), 1 << 24) is np.float64
