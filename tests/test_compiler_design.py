"""Compiled designs."""

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_network import Activation
from qornn_hw.compiler.chain_engine import ChainEngine
from qornn_hw.compiler.chain_refit import with_room
from qornn_hw.compiler.design import compile_network, compile_schedule
from qornn_hw.compiler.engines import engines, lut
from qornn_hw.compiler.memory import Memory

TABLE = np.arange(-32, 32)


def test_every_image_can_be_replaced():
    """with_image puts a flipped image where its name says, and nowhere else."""
    net = make_network(n=5, m=4, activation=Activation.TANH, table=TABLE, **one_hot_fields(4))
    design = compile_network(net, columns_per_element=2, elements=2)
    for image in design.memories:
        changed = design.with_memory(image.flip(0, 0))
        before = {i.name: i.digest for i in design.memories}
        after = {i.name: i.digest for i in changed.memories}
        assert [name for name in before if before[name] != after[name]] == [image.name]
    with pytest.raises(KeyError):
        design.with_memory(Memory.plain("nothing", 1, ()))


@pytest.mark.parametrize(("shift", "constant"), [(0, 0), (1, 1), (2, 2), (3, 4), (47, 1 << 46)])
@pytest.mark.parametrize("engine", [e.name for e in engines() if isinstance(e, ChainEngine)])
def test_rounding_constant(shift, constant, engine):
    """Half of what the shift divides by; nothing to add without a shift."""
    assert compile_network(make_network(shift=shift), elements=2, engine=engine).rounding_constant == constant


def test_with_room_a_memory_keeps_every_column():
    """A last word has all bits unlike the first one's, but where a block is full: a table of 256 stays."""
    net = make_network(activation=Activation.TANH, table=TABLE)
    plain = compile_network(net, elements=2)
    for image, before in zip(
        compile_schedule(with_room(plain.schedule)).memories, plain.memories, strict=True
    ):
        if image.name == "operands":
            continue
        assert image.words[-1] == image.words[0] ^ (1 << image.width) - 1
        assert image.depth == before.depth + 1
    full = make_network(activation=Activation.TANH, table=np.arange(-128, 128))
    assert compile_schedule(with_room(lut.schedule(full, 1, 2))).memory("table").depth == 256
