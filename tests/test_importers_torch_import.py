"""Torch modules are exported as what their own forward pass computes, or refused with the reason."""

import copy
import re
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from qornn_hw.errors import FormatError
from qornn_hw.importers.torch_import import export_torch_rnn, read_torch_rnn
from qornn_hw.quantization.float_model import RealNetwork, run_real
from qornn_hw.quantization.quantize import export

N, M, P = 10, 4, 3
ROUNDING = 2e-6
"""Largest difference between float64 and a forward pass in float32, here."""


def inputs(count=12, steps=20):
    """Return calibration inputs."""
    return torch.randn(count, steps, M, generator=torch.Generator().manual_seed(1))


def plain(**options):
    """Return a recurrent layer and a readout."""
    return nn.RNN(M, N, **({"batch_first": True} | options)), nn.Linear(N, P)


def quietly(function, *arguments, **options):
    """Call a function of torch that warns of its age."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


def loaded(module, change):
    """Load a changed state into a module, without a forward pass after it."""
    state = {key: change(key, value.clone()) for key, value in module.state_dict().items()}
    module.load_state_dict(state)
    return module


def doubled(ending):
    """Return a change that doubles the tensors whose name has this ending."""
    return lambda key, value: 2 * value if key.endswith(ending) else value


def pruned():
    """Return modules that are pruned and then get a new state."""
    rnn, readout = plain()
    prune.l1_unstructured(rnn, "weight_hh_l0", 0.5)
    prune.random_unstructured(readout, "weight", 0.5)
    return loaded(rnn, doubled("_orig")), loaded(readout, doubled("_orig"))


def pruned_and_trained():
    """Return pruned modules whose weights are part of a graph, as after a training step."""
    rnn, readout = plain()
    prune.l1_unstructured(rnn, "weight_hh_l0", 0.5)
    readout(rnn(inputs())[0]).sum().backward()
    return rnn, readout


def weight_norm():
    """Return modules with the weight normalization of old, and a new state."""
    rnn, readout = plain()
    quietly(nn.utils.weight_norm, rnn, "weight_hh_l0")
    quietly(nn.utils.weight_norm, readout)
    return loaded(rnn, doubled("_g")), loaded(readout, doubled("_g"))


def spectral_norm():
    """Return modules with the spectral normalization of old, and a new state."""
    rnn, readout = plain()
    quietly(nn.utils.spectral_norm, rnn, "weight_hh_l0")
    quietly(nn.utils.spectral_norm, readout)
    rnn(inputs())
    return loaded(rnn, lambda key, value: -value if key.endswith("_orig") else value), readout


def parametrized():
    """Return modules with parametrizations, in training mode."""
    rnn, readout = plain()
    parametrizations.weight_norm(rnn, "weight_hh_l0")
    parametrizations.spectral_norm(rnn, "weight_ih_l0")
    parametrizations.orthogonal(readout)
    return loaded(rnn, doubled("original0")).train(), readout.train()


def assigned():
    """Return a layer whose weights were replaced after flatten_parameters, one of them by a plain tensor."""
    rnn, readout = plain()
    rnn.flatten_parameters()
    rnn.weight_hh_l0 = nn.Parameter(0.3 * torch.eye(N))
    del rnn.weight_ih_l0
    rnn.weight_ih_l0 = torch.randn(N, M)
    return rnn, readout


def tied():
    """Return a readout that has the recurrent weight."""
    rnn, readout = plain()[0], nn.Linear(N, N)
    readout.weight = rnn.weight_hh_l0
    return rnn, readout


def compiled():
    """Return wrapped modules: compiled, in data-parallel, averaged."""
    rnn, readout = plain()
    return quietly(torch.compile, torch.optim.swa_utils.AveragedModel(rnn), backend="eager"), nn.DataParallel(
        readout
    )


class Sub(nn.RNN):
    """A user's subclass."""


def subclass():
    """Return a subclass of nn.RNN, steps first, with a hook that changes nothing."""
    rnn = Sub(M, N, nonlinearity="relu")
    rnn.register_forward_hook(lambda module, arguments, answer: None)
    return rnn, nn.Linear(N, P)


def stacked_readout():
    """Return a readout of two linear layers with layers that change nothing."""
    return plain()[0], nn.Sequential(
        nn.Identity(), nn.Dropout(0.5), nn.Sequential(nn.Linear(N, 7), nn.Flatten()), nn.Linear(7, P)
    ).eval()


