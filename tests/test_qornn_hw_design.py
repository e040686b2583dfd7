"""Compiled designs."""

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.design import compile_network, with_image
from qornn_hw.network import Activation

TABLE = np.arange(-32, 32)


def test_every_image_can_be_replaced():
    """with_image puts a flipped image where its name says, and nowhere else."""
    net = make_network(n=5, m=4, activation=Activation.TANH, table=TABLE, **one_hot_fields(4))
    design = compile_network(net, columns_per_element=2, elements=2)
    for image in design.images:
        changed = with_image(design, image.flip(0, 0))
        before = {i.name: i.digest for i in design.images}
        after = {i.name: i.digest for i in changed.images}
        assert [name for name in before if before[name] != after[name]] == [image.name]
    with pytest.raises(KeyError):
        with_image(design, type(design.constant_image)("nothing", 1, ()))
