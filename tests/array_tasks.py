"""Data of the arrays task, of every form of targets, for trainings."""

import numpy as np

STEPS = 8


def arrays(answers, lengths, seed=0):
    """Return data whose answer is the mean of a channel so far, in large units and with an offset."""
    rng = np.random.default_rng(seed)
    found = {}
    for split, count in (("train", 300), ("test", 60)):
        x = rng.normal(size=(count, STEPS, 2)) + rng.normal(size=(count, 1, 1))
        steps = rng.integers(2, STEPS + 1, count) if lengths else np.full(count, STEPS)
        so_far = np.cumsum(x[..., 0], axis=1) / np.arange(1, STEPS + 1)
        last = so_far[np.arange(count), steps - 1]
        targets = {
            "class": (last > 0).astype(np.int64),
            "classes": (so_far > 0).astype(np.int64),
            "values": 40 * last[:, None] + 1000,
            "series": 40 * so_far[..., None] + 1000,
        }[answers]
        found[f"inputs_{split}"] = x * [500.0, 0.3] + [0.0, 290.0]
        found[f"targets_{split}"] = targets
        if lengths:
            # The numbers after the ends would ruin a training that looked at them.
            found[f"inputs_{split}"][np.arange(STEPS) >= steps[:, None]] = 1e6
            if targets.shape[1:2] == (STEPS,):
                targets[np.arange(STEPS) >= steps[:, None]] = (
                    1 - targets.min() if answers == "classes" else 1e6
                )
            found[f"lengths_{split}"] = steps
    return found
