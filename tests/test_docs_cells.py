"""The cell that docs/cells.md writes is quantized and answers as its float model does."""

import re
from pathlib import Path

import numpy as np

import qornn_hw
from qornn_hw.quantization.stack import RealStack

PAGE = Path(__file__).parents[1] / "docs/cells.md"


def test_the_example_works():
    """The code block of the page defines a cell of 12 bits whose error is below 2 %."""
    code = re.findall(r"```python\n(from dataclasses.*?)```", PAGE.read_text(), re.S)[0]
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    rng = np.random.default_rng(0)
    w, u, b = rng.normal(size=(16, 3)) / 2, rng.normal(size=(16, 8)) / 3, rng.normal(size=16) / 4
    stack = RealStack((names["GatedLeak"](w, u, b),), rng.normal(size=(4, 8)), np.zeros(4))
    x = rng.normal(size=(20, 15, 3))
    net = qornn_hw.quantize(stack, x, weight_bits=8, state_bits=12, gate_bits=12, index_bits=12)
    assert net.quality["relrms"] < 0.02
    assert np.abs(net(x) - stack.run(x)).max() < 0.2
