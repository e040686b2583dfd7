"""Your own network, from plain PyTorch to a board, on synthetic recordings of gestures.

    python docs/examples/gestures.py [FOLDER] [--epochs 30] [--recordings 3000] [--check 20]

Every stage prints its results. docs/gestures.md explains the stages and lists the same as commands. No
download and no board is needed: the last stages use a virtual board.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import qornn_hw
from qornn_hw.tasks.gestures import CLASSES, gesture_arrays


class Gestures(nn.Module):
    """A plain module: normalization of the acceleration in g, 48 tanh units, logits after the last sample."""

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        super().__init__()
        self.normalize = nn.Linear(len(mean), len(mean))
        self.normalize.weight = nn.Parameter(torch.diag(1 / deviation), requires_grad=False)
        self.normalize.bias = nn.Parameter(-mean / deviation, requires_grad=False)
        self.rnn = nn.RNN(len(mean), 48, batch_first=True)
        nn.init.orthogonal_(self.rnn.weight_hh_l0)
        self.readout = nn.Linear(48, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of recordings (batch, steps, channels)."""
        return self.readout(self.rnn(self.normalize(x))[0][:, -1])


def trained(arrays: dict[str, Any], epochs: int) -> Gestures:
    """Return the module, trained in plain PyTorch, without qornn-hw."""
    torch.manual_seed(0)
    inputs, targets = (torch.from_numpy(arrays[f"{name}_train"]) for name in ("inputs", "targets"))
    module = Gestures(inputs.mean((0, 1)), inputs.std((0, 1)))
    parameters = [one for one in module.parameters() if one.requires_grad]
    optimizer = torch.optim.Adam(parameters)
    batches = -(-len(inputs) // 50)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * batches)
    for _ in range(epochs):
        for chosen in torch.randperm(len(inputs)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs[chosen]), targets[chosen]).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            rates.step()
    return module.eval()


def accuracy(answer: Callable[[Any], Any], arrays: dict[str, Any]) -> float:
    """Return the fraction of test recordings that a function from inputs to logits classifies correctly."""
    logits = np.asarray(answer(arrays["inputs_test"]))
    logits = logits[:, -1] if logits.ndim == 3 else logits
    return float((logits.argmax(axis=1) == arrays["targets_test"]).mean())


def forward(module: Gestures, inputs: Any) -> Any:
    """Return the logits of the module's own forward pass."""
    with torch.no_grad():
        return module(torch.from_numpy(inputs)).numpy()


def on_the_board(net: qornn_hw.Network, recordings: Any) -> bool:
    """Run recordings on a virtual board, compare every integer, then stream one recording by sample."""
    with qornn_hw.compile(net).virtual_board() as virtual, virtual.open() as board:
        answers = board.run(recordings, check=True)
        wanted = net(recordings)
        wrong = int((answers != wanted).sum())
        print(f"board: {wanted.size} integers of {len(recordings)} recordings compared, {wrong} mismatches")
        for sample in recordings[0][:-1]:
            board.step(sample)
        last = board.step(recordings[0][-1], last=True)
        same = np.array_equal(last, answers[0].ravel())
        print(f"stream: {CLASSES[int(last.argmax())]}, as in the whole recording: {same}")
        return wrong == 0 and same


def main() -> int:
    """Run all stages; the exit code is 0 if the board's answers equal the integer model's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("gestures"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--recordings", type=int, default=3000)
    parser.add_argument("--test", type=int, default=1000, help="recordings for the test")
    parser.add_argument(
        "--tune", type=int, help="epochs of each stage of the fine-tuning; default: 1800 steps"
    )
    parser.add_argument("--check", type=int, default=20, help="recordings for the virtual board")
    parser.add_argument("--build", action="store_true", help="also build the bitstream (minutes)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    arrays = gesture_arrays(options.recordings, options.test)
    np.savez_compressed(options.folder / "gestures.npz", **arrays)
    print(f"data: {options.recordings} recordings for training, {len(arrays['targets_test'])} for the test")

    module = trained(arrays, options.epochs)
    print(f"float: {accuracy(lambda x: forward(module, x), arrays):.1%} of the test recordings")

    some = arrays["inputs_train"][:500]
    eight = qornn_hw.quantize(module, some, weight_bits=8, state_bits=12)
    qornn_hw.save(options.folder / "eight.pt", eight)
    print(f"8 bits: {accuracy(eight, arrays):.1%}\n{eight.quality}")

    widths = qornn_hw.compare_bits(eight, arrays["inputs_test"], targets=arrays["targets_test"])
    print(widths.table())

    passes = {} if options.tune is None else {"epochs": options.tune, "finetune_epochs": options.tune}
    four = qornn_hw.finetune(eight, options.folder / "gestures.npz", bits=4, state_bits=8, **passes)
    qornn_hw.save(options.folder / "four.pt", four)
    rounded = four.metrics["rounded"]["accuracy"]
    print(f"4 bits: {rounded:.1%} rounded only, {accuracy(four, arrays):.1%} fine-tuned")

    if options.build:
        print(qornn_hw.compile(four).build(options.folder / "build"))
    return 0 if on_the_board(four, arrays["inputs_test"][: options.check]) else 1


if __name__ == "__main__":
    sys.exit(main())
