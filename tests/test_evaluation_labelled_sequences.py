"""A user's sequences with targets: every form of the table, read from files, and scored by hand."""

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_network import OutputMode, Scales
from qornn_hw.errors import DataError, FormatError
from qornn_hw.evaluation.labelled_sequences import LabelledSequences, Score, real_sequences
from qornn_hw.ir.formats import IntFormat

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4, 2))
LOGITS = RNG.normal(size=(5, 4, 3))
CLASSES = RNG.integers(0, 3, (5, 4))
VALUES = RNG.normal(size=(5, 4, 3))


def score(targets, logits=LOGITS, p=3, mode=OutputMode.EVERY_STEP, **options):
    """Return the name and value of a score of all sequences, added in two parts."""
    data = LabelledSequences.of(X, targets, **options)
    found = Score(make_network(3, 2, p, output_mode=mode), data.targets)
    found.add(np.array([0, 1]), logits[:2])
    found.add(np.array([2, 3, 4]), logits[2:])
    return found.name, found.value


@pytest.mark.parametrize(
    "targets, wanted",
    [
        (CLASSES, ("accuracy", (LOGITS.argmax(-1) == CLASSES).mean())),
        (CLASSES[:, -1], ("accuracy", (LOGITS[:, -1].argmax(-1) == CLASSES[:, -1]).mean())),
        (VALUES, ("mse", ((LOGITS - VALUES) ** 2).mean())),
        (VALUES[:, -1], ("mse", ((LOGITS[:, -1] - VALUES[:, -1]) ** 2).mean())),
        (list(CLASSES), ("accuracy", (LOGITS.argmax(-1) == CLASSES).mean())),
        (list(VALUES), ("mse", ((LOGITS - VALUES) ** 2).mean())),
    ],
)
def test_scores(targets, wanted):
    """Classes and values, after the last step and after each, score as their formulas say."""
    name, value = score(targets)
    assert (name, value) == (wanted[0], pytest.approx(wanted[1]))


def test_one_output_is_a_threshold():
    """With one output class 1 means above 0; its values may come without the last dimension."""
    logits = LOGITS[..., :1]
    classes = RNG.integers(0, 2, 5)
    assert score(classes, logits, 1) == ("accuracy", ((logits[:, -1, 0] > 0) == classes).mean())
    values = VALUES[:, -1, 0]
    assert score(values, logits, 1)[1] == pytest.approx(((logits[:, -1, 0] - values) ** 2).mean())


def test_padded_targets_are_cut():
    """With lengths, targets by step are cut as the inputs are."""
    data = LabelledSequences.of(X, CLASSES, lengths=[1, 2, 3, 4, 1])
    assert [len(one) for one in data.sequences] == [len(one) for one in data.targets] == [1, 2, 3, 4, 1]
    data = LabelledSequences.of(X, VALUES, lengths=[1, 2, 3, 4, 1])
    assert [one.shape for one in data.targets] == [(k, 3) for k in (1, 2, 3, 4, 1)]
    data = LabelledSequences.of(X, VALUES[:, -1], lengths=[1, 2, 3, 4, 1])
    assert [one.shape for one in data.targets] == [(3,)] * 5
    # Values of as many outputs as there are steps are not one for each step.
    data = LabelledSequences.of(X, RNG.normal(size=(5, 4)), lengths=[1, 2, 3, 4, 1])
    assert [one.shape for one in data.targets] == [(4,)] * 5


@pytest.mark.parametrize(
    "targets, mode, message",
    [
        (
            CLASSES,
            OutputMode.LAST_STEP,
            "^targets must be one for each sequence, because the network",
        ),
        (CLASSES[:, :2], OutputMode.EVERY_STEP, "^targets must be one for each of 4 steps, not of shape"),
        (CLASSES[:4], OutputMode.EVERY_STEP, "^targets must be those of 5 sequences, not of 4"),
        (CLASSES + 3, OutputMode.EVERY_STEP, r"^targets\[0\] must hold classes from 0 to 2"),
        (VALUES[..., :2], OutputMode.EVERY_STEP, r"^targets\[0\] must hold 3 values, one for each output"),
        (VALUES * np.nan, OutputMode.EVERY_STEP, r"^targets\[0\] must be finite"),
        (np.zeros((5, 4, 3), dtype=int), OutputMode.EVERY_STEP, "^targets must be classes"),
    ],
)
def test_targets_that_do_not_fit(targets, mode, message):
    """A target of another form, class or count is refused in one line."""
    with pytest.raises(FormatError, match=message):
        score(targets, mode=mode)


