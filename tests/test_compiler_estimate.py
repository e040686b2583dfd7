"""Memory shapes and block counts against the images of compiled designs."""

import re
from pathlib import Path

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.boards.devices import FAMILIES
from qornn_hw.boards.devices.ecp5 import ECP5
from qornn_hw.boards.devices.gowin import GOWIN
from qornn_hw.boards.devices.ice40 import ICE40_HX_LP, ICE40_ULTRAPLUS
from qornn_hw.boards.estimation import estimate_whole, plan_for
from qornn_hw.boards.registry import find_board
from qornn_hw.cells.elman_network import Activation, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.compiler.engines import lut
from qornn_hw.compiler.engines.lut.cost import least_blocks, lut_cost
from qornn_hw.compiler.estimate import memory_blocks, memory_shapes
from qornn_hw.compiler.family import Resources
from qornn_hw.errors import CapacityError
from qornn_hw.files.checkpoint import load_checkpoint

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
    shapes = memory_shapes(design.schedule, ICE40_ULTRAPLUS)
    for image in design.memories:
        assert shapes.pop(image.name) == (image.depth, image.width), image.name
    assert set(shapes) <= {"waiting_sums", "answers", "units"}


def test_answers_in_registers_are_in_no_block_ram():
    """They take logic cells instead, at least one a bit of the words of an answer."""
    net = make_network(n=64, m=1, p=10, output_mode=OutputMode.LAST_STEP)
    plain, s = (lut.schedule(net, 4, 5, answer_registers=registers) for registers in (False, True))
    assert memory_shapes(plain, ICE40_ULTRAPLUS).keys() - memory_shapes(s, ICE40_ULTRAPLUS).keys() == {
        "answers"
    }
    without, with_ = lut_cost(plain, ICE40_ULTRAPLUS), lut_cost(s, ICE40_ULTRAPLUS)
    assert without.bram - with_.bram == memory_blocks(plain, ICE40_ULTRAPLUS)["answers"] > 0
    assert with_.lut - without.lut >= s.network.output_size * (s.widths.answer_bits + 1)


def test_weights_in_spram_are_in_no_block_ram():
    """An element whose weights are loaded takes a large memory in the place of block RAMs."""
    net = make_network(n=64, m=1, p=3)
    plain, s = (lut.schedule(net, 4, 5, spram_elements=n) for n in (0, 2))
    names = {"weights_0", "weights_1"}
    assert memory_shapes(plain, ICE40_ULTRAPLUS).keys() - memory_shapes(s, ICE40_ULTRAPLUS).keys() == names
    blocks = memory_blocks(plain, ICE40_ULTRAPLUS)
    without, with_ = lut_cost(plain, ICE40_ULTRAPLUS), lut_cost(s, ICE40_ULTRAPLUS)
    assert (without.spram, with_.spram) == (0, 2)
    assert without.bram - with_.bram == sum(blocks[name] for name in names)


@pytest.mark.parametrize("spram", [0, 1])
@pytest.mark.parametrize(("columns", "elements", "readout"), [(1, 1, 0), (4, 3, 2), (2, 6, 0)])
def test_least_blocks_are_no_more_than_there_are(columns, elements, readout, spram):
    """The quick count never rules a chain out that fits."""
    for changes in ({}, one_hot_fields(3), {"activation": Activation.TANH, "table": TABLE}):
        net = make_network(n=19, m=3, p=3, **changes)
        s = lut.schedule(net, columns, elements, readout_lanes=readout, spram_elements=spram)
        for family in FAMILIES:
            assert 0 < least_blocks(s, family) <= sum(memory_blocks(s, family).values())


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
        # Columns that share a block, as yosys 0.70 was seen to map them.
        (600, 9, 2),
        (1100, 3, 1),
        (1360, 12, 5),
        (1025, 20, 7),
        (3000, 5, 4),
        (4096, 5, 5),
        (5000, 6, 8),
        (8192, 3, 6),
        (16385, 1, 5),
    ],
)
def test_block_rams(depth, width, blocks):
    """A memory takes the fewest 4-kbit blocks of the four shapes, words beyond its depth beside others."""
    assert ICE40_ULTRAPLUS.block_rams(depth, width) == blocks


@pytest.mark.parametrize(
    ("depth", "width", "blocks"),
    [
        (1, 1, 1),
        (512, 36, 1),
        (513, 36, 2),
        (512, 37, 2),
        (1024, 18, 1),
        (2048, 9, 1),
        (2048, 10, 2),
        (4096, 4, 1),
        (8192, 2, 1),
        (16384, 1, 1),
        (74, 72, 2),
        # As yosys 0.70 was seen to map them.
        (16385, 1, 1),
        (5000, 3, 1),
        (5000, 6, 2),
        (1025, 20, 2),
    ],
)
def test_ecp5_block_rams(depth, width, blocks):
    """A memory takes the fewest 18-kbit blocks of the six shapes; Gowin's have the same."""
    assert ECP5.block_rams(depth, width) == GOWIN.block_rams(depth, width) == blocks


