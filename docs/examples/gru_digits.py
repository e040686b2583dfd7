"""A GRU that recognizes spoken digits, from plain PyTorch to integers, on the Free Spoken Digit Dataset.

    python docs/examples/gru_digits.py DATA [--out gru_digits.npz] [--units 64] [--epochs 60] [--seed 0]

DATA is the folder of the recordings (docs/tasks.md). The network reads the integer log-mel features that the
front end computes. Its weights are rounded to 4 bits without training with rounded weights. docs/cells.md has
the figures.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import qornn_hw
from qornn_hw.tasks.speech import CLASSES, SpeechTask
from qornn_hw.tasks.task import Examples

BATCH = 100


class Digits(nn.Module):
    """One GRU layer on features in units of 1/16, logits after the last frame."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, units, batch_first=True)
        self.drop = nn.Dropout(0.25)
        self.readout = nn.Linear(units, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of recordings (batch, frames, bands)."""
        return self.readout(self.drop(self.gru(x)[0][:, -1]))


def real(task: SpeechTask, examples: Examples) -> torch.Tensor:
    """Return the features of examples as real numbers."""
    return torch.from_numpy(examples.inputs * task.input_scale).float()


def trained(task: SpeechTask, units: int, epochs: int, seed: int) -> Digits:
    """Return the module, trained in plain PyTorch on augmented recordings."""
    torch.manual_seed(seed)
    module = Digits(task.inputs, units)
    optimizer = torch.optim.AdamW(module.parameters(), 4e-3, weight_decay=1e-2)
    count = epochs * task.batches_per_epoch(BATCH)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=count)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    for index in range(count):
        examples = task.training_batch(index, BATCH, seed)
        optimizer.zero_grad()
        loss(module(real(task, examples)), torch.from_numpy(examples.targets).flatten()).backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        rates.step()
    return module.eval()


def main() -> int:
    """Train, quantize, measure and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("gru_digits.npz"))
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    task = SpeechTask(options.data, frames=48, hop=160, train_all=True)
    task.load()
    start = time.monotonic()
    module = trained(task, options.units, options.epochs, options.seed)
    test = task.test()
    with torch.no_grad():
        logits = module(real(task, test)).numpy()
    targets = np.asarray(test.targets).flatten()
    print(f"trained in {time.monotonic() - start:.0f} s")
    print(f"float: {np.mean(logits.argmax(1) == targets):.1%} of {len(targets)} test recordings")

    calibration = real(task, task.training_batch(0, 300, options.seed)).numpy()
    net = qornn_hw.quantize(
        module, calibration, weight_bits=4, state_bits=8, multiplier_bits=12, input_bits=task.input_bits,
        input_signed=False, input_scale=task.input_scale, input_offset=0.0, task=task.description(),
    )  # fmt: skip
    answers = net.integers(real(task, test).numpy())[:, -1]
    print(f"4-bit weights, 8-bit states: {np.mean(answers.argmax(1) == targets):.1%}")
    print(net.quality)
    qornn_hw.save(options.out, net)
    return 0


if __name__ == "__main__":
    sys.exit(main())
