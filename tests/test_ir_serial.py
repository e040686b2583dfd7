"""A network as an entry and arrays, and its digest: the same both ways, each change is seen."""

import copy
import json

import numpy as np
import pytest
from hand_cells import CELLS, gru
from hand_networks import make_stack
from networks import make_network
from test_cells_elman import random_network

from qornn_hw.cells.elman import lower
from qornn_hw.cells.elman_network import Activation
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import (
    OPERATIONS,
    Add,
    Answer,
    Assign,
    Factor,
    HadamardTerm,
    MatVec,
    Requantize,
    Summand,
    Term,
)
from qornn_hw.ir.serial import array_names, network_arrays, network_digest, network_entry, network_of


def both_ways(network):
    """Return the network of the JSON text of the entry and of arrays of another dtype."""
    entry = json.loads(json.dumps(network_entry(network)))
    arrays = {name: array.astype(">i8") for name, array in network_arrays(network).items()}
    assert set(array_names(entry)) == set(arrays)
    return network_of(entry, arrays)


@pytest.mark.parametrize("seed", range(30))
def test_stacks(seed):
    """Entry and arrays give the network again, with the same digest."""
    network = make_stack(300 + seed).network
    found = both_ways(network)
    assert network_digest(found) == network_digest(network)
    assert repr(found) == repr(network) and found.sizes == network.sizes


@pytest.mark.parametrize("seed", range(10))
def test_elman(seed):
    """The operations of Elman networks too, one-hot inputs, offsets and modrelu among them."""
    network = lower(random_network(seed))
    assert network_digest(both_ways(network)) == network_digest(network)


def test_thresholds_and_shared_bias():
    """What may be an integer, an array or nothing comes back as it was."""
    own = make_stack(1, [gru]).network
    tail = (Add("more", (Summand("layer0.h"),), own.states["layer0.h"].format, bias=3),)
    logits = own.readout.logits
    one = type(logits)(logits.name, tuple(type(t)("more", t.weights[:1], t.bits) for t in logits.terms),
                       logits.bias[:1])  # fmt: skip
    answer = Answer("answer", "logits", OutputKind.ARGMAX, -5)
    network = Network(own.input, own.layers, Readout(one, answer, own.readout.mode, tail), own.scales)
    found = both_ways(network)
    assert found.readout.answer.threshold == -5 and found.readout.tail[0].bias == 3
    assert network_digest(found) == network_digest(network)


def changed_leaves(entry, path=()):
    """Yield the path of every number, text and truth value of an entry."""
    items = entry.items() if isinstance(entry, dict) else enumerate(entry)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from changed_leaves(value, (*path, key))
        else:
            yield (*path, key)


def at(entry, path):
    """Return the part of an entry that holds the last key of a path."""
    for key in path[:-1]:
        entry = entry[key]
    return entry


def test_digest_sees_every_change():
    """Each number, format, tie rule and integer of a network changes its digest, or is refused."""
    network = make_stack(3, [CELLS[2]]).network
    entry, arrays = network_entry(network), network_arrays(network)
    digests, refused = [network_digest(network)], 0
    for path in changed_leaves(entry):
        new = copy.deepcopy(entry)
        value = at(new, path)[path[-1]]
        replacement = {
            "half_up": "half_even", "every_step": "last_step", "both": "logits", True: False, False: True,
        }.get(value, value + 1 if isinstance(value, (int, float)) else f"{value}_x")  # fmt: skip
        at(new, path)[path[-1]] = replacement
        try:
            digests.append(network_digest(network_of(new, arrays)))
        except FormatError:
            refused += 1
    for name, array in arrays.items():
        other = array.copy()
        other.flat[-1] += 1 if other.flat[-1] < 7 else -1
        digests.append(network_digest(network_of(entry, arrays | {name: other})))
    assert len(set(digests)) == len(digests) and len(digests) > 60 and refused > 50


def broken(change):
    """Return the entry and arrays of a small network after a change of the entry."""
    network = make_stack(0, [gru]).network
    entry = json.loads(json.dumps(network_entry(network)))
    change(entry)
    return entry, network_arrays(network)


def put(*path, value):
    """Return a change that puts a value at a path."""

    def change(entry):
        at(entry, path)[path[-1]] = value

    return change


def drop(*path):
    """Return a change that takes the entry at a path away."""

    def change(entry):
        del at(entry, path)[path[-1]]

    return change


