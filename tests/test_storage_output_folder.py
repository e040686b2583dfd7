"""Results are replaced as a whole: after any kill or failure the folder holds the old or the new set."""

import errno
import os
import signal
from itertools import count
from pathlib import Path

import pytest

from qornn_hw.errors import OutputError
from qornn_hw.storage.output_folder import recover, replace_results, work_folder

OLD = {"a.bin": "old a", "b.v": "old b", "only-old": "mine", "z.json": "old z"}
NEW = {"a.bin": "new a", "b.v": "new b", "c": "new c", "folder/x": "new x", "z.json": "new z"}
FILES = [(f"new/{name}", name) for name in ("a.bin", "b.v", "c", "folder", "z.json")]


def write(folder, files):
    """Write texts by path."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def texts(folder):
    """Return texts by path."""
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def replaced(out_dir, fault):
    """Replace results in ``out_dir``; ``fault`` is called before each rename with its number."""
    plain, at = Path.replace, count()

    def replace(path, target):
        fault(next(at))
        return plain(path, target)

    with work_folder(out_dir, "build", exclusive=True) as work:
        write(work / "new", NEW)
        Path.replace = replace
        try:
            replace_results(work, out_dir, FILES)
        finally:
            Path.replace = plain


def whole(folder, old):
    """Return which results are there, "old" or "new"; nothing of the other is among them."""
    found = texts(folder)
    if found.get("z.json") == "new z":
        assert found == NEW | ({"only-old": "mine"} if old else {})
        return "new"
    assert {name: found.get(name) for name in old} == old
    return "old"


@pytest.mark.parametrize("old", [OLD, {}], ids=["over results", "into nothing"])
def test_results_after_a_kill(old, tmp_path):
    """After SIGKILL before any rename, recovery restores the old results and removes the work folder."""
    ends = []
    for number in range(20):
        out = tmp_path / str(number)
        out.mkdir()
        write(out, old)
        if (child := os.fork()) == 0:
            try:
                replaced(out, lambda at, number=number: at == number and os.kill(os.getpid(), signal.SIGKILL))
                os._exit(0)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        recover(out)
        ends.append(whole(out, old))
        if status == 0:
            break
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        with work_folder(out, "build", exclusive=True):
            pass
        assert not list(out.glob(".build-*"))
    assert ends == ["old"] * (len(ends) - 1) + ["new"]
    # Three are moved away where there are any, five are placed.
    assert len(ends) == (9 if old else 6)


@pytest.mark.parametrize("old", [OLD, {}], ids=["over results", "into nothing"])
def test_results_after_a_failure(old, tmp_path):
    """After a failed rename the folder holds exactly the old results."""
    for number in range(8 if old else 5):
        out = tmp_path / str(number)
        out.mkdir()
        write(out, old)

        def fault(at, number=number):
            if at == number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.raises(OutputError, match="the disk is full"):
            replaced(out, fault)
        assert texts(out) == old


def test_a_folder_for_one(tmp_path):
    """A second exclusive writer is refused, a plain one is not; created folders are removed again."""
    out = tmp_path / "out"
    with work_folder(out, "build", exclusive=True) as work:
        assert work.name.startswith(f".build-{os.getpid()}-")
        message = rf"must be free, but process {os.getpid()} writes its build there; wait until"
        with pytest.raises(OutputError, match=message), work_folder(out, "export", exclusive=True):
            pass
        with work_folder(out, "answers") as other:
            assert other.parent == out
    assert not out.exists()


def test_what_is_not_ours_is_not_put_back(tmp_path):
    """Only the work folders of ended processes are removed."""
    write(tmp_path, {".mine/replaced-z.json/z.json": "x"})
    recover(tmp_path)
    assert not (tmp_path / "z.json").exists()
    write(tmp_path, {".build-1-abcd1234/replaced-z.json/z.json": "x"})
    with work_folder(tmp_path, "build", exclusive=True):
        assert (tmp_path / "z.json").read_text() == "x"
    assert not list(tmp_path.glob(".build-*"))
