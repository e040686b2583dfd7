"""The command convert: there and back."""

from pathlib import Path

import numpy as np

from qornn_hw.files.checkpoint import load_checkpoint

MODELS = Path(__file__).parents[1] / "models"


def test_convert_round_trip(run, tmp_path):
    """.npz to .pt to .npz keeps every integer."""
    pt, npz = tmp_path / "model.pt", tmp_path / "model.npz"
    assert run("convert", MODELS / "copy.npz", pt)[0] == 0
    assert run("convert", pt, npz)[0] == 0
    first, second = load_checkpoint(MODELS / "copy.npz").network, load_checkpoint(npz).network
    assert np.array_equal(first.recurrent_weight, second.recurrent_weight)
    assert np.array_equal(first.multiplier, second.multiplier)