@pytest.mark.parametrize(
    ("board", "model", "lanes", "cells", "blocks"),
    [
        ("icebreaker", "mnist_rows", 8, 1774, 15),
        ("icebreaker", "mnist_rows", 48, 3891, 21),
        ("icebreaker", "copy", 8, 2515, 25),
        ("icebreaker", "copy", 37, 4509, 30),
        ("icebreaker", "speech", 45, 3744, 22),
        ("ice40-hx8k", "mnist_rows", 8, 1897, 15),
        ("ice40-hx8k", "copy", 8, 2733, 25),
        ("ulx3s-25f", "mnist_rows", 8, 1622, 9),
        ("ulx3s-25f", "mnist_rows", 96, 5626, 21),
        ("ulx3s-25f", "copy", 73, 7257, 40),
        ("ulx3s-25f", "speech", 89, 5681, 50),
    ],
)
def test_estimate_is_near_what_was_packed(board, model, lanes, cells, blocks):
    """Of whole designs, as nextpnr packs them: blocks exactly, logic cells within 5 %."""
    network = load_checkpoint(Path(__file__).parents[1] / "models" / f"{model}.npz").network
    whole = estimate_whole(plan_for(network, find_board(board), lanes), find_board(board))
    assert whole.bram == blocks
    assert abs(whole.lut / cells - 1) < 0.05


def test_product_of_logic_cells():
    """The product of 15 x 12 bits took 174 logic cells more without a multiplier."""
    network = load_checkpoint(Path(__file__).parents[1] / "models" / "mnist_rows.npz").network
    without, with_ = (
        lut_cost(lut.schedule(network, 8, 4), family) for family in (ICE40_HX_LP, ICE40_ULTRAPLUS)
    )
    assert (with_.dsp, without.dsp) == (1, 0)
    assert 160 < without.lut - with_.lut < 200


@pytest.mark.parametrize(
    ("model", "columns", "elements", "cells", "blocks"),
    [("mnist_rows", 8, 4, 3687, 10), ("mnist_rows", 4, 4, 2594, 9), ("copy", 4, 2, 3179, 11)],
)
def test_estimate_is_near_what_was_placed(model, columns, elements, cells, blocks):
    """Of designs for the Tang Nano 9K, the link included: blocks exactly, logic cells within 6 %."""
    network = load_checkpoint(Path(__file__).parents[1] / "models" / f"{model}.npz").network
    whole = lut_cost(lut.schedule(network, columns, elements), GOWIN) + GOWIN.cost.surroundings
    assert (whole.bram, whole.dsp) == (blocks, 0)
    assert abs(whole.lut / cells - 1) < 0.06


@pytest.mark.parametrize("family", FAMILIES)
def test_small_queue_is_no_memory(family):
    """An answer of one word is kept in logic by every family, one of many words is not."""
    few = lut.schedule(make_network(n=8, p=2, output_kind=OutputKind.ARGMAX), 4, 2)
    many = lut.schedule(make_network(n=8, p=200), 4, 2)
    assert "answers" not in memory_blocks(few, family)
    assert "answers" in memory_blocks(many, family)


def test_resources_add_and_exceed():
    """Sums are by kind, and only what is too much is named."""
    total = Resources(lut=1, bram=2) + Resources(lut=3, dsp=1)
    assert total == Resources(lut=4, bram=2, dsp=1)
    assert total.excess(Resources(lut=4, bram=1)) == {"bram": 1, "dsp": 1}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("icebreaker", {"lanes": 500}, r"of at most 500 lanes has \d+, with \d+ .* too many; take 48,"),
        ("icebreaker", {"lanes": 9, "engine": "dsp"}, "at most 8, the multipliers .*, not 9"),
    ],
)
def test_more_lanes_than_fit_are_refused(name, options, message):
    """A forced number of lanes is kept or refused, with what fits; the number that it says is planned."""
    network, board = load_checkpoint("models/mnist_rows.npz").network, find_board(name)
    with pytest.raises(CapacityError, match=rf"^lanes must be .*{message}") as error:
        plan_for(network, board, **options)
    fitting = int(re.search(r"(?:take|at most) (\d+), (?:or|the)", str(error.value))[1])
    assert plan_for(network, board, **options | {"lanes": fitting}).lanes == fitting
    # What is enough for a rate is planned, however many lanes there might be.
    if "engine" not in options:
        assert plan_for(network, board, 500, target_rate=1000).lanes < fitting