TAIL = ("layers", 0, "groups", 0, "tail")
ALL = ", ".join(OPERATIONS)
NAMES = "must be small letters, digits and _ in parts joined by '.', at most 64 characters"
NUMBER = "must be a finite number"
IN_TAIL = "network.layers[0].groups[0].tail"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("input"), "entry 'network.input' is missing"),
        (put("more", value=1), "unexpected entry 'network.more'"),
        (put("layers", value={}), "network.layers must be a list, not dict"),
        (put("layers", value=[[]]), "network.layers[0] must be a dictionary, not list"),
        (put("layers", 0, "states", 0, "format", "bits", value=True),
         "network.layers[0].states[0].format.bits must be an integer, not True"),
        (put("layers", 0, "states", 0, "format", "bits", value=0),
         "network.layers[0].states[0].format.bits must be at least 1, not 0"),
        (put("layers", 0, "states", 0, "format", "bits", value=1 << 70),
         "network.layers[0].states[0].format.bits must fit into 64 bits, but needs 72"),
        (put(*TAIL, 0, "op", value="os.system"),
         f"{IN_TAIL}[0].op must be one of {ALL}, not 'os.system'"),
        (drop(*TAIL, 0, "op"), f"entry '{IN_TAIL}[0].op' is missing"),
        (drop(*TAIL, 0, "name"), f"entry '{IN_TAIL}[0].name' is missing"),
        (put(*TAIL, 0, "name", value="../x"),
         f"{IN_TAIL}[0].name {NAMES}, not '../x'"),
        (put(*TAIL, 0, "shift", value="9"), f"{IN_TAIL}[0].shift must be an integer, not '9'"),
        (put(*TAIL, 0, "rounding", value="up"),
         f"{IN_TAIL}[0].rounding must be one of half_up, half_even, not 'up'"),
        (put(*TAIL, 0, "bias", value=5), f"{IN_TAIL}[0].bias must be null, not 5"),
        (put(*TAIL, 0, "more", value=5), f"unexpected entry '{IN_TAIL}[0].more'"),
        (put(*TAIL, 1, "entries", value=[1]),
         f"{IN_TAIL}[1].entries must be a tensor, not an entry of the header"),
        (put(*TAIL, 0, "factors", 0, "multiplier", value=1),
         f"{IN_TAIL}[0].factors[0].multiplier must be a tensor, not an entry of the header"),
        (put(*TAIL, value=[{}] * 65), f"{IN_TAIL} must hold at most 64 items, not 65"),
        (put("layers", 0, "groups", 0, "rows", 0, "op", value="add"),
         "network.layers[0].groups[0].rows[0].op must be one of mat_vec, not 'add'"),
        (put("readout", "answer", "threshold", value=1.5),
         "network.readout.answer.threshold must be an integer or null, not 1.5"),
        (put("readout", "mode", value="never"),
         "network.readout.mode must be one of every_step, last_step, not 'never'"),
        (put("scales", value={"logits": "1"}), "network.scales.logits must be a finite number, not '1'"),
        (put("scales", value={"logits": float("nan")}), f"network.scales.logits {NUMBER}, not nan"),
        (put("input", "scale", value=10**400), f"network.input.scale {NUMBER}, not 1{'0' * 59}"),
        (put("input", "scale", value=[]), "x: scale must be one number or one for each of 4 entries, not 0"),
        (put("input", "scale", value=[1, "a"]), "network.input.scale[1] must be a finite number, not 'a'"),
        (put("input", "kind", value="both"), "network.input.kind must be one of one_hot, vector, not 'both'"),
    ],
)  # fmt: skip
def test_broken(change, message):
    """Each fault is named with its place, before an array is read where that can be."""
    entry, arrays = broken(change)
    with pytest.raises(FormatError) as error:
        array_names(entry)
        network_of(entry, arrays)
    assert str(error.value) == message


def test_arrays_missing_or_left():
    """An array that is not there, or that nothing asks for, is named."""
    entry, arrays = broken(lambda entry: None)
    with pytest.raises(FormatError, match=r"^tensor 'logits.bias' is missing$"):
        network_of(entry, {name: a for name, a in arrays.items() if name != "logits.bias"})
    with pytest.raises(FormatError, match=r"^unexpected tensor 'more'$"):
        network_of(entry, arrays | {"more": np.zeros(1, int)})
    with pytest.raises(FormatError, match=r"^logits: bias must hold integers, not float64$"):
        network_of(entry, arrays | {"logits.bias": arrays["logits.bias"] * 1.0})


def test_digest_of_a_known_network():
    """The digest does not change from release to release: files would be refused."""
    network = make_network(activation=Activation.RELU)
    assert (
        network_digest(lower(network)) == "b95816b0473d75ee2a8a2716549d5f2f3d9cd0a91ab21bcd1577bedf708701d7"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"one_hot": False}, "unexpected entry 'network.layers[0].groups[0].rows[0].terms[0].one_hot'"),
        ({"bits": 1}, "unexpected entry 'network.layers[0].groups[0].rows[0].terms[0].bits'"),
        ({"extra": 1}, "unexpected entry 'network.layers[0].groups[0].rows[0].terms[0].extra'"),
        ({"block": 0}, "block must be an integer from 2 to 4096, not 0"),
        ({"block": True}, "terms[0].block must be"),
        ({"block": 2.0}, "terms[0].block must be"),
        ({"block": 4}, "block must be a power of two from 2 to 2"),
    ],
)
def test_broken_hadamard_terms(changes, message):
    """The entry that is wrong is named, not one of another kind of term."""
    s4, zero = IntFormat(4, signed=True), np.zeros(2, dtype=int)
    row = MatVec("a", (HadamardTerm("h", np.array([1, -1]), 2), Term("x", np.eye(2, dtype=int), 2)), zero)
    tail = (Requantize("q", (Factor("a", zero + 1),), 0, s4), Assign("h", "q"))
    readout = Readout(
        MatVec("y", (Term("h", np.eye(2, dtype=int), 2),), zero),
        Answer("c", "y", OutputKind.BOTH),
        OutputMode.LAST_STEP,
    )
    layer = Layer((State("h", s4, zero),), (Group((row,), tail),))
    network = Network(Input("x", InputKind.VECTOR, 2, s4), (layer,), readout, {"y": 1.0})
    entry, arrays = network_entry(network), network_arrays(network)
    assert network_digest(network_of(entry, arrays)) == network_digest(network)
    entry["layers"][0]["groups"][0]["rows"][0]["terms"][0] |= changes
    with pytest.raises(FormatError) as caught:
        network_of(entry, arrays)
    assert message in str(caught.value)
