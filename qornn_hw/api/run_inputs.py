"""The sequences that a board runs: of a file, random ones, or the test set of the network's task."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.api.network import Network
from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.counts import check_limit, check_seed, check_steps
from qornn_hw.data.inference import file_sequences
from qornn_hw.errors import FormatError

__all__ = ["RANDOM_STEPS", "RunInputs", "check_run_inputs", "run_inputs"]

# Steps of a random sequence where nobody says how many.
RANDOM_STEPS = 32


@dataclass(frozen=True, eq=False)
class RunInputs:
    """Sequences of a network's integers.

    Attributes:
        network: whose integers.
        sequences: (steps, m) vectors or (steps,) indices each.
        score: from the answers' words to the metrics of the task; None where there is no task.
        clipped: entries of each channel that were clipped; None where nothing was converted.
        clipped_text: a sentence on them; None where nothing was clipped.
    """

    network: AnyNetwork
    sequences: list[NDArray[Any]]
    score: Callable[[list[NDArray[np.int64]]], dict[str, float]] | None = None
    clipped: list[int] | None = None
    clipped_text: str | None = None


def check_run_inputs(
    inputs: Path | None = None,
    random: int | None = None,
    steps: int = RANDOM_STEPS,
    seed: int = 0,
    limit: int | None = None,
) -> None:
    """Refuse counts that cannot be, and two kinds of sequences at once.

    Raises:
        FormatError: it is so.
    """
    check_limit(limit)
    check_steps(("random", 1 if random is None else random), ("steps", steps))
    check_seed("seed", seed)
    if inputs is not None and random is not None:
        raise FormatError("inputs and random must not come together; each says what is run")


def run_inputs(
    net: Network,
    *,
    inputs: Path | None = None,
    random: int | None = None,
    steps: int = RANDOM_STEPS,
    seed: int = 0,
    data: Path | None = None,
    limit: int | None = None,
) -> RunInputs:
    """Return the sequences of a file, random ones, or those of the task's test set.

    Args:
        net: any network.
        inputs: a file of sequences: real numbers, or the network's own integers.
        random: so many random sequences.
        steps: of each of them.
        seed: of them.
        data: folder with the data of the task.
        limit: only the first so many.

    Raises:
        FormatError: the counts cannot be, or the network names no task.
        DataError: a file is absent, or holds something else.
    """
    check_run_inputs(inputs, random, steps, seed, limit)
    network = net.network
    if inputs is not None:
        found, converter = file_sequences(network, inputs, limit)
        clipped = (
            converter.clipped.tolist() if converter.entries and not net.operations.input.one_hot else None
        )
        return RunInputs(network, list(found), clipped=clipped, clipped_text=converter.text)
    if random is not None:
        from qornn_hw.sim.stimuli import random_sequences

        check_steps(("random", random), ("steps", steps), net.operations.input.size)
        made = random_sequences(network, batch=random, steps=steps, seed=seed)
        return RunInputs(network, list(made[:limit]))
    from qornn_hw.evaluation.task_sequences import task_sequences

    return RunInputs(network, *task_sequences(net.checkpoint, data, limit))
