"""Sequences are accepted as arrays, lists or padded arrays, and run in batches of equal length."""

import numpy as np
import pytest

from qornn_hw.data.sequences import equal_length_batches, pad, read_sequences, sequences_of
from qornn_hw.errors import DataError, FormatError
from qornn_hw.evaluation.labelled_sequences import LabelledSequences


def test_the_forms_of_equal_content_are_equal():
    """An array, a list of arrays and nested lists are the same sequences."""
    x = np.arange(24.0).reshape(4, 3, 2)
    for form in (x, list(x), tuple(x), x.tolist(), [one.tolist() for one in x]):
        found = sequences_of("x", form)
        np.testing.assert_array_equal(np.stack(found), x)


def test_lengths_cut_the_padding():
    """The first steps of each sequence of a padded array count."""
    found = sequences_of("x", np.arange(6).reshape(2, 3), [3, 1])
    assert [one.tolist() for one in found] == [[0, 1, 2], [3]]


def test_padding_comes_back():
    """Padded sequences, cut at their lengths, are the sequences."""
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(int(k), 3)) for k in rng.integers(1, 9, 20)]
    for one, back in zip(sequences, sequences_of("x", *pad(sequences)), strict=True):
        np.testing.assert_array_equal(one, back)


@pytest.mark.parametrize(
    ("values", "lengths", "message"),
    [
        (np.zeros((2, 3, 1, 1)), None, r"x must hold sequences, .* not shape \(2, 3, 1, 1\)"),
        (np.zeros((0, 3)), None, r"x must hold sequences, .* not shape \(0, 3\)"),
        (np.zeros((2, 0, 3)), None, r"not shape \(2, 0, 3\)"),
        ([], None, r"not shape \(0,\)"),
        ([np.zeros((3, 2)), np.zeros((3, 4))], None, r"x\[1\] must have 2 inputs, like the first one, not 4"),
        ([np.zeros((3, 2)), np.zeros(3)], None, r"x\[1\] must be one sequence"),
        ([np.zeros((3, 2)), np.zeros((0, 2))], None, r"x\[1\] must be one sequence"),
        (np.zeros((2, 3)), [1], r"lengths of x must be 2 integers"),
        (np.zeros((2, 3)), [1, 4], r"lengths of x must be 1 to 3, not 4 at \[1\]"),
        (np.zeros((2, 3)), [0, 1], r"lengths of x must be 1 to 3, not 0 at \[0\]"),
        (np.zeros((2, 3)), [1.0, 1.0], r"lengths of x must be 2 integers, not float64"),
    ],
)
def test_other_forms_are_refused(values, lengths, message):
    """A wrong shape, no sequence, no step, or lengths that do not fit are refused."""
    with pytest.raises(FormatError, match=message):
        sequences_of("x", values, lengths)


def test_batches_hold_each_sequence_once():
    """Every sequence is in one batch, with sequences of its length, and no batch is larger than asked."""
    rng = np.random.default_rng(1)
    sequences = [rng.integers(0, 9, int(k)) for k in rng.integers(1, 6, 50)]
    seen = []
    for chosen, batch in equal_length_batches(sequences, numbers=40, width=4):
        assert batch.shape[0] == 1 or batch.size * 4 <= 40
        for i, one in zip(chosen, batch, strict=True):
            np.testing.assert_array_equal(one, sequences[i])
            seen.append(int(i))
    assert sorted(seen) == list(range(50))


def test_padding_keeps_every_value():
    """The padded array has a dtype that holds every sequence, and zeros behind the shorter ones."""
    padded, lengths = pad([np.array([1, 2], dtype=np.int8), np.array([300]), np.array([0.5, 1.5, 2.5])])
    assert padded.tolist() == [[1, 2, 0], [300, 0, 0], [0.5, 1.5, 2.5]]
    assert lengths.tolist() == [2, 1, 3]


def test_files_hold_sequences(tmp_path):
    """A .npy and a .npz with lengths are read."""
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 1)))
    np.savez(tmp_path / "b.npz", inputs=np.zeros((2, 3)), lengths=np.array([1, 3]))
    assert [one.shape for one in read_sequences(tmp_path / "a.npy")] == [(3, 1), (3, 1)]
    assert [one.shape for one in read_sequences(tmp_path / "b.npz")] == [(1,), (3,)]


def test_other_files_are_refused(tmp_path):
    """An absent file, one without inputs, and one that is no array are refused with their name."""
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    (tmp_path / "text.npy").write_text("no array")
    np.save(tmp_path / "empty.npy", np.zeros((0, 4)))
    for name, message in [
        ("none.npy", "no such file"),
        ("other.npz", "must hold an array inputs, and an array lengths if they are padded$"),
        ("text.npy", "must be a .npy file"),
        ("empty.npy", "inputs must hold sequences"),
    ]:
        with pytest.raises(DataError, match=message):
            read_sequences(tmp_path / name)


@pytest.mark.parametrize("read", [read_sequences, LabelledSequences.read])
@pytest.mark.parametrize("targets", [{}, {"targets": np.zeros((4, 6, 1))}], ids=["inputs", "targets"])
def test_numbers_of_a_file_are_finite(tmp_path, read, targets):
    """A NaN is named with its sequence, step and channel; one in the padding is no input."""
    x = np.zeros((4, 6, 2))
    x[2, 3, 1] = np.nan
    x[1, 5, 0] = np.inf
    np.savez(tmp_path / "x.npz", inputs=x, lengths=[6, 5, 5, 6], **targets)
    with pytest.raises(DataError, match=r"x\.npz: inputs must be finite, not nan at \[2, 3, 1\]$"):
        read(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", inputs=x, lengths=[6, 5, 3, 6], **targets)
    assert read(tmp_path / "x.npz") is not None