ACCEPTED = {
    "tanh": plain,
    "relu": lambda: plain(nonlinearity="relu"),
    "no biases": lambda: (nn.RNN(M, N, bias=False, batch_first=True), nn.Linear(N, P, bias=False)),
    "steps first": lambda: plain(batch_first=False),
    "pruned": pruned,
    "pruned, trained": pruned_and_trained,
    "weight_norm": weight_norm,
    "spectral_norm": spectral_norm,
    "parametrizations in training": parametrized,
    "assigned": assigned,
    "tied": tied,
    "wrapped": compiled,
    "subclass": subclass,
    "readout in layers": stacked_readout,
    "float64": lambda: tuple(one.double() for one in plain()),
    "cell": lambda: (nn.RNNCell(M, N), nn.Linear(N, P)),
    "cell, relu": lambda: (nn.RNNCell(M, N, nonlinearity="relu", bias=False), nn.Linear(N, P)),
    "nothing in front": lambda: (nn.Sequential(nn.Identity(), plain()[0]), plain()[1]),
    "linear in front": lambda: (nn.Sequential(nn.Linear(M, 6), nn.RNN(6, N, batch_first=True)), plain()[1]),
}


def forward(rnn, readout, x):
    """Return the logits of copies of the modules in evaluation mode, without any code under test."""
    rnn, readout = (getattr(one, "_orig_mod", one) for one in (rnn, readout))
    rnn, readout = (getattr(one, "module", one).eval() for one in (rnn, readout))
    x = x.to(next(readout.parameters()).dtype)
    with torch.no_grad():
        if isinstance(rnn, nn.Sequential):
            x, rnn = rnn[0](x), rnn[1]
        if isinstance(rnn, nn.RNNCell):
            states = [rnn(x[:, 0])]
            for t in range(1, x.shape[1]):
                states.append(rnn(x[:, t], states[-1]))
            states = torch.stack(states, 1)
        else:
            states = rnn(x if rnn.batch_first else x.transpose(0, 1))[0]
            states = states if rnn.batch_first else states.transpose(0, 1)
        return readout(states.reshape(-1, N)).reshape(*states.shape[:2], -1).double().numpy()


@pytest.mark.parametrize("name", ACCEPTED)
def test_export_is_the_forward_pass(name):
    """The float network of the checkpoint answers as the modules' own forward pass does."""
    torch.manual_seed(0)
    rnn, readout = ACCEPTED[name]()
    x = inputs()
    made = export_torch_rnn(rnn, readout, x, weight_bits=8, state_bits=14)
    found = run_real(RealNetwork.trained(made), x.numpy())[1]
    logits = read_torch_rnn(rnn, readout, x).logits(x.numpy())
    wanted = forward(rnn, readout, x)
    assert np.abs(wanted).max() > 0.05
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(logits, wanted, rtol=0, atol=ROUNDING)
    # The integers follow them.
    integers = made(x)
    assert np.abs(integers - wanted).max() < 0.1 * np.abs(wanted).max()


@pytest.mark.parametrize("name", [name for name in ACCEPTED if name != "pruned, trained"])
def test_modules_stay_as_they_were(name):
    """No parameter, no buffer, no mode, and no weight that a hook made, is changed by an export."""
    torch.manual_seed(0)
    modules = ACCEPTED[name]()
    before = copy.deepcopy([(one.state_dict(), one.training) for one in modules])
    plain_attributes = [
        (one, key, value, value.clone())
        for module in modules
        for one in module.modules()
        for key, value in vars(one).items()
        if torch.is_tensor(value)
    ]
    export_torch_rnn(*modules, inputs())
    for module, (state, training) in zip(modules, before, strict=True):
        assert module.training == training
        for key, value in module.state_dict().items():
            assert torch.equal(value, state[key]), key
    for one, key, value, content in plain_attributes:
        assert getattr(one, key) is value and torch.equal(value, content)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats(dtype):
    """16-bit modules and inputs are exported as the float32 of their numbers."""
    torch.manual_seed(0)
    rnn, readout = (one.to(dtype) for one in plain())
    x = inputs().to(dtype)
    made = export_torch_rnn(rnn, readout, x)
    wanted = export_torch_rnn(rnn.float(), readout.float(), x.float())
    for name, array in made.float_weights.items():
        assert np.array_equal(array, wanted.float_weights[name])
    assert made.network.scales == wanted.network.scales


