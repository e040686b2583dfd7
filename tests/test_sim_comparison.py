"""What a bench saw against the integer model."""

import re
from dataclasses import replace

import numpy as np
import pytest

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import InputKind, OutputKind, OutputMode
from qornn_hw.errors import MismatchError
from qornn_hw.sim.comparison import Observation, compare_observations
from qornn_hw.sim.stimuli import random_network, random_sequences


def observe(network, sequences, *, first=True):
    """Return what hardware without a fault would show."""
    seen = Observation()
    state = None
    for number, sequence in enumerate(sequences):
        trace = IntegerModel(network).run(sequence[np.newaxis], initial_state=None if first else state)
        state = trace.states[:, -1]
        for t, x in enumerate(sequence):
            words = np.atleast_1d(x).tolist()
            for k, word in enumerate(words):
                starts = t == 0 and k == 0 and (first or number == 0)
                seen.inputs.append((word, int(starts), int(t == len(sequence) - 1 and k == len(words) - 1)))
        seen.states += trace.states.reshape(-1).tolist()
        for at, logits in enumerate(trace.logits[0]):
            words = logits.tolist() if network.output_kind.has_logits else []
            words += [int(trace.argmax[0, at])] if network.output_kind.has_argmax else []
            last = at == trace.logits.shape[1] - 1
            seen.answers += [(word, int(last and k == len(words) - 1)) for k, word in enumerate(words)]
    return seen


@pytest.mark.parametrize("output_mode", list(OutputMode))
@pytest.mark.parametrize("output_kind", list(OutputKind))
@pytest.mark.parametrize("input_kind", list(InputKind))
def test_right_integers_are_counted(input_kind, output_kind, output_mode):
    """Every hidden unit and every answer word counts once."""
    network = random_network(
        seed=1,
        hidden_size=3,
        input_size=2,
        output_size=4,
        input_kind=input_kind,
        output_kind=output_kind,
        output_mode=output_mode,
    )
    seen = observe(network, random_sequences(network, batch=2, steps=3, seed=1))
    words = 4 * output_kind.has_logits + output_kind.has_argmax
    answers = 6 if output_mode is OutputMode.EVERY_STEP else 2
    assert compare_observations(network, [seen]) == 6 * 3 + answers * words


def test_without_first_the_state_goes_on():
    """A sequence whose first word is not marked continues from the state before."""
    network = random_network(seed=1, hidden_size=3, input_size=2, output_size=4)
    seen = observe(network, random_sequences(network, batch=2, steps=3, seed=1), first=False)
    assert compare_observations(network, [seen]) == 6 * 3 + 6 * 5


def spoil(seen, what, at, change):
    """Return an observation with one integer changed."""
    values = list(getattr(seen, what))
    values[at] = change(values[at])
    return replace(seen, **{what: values})


NETWORK = random_network(seed=1, hidden_size=3, input_size=2, output_size=4)
SEEN = observe(NETWORK, random_sequences(NETWORK, batch=2, steps=3, seed=1))
LOGIT = SEEN.answers[5 * 2 + 3][0]
HEAD = "the hardware must equal the integer model: "


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (
            spoil(SEEN, "states", 3 * 4 + 1, lambda g: g + 1),
            f"{HEAD}sequence 1, step 1, unit 1: expected {SEEN.states[13]}, got {SEEN.states[13] + 1}",
        ),
        (
            spoil(SEEN, "answers", 5 * 2 + 3, lambda y: (y[0] - 1, y[1])),
            f"{HEAD}sequence 0, step 2, answer word 3: expected {LOGIT}, got {LOGIT - 1}",
        ),
        (
            spoil(SEEN, "answers", 14, lambda y: (y[0], 0)),
            f"{HEAD}sequence 0, step 2, `last` of answer word 4: expected 1, got 0",
        ),
        (
            replace(SEEN, states=SEEN.states[:-1]),
            f"{HEAD}sequence 1, step 2, unit 2: expected {SEEN.states[-1]}, got nothing",
        ),
        (
            replace(SEEN, states=[*SEEN.states, 7, 8]),
            f"{HEAD}18 integers expected, got 2 more, the first 7",
        ),
    ],
    ids=["unit", "logit", "last", "missing", "surplus"],
)
def test_the_first_difference_is_named(seen, message):
    """A mismatch tells sequence, step, unit, and both integers."""
    with pytest.raises(MismatchError, match=f"^{re.escape(message)}$"):
        compare_observations(NETWORK, [seen])


def test_work_cut_short_may_lack_the_rest():
    """Before a reset, what came out must be right, and what did not come out does not matter."""
    seen = replace(SEEN, states=SEEN.states[:7], answers=SEEN.answers[:5], complete=False)
    assert compare_observations(NETWORK, [seen]) == 12
    with pytest.raises(MismatchError, match="sequence 0, step 2, unit 0"):
        compare_observations(NETWORK, [spoil(seen, "states", 6, lambda g: g + 1)])
