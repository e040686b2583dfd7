"""One network at several widths: rows in order, true figures, all kinds of models, and what is refused."""

import json
import warnings

import numpy as np
import pytest

import qornn_hw
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.errors import FormatError
from qornn_hw.evaluation.bit_comparison import compare_bits
from qornn_hw.quantization.float_model import RealNetwork, run_real
from qornn_hw.quantization.quantize import export

RNG = np.random.default_rng(0)
W, U, V = RNG.normal(size=(10, 10)) * 0.3, RNG.normal(size=(10, 3)), RNG.normal(size=(4, 10))
X = RNG.uniform(-1, 1, (40, 12, 3))
FLOAT = RealNetwork.trained(export(W, U, V, activation="tanh", calibration_inputs=X))
TARGETS = run_real(FLOAT, X)[1].argmax(-1)


def compared(model=(W, U, V), inputs=X, **options):
    """Return a comparison without the widths' warnings turned into errors."""
    options = {"activation": "tanh"} | options if isinstance(model, tuple) and len(model) == 3 else options
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compare_bits(model, inputs, **options)


def test_rows_and_figures():
    """The float row comes first, then weights by states; each figure is what its network gives."""
    found = compared(targets=TARGETS)
    names = [row.name for row in found.rows]
    assert names == ["float", *(f"{k}-bit weights, {a}-bit states" for k in (4, 6, 8) for a in (8, 12))]
    assert found.score_name == "accuracy" and found.rows[0].score == 1
    for row in found.rows[1:]:
        network = row.quality.network
        assert (network.weight_bits.recurrent, network.state_bits) == (row.weight_bits, row.state_bits)
        logits = IntegerModel(network).run(quantize_inputs(network, X).integers).logits
        assert row.score == row.agreement == pytest.approx((logits.argmax(-1) == TARGETS).mean())
        assert row.weight_kilobytes == pytest.approx((100 + 30 + 40) * row.weight_bits / 8000)
    errors = {(row.weight_bits, row.state_bits): row.relrms for row in found.rows[1:]}
    assert errors[4, 12] > errors[6, 12] > errors[8, 12]


def test_a_checkpoint_is_a_row_of_its_own():
    """A checkpoint's own integers come last, as given."""
    checkpoint = export(W, U, V, activation="tanh", calibration_inputs=X, weight_bits=3, state_bits=9)
    found = compared(checkpoint, weight_bits=[8], state_bits=[12])
    assert [row.name for row in found.rows] == ["float", "8-bit weights, 12-bit states", "as given"]
    assert found.rows[-1].quality.network is checkpoint.network
    assert found.score_name is None and found.rows[0].score is None


def test_a_torch_module():
    """A torch RNN with its readout gives the rows of its arrays."""
    torch = pytest.importorskip("torch")
    rnn, readout = torch.nn.RNN(3, 10, batch_first=True), torch.nn.Linear(10, 4)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(torch.from_numpy(W))
        rnn.weight_ih_l0.copy_(torch.from_numpy(U))
        readout.weight.copy_(torch.from_numpy(V))
        for bias in (rnn.bias_hh_l0, rnn.bias_ih_l0, readout.bias):
            bias.zero_()

    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.readout = rnn, readout

        def forward(self, x):
            return self.readout(self.rnn(x)[0])

    wanted = compared()
    for found in (compared((rnn, readout)), compared(Both())):
        for a, b in zip(found.rows, wanted.rows, strict=True):
            assert a.agreement == pytest.approx(b.agreement, abs=0.01)


def test_sequences_of_different_lengths_are_compared():
    """Padded inputs with lengths count only their own steps."""
    checkpoint = export(W, U, V, activation="tanh", calibration_inputs=X)
    lengths = np.arange(40) % 12 + 1
    found = compared((W, U, V), X, lengths=lengths, weight_bits=[8], state_bits=[8])
    assert found.rows[1].quality.answers == lengths.sum()
    assert checkpoint.network.state_bits == 8


def test_table_and_json():
    """The text has a line for each row, and the JSON all figures."""
    found = compared(targets=TARGETS, weight_bits=[4], state_bits=[8])
    lines = found.table().splitlines()
    assert lines[0] == "understood: 40 sequences of 12 steps of 3 inputs, 4 outputs after every step"
    assert lines[1].split()[:4] == ["network", "accuracy", "agreement", "relrms"]
    assert lines[2].startswith("float") and lines[3].startswith("4-bit weights, 8-bit states")
    assert len({len(line) for line in lines[1:]}) == 1
    value = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert value["rows"][0]["agreement"] == 1
    assert value["rows"][1]["quality"]["bits"]["weights"]["recurrent"] == 4


def test_it_is_part_of_the_package():
    """qornn_hw.compare_bits gives what this function gives."""
    x = np.random.default_rng(0).normal(size=(20, 10, 2))
    weights = (np.diag([0.9, -0.8]), np.eye(2), np.ones((1, 2)))
    options = {"activation": "relu", "weight_bits": [4], "state_bits": [8]}
    assert (
        qornn_hw.compare_bits(weights, x, **options).to_json()
        == compare_bits(weights, x, **options).to_json()
    )


@pytest.mark.parametrize(
    "model, options, message",
    [
        ((W, U, V), {"inputs": np.zeros((0, 5, 3))}, "^inputs must hold sequences"),
        ((W, U, V), {"weight_bits": []}, "must each name at least one width"),
        ((W, U, V), {"weight_bits": [9]}, "^weight_bits must be 1 to 8, not 9"),
        ((W, U, V), {"state_bits": [3]}, "^state_bits must be 4 to 16, not 3"),
        (W, {}, "^model must be a Checkpoint, a tuple of three arrays"),
    ],
)
def test_refusals(model, options, message):
    """Nothing to compare, widths that cannot be, and another kind of model are refused."""
    with pytest.raises(FormatError, match=message):
        compared(model, **options)


def test_latent_weights_are_no_float_network():
    """A checkpoint of quantization-aware training has no float network for a comparison."""
    checkpoint = export(
        W, U, V, activation="tanh", calibration_inputs=X, provenance={"float_weights": "latent"}
    )
    with pytest.raises(FormatError, match=r"^model must hold the weights of a float network"):
        compared(checkpoint)
