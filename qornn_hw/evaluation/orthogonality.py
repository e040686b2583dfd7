"""Orthogonality of a quantized recurrent matrix: measured, and predicted from bits and size.

The module needs NumPy only. docs/theory.md derives every formula and compares it with measurements. W is
orthogonal, (n, n), ``alpha = max|W|``, ``d = alpha 2**(1-k)``, ``Q = q_k(W)`` and ``E = Q - W``.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.errors import FormatError

__all__ = [
    "accumulator_widths",
    "bits_for_growth",
    "growth",
    "growth_log10",
    "noise",
    "orthogonality",
    "orthogonality_report",
    "predicted",
    "predicted_growth_log10",
]

_VECTORS = 16
# Result for powers that decay below the range of floats.
_LOG10_MIN = -300.0


def _square(weight: ArrayLike) -> NDArray[np.float64]:
    w = np.asarray(weight, dtype=np.float64)
    if w.ndim != 2 or w.shape[0] != w.shape[1] or w.size == 0:
        raise FormatError(f"a recurrent weight must be square, not of shape {w.shape}")
    return w


def orthogonality(weight: ArrayLike) -> dict[str, float]:
    """Return measures of a square matrix Q.

    error, frobenius_error: spectral and Frobenius norm of ``Q Q^T - I``. singular_min, singular_max: extreme
    singular values. spectral_radius: largest magnitude of an eigenvalue, which is the growth a step of a
    linear recurrence in the long run.

    Raises:
        FormatError: the weight is not square.
    """
    w = _square(weight)
    singular = np.linalg.svd(w, compute_uv=False)
    residual = np.square(singular) - 1
    return {
        "error": float(np.abs(residual).max()),
        "frobenius_error": float(np.linalg.norm(residual)),
        "singular_min": float(singular.min()),
        "singular_max": float(singular.max()),
        "spectral_radius": float(np.abs(np.linalg.eigvals(w)).max()),
    }


def growth_log10(weight: ArrayLike, steps: int, seed: int = 0) -> float:
    """Return the decimal logarithm of the growth of a random vector over ``steps`` applications of Q.

    The growth is the root mean square of ``|Q^t v|`` over 16 random unit vectors v, from t products, with
    rescaling against overflow. The result is at least -300.

    Raises:
        FormatError: the weight is not square, or ``steps`` is negative.
    """
    w = _square(weight)
    if steps < 0:
        raise FormatError(f"steps must be at least 0, not {steps!r}")
    v = np.random.default_rng(seed).normal(size=(len(w), _VECTORS))
    v /= np.linalg.norm(v, axis=0) * math.sqrt(_VECTORS)
    total = 0.0
    for _ in range(steps):
        v = w @ v
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return _LOG10_MIN
        v /= size
        total += math.log10(size)
    return max(total, _LOG10_MIN)


def growth(weight: ArrayLike, steps: int, seed: int = 0) -> float:
    """Return ``10 ** growth_log10(weight, steps, seed)``; infinite beyond the range of floats."""
    exponent = growth_log10(weight, steps, seed)
    return math.inf if exponent > 308 else 10.0**exponent


def _check(n: int, bits: int, alpha: float) -> None:
    if n < 1:
        raise FormatError(f"n must be at least 1, not {n!r}")
    if bits < 2:
        raise FormatError(f"bits must be at least 2, not {bits!r}")
    # A row of norm 1 has an entry of 1 / sqrt(n) or more.
    if not (n**-0.5 * (1 - 1e-9) <= alpha <= 1 + 1e-9):
        raise FormatError(f"alpha must be {n**-0.5:.4g} to 1 for {n} units, not {alpha!r}")


def noise(n: int, bits: int, alpha: float) -> float:
    """Return ``s = alpha 2**-k sqrt(n / 3)``, the norm of a row of E with uniform random entries."""
    return alpha * 2.0**-bits * math.sqrt(n / 3)


def _norm_bounds(n: int, bits: int, alpha: float) -> tuple[float, float]:
    """Return bounds of the spectral and the Frobenius norm of E that hold for every orthogonal W."""
    half = alpha * 2.0**-bits
    # Entries above alpha (1 - 2**-k) are clipped by up to a whole step; a row or column of norm 1 has only a
    # few of them.
    clipped = min(n, math.floor(1 / (alpha * (1 - 2.0**-bits)) ** 2 + 1e-9))
    frobenius = half * math.sqrt(n * (n + 3 * clipped))
    # ||E||_2 <= sqrt(||E||_1 ||E||_inf): the largest sums of magnitudes of a column and of a row.
    return min(frobenius, half * (n + clipped)), frobenius


def predicted(n: int, bits: int, alpha: float) -> dict[str, dict[str, float]]:
    """Return the worst and the typical effect of quantization to k bits on an orthogonal matrix.

    Args:
        n: size of the matrix.
        bits: k, 2 or more.
        alpha: the largest magnitude of an entry, ``1 / sqrt(n)`` to 1.

    Returns:
        ``{"worst": {...}, "typical": {...}}``, both with the keys of :func:`orthogonality` and
        ``quantization_error``, the spectral norm of E. worst holds for every orthogonal W. typical assumes
        that the entries of E are independent and uniform over a step (docs/theory.md).

    Raises:
        FormatError: an argument is out of range.
    """
    _check(n, bits, alpha)
    e, f = _norm_bounds(n, bits, alpha)
    s = noise(n, bits, alpha)
    # Edges of the singular values of I + s G (Dozier and Silverstein 2007), squared.
    centre, spread = 8 + 20 * s**2 - s**4, s * (s**2 + 8) ** 1.5
    high = (centre + spread) / 8
    low = max(0.0, (centre - spread) / 8) if s < 1 else 0.0
    # The bulk of the eigenvalues, and the scatter of single eigenvalues around the circle.
    bulk, scatter = math.sqrt(1 + s**2) - 1, s * math.sqrt(math.log(max(n / 2, 1)) / n)
    return {
        "worst": {
            "quantization_error": e,
            "error": 2 * e + e**2,
            "frobenius_error": (2 + e) * f,
            "singular_min": max(0.0, 1 - e),
            "singular_max": 1 + e,
            "spectral_radius": 1 + e,
        },
        "typical": {
            "quantization_error": 2 * s,
            "error": max(high - 1, 1 - low),
            "frobenius_error": s * math.sqrt(2 * n * (1 + s**2)),
            "singular_min": math.sqrt(low),
            "singular_max": math.sqrt(high),
            "spectral_radius": 1 + math.hypot(bulk, scatter),
        },
    }


def predicted_growth_log10(n: int, bits: int, alpha: float, steps: int) -> dict[str, float]:
    """Return the decimal logarithms of the growth over ``steps``: ``worst``, a bound, and ``typical``.

    worst is ``(1 + e)**T``. typical is a heuristic: ``exp(s**2 T max(1, T / n) / 2)`` while no single
    eigenvalue dominates, that is up to ``T = sqrt(n ln n) / s``, then ``rho**T / sqrt(n)``.

    Raises:
        FormatError: an argument is out of range.
    """
    values = predicted(n, bits, alpha)
    s = noise(n, bits, alpha)
    typical = steady = s**2 * steps / 2
    if steps * s < math.sqrt(n * math.log(n)):
        typical *= max(1.0, steps / n)
    else:
        radius = values["typical"]["spectral_radius"]
        typical = max(steady, steps * math.log(radius) - math.log(n) / 2)
    return {
        "worst": steps * math.log10(values["worst"]["spectral_radius"]),
        "typical": typical / math.log(10),
    }


def bits_for_growth(n: int, alpha: float, steps: int, limit: float, kind: str = "typical") -> int:
    """Return the smallest number of bits whose predicted growth over ``steps`` is at most ``limit``.

    Args:
        n: size of the matrix.
        alpha: the largest magnitude of an entry.
        steps: number of steps T.
        limit: the largest allowed growth, above 1.
        kind: "typical" or "worst", as in :func:`predicted_growth_log10`.

    Raises:
        FormatError: an argument is out of range.
    """
    if not limit > 1:
        raise FormatError(f"limit must be above 1, not {limit!r}")
    if kind not in ("typical", "worst"):
        raise FormatError(f"kind must be typical or worst, not {kind!r}")
    bits = 2
    while predicted_growth_log10(n, bits, alpha, steps)[kind] > math.log10(limit):
        bits += 1
    return bits


def accumulator_widths(weight_int: ArrayLike, state_bits: int, deviations: float = 6.0) -> dict[str, int]:
    """Return the signed bits that the sum ``W g`` needs: proved, by Cauchy-Schwarz, and typical.

    Args:
        weight_int: the integers of W, (n, n).
        state_bits: bits a; g is in ``-2**(a-1) .. 2**(a-1) - 1``.
        deviations: number of standard deviations for ``typical``, which assumes independent entries of g
            with a standard deviation of a quarter of full scale.

    Returns:
        ``proved``: the smallest format that no g can overflow, from the sum of magnitudes of a row (exact, as
        in :mod:`qornn_hw.cells.elman_bounds`). ``cauchy_schwarz``: from ``|row| |g|``, never narrower.
        ``typical``: not safe, for comparison.
    """
    w = _square(weight_int)
    full = 2.0 ** (state_bits - 1)
    lengths = float(np.linalg.norm(w, axis=1).max())
    reach = {
        "proved": float(np.abs(w).sum(axis=1).max()) * full,
        "cauchy_schwarz": lengths * full * math.sqrt(len(w)),
        "typical": deviations * lengths * full / 4,
    }
    return {name: math.floor(math.log2(max(value, 1.0))) + 2 for name, value in reach.items()}


def orthogonality_report(
    weight_int: ArrayLike, step: ArrayLike, bits: int, steps: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Return the facts about an integer network's recurrent matrix, for `qornn-hw info`.

    Args:
        weight_int: the integers of W, (n, n).
        step: real value of one unit: a number, or (n,) by row.
        bits: bits k of the format.
        steps: number of steps T over which the growth is measured.
        seed: seed of the random vectors.

    Returns:
        The measures of :func:`orthogonality`; max_entry, the largest magnitude; growth_steps, growth_log10
        and growth_log10_bound, T times the logarithm of the largest singular value; and ``predicted``, the
        typical values for this n, k and alpha, or None for one bit, or if no orthogonal matrix has this
        alpha.
    """
    steps_of = np.asarray(step, dtype=np.float64).reshape(-1, 1)
    q = _square(weight_int) * steps_of
    n, alpha = len(q), float(steps_of.max()) * 2.0 ** (bits - 1)
    measured = orthogonality(q)
    top = measured["singular_max"]
    fits = bits >= 2 and n**-0.5 <= alpha <= 1
    return measured | {
        "max_entry": float(np.abs(q).max()),
        "growth_steps": steps,
        "growth_log10": growth_log10(q, steps, seed),
        "growth_log10_bound": max(steps * math.log10(top), _LOG10_MIN) if top > 0 else _LOG10_MIN,
        "predicted": predicted(n, bits, alpha)["typical"] if fits else None,
    }
