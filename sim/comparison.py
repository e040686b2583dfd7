"""What a bench saw, compared with the integer model integer by integer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork, answer_integers, interpreter_of, state_order
from qornn_hw.errors import MismatchError
from qornn_hw.ir.interpreter import Interpreter

__all__ = ["AnswerWord", "InputWord", "Observation", "compare_observations", "expected_answers"]

IntArray = NDArray[np.int64]

InputWord = tuple[int, int, int]
"""A word that the hardware took: data, first, last."""

AnswerWord = tuple[int, int]
"""A word that the hardware gave: data, last."""


@dataclass
class Observation:
    """Everything that went in and out of the hardware between two resets, in order.

    Attributes:
        inputs: the words that the hardware took.
        states: hidden units as they were written, or None where the bench cannot see them.
        answers: the words of the answers.
        complete: whether everything must have come out; not so where a reset cut the work short.
    """

    inputs: list[InputWord] = field(default_factory=list)
    states: list[int] | None = field(default_factory=list)
    answers: list[AnswerWord] = field(default_factory=list)
    complete: bool = True


@dataclass(frozen=True)
class _Place:
    """Where an expected integer belongs."""

    sequence: int
    step: int
    what: str


def expected_answers(network: AnyNetwork, logits: IntArray, last: bool) -> list[AnswerWord]:
    """Return the words of one answer, ``logits`` of shape (p,); ``last``: of a sequence's last step."""
    words = answer_integers(network, logits).tolist()
    return [(word, int(last and index == len(words) - 1)) for index, word in enumerate(words)]


def compare_observations(
    network: AnyNetwork,
    observations: Iterable[Observation],
    order: Sequence[tuple[str, int]] | None = None,
) -> int:
    """Compare what was seen with what the model gives for the same inputs; return the integers compared.

    The model is fed with the words that the hardware took. A word with ``first``, and the first word after a
    reset, starts from the initial state; without it the state goes on.

    Args:
        network: the model.
        observations: what was seen.
        order: the entries of the states, by name and unit, as the hardware writes them; state by state where
            None.

    Raises:
        MismatchError: the first integer that differs, is missing or is too many.
    """
    model = interpreter_of(network)
    compared = sequence = 0
    for observation in observations:
        units, unit_places, answers, answer_places, sequence = _expect(
            model, observation.inputs, sequence, order or state_order(network)
        )
        if observation.states is not None:
            compared += _compare(observation.states, units, unit_places, observation.complete)
        compared += _compare(
            [data for data, _ in observation.answers],
            [data for data, _ in answers],
            answer_places,
            observation.complete,
        )
        marks = [last for _, last in observation.answers]
        _compare(marks, [last for _, last in answers], answer_places, observation.complete, "`last` of ")
    return compared


def _expect(
    model: Interpreter, inputs: Sequence[InputWord], sequence: int, order: Sequence[tuple[str, int]]
) -> tuple[list[int], list[_Place], list[AnswerWord], list[_Place], int]:
    net = model.network
    per_step = 1 if net.input.one_hot else net.input.size
    places = [f"unit {unit}" if len(net.states) == 1 else f"{name} {unit}" for name, unit in order]
    units: list[int] = []
    answers: list[AnswerWord] = []
    unit_places: list[_Place] = []
    answer_places: list[_Place] = []
    state = model.initial_state(1)
    step = 0
    every = net.every_step
    for at in range(0, len(inputs) - per_step + 1, per_step):
        words = inputs[at : at + per_step]
        if words[0][1]:
            state, step = model.initial_state(1), 0
        last = bool(words[-1][2])
        data = [word[0] for word in words]
        x = np.array(data if net.input.one_hot else [data], dtype=np.int64)
        state, values = model.step(state, x)
        units += [int(state[name][0, unit]) for name, unit in order]
        unit_places += [_Place(sequence, step, place) for place in places]
        if every or last:
            words_out = expected_answers(net, model.logits(values)[0], last)
            answers += words_out
            answer_places += [_Place(sequence, step, f"answer word {k}") for k in range(len(words_out))]
        step += 1
        if last:
            sequence += 1
    return units, unit_places, answers, answer_places, sequence + (step > 0)


def _compare(
    got: Sequence[int], expected: Sequence[int], places: Sequence[_Place], complete: bool, what: str = ""
) -> int:
    for value, wanted, place in zip(got, expected, places, strict=False):
        if value != wanted:
            raise MismatchError(
                f"the hardware must equal the integer model: sequence {place.sequence}, step {place.step}, "
                f"{what}{place.what}: expected {wanted}, got {value}"
            )
    if len(got) > len(expected):
        raise MismatchError(
            f"the hardware must equal the integer model: {len(expected)} integers expected, got "
            f"{len(got) - len(expected)} more, the first {got[len(expected)]}"
        )
    if complete and len(got) < len(expected):
        place = places[len(got)]
        raise MismatchError(
            f"the hardware must equal the integer model: sequence {place.sequence}, step {place.step}, "
            f"{what}{place.what}: expected {expected[len(got)]}, got nothing"
        )
    return len(got)
