"""Training of MNIST by rows.

The images are shown for ``float_epochs`` with real weights, for ``epochs`` with quantized ones, and for
``finetune_epochs`` with the states, too, on the grid that the export of the network so far has chosen, so
that the weights learn to live with it.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from qornn_hw.checkpoint import Checkpoint
from qornn_hw.evaluate import evaluate
from qornn_hw.exporting import export
from qornn_hw.network import Activation
from qornn_hw.training.cells import QORNN
from qornn_hw.training.config import MnistConfig, command_line
from qornn_hw.training.loop import Best, Reporter, cosine, one_thread
from qornn_hw.training.tasks import mnist

__all__ = ["train_mnist"]

# The last training images judge which weights are kept.
_VALIDATION = 5000
_CALIBRATION = 1000


@one_thread()
def train_mnist(config: MnistConfig, quiet: bool = False) -> Checkpoint:
    """Train MNIST by rows and return the checkpoint with its measured metrics.

    Args:
        config: all hyper-parameters; the same ones give the same model on the same machine.
        quiet: print no progress.

    Raises:
        DataError: the data are absent.
    """
    images, labels = mnist.load(config.data, "train")
    # Fail now, not after the training, if the test set is missing.
    mnist.load(config.data, "test")
    pixels = mnist.quantize_pixels(images, config.input_bits)
    torch.manual_seed(config.seed)
    activation = Activation(config.activation)
    tied = activation in (Activation.TANH, Activation.HARDTANH)
    scale = 2.0**-config.input_bits
    cell = QORNN(
        mnist.ROWS,
        config.hidden,
        mnist.CLASSES,
        activation,
        config.bits,
        config.bits,
        config.multiplier_bits,
        config.orthogonal,
        (config.state_bits, scale) if tied else None,
    )
    x = torch.from_numpy(pixels).float() * scale
    y = torch.from_numpy(labels)
    if config.float_epochs:
        cell.round_weights = False
        _train(cell, x, y, config, config.float_epochs, 1.0, "mnist, real weights", quiet)
        cell.round_weights = True
    _train(cell, x, y, config, config.epochs, 1.0, "mnist, quantized weights", quiet)
    checkpoint = _exported(cell, config, pixels[:_CALIBRATION], None)
    if config.finetune_epochs:
        cell.state_bits = config.state_bits
        cell.state_shift, cell.input_scale = checkpoint.network.input_shift, scale
        _train(cell, x, y, config, config.finetune_epochs, 0.5, "mnist, rounded states", quiet)
        checkpoint = _exported(cell, config, pixels[:_CALIBRATION], cell.quantized().state_step)
    return replace(checkpoint, metrics=evaluate(checkpoint, config.data))


def _train(
    cell: QORNN,
    x: Tensor,
    y: Tensor,
    config: MnistConfig,
    epochs: int,
    rate: float,
    title: str,
    quiet: bool,
) -> None:
    """Show all training images ``epochs`` times; leave the weights that did best on the validation ones."""
    slow = [cell.recurrent_weight]
    fast = [p for p in cell.parameters() if p.requires_grad and p is not cell.recurrent_weight]
    optimizer = torch.optim.Adam(
        [
            {"params": slow, "rate": rate * config.learning_rate_recurrent},
            {"params": fast, "rate": rate * config.learning_rate},
        ]
    )
    count = len(x) - _VALIDATION
    batches = count // config.batch
    best = Best()
    accuracy: float | None = None
    with Reporter(title, epochs * batches, quiet) as reporter:
        for epoch in range(epochs):
            order = torch.randperm(count)
            for i in range(batches):
                done = epoch * batches + i
                for group in optimizer.param_groups:
                    group["lr"] = group["rate"] * cosine(done, epochs * batches)
                chosen = order[i * config.batch : (i + 1) * config.batch]
                loss = functional.cross_entropy(_last_logits(cell, x[chosen]), y[chosen])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no types
                torch.nn.utils.clip_grad_norm_(cell.parameters(), 1.0)
                optimizer.step()
                if i == batches - 1:
                    with torch.no_grad():
                        found = _last_logits(cell, x[count:]).argmax(-1)
                    accuracy = float((found == y[count:]).float().mean())
                    best.offer(accuracy, cell)
                reporter.update(done + 1, loss=float(loss.detach()), validation=accuracy)
    best.restore(cell)


def _last_logits(cell: QORNN, x: Tensor) -> Tensor:
    q = cell.quantized()
    h = cell.bias.new_zeros(len(x), len(cell.bias))
    for t in range(x.shape[1]):
        h = cell.step(q, h, x[:, t])
    return cell.logits(q, h)


def _exported(
    cell: QORNN, config: MnistConfig, pixels: NDArray[np.int64], state_step: float | None
) -> Checkpoint:
    with torch.no_grad():
        q = cell.quantized()
    scale = 2.0**-config.input_bits
    return export(
        q.recurrent,
        q.input,
        q.output,
        activation=config.activation,
        calibration_inputs=pixels * scale,
        bias=cell.bias,
        output_bias=cell.output_bias,
        weight_bits=config.bits,
        state_bits=config.state_bits,
        input="vector",
        input_bits=config.input_bits,
        input_signed=False,
        input_scale=scale,
        output_mode="last_step",
        output_kind=config.output_kind,
        rounding=config.rounding,
        multiplier_bits=config.multiplier_bits,
        # Anything between half the full scale and all of it leads to this step.
        state_range=None if state_step is None else 0.75 * state_step * 2.0 ** (config.state_bits - 1),
        weight_steps=q.steps,
        float_weights={
            "recurrent_weight": q.plain,
            "input_weight": cell.input_weight,
            "output_weight": cell.output_weight,
            "bias": cell.bias,
            "output_bias": cell.output_bias,
        },
        task={"name": "mnist", "order": "rows"},
        provenance={
            "command": command_line("mnist", config),
            "seed": config.seed,
            "torch": torch.__version__,
        },
    )
