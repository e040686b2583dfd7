"""What a trained network loses by a sigmoid of straight pieces: the figures of docs/numerics.md, section 5.

    python benchmarks/pwl_sigmoid.py

A layer of 16 sigmoid units learns in torch to tell four frequencies of noisy sines apart. It is quantized
with the activation `pwl_sigmoid`, and compared with the same integers behind a table of the rounded sigmoid.
"""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import qornn_hw
from qornn_hw.cells.activations.pwl_sigmoid import sigmoid
from qornn_hw.cells.elman import lower
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.errors import QualityWarning
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.network import Network
from qornn_hw.ir.ops import PiecewiseLinear, Table

UNITS, CLASSES, STEPS, COUNT = 16, 4, 30, 2000
FREQUENCIES = np.array([0.3, 0.42, 0.6, 0.85])


def sines(seed: int) -> tuple[Any, Any]:
    """Return noisy sines (count, steps, 1), and the class of each."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, CLASSES, COUNT)
    phase = FREQUENCIES[classes][:, None] * np.arange(STEPS) + rng.uniform(0, 2 * np.pi, (COUNT, 1))
    x = np.sin(phase) + 0.4 * rng.normal(size=(COUNT, STEPS))
    return x[..., None].astype(np.float32), classes


def logits(weights: list[Tensor], x: Tensor) -> Tensor:
    """Return the logits after the last step."""
    w, u, b, v, c = weights
    h = torch.zeros(len(x), UNITS)
    for t in range(x.shape[1]):
        h = torch.sigmoid(h @ w.T + x[:, t] @ u.T + b)
    return h @ v.T + c


def trained(x: Any, classes: Any, iterations: int = 600) -> list[Tensor]:
    """Return W, U, b, V and c."""
    torch.manual_seed(0)
    start = [
        torch.randn(UNITS, UNITS) * 1.5 / UNITS**0.5,
        torch.randn(UNITS, 1) * 2,
        torch.zeros(UNITS),
        torch.randn(CLASSES, UNITS) / UNITS**0.5,
        torch.zeros(CLASSES),
    ]
    weights = [w.requires_grad_() for w in start]
    optimizer = torch.optim.Adam(weights, lr=0.02)
    inputs, wanted = torch.from_numpy(x), torch.from_numpy(classes)
    for _ in range(iterations):
        chosen = torch.randint(0, COUNT, (128,))
        loss = torch.nn.functional.cross_entropy(logits(weights, inputs[chosen]), wanted[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
        optimizer.step()
    return [w.detach() for w in weights]


def with_table(network: IntegerNetwork) -> Network:
    """Return the operations of a network with the rounded sigmoid as a table in place of its pieces."""
    full, half = 2.0 ** (network.state_bits - 1), 1 << (network.index_bits - 1)
    step = network.scales.accumulator * 2.0**network.shift / int(network.multiplier.max())
    entries = np.clip(np.rint(full * sigmoid(np.arange(-half, half) * step)), 0, full - 1).astype(np.int64)
    own = lower(network)
    (layer,) = own.layers
    (group,) = layer.groups
    tail = tuple(
        Table(op.name, op.value, entries) if isinstance(op, PiecewiseLinear) else op for op in group.tail
    )
    return replace(own, layers=(replace(layer, groups=(replace(group, tail=tail),)),))


def main() -> None:
    """Train, quantize at several widths, and print a line for each."""
    warnings.simplefilter("ignore", QualityWarning)
    torch.set_num_threads(1)
    x, classes = sines(0)
    weights = trained(x, classes)
    w, u, b, v, c = weights
    tests, wanted = sines(1)
    with torch.no_grad():
        real = logits(weights, torch.from_numpy(tests)).numpy().argmax(1)
    print(f"real numbers: {(real == wanted).mean():.1%} right")
    for weight_bits, state_bits in ((8, 8), (8, 6), (6, 8), (4, 8), (8, 10)):
        network = qornn_hw.quantize(
            (w, u, v), x[:300], activation="pwl_sigmoid", bias=b, output_bias=c, weight_bits=weight_bits,
            state_bits=state_bits, input_bits=8, output_mode="last_step",
        ).checkpoint.network  # fmt: skip
        integers = quantize_inputs(network, tests).integers
        assert network.pieces is not None
        print(f"weights {weight_bits} bits, states {state_bits} bits, {network.pieces.count} pieces")
        for name, operations in (("pieces", lower(network)), ("table", with_table(network))):
            found = Interpreter(operations).run(integers).classes[:, -1]
            print(f"  {name}: {(found == wanted).mean():.1%} right, {(found == real).mean():.1%} as real")


if __name__ == "__main__":
    main()
