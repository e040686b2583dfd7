"""Measures of approximate orthogonality, and the bounds and predictions of docs/theory.md."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.evaluation.orthogonality import (
    accumulator_widths,
    bits_for_growth,
    growth,
    growth_log10,
    noise,
    orthogonality,
    orthogonality_report,
    predicted,
    predicted_growth_log10,
)
from qornn_hw.quantization.quantize import quantize_weights, weight_step

THEORY = Path(__file__).parents[1] / "docs" / "theory.md"


def haar(n, seed=0):
    """Return a random orthogonal matrix."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    return q * np.sign(np.diag(r))


def hadamard(n):
    """Return the orthogonal matrix with the smallest largest entry."""
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    return h / math.sqrt(n)


def rotations(n, seed=0):
    """Return 2 x 2 rotations along the diagonal."""
    w = np.zeros((n, n))
    for i, angle in enumerate(np.random.default_rng(seed).uniform(-np.pi, np.pi, n // 2)):
        c, s = np.cos(angle), np.sin(angle)
        w[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, -s], [s, c]]
    return w


def quantized(w, bits):
    """Return q_k(W)."""
    step = weight_step(w, bits)
    return quantize_weights(w, bits, step) * step


def test_orthogonality_measures():
    """A scaled rotation has the known measures, an orthogonal matrix the error 0."""
    rotation = 1.1 * np.array([[0.0, -1.0], [1.0, 0.0]])
    assert orthogonality(rotation) == pytest.approx(
        {
            "error": 0.21,
            "frobenius_error": 0.21 * 2**0.5,
            "singular_min": 1.1,
            "singular_max": 1.1,
            "spectral_radius": 1.1,
        }
    )
    assert orthogonality(np.eye(5))["error"] == 0.0
    w = np.random.default_rng(0).normal(size=(7, 7))
    assert orthogonality(w)["frobenius_error"] == pytest.approx(np.linalg.norm(w @ w.T - np.eye(7)))
    assert orthogonality(w)["error"] == pytest.approx(np.linalg.norm(w @ w.T - np.eye(7), 2))


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8, 10, 12])
@pytest.mark.parametrize("n", [2, 3, 8, 32, 64])
def test_worst_case_holds(n, bits):
    """The worst-case bounds hold for all tested orthogonal matrices, including extreme ones."""
    matrices = [haar(n, seed) for seed in range(5)] + [np.eye(n), np.eye(n)[::-1], -np.eye(n)]
    matrices += [rotations(n - n % 2, 1)] if n > 1 else []
    if n & (n - 1) == 0:
        matrices.append(hadamard(n))
        # Rows of many entries that are clipped together.
        matrices.append(np.kron(np.eye(max(1, n // 4)), hadamard(min(n, 4))))
    for w in matrices:
        q = quantized(w, bits)
        bound = predicted(len(w), bits, float(np.abs(w).max()))["worst"]
        measured = orthogonality(q)
        assert np.linalg.norm(q - w, 2) <= bound["quantization_error"] * (1 + 1e-9) + 1e-12
        for name in ("error", "frobenius_error", "singular_max", "spectral_radius"):
            assert measured[name] <= bound[name] * (1 + 1e-9) + 1e-9
        assert measured["singular_min"] >= bound["singular_min"] * (1 - 1e-9) - 1e-9


def test_worst_case_counts_the_clipped_entries():
    """A Hadamard matrix has half of its entries clipped by a whole step, twice what rounding could err."""
    w, bits = hadamard(16), 4
    e = np.linalg.norm(quantized(w, bits) - w, 2)
    half_steps_only = 16 * 0.25 * 2.0**-bits
    assert e > 0.5 * half_steps_only
    assert predicted(16, bits, 0.25)["worst"]["quantization_error"] == pytest.approx(2 * half_steps_only)


@pytest.mark.parametrize("bits", [3, 4, 5, 6, 8, 10])
@pytest.mark.parametrize("n", [64, 128, 256])
def test_typical_values_of_haar_matrices(n, bits):
    """Predictions of a random orthogonal matrix: norms within 10 %, singular values, spectral radius."""
    w = haar(n, n)
    q, alpha = quantized(w, bits), float(np.abs(w).max())
    typical, measured = predicted(n, bits, alpha)["typical"], orthogonality(q)
    assert np.linalg.norm(q - w, 2) == pytest.approx(typical["quantization_error"], rel=0.1)
    assert np.linalg.norm(q - w) == pytest.approx(noise(n, bits, alpha) * n**0.5, rel=0.1)
    for name in ("error", "frobenius_error"):
        assert measured[name] == pytest.approx(typical[name], rel=0.12)
    for name in ("singular_min", "singular_max"):
        assert measured[name] - 1 == pytest.approx(typical[name] - 1, rel=0.12)
    assert measured["spectral_radius"] - 1 == pytest.approx(typical["spectral_radius"] - 1, rel=0.5)


@pytest.mark.parametrize("s", [0.0, 0.05, 0.3, 0.9, 1.0, 1.5])
def test_edges_of_the_singular_values(s):
    """The edges are those of I + s G, G with normal entries of variance 1 / n."""
    n, bits = 400, 2
    alpha = s * 2**bits / math.sqrt(n / 3)
    if not n**-0.5 <= alpha <= 1:
        bits = next(b for b in range(2, 30) if n**-0.5 <= max(s, 1e-3) * 2**b / math.sqrt(n / 3) <= 1)
        alpha = max(s, 1e-3) * 2**bits / math.sqrt(n / 3)
    typical = predicted(n, bits, alpha)["typical"]
    g = np.random.default_rng(0).normal(size=(n, n)) / math.sqrt(n)
    singular = np.linalg.svd(np.eye(n) + noise(n, bits, alpha) * g, compute_uv=False)
    assert singular[0] == pytest.approx(typical["singular_max"], rel=0.03)
    assert singular[-1] == pytest.approx(typical["singular_min"], abs=0.03)


def test_growth_of_known_matrices():
    """Rotations keep lengths, scaled ones grow by their scale; nothing overflows or fails at zero."""
    assert growth_log10(haar(20), 300) == pytest.approx(0.0, abs=1e-10)
    assert growth(1.01 * haar(20), 100) == pytest.approx(1.01**100)
    assert growth_log10(10 * np.eye(3), 1000) == pytest.approx(1000)
    assert growth(10 * np.eye(3), 1000) == math.inf
    assert growth(haar(5), 0) == 1.0
    assert growth_log10(np.zeros((3, 3)), 5) == growth_log10(1e-3 * np.eye(3), 500) == -300
    assert growth_log10(quantized(haar(16), 4), 50, seed=1) != growth_log10(quantized(haar(16), 4), 50)


@pytest.mark.parametrize("n", [64, 256])
@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("steps", [100, 1000])
def test_growth_is_about_the_predicted(n, bits, steps):
    """The worst case bounds the growth; the exponent of the heuristic is right within a factor of 2."""
    w = haar(n, 3)
    found = growth_log10(quantized(w, bits), steps)
    guess = predicted_growth_log10(n, bits, float(np.abs(w).max()), steps)
    assert found <= guess["worst"]
    assert found == pytest.approx(guess["typical"], rel=0.5, abs=0.1)


def test_bits_for_growth():
    """The result keeps the limit and one bit less does not; more steps and the worst case need more."""
    for kind in ("typical", "worst"):
        found = [bits_for_growth(256, 0.27, steps, 2.0, kind) for steps in (10, 100, 1000, 10000)]
        assert found == sorted(found) and found[0] < found[-1]
        for steps, bits in zip((10, 100, 1000, 10000), found, strict=True):
            assert predicted_growth_log10(256, bits, 0.27, steps)[kind] <= math.log10(2)
            if bits > 2:
                assert predicted_growth_log10(256, bits - 1, 0.27, steps)[kind] > math.log10(2)
    assert bits_for_growth(256, 0.27, 1000, 2.0) < bits_for_growth(256, 0.27, 1000, 2.0, "worst")


def test_accumulator_widths():
    """The proved width holds at the extremes, Cauchy-Schwarz is never narrower."""
    rng = np.random.default_rng(0)
    for bits in (2, 4, 8):
        w = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (50, 50))
        widths = accumulator_widths(w, 8)
        assert widths["typical"] <= widths["proved"] <= widths["cauchy_schwarz"] <= widths["proved"] + 2
        g = np.where(w > 0, 127, -128)
        assert np.abs((w * g).sum(axis=1)).max() < 2 ** (widths["proved"] - 1)
        assert np.abs((w * g).sum(axis=1)).max() > 2 ** (widths["proved"] - 3)


@pytest.mark.parametrize("per_row", [False, True])
def test_report(per_row):
    """The report measures integers times steps and can be written as JSON."""
    w = haar(24, 5)
    step = np.abs(w).max(axis=1) / 8 if per_row else weight_step(w, 4)
    integers = quantize_weights(w, 4, np.reshape(step, (-1, 1)) if per_row else step)
    report = orthogonality_report(integers, step, 4, 200)
    q = integers * np.reshape(step, (-1, 1))
    assert {k: report[k] for k in orthogonality(q)} == pytest.approx(orthogonality(q))
    assert report["growth_steps"] == 200 and report["growth_log10"] <= report["growth_log10_bound"]
    assert report["max_entry"] == pytest.approx(np.abs(q).max())
    assert report["predicted"]["singular_max"] == pytest.approx(report["singular_max"], rel=0.1)
    assert json.loads(json.dumps(report)) == report


def test_report_without_a_prediction():
    """One-bit and far from orthogonal matrices have measures but no prediction."""
    assert orthogonality_report(np.ones((4, 4), dtype=int), 0.25, 1)["predicted"] is None
    assert orthogonality_report(7 * np.eye(4, dtype=int), 3.0, 4)["predicted"] is None
    assert orthogonality_report(np.zeros((4, 4), dtype=int), 0.1, 4)["growth_log10_bound"] == -300


def rows_of(name):
    """Return the rows of a table of docs/theory.md, by its place."""
    text = THEORY.read_text(encoding="utf-8").partition(f"<!-- {name} -->")[2].partition("<!-- end -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_page_holds_what_the_formulas_say():
    """The predicted columns of docs/theory.md equal the functions, for the alpha of each row."""
    rows = rows_of("haar")
    assert len(rows) == 6 * 8
    for n, bits, alpha, *values in rows:
        guess = predicted(int(n), int(bits), float(alpha))
        typical = guess["typical"]
        wanted = [
            (1, typical["quantization_error"]),
            (2, guess["worst"]["quantization_error"]),
            (4, typical["singular_min"]),
            (6, typical["singular_max"]),
            (8, typical["error"]),
            (10, typical["spectral_radius"] - 1),
        ]
        # Means over matrices, of values that are not all linear in alpha; two digits printed.
        for column, value in wanted:
            assert float(values[column]) == pytest.approx(
                value, rel=0.07, abs=0.02 if int(bits) < 4 else 6e-4
            )


def test_page_bits():
    """In the page's table the predicted bits are the measured ones to within one, and far from the worst."""
    cells = [cell for row in rows_of("bits") for cell in row[1:]]
    assert len(cells) == 6 * 4
    for cell in cells:
        measured, typical, worst = map(int, cell.split("/"))
        assert abs(measured - typical) <= 1 and worst >= typical + 6


def test_page_shows_the_measured_matrix():
    """Measuring one row of the page again gives the same numbers (256 units, 5 bits)."""
    row = next(r for r in rows_of("haar") if r[:2] == ["256", "5"])
    q, r = np.linalg.qr(np.random.default_rng((256, 0)).normal(size=(256, 256)))
    w = q * np.sign(np.diag(r))
    measured = orthogonality(quantized(w, 5))
    assert float(row[6]) == pytest.approx(measured["singular_min"], rel=0.02)
    assert float(row[8]) == pytest.approx(measured["singular_max"], rel=0.02)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: orthogonality(np.ones((2, 3))), "a recurrent weight must be square, not of shape (2, 3)"),
        (lambda: growth(np.eye(2), -1), "steps must be at least 0, not -1"),
        (lambda: predicted(0, 4, 0.5), "n must be at least 1, not 0"),
        (lambda: predicted(64, 1, 0.5), "bits must be at least 2, not 1"),
        (lambda: predicted(64, 4, 0.1), "alpha must be 0.125 to 1 for 64 units, not 0.1"),
        (lambda: predicted(64, 4, 1.1), "alpha must be 0.125 to 1 for 64 units, not 1.1"),
        (lambda: bits_for_growth(64, 0.5, 10, 1.0), "limit must be above 1, not 1.0"),
        (lambda: bits_for_growth(64, 0.5, 10, 2.0, "best"), "kind must be typical or worst, not 'best'"),
    ],
)
def test_errors(call, message):
    """Invalid arguments are refused in one line."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        call()