def test_foreign_arrays():
    """Big-endian arrays and 16-bit tensors give the network that NumPy's own numbers give."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape).astype(np.float16).astype(float) for shape in ((N, N), (N, M), (P, N))]
    x = rng.normal(size=(5, 6, M))
    wanted = export(*arrays, activation="tanh", calibration_inputs=x).network
    big = [array.astype(">f8") for array in arrays]
    short = [torch.tensor(array, dtype=torch.float16) for array in arrays]
    for found in (
        export(*big, activation="tanh", calibration_inputs=x.astype(">f8")),
        export(*short, activation="tanh", calibration_inputs=torch.tensor(x)),
    ):
        assert found.network.scales == wanted.scales
        assert np.array_equal(found.network.recurrent_weight, wanted.recurrent_weight)


@pytest.mark.parametrize("shape", [(N,), (1, N), (1, 1, N)])
def test_initial_state(shape):
    """An initial state may have torch's dimensions for layers and batch."""
    torch.manual_seed(0)
    rnn, readout = plain()
    state = torch.rand(N) - 0.5
    made = export_torch_rnn(rnn, readout, inputs(), initial_state=nn.Parameter(state.reshape(shape)))
    with torch.no_grad():
        wanted = readout(rnn(inputs(), state.expand(1, 12, N).contiguous())[0]).numpy()
    np.testing.assert_allclose(run_real(RealNetwork.trained(made), inputs())[1], wanted, atol=ROUNDING)


@pytest.mark.parametrize("padding", [None, 0, 5])
@pytest.mark.parametrize("behind", [None, nn.Linear(M, M)])
def test_embedding(padding, behind):
    """An embedding in front, and a linear layer behind it, become the columns of U."""
    torch.manual_seed(0)
    embedding = nn.Embedding(6, M, padding_idx=padding, max_norm=1.5)
    rnn, readout = plain()
    x = torch.randint(0, 6, (12, 20))
    layers = [embedding, rnn] if behind is None else [embedding, behind, rnn]
    made = export_torch_rnn(nn.Sequential(*layers), readout, x, weight_bits=8, state_bits=12)
    assert made.network.input_kind == "one_hot" and made.network.input_size == 6
    with torch.no_grad():
        wanted = readout(nn.Sequential(*layers)(x)[0]).numpy()
    np.testing.assert_allclose(run_real(RealNetwork.trained(made), x)[1], wanted, atol=ROUNDING)


def test_indices_without_an_embedding():
    """Indices for a plain layer stand for one-hot vectors."""
    torch.manual_seed(0)
    rnn, readout = plain()
    x = torch.randint(0, M, (12, 20))
    found = read_torch_rnn(rnn, readout, x).logits(x.numpy())
    with torch.no_grad():
        wanted = readout(rnn(nn.functional.one_hot(x, M).float())[0]).numpy()
    np.testing.assert_allclose(found, wanted, atol=ROUNDING)


def test_sequences_of_different_lengths():
    """A list of sequences is taken, as everywhere."""
    x = [inputs(1, steps)[0] for steps in (1, 7, 30)]
    assert export_torch_rnn(*plain(), x, weight_bits=8, state_bits=12).metrics["quality"]
    found = read_torch_rnn(*plain(), x)
    assert [found.logits(one[None].numpy()).shape for one in x] == [(1, len(one), P) for one in x]


def scaled(module, arguments, answer):
    """Scale the states of a recurrent layer: a hook that changes an answer."""
    return answer[0] * 1.5, answer[1]


class Clipped(nn.RNN):
    """A subclass that computes something else."""

    def forward(self, x, state=None):
        """Return clipped states."""
        states, last = super().forward(x, state)
        return states.clamp(-0.1, 0.1), last


class Noisy(nn.Linear):
    """A readout with a forward of its own."""

    def forward(self, x):
        """Return the wrong logits."""
        return torch.relu(super().forward(x))


class Broken(nn.RNN):
    """A subclass that cannot run alone."""

    def forward(self, x, state=None):
        """Fail."""
        raise KeyError("context")


class Net(nn.Module):
    """A module that contains a recurrent layer."""

    def __init__(self):
        super().__init__()
        self.core, self.head = plain()


class Held(nn.RNN):
    """A layer that cannot be copied."""

    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle '_thread.lock' object")


class SimpleRNN:
    """Stands for a layer of Keras."""

    __module__ = "keras.src.layers"


class QuantRNN(nn.Module):
    """Stands for a layer of Brevitas."""

    __module__ = "brevitas.nn.quant_rnn"


