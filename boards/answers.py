"""The answers that a board must give, from the integer model, and the comparison with those that came."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.data.inference import answer_words
from qornn_hw.errors import MismatchError

__all__ = ["check_answers", "model_answers"]

IntArray: TypeAlias = NDArray[np.int64]


def model_answers(network: AnyNetwork, sequences: Sequence[IntArray]) -> list[IntArray]:
    """Return the answers that a board must give; see :func:`qornn_hw.data.inference.answer_words`."""
    return answer_words(network, [np.asarray(sequence) for sequence in sequences])


def check_answers(index: int, got: IntArray, expected: IntArray) -> None:
    """Raise a MismatchError if a sequence's answers are not those of the integer model."""
    if np.array_equal(got, expected):
        return
    if got.shape != expected.shape:
        raise MismatchError(f"sequence {index} must have answers of shape {expected.shape}, not {got.shape}")
    step, word = (int(v) for v in np.argwhere(got != expected)[0])
    raise MismatchError(
        f"sequence {index}, answer {step}, word {word}: the board says {got[step, word]}, the integer model "
        f"{expected[step, word]}"
    )
