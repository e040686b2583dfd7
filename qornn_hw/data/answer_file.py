"""Files of the hardware's answers: one array, or a padded array with lengths."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.data.sequences import pad
from qornn_hw.errors import FormatError, OutputError
from qornn_hw.storage.output_folder import work_folder

__all__ = ["check_answer_file", "check_form", "write_answers"]


def check_answer_file(out: Path) -> None:
    """Check that a file of answers can be written to a path, before a run.

    Raises:
        OutputError: the path is a folder, or its folder is not writable.
    """
    if out.is_dir():
        raise OutputError(f"out must be a file, but {out} is a folder")
    with work_folder(out.parent, "answers"):
        pass


def check_form(out: Path, sequences: Sequence[NDArray[Any]], network: AnyNetwork) -> None:
    """Check that a ``.npy`` file is not used for answers of different lengths.

    Args:
        out: the file.
        sequences: the input sequences, (steps, ...) each.
        network: the network that answers.

    Raises:
        FormatError: the answers have different lengths, and the file is not a ``.npz`` file.
    """
    if out.suffix == ".npz" or not operations_of(network).every_step:
        return
    lengths = {len(sequence) for sequence in sequences}
    if len(lengths) > 1:
        raise FormatError(
            f"out must be a .npz file if sequences have different lengths, {min(lengths)} to "
            f"{max(lengths)} steps, not {out}"
        )


def write_answers(out: Path, answers: Sequence[NDArray[np.int64]]) -> None:
    """Write answers, one array (steps or 1, words) for each sequence.

    A ``.npz`` file holds ``answers`` (count, steps, words), padded with zeros, and ``lengths``
    (count,); any other file holds one array.

    Raises:
        OutputError: the file cannot be written.
    """
    with work_folder(out.parent, "answers") as work:
        made = work / f"answers{'.npz' if out.suffix == '.npz' else '.npy'}"
        if out.suffix == ".npz":
            padded, lengths = pad(list(answers))
            np.savez(made, answers=padded, lengths=lengths)
        else:
            np.save(made, np.stack(answers))
        made.replace(out)
