"""Measures of approximate orthogonality and the bounds on them."""

import numpy as np
import pytest

from qornn_hw.training.orthogonality import orthogonality


def test_orthogonality_measures():
    """A scaled rotation has the known measures, an orthogonal matrix the error 0."""
    rotation = 1.1 * np.array([[0.0, -1.0], [1.0, 0.0]])
    measures = orthogonality(rotation)
    assert measures == pytest.approx(
        {"error": 0.21, "singular_min": 1.1, "singular_max": 1.1, "spectral_radius": 1.1}
    )
    assert orthogonality(np.eye(5))["error"] == 0.0
