"""benchmarks/training_speed.py: both sides of a comparison do the same, and the table says what it shows."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture
def speed(monkeypatch):
    """The script."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import training_speed

    yield training_speed
    sys.modules.pop("training_speed")


def test_copy_task_is_the_same_work(speed):
    """The loop and the matrix power answer the same steps: the losses and the gradients are the same."""
    cell = speed.linear(8)
    found = {}
    for name, run in speed.copy_runs(cell, blank=30, batch=20).items():
        loss = run()
        found[name] = [loss, *(p.grad.clone() for p in cell.parameters() if p.grad is not None)]
    assert len(found["recur"]) > 3
    for one, other in zip(found["recur"], found["matrix power"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_rounds_end(speed, monkeypatch):
    """The rounds fill the time budget, at least two; the first one does not count."""
    clock = [0]
    calls = []

    def run():
        calls.append(None)
        clock[0] += 8 if len(calls) == 1 else 2

    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    assert speed.fastest({"run": run}, 0.0) == {"run": 2}
    assert len(calls) == 2
    calls.clear()
    speed.fastest({"run": run}, 15.0)
    assert len(calls) == 4


def test_table(speed):
    """A column is the time of one way divided by that of recur."""
    text = speed.table({"a task": {"plain loop": 0.5, "recur": 0.25, "matrix power": 0.125}})
    head, _, line, _, note = text.splitlines()
    titles = [cell.strip() for cell in head.strip("|").split("|")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    found = dict(zip(titles, cells, strict=True))
    assert found["recur, ms"] == "250"
    assert (found["plain loop / recur"], found["matrix power / recur"]) == ("2.00", "0.50")
    assert found["torch.nn.RNN / recur"] == ""
    assert note == "Times divided by that of `recur`: above 1 is slower, below 1 faster."


@pytest.mark.parametrize("kind", ["gru", "lstm", "fastgrnn"])
def test_gated_cells_are_the_same_work(speed, kind):
    """All ways compute the same last state."""
    found = {name: run() for name, run in speed.cell_runs(kind, batch=3, n=5, steps=7).items()}
    assert len(found) == (2 if kind == "fastgrnn" else 3)
    assert list(found.values()) == pytest.approx([found["recur"]] * len(found), rel=1e-4)
