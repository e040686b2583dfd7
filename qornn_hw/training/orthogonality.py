"""How far a recurrent matrix is from orthogonal, in NumPy."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["orthogonality"]


def orthogonality(weight: ArrayLike) -> dict[str, float]:
    """Return measures of a square matrix W.

    error: the spectral norm of ``W W^T - I``. singular_min, singular_max: extreme singular values.
    spectral_radius: largest magnitude of an eigenvalue, the growth per step of a linear recurrence.
    """
    w = np.asarray(weight, dtype=np.float64)
    singular = np.linalg.svd(w, compute_uv=False)
    return {
        "error": float(np.abs(np.square(singular) - 1).max()),
        "singular_min": float(singular.min()),
        "singular_max": float(singular.max()),
        "spectral_radius": float(np.abs(np.linalg.eigvals(w)).max()),
    }