def test_files(tmp_path):
    """A .npy, a .npz with and without targets and lengths, and a file for train arrays are read."""
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "b.npz", inputs=X, targets=CLASSES[:, 0], lengths=[1, 2, 3, 4, 4])
    np.savez(tmp_path / "c.npz", inputs=X)
    np.savez(tmp_path / "d.npz", inputs_test=X, targets_test=CLASSES[:, 0], inputs_train=X, targets_train=X)
    read = [LabelledSequences.read(tmp_path / name) for name in ("a.npy", "b.npz", "c.npz", "d.npz")]
    assert [data.targets is None for data in read] == [True, False, True, False]
    assert [len(one) for one in read[1].sequences] == [1, 2, 3, 4, 4]
    for data in (read[0], read[2], read[3]):
        np.testing.assert_array_equal(np.stack(data.sequences), X)
    np.testing.assert_array_equal(read[3].targets, CLASSES[:, 0])


def test_padded_test_arrays_have_their_own_lengths(tmp_path):
    """Test arrays of a file for train arrays are cut by lengths_test, never by the lengths of others."""
    np.savez(
        tmp_path / "a.npz", inputs_test=X, targets_test=CLASSES, lengths_test=[4, 3, 2, 1, 4], lengths=[1] * 5
    )
    data = LabelledSequences.read(tmp_path / "a.npz")
    assert [len(one) for one in data.sequences] == [len(one) for one in data.targets] == [4, 3, 2, 1, 4]


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"inputs": X, "targets": CLASSES[:4]}, "targets must be those of 5 sequences"),
        ({"targets": CLASSES}, "must hold an array inputs beside targets"),
        ({"other": X}, "must hold an array inputs"),
        ({"inputs": np.zeros((0, 4, 2)), "targets": np.zeros(0, dtype=int)}, "inputs must hold sequences"),
    ],
)
def test_wrong_files(tmp_path, arrays, message):
    """A missing array of a file is named."""
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message) as error:
        LabelledSequences.read(tmp_path / "a.npz")
    assert str(error.value).startswith(str(tmp_path / "a.npz"))


def test_absent_and_damaged_files(tmp_path):
    """An absent file, and a file that is not an archive, give a one-line error."""
    with pytest.raises(DataError, match="no such file"):
        LabelledSequences.read(tmp_path / "no.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match=r"must be a \.npy file"):
        LabelledSequences.read(tmp_path / "bad.npz")


def test_integers_of_a_file_are_those_of_the_network():
    """Integers are the network's own and become real by its scales; floating-point numbers are real."""
    network = make_network(
        scales=Scales((0.5, 0.25), 1.0, 1.0, 1.0, (1.0, 0.0)), input_format=IntFormat(4, signed=False)
    )
    integers = RNG.integers(0, 16, (3, 4, 2))
    found = np.stack(real_sequences(network, list(integers)))
    np.testing.assert_array_equal(found, integers * [0.5, 0.25] + [1.0, 0.0])
    assert real_sequences(network, list(X))[0] is not None
    np.testing.assert_array_equal(np.stack(real_sequences(network, list(X))), X)
    for wrong in (np.where(integers == integers.max(), 16, integers), integers - integers.min() - 1):
        with pytest.raises(
            DataError, match=r"must hold integers of the network's input format, 0 to 15, not"
        ):
            real_sequences(network, [wrong.reshape(-1, 2)])
    with pytest.raises(DataError, match="must have 2 channels, not 3"):
        real_sequences(network, list(np.zeros((2, 4, 3), dtype=int)))


def test_another_kind_of_input():
    """Indices for a vector network, and vectors for a one-hot one, are refused."""
    with pytest.raises(DataError, match=r"inputs must be vectors \(count, steps, 2\)"):
        real_sequences(make_network(), [np.zeros(4, dtype=int)])
    with pytest.raises(DataError, match=r"inputs must be indices \(count, steps\)"):
        real_sequences(make_network(**one_hot_fields(2)), list(X))
