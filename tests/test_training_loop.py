"""Schedule, best weights and progress of a training."""

import math
import sys

import pytest
import torch

from qornn_hw.training.loop import Best, Reporter, cosine


def test_cosine_schedule():
    """The rate rises over the warm-up, falls as half a cosine, and stays at zero from the end on."""
    assert cosine(0, 1000) == pytest.approx(1 / 50)
    assert cosine(499, 1000) == pytest.approx(0.5, abs=0.01)
    assert cosine(1000, 1000) == cosine(2000, 1000) == 0.0
    values = [cosine(i, 1000) for i in range(60, 1000)]
    assert values == sorted(values, reverse=True)


def test_best_weights_are_kept():
    """The weights of the best score come back; NaN is never best."""
    module = torch.nn.Linear(1, 1)
    best = Best()
    best.restore(module)
    for value, score in ((1.0, 0.5), (2.0, 0.9), (3.0, math.nan), (4.0, 0.7)):
        torch.nn.init.constant_(module.weight, value)
        best.offer(score, module)
    best.restore(module)
    assert module.weight.item() == 2.0


def test_reporter_without_terminal(capsys):
    """Without a terminal progress is plain lines on stderr, and none if quiet."""
    with Reporter("copy", 4, seconds=0.0) as reporter:
        for i in range(4):
            reporter.update(i + 1, loss=0.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 4 and lines[-1].startswith("copy 4/4 loss 0.25, ")
    with Reporter("mnist", 2, seconds=0.0) as reporter:
        reporter.update(1, loss=0.25, validation=None)
        reporter.update(2, loss=0.25, validation=0.5)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("mnist 1/2 loss 0.25, validation -, ") and first.endswith(" s left")
    assert second == "mnist 2/2 loss 0.25, validation 0.5, 0 s left"
    with Reporter("copy", 1, quiet=True) as reporter:
        reporter.update(1)
    assert capsys.readouterr().err == ""


def test_reporter_counts_epochs_and_says_an_early_end(capsys):
    """Epochs are counted from 1, and a stage that ends before its time has a last line that says so."""
    with Reporter("arrays", 30, seconds=0.0, epoch=10) as reporter:
        reporter.update(1, loss=0.5)
        reporter.update(11, loss=0.25)
        reporter.seconds = 1000.0
        reporter.update(20, loss=0.125)
    lines = [line.split(", loss ")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["arrays 1/30 epoch 1/3", "arrays 11/30 epoch 2/3", "arrays 20/30 epoch 2/3"]
    with Reporter("arrays", 30, seconds=1000.0, epoch=10) as reporter:
        reporter.update(20, loss=0.125)
    assert capsys.readouterr().err == ("arrays 20/30 epoch 2/3, loss 0.125, ended early: no better network\n")


def test_reporter_on_a_terminal(capsys, monkeypatch):
    """On a terminal progress is a bar with loss and count."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Reporter("copy", 2) as reporter:
        reporter.update(2, loss=0.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "copy" in captured.err and "2/2 loss 0.25" in captured.err