class GatedCell(nn.Module):
    """Stands for somebody's LSTM."""


GatedCell.__name__ = "LayerNormLSTM"


def hooked():
    """Return a layer with a hook that changes its answer."""
    rnn = plain()[0]
    rnn.register_forward_hook(scaled)
    return rnn


def scripted():
    """Return a ScriptModule."""
    return quietly(torch.jit.script, nn.Linear(N, P))


WANTED = "rnn must be a torch.nn.RNN or RNNCell, not "
GATES = ": this takes a plain RNN; qornn_hw.quantize takes gated cells"
REFUSED_RNN = {
    "lstm": (lambda: nn.LSTM(M, N), f"{WANTED}LSTM{GATES}"),
    "gru": (lambda: nn.GRU(M, N), f"{WANTED}GRU{GATES}"),
    "lstm cell": (lambda: nn.LSTMCell(M, N), f"{WANTED}LSTMCell{GATES}"),
    "lstm, projected": (lambda: nn.LSTM(M, N, proj_size=3), f"{WANTED}LSTM{GATES}"),
    "own lstm": (GatedCell, f"{WANTED}LayerNormLSTM{GATES}"),
    "wrapped gru": (lambda: nn.DataParallel(nn.GRU(M, N)), f"{WANTED}GRU{GATES}"),
    "linear": (lambda: nn.Linear(M, N), f"{WANTED}Linear"),
    "module": (
        Net,
        f"{WANTED}Net, which contains one: pass its parts (Net.core, Net.head), or .*",
    ),
    "brevitas": (QuantRNN, f"{WANTED}QuantRNN of Brevitas, which computes with its own quantizers: .*"),
    "state dict": (
        lambda: plain()[0].state_dict(),
        f"{WANTED}a state dict (weight_ih_l0, weight_hh_l0, bias_ih_l0): load it into its module .*",
    ),
    "keras": (SimpleRNN, f"{WANTED}SimpleRNN of keras: pass its arrays to qornn_hw.quantize, W = .*"),
    "class": (lambda: nn.RNN, f"{WANTED}the class RNN: pass a module of it, with its weights"),
    "path": (lambda: "model.pt", f"{WANTED}a path: load the module with torch, and pass it"),
    "tensor": (lambda: torch.zeros(3), f"{WANTED}a tensor: pass W, U and V to qornn_hw.quantize"),
    "none": (lambda: None, f"{WANTED}NoneType: pass a module with its weights"),
    "script": (scripted, f"{WANTED}a ScriptModule, which is a program without its Python module: .*"),
    "layers": (lambda: nn.RNN(M, N, 2), "rnn must have 1 layer, not 2: train one layer with more units"),
    "directions": (lambda: nn.RNN(M, N, bidirectional=True), "rnn must have one direction, not two, .*"),
    "meta": (
        lambda: nn.RNN(M, N, device="meta"),
        "rnn must have weights with values, but weight_ih_l0 is on the meta device: .*",
    ),
    "hook": (
        hooked,
        "rnn must compute what its weights say, .*: it has the hook scaled, which changes .*",
    ),
    "subclass": (
        lambda: Clipped(M, N, batch_first=True),
        ".* differs by .*: Clipped has a forward of its own; .*",
    ),
    "broken": (
        lambda: Broken(M, N),
        "rnn must run on inputs (batch, steps, 4), but raises KeyError: 'context'",
    ),
    "held": (lambda: Held(M, N), "rnn must be a module that can be copied, but copy.deepcopy fails: .*"),
    "other size": (
        lambda: nn.RNN(M + 1, N),
        "calibration_inputs must be vectors (batch, steps, 5), not sequences of shape (20, 4)",
    ),
    "size in front": (
        lambda: nn.Sequential(nn.Linear(M, 6), nn.RNN(5, N)),
        "rnn must give its layer 5 inputs, not 6 features",
    ),
    "activation alone in front": (
        lambda: nn.Sequential(nn.ReLU(), nn.RNN(M, N)),
        "rnn.0 must be a Linear, Identity, Dropout or Flatten, not ReLU: .*",
    ),
    "activation in front": (
        lambda: nn.Sequential(nn.Linear(M, 5), nn.ReLU(), nn.RNN(5, N)),
        "rnn.1 must be a Linear, Identity, Dropout or Flatten, not ReLU: only linear layers .*",
    ),
}
LAYER = "must be a Linear, Identity, Dropout or Flatten, not"
REFUSED_READOUT = {
    "size": (lambda: nn.Linear(9, P), "readout must take the rnn's 10 hidden units, not 9 features"),
    "relu": (nn.ReLU, "readout must be a torch.nn.Linear, not ReLU: only linear layers have hardware .*"),
    "none": (lambda: None, "readout must be a torch.nn.Linear, not NoneType: pass a module with its weights"),
    "softmax": (
        lambda: nn.Sequential(nn.Linear(N, P), nn.LogSoftmax(-1)),
        f"readout.1 {LAYER} LogSoftmax: the hardware answers logits, whose argmax is the same: leave it out",
    ),
    "hidden layer": (
        lambda: nn.Sequential(nn.Linear(N, 5), nn.GELU(), nn.Linear(5, P)),
        f"readout.1 {LAYER} GELU.*",
    ),
    "batch norm": (
        lambda: nn.Sequential(nn.BatchNorm1d(N), nn.Linear(N, P)),
        f"readout.0 {LAYER} BatchNorm1d: fold .*",
    ),
    "dropout": (
        lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(N, P)),
        "readout.0 must be in evaluation mode, but is a Dropout that drops: call eval()",
    ),
    "nothing": (lambda: nn.Sequential(nn.Identity()), "readout must have a torch.nn.Linear, but has none"),
    "lazy": (
        lambda: quietly(nn.LazyLinear, P),
        "readout must have its weights, but weight has no shape yet: .*",
    ),
    "own": (
        lambda: Noisy(N, P),
        "readout must compute what its weights say, .*: Noisy has a forward of its own; .*",
    ),
    "second size": (
        lambda: nn.Sequential(nn.Linear(N, 5), nn.Linear(6, P)),
        "readout.1 must take the 5 features of the layer before it, not 6 features",
    ),
}


