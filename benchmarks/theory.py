"""Measurements for docs/theory.md: its tables and plots.

    python benchmarks/theory.py [--docs DIR]

Replaces the text between ``<!-- NAME -->`` and ``<!-- end -->`` in DIR/theory.md, and writes its plots,
DIR/theory_*.svg. It takes some minutes on one core, and uses the same matrices every time.
"""

import argparse
import math
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.evaluation.orthogonality import (
    accumulator_widths,
    bits_for_growth,
    growth_log10,
    orthogonality,
    predicted,
    predicted_growth_log10,
)
from qornn_hw.files.checkpoint import Checkpoint, load_any
from qornn_hw.quantization.float_model import dequantized
from qornn_hw.quantization.quantize import quantize_weights, weight_step
from qornn_hw.tasks import copy

matplotlib.use("Agg")
matplotlib.rcParams |= {"svg.hashsalt": "qornn-hw", "svg.fonttype": "none", "font.size": 9}

from matplotlib import pyplot as plt  # noqa: E402  (after the backend is chosen)

Matrix = NDArray[np.float64]

REPOSITORY = Path(__file__).parents[1]
SIZES = (32, 64, 128, 256, 512, 1024)
BITS = (2, 3, 4, 5, 6, 8, 10, 12)
COUNTS = {32: 16, 64: 16, 128: 8, 256: 4, 512: 2, 1024: 1}
STEPS = (100, 1000)


@cache
def haar(n: int, seed: int) -> Matrix:
    """Return a random orthogonal matrix, uniform in Haar's measure."""
    q, r = np.linalg.qr(np.random.default_rng((n, seed)).normal(size=(n, n)))
    return np.asarray(q * np.sign(np.diag(r)))


