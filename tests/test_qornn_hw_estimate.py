"""Memory shapes and block counts against the images of compiled designs."""

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.design import compile_network
from qornn_hw.estimate import Resources, block_rams, memory_shapes
from qornn_hw.network import Activation

TABLE = np.arange(-32, 32)


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("activation", [Activation.RELU, Activation.MODRELU, Activation.TANH])
@pytest.mark.parametrize(
    ("columns", "elements", "readout"), [(1, 1, 0), (2, 3, 2), (4, 2, 0), (3, 1, 3), (4, 2, 1)]
)
def test_shapes_are_those_of_the_images(activation, one_hot, columns, elements, readout):
    """The shapes that the estimate counts are the shapes of the compiled images."""
    changes = one_hot_fields(5) if one_hot else {}
    changes["table"] = TABLE if activation is Activation.TANH else None
    net = make_network(n=11, m=5, p=3, activation=activation, **changes)
    design = compile_network(net, columns_per_element=columns, elements=elements, readout_lanes=readout)
    shapes = memory_shapes(design.schedule)
    for image in design.images:
        assert shapes.pop(image.name) == (image.depth, image.width), image.name
    assert set(shapes) <= {"waiting_sums", "answers", "units"}


@pytest.mark.parametrize(
    ("depth", "width", "blocks"),
    [
        (1, 1, 1),
        (256, 16, 1),
        (257, 16, 2),
        (512, 8, 1),
        (2048, 2, 1),
        (2049, 2, 2),
        (300, 32, 4),
        (74, 17, 2),
    ],
)
def test_block_rams(depth, width, blocks):
    """A memory takes the fewest 4-kbit blocks of the four shapes."""
    assert block_rams(depth, width) == blocks


def test_resources_add_and_exceed():
    """Sums are by kind, and only what is too much is named."""
    total = Resources(lut=1, bram=2) + Resources(lut=3, dsp=1)
    assert total == Resources(lut=4, bram=2, dsp=1)
    assert total.excess(Resources(lut=4, bram=1)) == {"bram": 1, "dsp": 1}
