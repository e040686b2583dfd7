"""Small networks for tests, by hand."""

import numpy as np

from qornn_hw.cells.elman_network import (
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    WeightBits,
)
from qornn_hw.files.scale_consistency import scales_for
from qornn_hw.ir.formats import IntFormat, Rounding


def network_fields(n=3, m=2, p=2, seed=0):
    """Return the fields of a valid network with random weights, for tests to spoil one of them."""
    rng = np.random.default_rng(seed)
    fields = {
        "activation": Activation.IDENTITY,
        "recurrent_weight": rng.integers(-8, 8, (n, n)),
        "input_weight": rng.integers(-8, 8, (n, m)),
        "output_weight": rng.integers(-8, 8, (p, n)),
        "bias": rng.integers(-50, 50, n),
        "output_bias": rng.integers(-50, 50, p),
        "weight_bits": WeightBits(4, 4, 4),
        "state_bits": 8,
        "input_kind": InputKind.VECTOR,
        "input_format": IntFormat(4, signed=False),
        "input_shift": 2,
        "multiplier": rng.integers(1, 256, n),
        "shift": 9,
        "rounding": Rounding.HALF_UP,
        "initial_state": rng.integers(-128, 128, n),
        "output_mode": OutputMode.EVERY_STEP,
        "output_kind": OutputKind.BOTH,
    }
    return fields | {"scales": consistent_scales(fields)}


def consistent_scales(fields):
    """Return scales that belong to the requantizer of a network of these fields."""
    largest = int(np.max(fields["multiplier"]))
    return scales_for(fields["activation"], fields["state_bits"], largest, fields["shift"])


def make_network(n=3, m=2, p=2, seed=0, **changes):
    """Return a valid network with random weights and the given fields changed; its scales follow them."""
    fields = network_fields(n, m, p, seed) | changes
    if "scales" not in changes:
        fields["scales"] = consistent_scales(fields)
    return IntegerNetwork(**fields)


def one_hot_fields(symbols):
    """Return the fields that make the input one of ``symbols`` symbols."""
    return {
        "input_kind": InputKind.ONE_HOT,
        "input_format": IntegerNetwork.index_format(symbols),
    }
