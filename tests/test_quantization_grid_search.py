"""The search finds a choice that is nearly as good as the best of all, with a bounded number of trials."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from export_searches import search_of
from real_networks import arrays

from qornn_hw.cells.elman_network import Activation, WeightBits
from qornn_hw.errors import FormatError
from qornn_hw.quantization.candidates import Choice
from qornn_hw.quantization.grid_search import GridSearch
from qornn_hw.quantization.input_grids import InputForm

# How much worse than the best of all combinations the search may be.
FACTOR = 1.3


def search(activation, kind, seed, per_row=False, **options):
    """Return the search of a random network of few units and steps."""
    rng = np.random.default_rng(seed)
    weights, rest = arrays(n=8, m=3, p=3, seed=seed, input=kind, gain=0.9)
    rest["calibration_inputs"] = rest["calibration_inputs"][:24, :8]
    bits = WeightBits(*(int(k) for k in rng.integers(1, 9, 3)))
    options = {"weight_bits": bits, "state_bits": int(rng.integers(5, 13))} | options
    if kind == "vector":
        options = {"input_bits": int(rng.integers(3, 9))} | options
    return search_of(*weights, activation=activation, per_row=per_row, **(rest | options))


def best_of_all(tried):
    """Return the least error of all combinations of one form, with one step for W."""
    candidates = tried.candidates
    vector = candidates.inputs is not None
    spares = range(-1, 4) if candidates.arguments.homogeneous else (0,)
    errors = []
    for bits, recurrent, output, spare, drive in product(
        candidates.inputs.bits if vector else (8,),
        candidates.recurrent_rules,
        candidates.output_rules,
        spares,
        range(-3, 4),
    ):
        found = tried.judge(Choice(bits=bits, recurrent=recurrent, output=output, spare=spare, drive=drive))
        if found is not None:
            errors.append(found.error)
    return min(errors)


def check_against_all(activation, kind, seed):
    """Compare a search with the best of all combinations."""
    tried = search(activation, kind, seed)
    found, _ = tried.run()
    count = tried.tried
    assert count < 120
    best = best_of_all(search(activation, kind, seed))
    # Far from the float network errors are chance.
    assert found.error <= FACTOR * best or best > 0.4


KINDS = [(str(a), kind) for a in Activation for kind in ("vector", "one_hot")]


@pytest.mark.parametrize("activation, kind", KINDS)
def test_search_is_nearly_as_good_as_all(activation, kind):
    """The error is within 1.3 of the least of all combinations of bits, steps and ranges."""
    check_against_all(activation, kind, seed=11)


@pytest.mark.slow
@pytest.mark.parametrize("activation, kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_search_is_nearly_as_good_as_all_for_many(activation, kind, seed):
    """The same for eight networks of each kind."""
    check_against_all(activation, kind, seed)


@pytest.mark.parametrize("activation, kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_rows_are_never_worse(activation, kind, seed):
    """With per_row the error is at most that of the same search without it, and the other one is told."""
    one, _ = search(activation, kind, seed).run()
    rows, other = search(activation, kind, seed, per_row=True).run()
    assert rows.error <= one.error and rows.relrms <= one.relrms
    assert other is None or other.choice.by_row != rows.choice.by_row


def test_nothing_is_searched_where_all_is_given():
    """Steps, range and format of a training leave one choice."""
    weights, rest = arrays()
    tried = search_of(
        *weights, activation="relu", weight_steps=(1 / 8, 1 / 4, 1 / 4), weight_bits=4, state_range=9.0,
        input_bits=6, input_scale=0.1, **rest,
    )  # fmt: skip
    found, other = tried.run()
    assert tried.tried <= 5 and other is None
    assert found.network.input_format.bits == 6


def test_first_refusal_is_told():
    """If no choice gives a network, the error is that of the first."""
    weights, rest = arrays()
    rest["bias"] = np.full(12, 1e30)
    with pytest.raises(FormatError, match=r"^bias must lie in -549755813888 to 549755813887"):
        search_of(*weights, activation="tanh", **rest).run()


def test_a_choice_is_judged_once():
    """Choices are remembered."""
    tried = search("tanh", "vector", 0)
    first = tried.judge(Choice(bits=tried.candidates.inputs.bits[0]))
    count = tried.tried
    assert tried.judge(first.choice) is first and tried.tried == count


def test_simpler_form_is_kept_for_a_small_gain(monkeypatch):
    """Scales by channel must take a fifth of the error away."""
    (w, u, v), rest = arrays()
    sizes = np.array([1, 1, 1, 1, 2.1])
    rest["calibration_inputs"] = rest["calibration_inputs"] * sizes
    options = {"activation": "tanh", "weight_bits": 8, "state_bits": 10} | rest
    tried = search_of(w, u, v, **options)
    assert len(tried.candidates.forms()) > 1
    found, _ = tried.run()
    assert found.choice.form is InputForm.ONE
    other = min((tried.judge(replace(found.choice, form=form)) for form in InputForm), key=lambda f: f.error)
    assert other.error > 0.8 * found.error
    monkeypatch.setattr("qornn_hw.quantization.grid_search._SIMPLER", 1.1)
    eager, _ = search_of(w, u, v, **options).run()
    assert eager.error <= found.error


def test_dead_networks_are_not_chosen():
    """States of 4 bits and a factor of one bit still say something."""
    weights, rest = arrays()
    tried = search_of(
        *weights, activation="modrelu", state_bits=4, weight_bits=WeightBits(2, 3, 8), multiplier_bits=1,
        output_mode="last_step", **rest,
    )  # fmt: skip
    found, _ = tried.run()
    assert np.isfinite(found.error)
    assert isinstance(tried, GridSearch)
