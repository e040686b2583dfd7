"""A loaded network is called with real numbers, in both forms of a checkpoint, with the same answers."""

import warnings

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman import lower
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.data.inference import ClippedInputsWarning
from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import Checkpoint, NetworkCheckpoint


def both(**changes):
    """Return a checkpoint of a random network, as parameters and as operations."""
    network = make_network(n=5, m=3, p=2, seed=8, **changes)
    return Checkpoint(network), NetworkCheckpoint(lower(network))


@pytest.mark.parametrize("mode", list(OutputMode))
def test_vectors(mode):
    """The call gives the logits times the output scale, integers() the logits, for both forms."""
    elman, operations = both(output_mode=mode)
    x = np.random.default_rng(0).integers(0, 16, (4, 6, 3))
    real = x * elman.network.scales.input_steps(3) + elman.network.scales.input_offsets(3)
    wanted = IntegerModel(elman.network).run(x).logits
    wanted = wanted[:, -1:] if mode is OutputMode.LAST_STEP else wanted
    for found in (elman, operations):
        np.testing.assert_array_equal(found.integers(real), wanted)
        np.testing.assert_allclose(found(real), wanted * elman.network.scales.output, rtol=1e-12)


def test_lengths_and_lists():
    """Padded sequences and a list of sequences give a list of the same answers."""
    for checkpoint in both(**one_hot_fields(3)):
        x, lengths = np.array([[0, 1, 2], [2, 2, 0]]), [3, 1]
        padded = checkpoint(x, lengths)
        listed = checkpoint([x[0], x[1, :1]])
        for one, other, length in zip(padded, listed, lengths, strict=True):
            assert one.shape == (length, 2)
            np.testing.assert_array_equal(one, other)


def test_clipped_inputs_warn():
    """An input outside the format gives a warning, one inside none."""
    for checkpoint in both():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            checkpoint(np.zeros((1, 2, 3)))
        with pytest.warns(ClippedInputsWarning, match="1 of 6 input entries"):
            checkpoint(np.array([[[1e9, 0, 0], [0, 0, 0]]]))


def test_wrong_inputs():
    """Another number of channels and NaN are refused."""
    for checkpoint in both():
        for wrong in (np.zeros((1, 2, 4)), np.full((1, 2, 3), np.nan)):
            with pytest.raises(FormatError, match=r"^inputs"):
                checkpoint(wrong)
