"""Small networks of real numbers for tests of the export."""

import numpy as np


def arrays(n=12, m=5, p=4, seed=0, input="vector", gain=1.0):
    """Return weights, biases and 30 input sequences of 25 steps."""
    rng = np.random.default_rng(seed)
    w = gain * np.linalg.qr(rng.normal(size=(n, n)))[0]
    x = rng.integers(0, m, (30, 25)) if input == "one_hot" else rng.normal(size=(30, 25, m))
    return (
        (w, rng.normal(size=(n, m)), rng.normal(size=(p, n))),
        {
            "bias": rng.normal(size=n) * 0.1,
            "output_bias": rng.normal(size=p),
            "calibration_inputs": x,
            "input": input,
        },
    )
