"""Programs as text."""

import re

import pytest
from random_operations import draw_network
from test_docs_numerics import elman

from qornn_hw.cells.elman import lower
from qornn_hw.compiler.engines.simple.listing import listing
from qornn_hw.compiler.engines.simple.lowering import assemble

# The first instructions of the step of the network of docs/numerics.md, section 9.
STEP = """step:
  2 units
       3  acc = acc + value[2] * stream
       4  acc = acc + value[3 + repeat] * stream   2 times
       5  acc = acc + value[0 + repeat] * stream   2 times
       6  value[5 + unit] = acc
  1 unit
       7  wait 3 cycles
  2 units
       8  acc = acc + value[5 + unit] * 1
       9  value[7 + unit] = acc, saturated to 63 bits unsigned
"""


def test_an_elman_network():
    """Bias, W and U; relu as a saturation."""
    assert STEP in listing(assemble(lower(elman())))


@pytest.mark.parametrize("seed", range(20))
def test_every_instruction_has_a_line(seed):
    """In their order, with the marks of the parts and of the ends."""
    program = assemble(draw_network(seed))
    text = listing(program)
    numbers = [int(n) for n in re.findall(r"^ +(\d+)  ", text, re.MULTILINE)]
    assert numbers == list(range(len(program.instructions)))
    parts = ["initial states:", "step:", "end unless answered", "end"]
    assert [line for line in text.splitlines() if not line.startswith(" ")] == parts
