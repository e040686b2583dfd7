"""Networks from state dicts: what the module computes, or a refusal that says what is ambiguous."""

import numpy as np
import pytest
import torch

from qornn_hw.errors import FormatError
from qornn_hw.importers.state_dict import Description, read_state_dict

INPUTS, UNITS, OUTPUTS, SYMBOLS = 3, 5, 4, 9


class Net(torch.nn.Module):
    """A recurrent layer with a readout, perhaps behind an embedding."""

    def __init__(self, kind="GRU", symbols=0, units=UNITS, relu=False, **given):
        super().__init__()
        self.relu = torch.nn.ReLU() if relu else torch.nn.Identity()
        self.embedding = torch.nn.Embedding(symbols, INPUTS) if symbols else torch.nn.Identity()
        self.rnn = getattr(torch.nn, kind)(INPUTS, units, batch_first=True, **given)
        self.fc = torch.nn.Linear(units, OUTPUTS)

    def forward(self, x):
        """Answer at every step."""
        return self.fc(self.relu(self.rnn(self.embedding(x))[0]))


NETS = {
    "rnn": lambda: (Net("RNN"), Description(activation="tanh")),
    "rnn of relu": lambda: (Net("RNN", nonlinearity="relu"), Description(activation="relu")),
    "gru": lambda: (Net("GRU"), None),
    "lstm": lambda: (Net("LSTM"), None),
    "three layers": lambda: (Net("GRU", num_layers=3), None),
    "without biases": lambda: (Net("LSTM", bias=False), None),
    "an embedding": lambda: (Net("GRU", symbols=SYMBOLS), None),
    "as many units as inputs": lambda: (Net("GRU", symbols=SYMBOLS, units=INPUTS), None),
    "a relu in front of the readout": lambda: (Net("LSTM", relu=True), Description(output_relu=True)),
    "wrapped": lambda: (torch.nn.DataParallel(Net("GRU")), None),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("form", ["tensors", "arrays"])
def test_equal_to_the_module(name, form):
    """Logits are those of the module that the state dict is of, to 1e-5."""
    torch.manual_seed(0)
    module, told = NETS[name]()
    state = dict(module.state_dict())
    if form == "arrays":
        state = {key: value.numpy() for key, value in state.items()}
    stack = read_state_dict(state, told)
    rng = np.random.default_rng(1)
    embedded = stack.one_hot
    x = rng.integers(0, SYMBOLS, (3, 8)) if embedded else rng.normal(size=(3, 8, INPUTS))
    with torch.no_grad():
        wanted = module(torch.tensor(x, dtype=None if embedded else torch.float32)).numpy()
    assert np.abs(stack.run(x) - wanted).max() < 1e-5


def state_of(**given):
    """Return the state dict of a GRU with changes: None removes an entry."""
    state = {key: value.numpy() for key, value in Net(**given).state_dict().items()}
    return state


FAILURES = {
    "an activation that nothing tells": (
        lambda: state_of(kind="RNN"),
        None,
        r"^rnn_l0 must have a described activation, tanh or relu: no name in the file tells it$",
    ),
    "names that differ by a wrapper": (
        lambda: state_of() | {"module.fc.bias": np.ones(OUTPUTS)},
        None,
        r"^names must differ without the prefixes module\., ",
    ),
    "two directions": (
        lambda: state_of(bidirectional=True),
        None,
        r"^rnn\.weight_ih_l0_reverse must not be there: a second direction",
    ),
    "a projection": (
        lambda: state_of(kind="LSTM", proj_size=2),
        None,
        r"^rnn\.weight_hr_l0 must not be there: projections of the state are not supported$",
    ),
    "no recurrent layer": (
        lambda: {"fc.weight": np.ones((2, 3))},
        None,
        r"^the state dict must hold weight_ih_l0 and weight_hh_l0 of a recurrent layer$",
    ),
    "a missing matrix": (
        lambda: {k: v for k, v in state_of().items() if "hh" not in k},
        None,
        r"^rnn_l0 must have weight_hh, but it is missing$",
    ),
    "two readouts": (
        lambda: state_of() | {"head.weight": np.ones((2, UNITS)), "head.bias": np.ones(2)},
        None,
        r"^the state dict must have one readout, a weight of 5 columns, but has fc, head; name it",
    ),
    "another module": (
        lambda: state_of() | {"norm.weight": np.ones(UNITS)},
        None,
        r"^the state dict must hold recurrent layers, a readout and an embedding only, but has norm\.weight:",
    ),
    "an unknown readout": (
        state_of,
        Description(readout="head"),
        r"^readout head must have a weight of 5 columns; those are fc$",
    ),
    "an unknown layer": (
        state_of,
        Description(recurrent=("gru",)),
        r"^recurrent layer gru must be one of rnn$",
    ),
    "rows that are no gates": (
        lambda: {
            "r.weight_ih_l0": np.ones((10, 3)),
            "r.weight_hh_l0": np.ones((10, 5)),
            "fc.weight": np.ones((2, 5)),
        },
        None,
        r"^r_l0 must have 1, 3 or 4 rows for each of its 5 units, not 10 rows$",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(name):
    """One line says what must be what."""
    make, told, message = FAILURES[name]
    with pytest.raises(FormatError, match=message):
        read_state_dict(make(), told)
