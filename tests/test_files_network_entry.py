"""A network as the header's entry and tensors, and its digest: the same both ways, each change is seen."""

import hashlib
import json
from dataclasses import fields, replace

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_network import Activation, IntegerNetwork, OutputKind, OutputMode, WeightBits
from qornn_hw.errors import CheckpointError
from qornn_hw.files.network_entry import entry_of, network_digest, network_entry, network_of, network_tensors
from qornn_hw.ir.formats import IntFormat, Rounding

TANH = {"activation": Activation.TANH, "table": np.arange(-8, 8)}


@pytest.mark.parametrize("changes", [{}, TANH, {"rounding": Rounding.HALF_EVEN, **one_hot_fields(2)}])
def test_both_ways(changes):
    """Entry and tensors give the network again, with the same digest, whatever the dtypes of the tensors."""
    network = make_network(**changes)
    tensors = network_tensors(network)
    for dtype in (None, np.int64, ">i8"):
        converted = {name: array if dtype is None else array.astype(dtype) for name, array in tensors.items()}
        found = network_of(network_entry(network), converted)
        assert network_entry(found) == network_entry(network)
        assert network_digest(found) == network_digest(network)
        for f in fields(IntegerNetwork):
            np.testing.assert_array_equal(getattr(found, f.name), getattr(network, f.name))


CHANGES = {
    "activation": Activation.RELU,
    "weight_bits": WeightBits(4, 4, 5),
    "state_bits": 9,
    "input_format": IntFormat(4, signed=True),
    "input_shift": 3,
    "shift": 10,
    "rounding": Rounding.HALF_EVEN,
    "output_mode": OutputMode.LAST_STEP,
    "output_kind": OutputKind.LOGITS,
}


def test_digest_sees_every_change():
    """Each field, each scale and each integer of a network changes its digest."""
    network = make_network()
    digests = [network_digest(network)]
    digests += [network_digest(replace(network, **{name: value})) for name, value in CHANGES.items()]
    for name in ("input", "state", "accumulator", "output", "input_offset"):
        value = np.nextafter(getattr(network.scales, name), 2.0)
        digests.append(
            network_digest(replace(network, scales=replace(network.scales, **{name: float(value)})))
        )
    for name, array in network_tensors(network).items():
        for index in np.ndindex(array.shape):
            changed = np.array(array, dtype=np.int64)
            changed[index] += 1 if changed[index] < 7 else -1
            digests.append(network_digest(replace(network, **{name: changed})))
    assert len(set(digests)) == len(digests)


def test_digest_is_the_documented_one():
    """The digest is that of the text and the bytes that the documentation names."""
    network = make_network()
    text = hashlib.sha256()
    text.update(json.dumps(network_entry(network), sort_keys=True, separators=(",", ":")).encode() + b"\n")
    for name in sorted(network_tensors(network)):
        array = getattr(network, name)
        text.update(f'"{name}"\n{list(array.shape)}\n'.replace(", ", ",").encode())
        text.update(b"".join(int(v).to_bytes(8, "little", signed=True) for v in array.ravel()))
    assert network_digest(network) == text.hexdigest()


@pytest.mark.parametrize("part", ["weight_bits", "input_format", "scales"])
def test_unknown_entries(part):
    """An entry that is not known is refused in every part, and so is a part that is no dictionary."""
    network = make_network()
    entry = network_entry(network)
    entry[part] = entry[part] | {"more": 1}
    with pytest.raises(CheckpointError, match=rf"^unexpected entry 'network.{part}.more'$"):
        network_of(entry, network_tensors(network))
    entry[part] = [1]
    with pytest.raises(CheckpointError, match=rf"^network.{part} must be a dictionary, not \[1\]$"):
        network_of(entry, network_tensors(network))


@pytest.mark.parametrize(
    "value, fits", [(2**63 - 1, True), (2**63, False), (-(2**63) + 1, True), (-(2**64), False)]
)
def test_integers_of_64_bits(value, fits):
    """An integer of a header that a signed word of 64 bits does not hold is refused with its size."""
    if fits:
        assert entry_of({"shift": value}, "shift", int, "network.") == value
        return
    bits = value.bit_length() + 1
    with pytest.raises(CheckpointError, match=rf"^network.shift must fit into 64 bits, but needs {bits}$"):
        entry_of({"shift": value}, "shift", int, "network.")


@pytest.mark.timeout(20)
def test_long_list_of_scales():
    """A list of a hundred thousand scales is refused for its length, in no time."""
    network = make_network()
    entry = network_entry(network)
    entry["scales"] = entry["scales"] | {"input": [1.0] * 100_000}
    with pytest.raises(ValueError, match=r"2"):
        network_of(entry, network_tensors(network))