def rotations(n: int, seed: int) -> Matrix:
    """Return 2 x 2 rotations by uniform angles along the diagonal (Henaff et al. 2016)."""
    w = np.zeros((n, n))
    for i, angle in enumerate(np.random.default_rng((n, seed)).uniform(-np.pi, np.pi, n // 2)):
        c, s = np.cos(angle), np.sin(angle)
        w[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, -s], [s, c]]
    return w


def hadamard(n: int, seed: int) -> Matrix:
    """Return a Sylvester-Hadamard matrix over sqrt(n), with random signs of the rows."""
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    signs = np.random.default_rng((n, seed)).choice([-1.0, 1.0], n)
    return signs[:, None] * h / math.sqrt(n)


def quantized(w: Matrix, bits: int) -> Matrix:
    """Return q_k(W)."""
    step = weight_step(w, bits)
    return np.asarray(quantize_weights(w, bits, step) * step)


def per_row(w: Matrix, bits: int) -> Matrix:
    """Return q_k of each row by itself."""
    return np.stack([quantized(row, bits) for row in w])


def power_of_two(w: Matrix, bits: int) -> Matrix:
    """Return q_k with the better of the two powers of two around its step."""
    low = 2.0 ** math.floor(math.log2(weight_step(w, bits)))
    candidates = [quantize_weights(w, bits, d) * d for d in (low, 2 * low)]
    return min(candidates, key=lambda q: float(np.square(q - w).sum()))


def norm_preserving(w: Matrix, bits: int) -> Matrix:
    """Return q_k(W) with the Frobenius norm of W."""
    q = quantized(w, bits)
    return np.asarray(q * (np.linalg.norm(w) / np.linalg.norm(q)))


def measure(w: Matrix, q: Matrix) -> dict[str, float]:
    """Return the measures of Q, its distance to W, and its growth."""
    return orthogonality(q) | {
        "quantization_error": float(np.linalg.norm(q - w, 2)),
        **{f"growth_{steps}": growth_log10(q, steps) for steps in STEPS},
    }


def mean(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each entry."""
    rows = list(rows)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


@cache
def survey() -> dict[tuple[int, int], dict[str, Any]]:
    """Return measured, typical and worst values of Haar matrices by (n, k), means over the matrices."""
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for n in SIZES:
        matrices = [haar(n, seed) for seed in range(COUNTS[n])]
        for bits in BITS:
            alphas = [float(np.abs(w).max()) for w in matrices]
            guesses = [predicted(n, bits, a) for a in alphas]
            growths = {f"growth_{t}": [predicted_growth_log10(n, bits, a, t) for a in alphas] for t in STEPS}
            found[n, bits] = {
                "alpha": float(np.mean(alphas)),
                "measured": mean(measure(w, quantized(w, bits)) for w in matrices),
                **{
                    kind: mean(g[kind] for g in guesses)
                    | {name: float(np.mean([g[kind] for g in rows])) for name, rows in growths.items()}
                    for kind in ("typical", "worst")
                },
            }
        print(f"n = {n} measured", flush=True)
    return found


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def haar_table() -> str:
    """Return measured against predicted norms and eigenvalues."""
    head = ["n", "k", "alpha", "e", "typ.", "worst", "s_min", "typ.", "s_max", "typ."]
    head += ["gram", "typ.", "radius - 1", "typ."]
    rows = []
    for (n, bits), values in survey().items():
        m, t, w = values["measured"], values["typical"], values["worst"]
        row = [str(n), str(bits), f"{values['alpha']:.3f}"]
        row += [f"{v['quantization_error']:.2g}" for v in (m, t, w)]
        for name in ("singular_min", "singular_max"):
            row += [f"{v[name]:.3f}" for v in (m, t)]
        row += [f"{v['error']:.2g}" for v in (m, t)]
        row += [f"{v['spectral_radius'] - 1:.2g}" for v in (m, t)]
        rows.append(row)
    return table(head, rows)


def growth_table() -> str:
    """Return measured against predicted growth."""
    head = ["n", "k"] + [f"T = {t}: {what}" for t in STEPS for what in ("measured", "typical", "worst")]
    rows = []
    for (n, bits), values in survey().items():
        if n in (64, 256, 1024) and 3 <= bits <= 10:
            row = [str(n), str(bits)]
            for t in STEPS:
                row += [f"{values[kind][f'growth_{t}']:.2f}" for kind in ("measured", "typical")]
                row += [f"{values['worst'][f'growth_{t}']:.0f}"]
            rows.append(row)
    return table(head, rows)


LENGTHS = (100, 784, 1000, 10000)


@cache
def needed(n: int, steps: int) -> tuple[int, int, int]:
    """Return the fewest bits with which a Haar matrix grows at most by 2: measured, typical, worst."""
    w = haar(n, 0)
    alpha = float(np.abs(w).max())
    limit = math.log10(2.0)
    typical, worst = (bits_for_growth(n, alpha, steps, 2.0, kind) for kind in ("typical", "worst"))
    # Downwards from a safe value: one bit more divides the exponent by four.
    measured = typical + 1
    while measured > 2 and growth_log10(quantized(w, measured - 1), steps) <= limit:
        measured -= 1
    return measured, typical, worst


def bits_table() -> str:
    """Return bits for a growth of two, by size and length."""
    rows = []
    for n in SIZES:
        cells = [" / ".join(str(v) for v in needed(n, t)) for t in LENGTHS]
        rows.append([str(n), *cells])
    return table(["n"] + [f"T = {t}" for t in LENGTHS], rows)


def kinds_table(n: int = 256) -> str:
    """Return other orthogonal matrices and other quantizers, at n units."""
    kinds: list[tuple[str, Callable[[int, int], Matrix], Callable[[Matrix, int], Matrix]]] = [
        ("Haar, q_k", haar, quantized),
        ("Haar, step by row", haar, per_row),
        ("Haar, power of two", haar, power_of_two),
        ("Haar, norm kept", haar, norm_preserving),
        ("rotations, q_k", rotations, quantized),
        ("rotations, norm kept", rotations, norm_preserving),
        ("Hadamard, q_k", hadamard, quantized),
        ("Hadamard, norm kept", hadamard, norm_preserving),
    ]
    rows = []
    for name, make, quantizer in kinds:
        for bits in (4, 5, 6):
            matrices = [make(n, seed) for seed in range(4)]
            m = mean(measure(w, quantizer(w, bits)) for w in matrices)
            rows.append(
                [
                    name,
                    str(bits),
                    f"{m['quantization_error']:.3f}",
                    f"{m['singular_min']:.3f}",
                    f"{m['singular_max']:.3f}",
                    f"{m['spectral_radius']:.4f}",
                    f"{m['growth_1000']:.2f}",
                ]
            )
    return table(["matrix", "k", "e", "s_min", "s_max", "radius", "growth, T = 1000"], rows)


def trained() -> list[tuple[str, Checkpoint]]:
    """Return the shipped networks whose recurrent matrix was trained orthogonal."""
    found = []
    for path in sorted((REPOSITORY / "models").glob("*.npz")):
        checkpoint = load_any(path)
        if not isinstance(checkpoint, Checkpoint):
            continue
        weights = checkpoint.float_weights
        if weights is not None and orthogonality(weights["recurrent_weight"])["error"] < 1e-3:
            found.append((path.stem, checkpoint))
    return found


def models_table() -> str:
    """Return the trained matrices beside the typical values of random matrices of their kind."""
    rows = []
    for name, checkpoint in trained():
        assert checkpoint.float_weights is not None
        w = np.asarray(checkpoint.float_weights["recurrent_weight"], dtype=np.float64)
        net = checkpoint.network
        bits, n = net.weight_bits.recurrent, net.hidden_size
        alpha = float(np.abs(w).max())
        q = dequantized(net).recurrent_weight
        m, t = measure(w, q), predicted(n, bits, alpha)["typical"]
        guess = predicted_growth_log10(n, bits, alpha, 1000)["typical"]
        rows.append(
            [f"`{name}`", str(n), str(bits), f"{alpha:.3f}"]
            + [f"{v['quantization_error']:.3f}" for v in (m, t)]
            + [f"{v['singular_min']:.3f} to {v['singular_max']:.3f}" for v in (m, t)]
            + [f"{v['spectral_radius']:.4f}" for v in (m, t)]
            + [f"{m['growth_1000']:.2f}", f"{guess:.2f}"]
        )
    head = ["network", "n", "k", "alpha", "e", "typ.", "singular values", "typ.", "radius", "typ."]
    return table([*head, "growth, T = 1000", "typ."], rows)


def largest_product(checkpoint: Checkpoint) -> int | None:
    """Return the largest ``|W g|`` on 50 copy sequences; None for a network of another task."""
    if checkpoint.task.get("name") != "copy":
        return None
    inputs, _ = copy.sequences(np.random.default_rng(0), 50, checkpoint.task["blank"])
    net = checkpoint.network
    states = IntegerModel(net).run(inputs).states
    return int(np.abs(states.astype(np.float64) @ net.recurrent_weight.T).max())


def widths_table(state_bits: int = 12) -> str:
    """Return widths of W g: proved, Cauchy-Schwarz, typical, observed."""
    rows = []
    for n in (64, 256, 1024):
        for bits in (4, 6, 8):
            w = haar(n, 0)
            integers = quantize_weights(w, bits, weight_step(w, bits))
            widths = accumulator_widths(integers, state_bits)
            naive = bits + state_bits - 1 + math.ceil(math.log2(n))
            rows.append(
                ["Haar", str(n), str(bits), str(state_bits), str(naive)]
                + [str(widths[name]) for name in ("cauchy_schwarz", "proved", "typical")]
                + ["-"]
            )
    for name, checkpoint in trained():
        net = checkpoint.network
        largest = largest_product(checkpoint)
        widths = accumulator_widths(net.recurrent_weight, net.state_bits)
        naive = net.weight_bits.recurrent + net.state_bits - 1 + math.ceil(math.log2(net.hidden_size))
        rows.append(
            [f"`{name}`", str(net.hidden_size), str(net.weight_bits.recurrent), str(net.state_bits)]
            + [str(naive)]
            + [str(widths[key]) for key in ("cauchy_schwarz", "proved", "typical")]
            + ["-" if largest is None else str(largest.bit_length() + 1)]
        )
    head = ["matrix", "n", "k", "a", "k + a - 1 + log2 n", "Cauchy-Schwarz", "proved", "typical", "observed"]
    return table(head, rows)


def save(figure: Any, path: Path) -> None:
    """Write a figure whose bytes depend on its content only."""
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def norms_plot(path: Path) -> None:
    """Plot measured and predicted errors against bits."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for n, colour in zip((32, 128, 512), ("C0", "C1", "C2"), strict=True):
        rows = [survey()[n, bits] for bits in BITS]
        for axis, name, less in ((axes[0], "quantization_error", 0), (axes[1], "spectral_radius", 1)):
            for kind, style in (("measured", "o"), ("typical", "-"), ("worst", ":")):
                values = [float(f"{row[kind][name] - less:.4g}") for row in rows]
                label = f"n = {n}" if kind == "measured" else None
                axis.semilogy(BITS, values, style, color=colour, markersize=4, label=label)
    axes[0].set(xlabel="bits k", ylabel="||q_k(W) - W||")
    axes[1].set(xlabel="bits k", ylabel="spectral radius of q_k(W), less 1")
    axes[0].legend(title="points measured, lines\ntypical, dots worst case", frameon=False)
    save(figure, path)


def growth_plot(path: Path, n: int = 256, steps: int = 1000) -> None:
    """Plot growth over time at several bits, and bits needed against the size."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    w = haar(n, 0)
    alpha = float(np.abs(w).max())
    times = [round(10 ** (i / 10)) for i in range(0, 31)]
    for bits in (3, 4, 5, 6, 8):
        q = quantized(w, bits)
        points = [t for t in times if t in (1, 3, 10, 32, 100, 316, 1000)]
        seen = [float(f"{growth_log10(q, t):.3g}") for t in points]
        lines = axes[0].semilogx(points, seen, "o", markersize=4, label=f"k = {bits}")
        typical = [float(f"{predicted_growth_log10(n, bits, alpha, t)['typical']:.3g}") for t in times]
        axes[0].semilogx(times, typical, "-", color=lines[0].get_color())
    axes[0].set(xlabel="steps T", ylabel=f"log10 of the growth, n = {n}", ylim=(-0.2, 10))
    axes[0].legend(title="points measured,\nlines typical", frameon=False)
    for index, kind in enumerate(("measured", "typical", "worst case")):
        values = [needed(size, steps)[index] for size in SIZES]
        axes[1].semilogx(SIZES, values, ("o", "-", ":")[index], color="C0", label=kind, base=2)
    axes[1].set(xlabel="hidden units n", ylabel=f"bits for a growth of 2 in {steps} steps", ylim=(0, 24))
    axes[1].legend(frameon=False)
    save(figure, path)


TABLES: dict[str, Callable[[], str]] = {
    "haar": haar_table,
    "growth": growth_table,
    "bits": bits_table,
    "kinds": kinds_table,
    "models": models_table,
    "widths": widths_table,
}


def main() -> None:
    """Write tables and plots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--docs", type=Path, default=REPOSITORY / "docs")
    docs = parser.parse_args().docs
    page = docs / "theory.md"
    text = page.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        before, found, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (found and end):
            raise SystemExit(f"{page} must have a place for the table {name}")
        text = f"{before}{found}\n{make()}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")
    norms_plot(docs / "theory_norms.svg")
    growth_plot(docs / "theory_growth.svg")
    print(f"wrote {page} and its plots")


if __name__ == "__main__":
    main()
