"""Atomic writing: after any failure the old file is intact, and no temporary file or new folder remains."""

import pytest

from qornn_hw.errors import OutputError
from qornn_hw.files.atomic_file import atomic_file


def write(path, text, **options):
    """Write a text atomically."""
    with atomic_file(path, **options) as partial:
        partial.write_text(text)
        partial.replace(path)


def test_a_file_is_replaced(tmp_path):
    """The new contents replace the old ones, missing folders are created, and nothing else is there."""
    path = tmp_path / "a" / "b" / "file.txt"
    for text in ("old", "new"):
        write(path, text)
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_failure_keeps_the_old_file(tmp_path, error):
    """After an error in the body the old file is intact; an OSError becomes an OutputError."""
    path = tmp_path / "file.txt"
    write(path, "old")
    raised = OutputError if error is OSError else error
    with pytest.raises(raised), atomic_file(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_failure_removes_new_folders(tmp_path):
    """Folders created for the file are removed after an error, those with other files are not."""
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "a" / "b" / "file"):
        (tmp_path / "a" / "other").touch()
        raise RuntimeError
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["other"]


def test_keep_folders(tmp_path):
    """Without keep_folders, created folders are removed if they are empty."""
    with atomic_file(tmp_path / "a" / "file", keep_folders=False) as partial:
        partial.touch()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "folder: cannot be written: it is a directory; choose another path$"),
        ("file/x", "x: cannot be written: .*file is not a folder; choose another path$"),
        ("n" * 300, "cannot be written: .*; choose another path$"),
    ],
)
def test_paths_that_cannot_be_written(tmp_path, name, message):
    """A directory, a file used as a folder and a too long name give one line with the path."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=message):
        write(tmp_path / name, "text")
    assert {p.name for p in tmp_path.iterdir()} == {"folder", "file"}
