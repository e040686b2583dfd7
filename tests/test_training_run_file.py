"""The run file: a saved run is loaded by its own configuration only, and never half written."""

import pytest
import torch

from qornn_hw.errors import CheckpointError, OutputError
from qornn_hw.training import CopyConfig, run_file
from qornn_hw.training.run_file import RunFile, comparable

CONFIG = CopyConfig(blank=3, hidden=8)


def state_of(config):
    """Return a state with every key that a run file must have."""
    return dict.fromkeys(run_file._RUN_KEYS, 0) | {"config": comparable(config), "cell": torch.arange(3)}


@pytest.fixture
def saved(tmp_path):
    """Return a run file with a saved state."""
    file = RunFile(tmp_path / "model.run", 1)
    file.save(state_of(CONFIG))
    return file


def test_round_trip(saved):
    """The state is loaded as it was saved, and nothing else is in the folder."""
    state = saved.load(CONFIG)
    assert torch.equal(state["cell"], torch.arange(3)) and state["config"] == comparable(CONFIG)
    assert list(saved.path.parent.iterdir()) == [saved.path]


@pytest.mark.parametrize(
    ("minutes", "seconds", "due"), [(0, 10**6, False), (1, 59, False), (1, 61, True), (0.5, 31, True)]
)
def test_due(monkeypatch, tmp_path, minutes, seconds, due):
    """A run is saved once the interval has passed since the last save, and never at 0 minutes."""
    now = [100.0]
    monkeypatch.setattr(run_file.time, "monotonic", lambda: now[0])
    file = RunFile(tmp_path / "model.run", minutes)
    now[0] += seconds
    assert file.due is due
    file.save(state_of(CONFIG))
    assert not file.due


def test_options_without_influence_are_not_compared(saved):
    """The interval between saves and the folder of a warm start may change; another seed may not."""
    saved.load(CopyConfig(blank=3, hidden=8, checkpoint_minutes=9))
    assert comparable(CopyConfig(warm_start="a/model.pt")) == comparable(CopyConfig(warm_start="b/model.pt"))
    with pytest.raises(CheckpointError, match=r"seed.* must be as in the run that is resumed, 0, not 1"):
        saved.load(CopyConfig(blank=3, hidden=8, seed=1))


@pytest.mark.parametrize("name", sorted(run_file._RUN_KEYS))
def test_missing_parts(saved, name):
    """A file without one of its parts is refused."""
    state = state_of(CONFIG)
    del state[name]
    saved.save(state)
    with pytest.raises(CheckpointError, match="must be a run that qornn-hw train saved"):
        saved.load(CONFIG)


def test_other_version(saved):
    """A file of another version is refused with the version."""
    torch.save({"version": 1, **state_of(CONFIG)}, saved.path)
    with pytest.raises(CheckpointError, match="must be a run of this release, format 2, not 1; start again"):
        saved.load(CONFIG)


@pytest.mark.parametrize("length", [0, 10, 500])
def test_truncated_file(saved, length):
    """A truncated file is refused in one line."""
    saved.path.write_bytes(saved.path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"^\S+model\.run: must be a run that qornn-hw train saved: .*"):
        saved.load(CONFIG)


def test_no_file(tmp_path):
    """Without a file the message says how to start a run."""
    with pytest.raises(CheckpointError, match=r"model\.run: no saved run to resume; leave out resume"):
        RunFile(tmp_path / "model.run", 1).load(CONFIG)


def test_check(tmp_path):
    """The folder is created if needed, and a path that cannot be written is refused."""
    RunFile(tmp_path / "new" / "model.run", 1).check()
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/model\.run must be writable: .*; free some space, choose"):
        RunFile(tmp_path / "file" / "model.run", 1).check()
