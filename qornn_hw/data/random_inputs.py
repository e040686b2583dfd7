"""Random inputs of a network, for simulations and for the self-test of a board."""

import numpy as np
from numpy.typing import NDArray

from qornn_hw.ir.network import Input

__all__ = ["random_inputs"]


def random_inputs(source: Input, *, batch: int, steps: int, seed: int) -> NDArray[np.int64]:
    """Return uniformly random inputs: indices (batch, steps), or vectors (batch, steps, m) of integers.

    >>> from qornn_hw.ir.formats import IntFormat
    >>> from qornn_hw.ir.kinds import InputKind
    >>> random_inputs(Input("x", InputKind.VECTOR, 2, IntFormat(4, True)), batch=1, steps=3, seed=0).shape
    (1, 3, 2)
    """
    rng = np.random.default_rng(seed)
    if source.one_hot:
        return rng.integers(0, source.size, (batch, steps), dtype=np.int64)
    form = source.format
    return rng.integers(form.min, form.max + 1, (batch, steps, source.size), dtype=np.int64)
