"""A GRU from plain PyTorch to hardware, on synthetic recordings of gestures.

    python docs/examples/gru_gestures.py [FOLDER] [--epochs 30] [--recordings 3000] [--units 24] [--build]

The weights are rounded to 4 bits without training with rounded weights. docs/cells.md has the figures.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import qornn_hw
from qornn_hw.tasks.gestures import CLASSES, gesture_arrays


class Gestures(nn.Module):
    """Normalization of the acceleration in g, one GRU layer, logits after the last sample."""

    def __init__(self, mean: torch.Tensor, deviation: torch.Tensor, units: int) -> None:
        super().__init__()
        self.normalize = nn.Linear(len(mean), len(mean))
        self.normalize.weight = nn.Parameter(torch.diag(1 / deviation), requires_grad=False)
        self.normalize.bias = nn.Parameter(-mean / deviation, requires_grad=False)
        self.gru = nn.GRU(len(mean), units, batch_first=True)
        self.readout = nn.Linear(units, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of recordings (batch, steps, channels)."""
        return self.readout(self.gru(self.normalize(x))[0][:, -1])


def trained(arrays: dict[str, Any], units: int, epochs: int) -> Gestures:
    """Return the module, trained in plain PyTorch, without qornn-hw."""
    torch.manual_seed(0)
    inputs, targets = (torch.from_numpy(arrays[f"{name}_train"]) for name in ("inputs", "targets"))
    module = Gestures(inputs.mean((0, 1)), inputs.std((0, 1)), units)
    parameters = [one for one in module.parameters() if one.requires_grad]
    optimizer = torch.optim.Adam(parameters, 1e-2)
    batches = -(-len(inputs) // 50)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * batches)
    for _ in range(epochs):
        for chosen in torch.randperm(len(inputs)).split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs[chosen]), targets[chosen]).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            rates.step()
    return module.eval()


def main() -> int:
    """Run all stages; the exit code is 0 if the Verilog's integers are the integer model's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("gru_gestures"))
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--recordings", type=int, default=3000)
    parser.add_argument("--test", type=int, default=1000, help="recordings for the test")
    parser.add_argument("--units", type=int, default=24)
    parser.add_argument("--steps", type=int, default=8, help="samples of a recording that are simulated")
    parser.add_argument("--build", action="store_true", help="also build the bitstream (minutes)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    arrays = gesture_arrays(options.recordings, options.test)
    inputs, targets = arrays["inputs_test"], arrays["targets_test"]
    module = trained(arrays, options.units, options.epochs)
    with torch.no_grad():
        logits = module(torch.from_numpy(inputs)).numpy()
    print(f"float: {np.mean(logits.argmax(1) == targets):.1%} of {len(targets)} test recordings")

    net = qornn_hw.quantize(module, arrays["inputs_train"][:500], weight_bits=4, state_bits=8)
    qornn_hw.save(options.folder / "gru.npz", net)
    print(f"4-bit weights, 8-bit states: {np.mean(net(inputs)[:, -1].argmax(1) == targets):.1%}")
    print(net.quality)

    design = qornn_hw.compile(net, board="icebreaker")
    cost = design.cost
    print(f"{design}: {cost.lut} logic cells, {cost.bram} block RAMs, {cost.dsp} multipliers estimated")
    found = design.simulate(inputs[:1, : options.steps])
    print(
        f"Verilog: {found.integers_compared} integers compared, {found.mismatches} mismatches, "
        f"{found.cycles_per_step} cycles a step"
    )
    if options.build:
        print(design.build(options.folder / "build"))
    return 0 if found.mismatches == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
