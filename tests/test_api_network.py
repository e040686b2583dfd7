"""Networks of the Python API: made of every kind of model, read from every kind of file."""

from pathlib import Path

import numpy as np
import pytest
from hand_cells import gru, lstm
from hand_networks import make_stack, random_inputs
from networks import make_network
from real_networks import arrays

from qornn_hw.api.network import Network, compare_bits, load, quantize, save
from qornn_hw.cells.elman import lower
from qornn_hw.data.inference import ClippedInputsWarning
from qornn_hw.errors import CheckpointError, FormatError
from qornn_hw.files.checkpoint import Checkpoint, NetworkCheckpoint
from qornn_hw.files.network_entry import network_digest
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.quantization.quantize import export

MODELS = Path(__file__).parents[1] / "models"


def floats():
    """Return weights (W, U, V) and calibration inputs."""
    weights, options = arrays()
    return weights, options["calibration_inputs"]


def quantized():
    """Return a network of arrays and its calibration inputs."""
    weights, x = floats()
    return quantize(weights, x, activation="relu", weight_bits=6, state_bits=10), x


def test_arrays():
    """Three arrays give the network of the quantization with these options, and the report of its quality."""
    net, x = quantized()
    weights, _ = floats()
    made = export(*weights, activation="relu", calibration_inputs=x, weight_bits=6, state_bits=10)
    assert network_digest(net.network) == network_digest(made.network)
    assert net.quality is not None and dict(net.quality) == made.metrics["quality"]
    assert str(net.quality).startswith("understood ")
    assert set(net.float_weights) >= {"recurrent_weight", "input_weight", "output_weight"}


def test_torch_modules():
    """A module and the tuple of its parts give one network."""
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = torch.nn.RNN(3, 5, batch_first=True)
            self.readout = torch.nn.Linear(5, 2)

        def forward(self, x):
            return self.readout(self.rnn(x)[0])

    model = Model()
    x = np.random.default_rng(0).normal(size=(20, 6, 3)).astype(np.float32)
    whole = quantize(model, x, weight_bits=8, state_bits=10)
    parts = quantize((model.rnn, model.readout), x, weight_bits=8, state_bits=10)
    assert network_digest(whole.network) == network_digest(parts.network)


def test_a_network_again():
    """The float weights of a network are quantized with other bits; without them that is refused."""
    net, x = quantized()
    again = quantize(net, x, weight_bits=8, state_bits=12)
    assert (again.network.weight_bits.recurrent, again.network.state_bits) == (8, 12)
    rows = compare_bits(net, x, weight_bits=[4], state_bits=[8]).rows
    assert [row.name for row in rows] == ["float", "4-bit weights, 8-bit states", "as given"]
    with pytest.raises(FormatError, match=r"^model must hold the weights of a float network"):
        quantize(Network(Checkpoint(make_network())), x)
    with pytest.raises(FormatError, match=r"^model must be a Checkpoint, .*, not int$"):
        quantize(3, x)


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_both_kinds_of_files_behave_the_same(tmp_path, suffix):
    """An Elman network read from a file of either version gives the same network and the same numbers."""
    net, x = quantized()
    save(tmp_path / f"one{suffix}", net)
    save(tmp_path / f"two{suffix}", NetworkCheckpoint(lower(net.network)))
    one, two = (load(tmp_path / f"{name}{suffix}") for name in ("one", "two"))
    assert repr(one) == repr(two) and isinstance(two.checkpoint, Checkpoint)
    operations = Network(NetworkCheckpoint(lower(net.network)))
    for other in (one, two, operations):
        assert np.array_equal(other(x), net(x)) and np.array_equal(other.integers(x), net.integers(x))
        for got, due in zip(other([x[0], x[1, :3]]), net([x[0], x[1, :3]]), strict=True):
            assert np.array_equal(got, due)
        with pytest.warns(ClippedInputsWarning, match="input entries lay outside"):
            other(x * 100)
        with pytest.raises(FormatError, match="must have 5 channels"):
            other(x[..., :2])
    assert two.quality is None and operations.float_weights is None


@pytest.mark.parametrize("seed", range(4))
def test_other_cells_are_called_too(tmp_path, seed):
    """A stack of gated cells gives the integers of the interpreter, and is stored as operations."""
    network = make_stack(seed, [gru, lstm]).network
    save(tmp_path / "stack.npz", NetworkCheckpoint(network))
    net = load(tmp_path / "stack.npz")
    x = random_inputs(network, 3, 4, seed)
    scale, offset = np.asarray(network.input.scale), np.asarray(network.input.offset)
    reals = x if network.input.one_hot else x * scale + offset
    due = Interpreter(network).answers(x)
    assert np.array_equal(net.integers(reals), due)
    assert np.allclose(net(reals), due * network.scales[network.readout.logits.name], rtol=0)
    assert net.operations is net.network and repr(net) == repr(network)


def test_files_that_are_none(tmp_path):
    """A file that is not there, and another suffix, are errors of the model file."""
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "a.npz")
    with pytest.raises(CheckpointError, match="must end in"):
        save(tmp_path / "a.bin", load(MODELS / "copy.npz"))
