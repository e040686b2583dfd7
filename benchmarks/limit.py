"""Networks at the limit of the iCE40UP5K, for the figures of docs/boards.md.

    python benchmarks/limit.py NETWORK.npz [--hidden N] [--bits K] [--output-bits K] [--state A] [--last-step]

Writes a network with a random orthogonal W, rounded to K bits and clipped at 3 standard deviations as in
training, with relu, one input, and ten outputs at every step or at the last one. Build it with
``qornn-hw build``.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import (
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    WeightBits,
)
from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint
from qornn_hw.files.scale_consistency import scales_for
from qornn_hw.ir.formats import IntFormat, Rounding, scale_to_multiplier

CLIP = 3.0
INPUTS, OUTPUTS = 1, 10


def quantize(weights: NDArray[np.float64], bits: int) -> NDArray[np.int64]:
    """Return integers of ``bits`` bits, with ``CLIP`` standard deviations as the full scale."""
    form = IntFormat(bits, signed=True)
    step = CLIP * weights.std() / -form.min
    return np.clip(np.rint(weights / step), form.min, form.max).astype(np.int64)


def orthogonal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return a random orthogonal matrix, (n, n), of the Haar measure."""
    q, triangle = np.linalg.qr(rng.standard_normal((n, n)))
    return np.asarray(q * np.sign(np.diag(triangle)))


def limit_network(
    hidden: int,
    bits: int,
    output_bits: int,
    state_bits: int,
    output_mode: OutputMode = OutputMode.EVERY_STEP,
) -> IntegerNetwork:
    """Return the network of these sizes."""
    rng = np.random.default_rng(0)
    w = orthogonal(rng, hidden)
    # An entry of 1 in W is this number of steps; the requantizer divides by it.
    worth = -IntFormat(bits, signed=True).min / (CLIP * w.std())
    multiplier, shift = scale_to_multiplier(1 / worth, 8, 24)
    return IntegerNetwork(
        activation=Activation.RELU,
        recurrent_weight=quantize(w, bits),
        input_weight=quantize(rng.standard_normal((hidden, INPUTS)), bits),
        output_weight=quantize(rng.standard_normal((OUTPUTS, hidden)), output_bits),
        bias=rng.integers(0, round(20 * worth), hidden),
        output_bias=rng.integers(-100, 100, OUTPUTS),
        weight_bits=WeightBits(bits, bits, output_bits),
        state_bits=state_bits,
        input_kind=InputKind.VECTOR,
        input_format=IntFormat(state_bits, signed=True),
        input_shift=0,
        multiplier=np.full(hidden, multiplier),
        shift=shift,
        rounding=Rounding.HALF_UP,
        initial_state=rng.integers(0, 1 << (state_bits - 1), hidden),
        output_mode=output_mode,
        output_kind=OutputKind.LOGITS,
        scales=scales_for(Activation.RELU, state_bits, multiplier, shift),
    )


def main() -> None:
    """Write the network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--bits", type=int, default=4, help="of W and U")
    parser.add_argument("--output-bits", type=int, default=4, help="of V")
    parser.add_argument("--state", type=int, default=8, help="bits of a hidden unit and of an input")
    parser.add_argument("--last-step", action="store_true", help="answer a sequence's last step alone")
    arguments = parser.parse_args()
    network = limit_network(
        arguments.hidden,
        arguments.bits,
        arguments.output_bits,
        arguments.state,
        OutputMode.LAST_STEP if arguments.last_step else OutputMode.EVERY_STEP,
    )
    arguments.path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(arguments.path, Checkpoint(network))


if __name__ == "__main__":
    main()
