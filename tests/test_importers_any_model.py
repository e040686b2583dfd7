"""Each form of a float network gives the same integers when it is quantized."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint
from qornn_hw.importers.any_model import quantizer_of

INPUTS = np.random.default_rng(0).normal(size=(20, 8, 3))
FIELDS = ("recurrent_weight", "input_weight", "output_weight", "bias", "output_bias", "multiplier", "table")


class Net(nn.Module):
    """An RNN with a readout."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.RNN(3, 5, batch_first=True)
        self.readout = nn.Linear(5, 2)

    def forward(self, x):
        """Return the logits after every step."""
        return self.readout(self.rnn(x)[0])


def test_all_forms_agree():
    """Arrays, a pair of modules, a whole module and a checkpoint of them have the same integers."""
    net = Net()
    arrays = [p.detach().numpy() for p in (net.rnn.weight_hh_l0, net.rnn.weight_ih_l0, net.readout.weight)]
    options = {
        "activation": "tanh",
        "bias": (net.rnn.bias_ih_l0 + net.rnn.bias_hh_l0).detach().numpy(),
        "output_bias": net.readout.bias.detach().numpy(),
    }
    first = quantizer_of(tuple(arrays))(calibration_inputs=INPUTS, **options)
    others = [
        quantizer_of(model)(calibration_inputs=INPUTS) for model in ((net.rnn, net.readout), net, first)
    ]
    for other in others:
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(first.network, name), getattr(other.network, name), name)
        assert other.network.activation == first.network.activation


@pytest.mark.parametrize("model", [None, "model.pt", np.zeros((3, 3)), (1, 2, 3, 4), {}])
def test_other_objects(model):
    """Another object is refused with the forms that are accepted."""
    with pytest.raises(FormatError, match=f"^model must be a Checkpoint, .*, not {type(model).__name__}$"):
        quantizer_of(model)


def test_checkpoint_without_float_weights():
    """A checkpoint of latent weights, or of integers only, has no float network to quantize."""
    copy = load_checkpoint(Path(__file__).parents[1] / "models" / "copy.npz")
    with pytest.raises(FormatError, match=r"^model must hold the weights of a float network"):
        quantizer_of(Checkpoint(copy.network))