def refused(message, *arguments, **options):
    """Check that an export is refused with one line."""
    pattern = re.escape(message).replace(r"\.\*", ".*")
    with pytest.raises(FormatError, match=f"^{pattern}$") as found:
        export_torch_rnn(*arguments, **options)
    assert len(str(found.value).splitlines()) == 1


@pytest.mark.parametrize("name", REFUSED_RNN)
def test_recurrent_layer_is_refused(name):
    """A module that is no recurrent layer of this hardware is refused with the true reason."""
    torch.manual_seed(0)
    make, message = REFUSED_RNN[name]
    refused(message, make(), nn.Linear(N, P), inputs())


@pytest.mark.parametrize("name", REFUSED_READOUT)
def test_readout_is_refused(name):
    """A readout that is not linear is refused by the name of its layer, with the reason."""
    torch.manual_seed(0)
    make, message = REFUSED_READOUT[name]
    refused(message, plain()[0], make(), inputs())


def test_gates_are_said_of_gated_cells_only():
    """No other refusal speaks of gates."""
    gated = {name for name, (_, message) in REFUSED_RNN.items() if "gated" in message}
    assert gated == {"lstm", "gru", "lstm cell", "lstm, projected", "own lstm", "wrapped gru"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"initial_state": torch.zeros(2, N)},
            "initial_state must have shape (10,), (1, 10) or (1, 1, 10), not (2, 10)",
        ),
        ({"bias": np.zeros(N)}, "bias must not be given, because the modules determine it"),
        ({"activation": "tanh"}, "activation must not be given, because the modules determine it"),
    ],
)
def test_options_are_refused(options, message):
    """Options that contradict the modules are refused."""
    refused(message, *plain(), inputs(), **options)


def test_vectors_in_front_of_an_embedding_are_refused():
    """An embedding takes indices only, and only those that it has."""
    rnn = nn.Sequential(nn.Embedding(6, M), nn.RNN(M, N))
    refused(
        "calibration_inputs must be indices (batch, steps), not sequences of shape .*",
        rnn,
        plain()[1],
        inputs(),
    )
    refused("calibration_inputs must be indices from 0 to 5, not 6", rnn, plain()[1], torch.tensor([[0, 6]]))


def test_a_planted_fault_is_found(monkeypatch):
    """The comparison with the forward pass finds weights that are wrong by a thousandth."""
    from qornn_hw.importers import torch_layers

    right = torch_layers._array
    monkeypatch.setattr(
        torch_layers, "_array", lambda tensor: right(tensor) * (1.001 if tensor.shape == (N, N) else 1)
    )
    refused("rnn must compute what its weights say, .*", *plain(nonlinearity="relu"), inputs())
