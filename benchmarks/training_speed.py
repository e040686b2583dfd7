"""How fast the recurrence trains: forward and backward, beside a plain autograd loop and torch.nn.RNN.

    python benchmarks/training_speed.py            the table of docs/training.md
    python benchmarks/training_speed.py --json

Ratios of the fastest of a few runs each, taken in turn in one process with one thread: a busy machine
slows all of them.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from qornn_hw.network import Activation
from qornn_hw.training.cells import QORNN
from qornn_hw.training.loop import one_thread
from qornn_hw.training.matrix_power import copy_logits
from qornn_hw.training.recurrence import Workspace, recur
from qornn_hw.training.tasks import CopyTask

ROUNDS = 3


def plain_loop(activation: Activation, w: Tensor, u: Tensor, b: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """Return the last state by a loop as one writes it first."""
    for t in range(x.shape[1]):
        z = h @ w.T + x[:, t] @ u.T
        match activation:
            case Activation.MODRELU:
                h = torch.sign(z) * torch.relu(z.abs() + b)
            case Activation.RELU:
                h = torch.relu(z + b)
            case Activation.TANH:
                h = torch.tanh(z + b)
            case _:
                h = z
    return h


def fastest(runs: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Return the shortest time of each, in seconds, after a first one that is not counted."""
    times = {name: float("inf") for name in runs}
    for round_ in range(ROUNDS + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if round_:
                times[name] = min(times[name], time.perf_counter() - start)
    return times


def pixels(activation: Activation, batch: int, n: int = 170, steps: int = 784) -> dict[str, float]:
    """Return the times of one batch of pixel-by-pixel MNIST."""
    torch.manual_seed(0)
    w = nn.Parameter(nn.init.orthogonal_(torch.empty(n, n)))
    u, b = nn.Parameter(torch.randn(n, 1)), nn.Parameter(0.01 * torch.randn(n))
    x, h = torch.rand(batch, steps, 1), torch.zeros(batch, n)
    workspace = Workspace()

    def ours(bfloat16: bool) -> None:
        last = recur(activation, w, u, b, x, h, last_only=True, bfloat16=bfloat16, workspace=workspace)
        last.square().mean().backward()  # type: ignore[no-untyped-call]  # torch gives it no types

    def plain() -> None:
        plain_loop(activation, w, u, b, x, h).square().mean().backward()  # type: ignore[no-untyped-call]  # as above

    runs: dict[str, Callable[[], None]] = {
        "plain loop": plain,
        "recur": lambda: ours(False),
        "recur, bfloat16": lambda: ours(True),
    }
    if activation in (Activation.RELU, Activation.TANH):
        rnn = nn.RNN(1, n, nonlinearity=str(activation), batch_first=True)
        nn.init.orthogonal_(rnn.weight_hh_l0)

        def torch_rnn() -> None:
            rnn(x)[1].square().mean().backward()

        runs["torch.nn.RNN"] = torch_rnn
    return fastest(runs)


def copying(n: int, blank: int = 1000, batch: int = 128) -> dict[str, float]:
    """Return the times of one batch of the copy task with a linear network, quantization included."""
    torch.manual_seed(0)
    cell = QORNN(10, n, 9, Activation.IDENTITY, 5, 8)
    x = torch.from_numpy(CopyTask(blank).training_batch(0, batch, 0).inputs)

    def power() -> None:
        quiet, answers = copy_logits(cell, x, 16)
        (quiet.square().mean() + answers.square().mean()).backward()  # type: ignore[no-untyped-call]  # as above

    def loop() -> None:
        cell(x)[0].square().mean().backward()

    return fastest({"recur": loop, "matrix power": power})


@one_thread()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    wanted_json = parser.parse_args().json
    rows: dict[str, dict[str, float]] = {}
    for activation in (Activation.MODRELU, Activation.RELU, Activation.TANH):
        for batch in (128, 256):
            rows[f"784 pixels, n = 170, {activation}, batch {batch}"] = pixels(activation, batch)
    for n in (128, 256):
        rows[f"copy, 1000 blanks, n = {n}, identity, batch 128"] = copying(n)
    if wanted_json:
        print(json.dumps(rows, indent=2))
        return
    names = ["plain loop", "torch.nn.RNN", "recur", "recur, bfloat16", "matrix power"]
    print(f"| one batch, forward and backward | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for title, times in rows.items():
        cells = [f"{times['recur'] / times[n]:.2f}" if n in times else "" for n in names]
        print(f"| {title} ({1000 * times['recur']:.0f} ms) | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
