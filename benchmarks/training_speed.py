"""Training speed of the recurrences: forward and backward, against plain autograd loops and torch's layers.

    python benchmarks/training_speed.py            the tables of docs/training.md
    python benchmarks/training_speed.py --json

The table has the times divided by that of `recur`: 2.00 is twice as slow, 0.50 twice as fast. Each is the
fastest of a few runs, taken in turn in one process with one thread, because a busy machine slows all of them.
The whole takes about two minutes.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from qornn_hw.cells.cell import Cell
from qornn_hw.cells.elman_network import Activation
from qornn_hw.cells.registry import CELLS
from qornn_hw.tasks import CopyTask
from qornn_hw.tasks.copy import RECALL
from qornn_hw.training.cells import QORNN
from qornn_hw.training.graph_recurrence import recur_graph
from qornn_hw.training.loop import one_thread
from qornn_hw.training.matrix_power import copy_logits
from qornn_hw.training.recurrence import Workspace, recur
from qornn_hw.training.traced_graph import trace

# Time budget of the whole, on an idle core.
SECONDS = 55.0
PIXELS = (
    (Activation.MODRELU, 128),
    (Activation.MODRELU, 256),
    (Activation.RELU, 128),
    (Activation.TANH, 128),
)
COPY_UNITS = (128, 256)
GATED = (("gru", 128), ("gru", 256), ("lstm", 128), ("fastgrnn", 128))
# Number of sequences of a copy batch whose blank steps are answered, as in training.
KEEP = 16
COLUMNS = ("plain loop", "torch.nn.RNN", "recur", "recur, bfloat16", "matrix power")
CELL_COLUMNS = ("plain loop", "torch.nn layer", "recur")


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


def cell_loop(kind: str, cell: Cell, fields: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return the last state of a gated cell, computed by the obvious loop over its formula."""
    h = torch.zeros(x.shape[1], cell.units)
    w, u = fields["weight_ih"], fields["weight_hh"]
    c = torch.zeros_like(h)
    for entry in x:
        if kind == "fastgrnn":
            pre = entry @ w.T + h @ u.T
            z, s = torch.sigmoid(pre + fields["bias_gate"]), torch.tanh(pre + fields["bias_update"])
            h = (fields["zeta"] * (1 - z) + fields["nu"]) * s + z * h
            continue
        own, other = entry @ w.T + fields["bias_ih"], h @ u.T + fields["bias_hh"]
        if kind == "gru":
            (a, b, d), (e, f, g) = own.chunk(3, 1), other.chunk(3, 1)
            r, z = torch.sigmoid(a + e), torch.sigmoid(b + f)
            n = torch.tanh(d + r * g)
            h = n + z * (h - n)
        else:
            i, f, g, o = (own + other).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
    return h


def cells(kind: str, batch: int, seconds: float, n: int = 64, steps: int = 784) -> dict[str, float]:
    """Return the times of one batch of pixel-by-pixel MNIST with a gated cell."""
    return fastest(cell_runs(kind, batch, n, steps), seconds)


def cell_runs(kind: str, batch: int, n: int, steps: int) -> dict[str, Callable[[], object]]:
    """Return one batch with a gated cell in two or three ways; each returns the last state's mean square."""
    cell = CELLS[kind].start(1, n, np.random.default_rng(0), steps / 2)
    fields = {
        name: torch.tensor(value, dtype=torch.float32, requires_grad=True)
        for name, value in vars(cell).items()
        if isinstance(value, (float, np.ndarray))
    }
    x = torch.rand(steps, batch, 1, generator=torch.Generator().manual_seed(0))
    workspace = Workspace()

    def backward(last: Tensor) -> float:
        for field in fields.values():
            field.grad = None
        loss = last.square().mean()
        loss.backward()  # type: ignore[no-untyped-call]  # as above
        return float(loss.detach())

    def ours() -> float:
        graph = trace(cell, fields)
        starts = tuple(torch.zeros(batch, n) for _ in graph.states)
        return backward(recur_graph(graph, x, starts, last_only=True, workspace=workspace)[0])

    runs: dict[str, Callable[[], object]] = {
        "plain loop": lambda: backward(cell_loop(kind, cell, fields, x)),
        "recur": ours,
    }
    if kind in ("gru", "lstm"):
        layer = (nn.GRU if kind == "gru" else nn.LSTM)(1, n)
        with torch.no_grad():
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(layer, f"{name}_l0").copy_(fields[name])
        runs["torch.nn layer"] = lambda: backward(layer(x)[0][-1])
    return runs


def table(rows: dict[str, dict[str, float]], columns: tuple[str, ...] = COLUMNS) -> str:
    """Return the times as a table: of `recur` in ms, the others divided by it."""
    head = ["recur, ms", *(f"{name} / recur" for name in columns if name != "recur")]
    lines = [f"| one batch, forward and backward | {' | '.join(head)} |", "|---|" + "---|" * len(head)]
    for title, times in rows.items():
        cells = [f"{1000 * times['recur']:.0f}"]
        cells += [
            f"{times[name] / times['recur']:.2f}" if name in times else ""
            for name in columns
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
    gated = {
        f"784 pixels, n = 64, {kind}, batch {batch}": cells(kind, batch, SECONDS / (2 * len(GATED)))
        for kind, batch in GATED
    }
    if wanted_json:
        print(json.dumps(rows | gated, indent=2))
        return
    print(table(rows), table(gated, CELL_COLUMNS), sep="\n\n")


if __name__ == "__main__":
    main()
