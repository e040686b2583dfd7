"""The command example: the arrays that it writes, and what it refuses."""

import numpy as np
import pytest

from qornn_hw.tasks.gestures import gesture_arrays


def test_command_writes_the_arrays(run, tmp_path):
    """`qornn-hw example gestures` writes what gesture_arrays returns, into a folder that it makes."""
    out = tmp_path / "new" / "data.npz"
    code, output, errors = run(
        "example",
        "gestures",
        "-o",
        str(out),
        "--train",
        "12",
        "--test",
        "6",
        "--channels",
        "6",
        "--seed",
        "3",
    )
    assert (code, errors) == (0, "") and "12 recordings to train with, 6 to test with" in output
    with np.load(out) as archive:
        found = {name: archive[name] for name in archive.files}
    wanted = gesture_arrays(12, 6, 3, 6)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    assert [p.name for p in out.parent.iterdir()] == ["data.npz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "data.npy"), "--out must end in .npz, not '.npy'"),
        (("--channels", "5"), "--channels must be 3 or 6, not 5"),
        (("--train", "0"), "--train must be 1 to 1000000, not 0"),
    ],
)
def test_command_refuses(run, tmp_path, monkeypatch, arguments, message):
    """A wrong option is one line and exit code 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    code, _, errors = run("example", "gestures", *arguments)
    assert (code, errors) == (2, f"qornn-hw: error: {message}\n")
    assert not list(tmp_path.iterdir())
