"""Files of answers: one array, or a padded array with lengths; wrong paths are refused before a run."""

import numpy as np
import pytest
from networks import make_network

from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.data.answer_file import check_answer_file, check_form, write_answers
from qornn_hw.errors import FormatError, OutputError

ANSWERS = [np.arange(6).reshape(3, 2), np.arange(2).reshape(1, 2)]


def test_padded_answers(tmp_path):
    """A .npz file holds the answers padded with zeros, and their lengths."""
    write_answers(tmp_path / "a.npz", ANSWERS)
    with np.load(tmp_path / "a.npz") as found:
        assert found["lengths"].tolist() == [3, 1]
        assert found["answers"].tolist() == [[[0, 1], [2, 3], [4, 5]], [[0, 1], [0, 0], [0, 0]]]
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("name", ["a.npy", "a.bin"])
def test_one_array(tmp_path, name):
    """Any other file holds one array, and replaces an existing one."""
    (tmp_path / name).write_text("old")
    write_answers(tmp_path / name, [ANSWERS[0], ANSWERS[0] + 1])
    np.testing.assert_array_equal(np.load(tmp_path / name), np.stack([ANSWERS[0], ANSWERS[0] + 1]))


@pytest.mark.parametrize(
    ("name", "mode", "steps", "refused"),
    [
        ("a.npy", OutputMode.EVERY_STEP, (3, 1), True),
        ("a.npy", OutputMode.EVERY_STEP, (3, 3), False),
        ("a.npy", OutputMode.LAST_STEP, (3, 1), False),
        ("a.npz", OutputMode.EVERY_STEP, (3, 1), False),
    ],
)
def test_form(tmp_path, name, mode, steps, refused):
    """Only answers of different lengths need a .npz file."""
    sequences = [np.zeros((count, 2)) for count in steps]
    if not refused:
        return check_form(tmp_path / name, sequences, make_network(output_mode=mode))
    with pytest.raises(
        FormatError, match=r"^out must be a .npz file if sequences have different lengths, 1 to 3"
    ):
        check_form(tmp_path / name, sequences, make_network(output_mode=mode))


def test_paths(tmp_path):
    """A folder, and a file used as a folder, are refused; a check leaves nothing behind."""
    (tmp_path / "file").touch()
    check_answer_file(tmp_path / "new" / "a.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(OutputError, match=r"^out must be a file, but .* is a folder$"):
        check_answer_file(tmp_path)
    with pytest.raises(OutputError, match=r"^the output folder must be writable"):
        check_answer_file(tmp_path / "file" / "a.npy")
