"""The arrays of a user's task: each form of targets and inputs is recognized, and each defect is named."""

import numpy as np
import pytest

from qornn_hw.errors import DataError
from qornn_hw.tasks.array_files import Split, answers_of, checked, own_split, read_arrays, steps_that_count

INPUTS = np.arange(24.0).reshape(4, 3, 2)
GOOD = {f"{kind}_{part}": value for part in ("train", "test")
        for kind, value in (("inputs", INPUTS), ("targets", np.arange(4)))}  # fmt: skip


@pytest.mark.parametrize(
    ("targets", "form", "answers"),
    [
        (np.arange(4), "class", 4),
        (np.zeros((4, 3), int), "classes", 8),
        (np.zeros((4, 5)), "values", 4),
        (np.zeros((4, 3, 5)), "series", 8),
    ],
)
def test_forms_of_targets(targets, form, answers):
    """The form follows from type and shape; padded steps have no rows and no answers."""
    assert answers_of(targets) == form
    arrays = GOOD | {"targets_train": targets, "lengths_train": [3, 1, 2, 2]}
    split = checked(arrays, "")["train"]
    assert split.rows.shape == (8, 2) and len(split.answers) == answers
    np.testing.assert_array_equal(split.rows[3], INPUTS[1, 0])


def test_lengths_of_all_steps_are_no_lengths():
    """Lengths that are all equal to the number of steps are dropped."""
    assert checked(GOOD | {"lengths_train": [3, 3, 3, 3]}, "")["train"].lengths is None


def test_lists_of_sequences():
    """A list of sequences of different lengths becomes a padded array with lengths."""
    rows = [np.ones((2, 2)), np.ones((3, 2)), np.ones((1, 2)), np.ones((3, 2))]
    split = checked(GOOD | {"inputs_train": rows}, "")["train"]
    assert split.inputs.shape == (4, 3, 2) and split.lengths.tolist() == [2, 3, 1, 3]


def test_steps_that_count():
    """The mask has as many steps as each length says."""
    assert steps_that_count(np.array([0, 2, 3]), 3).astype(int).tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs_trian": 0}, "inputs_trian is not known; the arrays are inputs_train, "),
        (
            {"inputs_train": np.zeros((4, 3, 2, 1))},
            r"inputs_train must be real numbers \(count, steps, m\) or",
        ),
        ({"inputs_train": np.full((4, 3), -1)}, r"inputs_train must hold indices from 0, not -1 at \[0, 0\]"),
        ({"inputs_train": np.where(INPUTS == 5, np.nan, INPUTS)}, r"inputs_train must be finite, not nan at"),
        ({"inputs_train": np.full((4, 3, 2), "a")}, "inputs_train must hold numbers, not <U1"),
        (
            {"targets_train": np.arange(3)},
            r"targets_train of classes must have shape \(4,\) or \(4, 3\), not",
        ),
        ({"targets_train": np.zeros(4)}, r"targets_train of real values must have shape \(4, p\), or"),
        ({"targets_train": np.arange(4) - 1}, r"targets_train must hold classes from 0, not -1 at \[0\]"),
        ({"lengths_train": [3, 3, 3]}, r"lengths_train must be 4 integers, not int64 of shape \(3,\)"),
        ({"lengths_train": [3, 3, 3, 4]}, r"lengths_train must be 1 to 3, not 4 at \[3\]"),
    ],
)
def test_defects_are_named(changes, message):
    """The message begins with the file and names the array, with the wrong value and its place."""
    with pytest.raises(DataError, match=f"^data.npz: {message}"):
        checked(GOOD | changes, "data.npz: ")


def test_missing_arrays():
    """An array that is missing is named, with what to pass."""
    for name in GOOD:
        with pytest.raises(DataError, match=f"^{name} is missing; pass the .npz file with inputs_train"):
            checked({key: value for key, value in GOOD.items() if key != name}, "")


@pytest.mark.parametrize(("count", "validation"), [(2, [1]), (9, [8]), (10, [9]), (25, [9, 19])])
def test_own_split(count, validation):
    """Every tenth sequence validates, of fewer than ten the last one."""
    split = Split(np.arange(count)[:, None], np.arange(count), None)
    trained, kept = own_split("inputs_train", split)
    assert kept.targets.tolist() == validation
    assert sorted([*trained.targets, *kept.targets]) == list(range(count))


def test_one_sequence_cannot_be_split():
    """A single sequence cannot be trained and validated."""
    with pytest.raises(DataError, match=r"^inputs_train must hold at least 2 sequences, not 1$"):
        own_split("inputs_train", Split(np.zeros((1, 2)), np.zeros(1), None))


def test_files(tmp_path):
    """A .npz file gives its arrays; no file, an absent one and a single array are refused."""
    np.savez(tmp_path / "a.npz", **GOOD)
    np.save(tmp_path / "b.npy", INPUTS)
    assert set(read_arrays(tmp_path / "a.npz")) == set(GOOD)
    for file, message in (
        (None, "^the arrays task needs its data: pass the .npz file"),
        (tmp_path / "none.npz", "none.npz: no such file; pass the .npz file"),
        (tmp_path / "b.npy", "b.npy: must be a .npz file of several arrays, not one array"),
    ):
        with pytest.raises(DataError, match=message):
            read_arrays(file)
