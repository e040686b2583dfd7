"""Steps of W that the requantizer can hold, for all rows and for each."""

import numpy as np
import pytest

from qornn_hw.quantization.grids import quantize_weights, weight_limit
from qornn_hw.quantization.recurrent_grids import (
    RowProblem,
    held_steps,
    one_step_rules,
    signed_weights,
    steps_by_row,
)


def problem(w, u, **changes):
    """Return rows of W and U with eight bits each and states and inputs of mean square 1."""
    w, u = np.asarray(w, dtype=float), np.asarray(u, dtype=float)
    fields = {
        "recurrent": w, "drive": u, "recurrent_bits": 8, "drive_bits": 8,
        "states_squared": np.ones(w.shape[1]), "inputs_squared": np.ones(u.shape[1]), "multiplier_bits": 12,
        "unit": 1.0, "one_step": float(np.abs(w).max()) / 127,
    }  # fmt: skip
    return RowProblem(**(fields | changes))


@pytest.mark.parametrize("unit", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("bits", [1, 4, 12, 16])
def test_held_steps(unit, bits):
    """The step is what the factor and the shift make of it, next to what was wanted, and never 0."""
    target = np.array([[0.3], [0.21], [0.003]])
    for wanted in (target, target[:1]):
        step, factors, shift = held_steps(wanted, unit, bits)
        np.testing.assert_allclose(step, factors * unit / 2.0**shift, rtol=1e-15)
        assert factors.max() < 2**bits and factors.min() >= 1
        # Half a factor's unit, of a largest factor that has all of its bits or an exact step.
        near = np.abs(step - wanted) <= wanted.max() * 2.0**-bits * (1 + 1e-9)
        assert np.all(near | (factors == 1))


def test_zeros_of_one_bit_alternate():
    """Zeros get both signs by turns, other weights their own; more bits are q_k's."""
    w = np.array([[0.0, 0.0, 0.0, 0.0], [0.0, -2.0, 3.0, 0.0]])
    found = signed_weights(w, 1, 1.0)
    assert found.tolist() == [[1, -1, 1, -1], [-1, -1, 1, 1]]
    np.testing.assert_array_equal(signed_weights(w, 4, 0.5), quantize_weights(w, 4, 0.5))


@pytest.mark.parametrize("bits", range(2, 9))
def test_rules_of_one_step(bits):
    """Full clips nothing, half is q_k's, least is there where it loses less than full."""
    w = np.random.default_rng(bits).normal(size=(20, 20))
    rules = one_step_rules(w, bits)
    assert rules["full"] == np.abs(w).max() / weight_limit(bits)
    assert rules["half"] == pytest.approx(np.abs(w).max() / 2 ** (bits - 1))
    loss = {name: np.square(quantize_weights(w, bits, d) * d - w).sum() for name, d in rules.items()}
    assert loss.get("least", 0) < loss["full"]
    assert "least" in loss or bits > 4
    assert one_step_rules(w, 1) == {"mean": np.abs(w).mean()}


def test_step_of_a_row_leaves_room_for_its_row_of_u():
    """A tiny row of W has the step that its row of U needs; others have the one that fits them."""
    rng = np.random.default_rng(0)
    w, u = rng.uniform(-1, 1, (6, 6)), rng.uniform(-1, 1, (6, 3))
    w[2] *= 1e-3
    steps = steps_by_row(problem(w, u))[:, 0]
    np.testing.assert_allclose(steps[2], np.abs(u[2]).max() / 127, rtol=0.2)
    for i in (0, 1, 3, 4, 5):
        widest = max(np.abs(w[i]).max(), np.abs(u[i]).max()) / 127
        assert 0.5 * widest <= steps[i] <= widest * 1.01


def test_step_of_a_row_follows_what_moves_it():
    """If states are large beside inputs, the row's step is that of W; if they are small, that of U."""
    w, u = np.full((2, 4), 0.1) * [[1], [5]], np.ones((2, 3))
    for states, inputs, wanted in ((1e6, 1e-6, 0.1 / 127), (1e-6, 1e6, 1 / 127)):
        found = steps_by_row(
            problem(w, u, states_squared=np.full(4, states), inputs_squared=np.full(3, inputs))
        )
        assert found[0, 0] == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("bits", [1, 2, 4, 12, 16])
def test_steps_fit_the_factors(bits):
    """No step is so small that its factor would be far off: 8 to 16 units are within a 16th."""
    w = np.diag([1.0, 1e-3, 1e-9, 0.0])
    found = steps_by_row(problem(w, np.zeros((4, 2)), multiplier_bits=bits))
    assert np.all(found > 0)
    held, _, _ = held_steps(found, 1.0, bits)
    np.testing.assert_allclose(held, found, rtol=1 / 15 if bits >= 4 else 1.0)


@pytest.mark.parametrize("recurrent_bits", [1, 4])
@pytest.mark.parametrize("drive_bits", [0, 1, 4])
def test_zero_rows(recurrent_bits, drive_bits):
    """Rows of zeros, in W, in U or in both, have a step, and it is not that of a full row."""
    rng = np.random.default_rng(0)
    w, u = rng.normal(size=(5, 5)), rng.normal(size=(5, 2))
    w[1], u[2] = 0, 0
    w[3], u[3] = 0, 0
    p = problem(w, u, recurrent_bits=recurrent_bits, drive_bits=drive_bits)
    found = steps_by_row(p)[:, 0]
    assert np.all(np.isfinite(found)) and np.all(found > 0)
    if recurrent_bits == 1:
        assert found[3] == found.min()
    everything = steps_by_row(problem(np.zeros((3, 3)), np.zeros((3, 2)), one_step=0.25))
    assert np.all(everything > 0)


def test_columns_at_full_precision_stay_narrow():
    """A tiny row of W makes the columns of a one-hot U at most two bits wider than one step would."""
    rng = np.random.default_rng(0)
    w, u = rng.uniform(-1, 1, (6, 6)), rng.uniform(-1, 1, (6, 3))
    w[2] *= 1e-6
    p = problem(w, u, drive_bits=0)
    widest = (np.abs(u) / steps_by_row(p)).max()
    assert widest <= 4 * (np.abs(u).max() / p.one_step) * (1 + 1e-9)
