"""A board's answers against the integer model: every word counts, and the first wrong one is named."""

import re

import numpy as np
import pytest
from networks import make_network

from qornn_hw.boards.answers import check_answers, model_answers
from qornn_hw.data.inference import answer_words
from qornn_hw.errors import MismatchError

NETWORK = make_network()
SEQUENCES = [np.array([[1, 2], [3, 4], [15, 0]]), np.array([[7, 8]])]


def test_answers_of_the_model_pass():
    """The answers are those of the integer model, as words, and equal themselves."""
    due = model_answers(NETWORK, SEQUENCES)
    for index, (one, wanted) in enumerate(zip(due, answer_words(NETWORK, SEQUENCES), strict=True)):
        np.testing.assert_array_equal(one, wanted)
        check_answers(index, one, wanted)


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("word", range(3))
def test_every_wrong_word_is_named(step, word):
    """One wrong word anywhere is a mismatch with its place and both numbers."""
    (due, _) = model_answers(NETWORK, SEQUENCES)
    got = due.copy()
    got[step, word] += 1
    message = (
        f"sequence 5, answer {step}, word {word}: the board says {due[step, word] + 1}, the integer model "
        f"{due[step, word]}"
    )
    with pytest.raises(MismatchError, match=f"^{re.escape(message)}$"):
        check_answers(5, got, due)


def test_missing_answers_are_a_mismatch():
    """Fewer answers than steps are refused with both shapes."""
    (due, _) = model_answers(NETWORK, SEQUENCES)
    with pytest.raises(
        MismatchError, match=r"^sequence 0 must have answers of shape \(3, 3\), not \(2, 3\)$"
    ):
        check_answers(0, due[:2], due)
