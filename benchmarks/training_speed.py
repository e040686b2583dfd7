"""Training speed of the recurrence: forward and backward, against a plain autograd loop and torch.nn.RNN.

    python benchmarks/training_speed.py            the table of docs/training.md
    python benchmarks/training_speed.py --json

The table has the times divided by that of `recur`: 2.00 is twice as slow, 0.50 twice as fast. Each is the
fastest of a few runs, taken in turn in one process with one thread, because a busy machine slows all of them.
The whole takes about a minute.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from qornn_hw.cells.elman_network import Activation
from qornn_hw.tasks import CopyTask
from qornn_hw.tasks.copy import RECALL
from qornn_hw.training.cells import QORNN
from qornn_hw.training.loop import one_thread
from qornn_hw.training.matrix_power import copy_logits
from qornn_hw.training.recurrence import Workspace, recur

# Time budget of the whole, on an idle core.
SECONDS = 55.0
PIXELS = (
    (Activation.MODRELU, 128),
    (Activation.MODRELU, 256),
    (Activation.RELU, 128),
    (Activation.TANH, 128),
)
COPY_UNITS = (128, 256)
# Number of sequences of a copy batch whose blank steps are answered, as in training.
KEEP = 16
COLUMNS = ("plain loop", "torch.nn.RNN", "recur", "recur, bfloat16", "matrix power")


def plain_loop(activation: Activation, w: Tensor, u: Tensor, b: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """Return the last state, computed by the obvious loop."""
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


def fastest(runs: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Return the shortest time of each function, in seconds; the first round does not count.

    Args:
        runs: the functions, run in turn.
        seconds: time budget for all rounds; there are at least two rounds, of which one counts.
    """
    times = {name: float("inf") for name in runs}
    began = time.perf_counter()
    for run in runs.values():
        run()
    while True:
        round_began = time.perf_counter()
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name] = min(times[name], time.perf_counter() - start)
        now = time.perf_counter()
        if now - began + (now - round_began) > seconds:
            return times


def pixels(
    activation: Activation, batch: int, seconds: float, n: int = 170, steps: int = 784
) -> dict[str, float]:
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

    runs: dict[str, Callable[[], object]] = {
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
    return fastest(runs, seconds)


def linear(n: int) -> QORNN:
    """Return a linear network for the copy task."""
    torch.manual_seed(0)
    return QORNN(10, n, 9, Activation.IDENTITY, 5, 8)


def copy_runs(cell: QORNN, blank: int = 1000, batch: int = 128) -> dict[str, Callable[[], Tensor]]:
    """Return one batch of the copy task with a linear network, quantization included, in two ways.

    Both answer the blank steps of the first :data:`KEEP` sequences and the recall steps of all, and return
    the same loss, with its gradients in the weights' ``grad``.
    """
    x = torch.from_numpy(CopyTask(blank).training_batch(0, batch, 0).inputs)

    def backward(quiet: Tensor, answers: Tensor) -> Tensor:
        cell.zero_grad()
        loss = quiet.square().mean() + answers.square().mean()
        loss.backward()  # type: ignore[no-untyped-call]  # as above
        return loss.detach()

    def power() -> Tensor:
        return backward(*copy_logits(cell, x, KEEP))

    def loop() -> Tensor:
        q = cell.quantized()
        states = cell.states(q, x)
        heard = blank + RECALL
        return backward(cell.logits(q, states[:heard, :KEEP]), cell.logits(q, states[heard:]))

    return {"recur": loop, "matrix power": power}


def table(rows: dict[str, dict[str, float]]) -> str:
    """Return the times as a table: of `recur` in ms, the others divided by it."""
    head = ["recur, ms", *(f"{name} / recur" for name in COLUMNS if name != "recur")]
    lines = [f"| one batch, forward and backward | {' | '.join(head)} |", "|---|" + "---|" * len(head)]
    for title, times in rows.items():
        cells = [f"{1000 * times['recur']:.0f}"]
        cells += [
            f"{times[name] / times['recur']:.2f}" if name in times else ""
            for name in COLUMNS
            if name != "recur"
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Times divided by that of `recur`: above 1 is slower, below 1 faster."])


@one_thread()
def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    wanted_json = parser.parse_args().json
    rows: dict[str, dict[str, float]] = {}
    share = SECONDS / (len(PIXELS) + len(COPY_UNITS))
    for activation, batch in PIXELS:
        rows[f"784 pixels, n = 170, {activation}, batch {batch}"] = pixels(activation, batch, share)
    for n in COPY_UNITS:
        rows[f"copy, 1000 blanks, n = {n}, identity, batch 128"] = fastest(dict(copy_runs(linear(n))), share)
    if wanted_json:
        print(json.dumps(rows, indent=2))
        return
    print(table(rows))


if __name__ == "__main__":
    main()
