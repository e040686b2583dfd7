"""Designs of the tile engine drawn at random: any network that it computes, on any shape."""

import random
import warnings

import numpy as np
from hand_networks import make_stack
from random_operations import draw_network
from real_cells import CELLS, real_cell

from qornn_hw.compiler.design import Design, compile_schedule
from qornn_hw.compiler.engines import engine_named
from qornn_hw.compiler.engines.tile.layout import Shape, layout_of
from qornn_hw.compiler.engines.tile.schedule import TileSchedule
from qornn_hw.errors import FormatError
from qornn_hw.ir.kinds import OutputKind
from qornn_hw.quantization.quantize_stack import quantized_stack
from qornn_hw.quantization.stack import RealStack

__all__ = ["design_of", "draw", "quantized_cells", "sequences_of"]

ATTEMPTS = 200
ENGINE = engine_named("tile")


def design_of(network, shape) -> Design:
    """Return the design of a network on a shape."""
    return compile_schedule(TileSchedule(network, ENGINE, shape))


def draw(seed: int, *, units: int = 65) -> Design:
    """Return a design: in turns of random operations, of hand-written cells, and of quantized cells."""
    choose = random.Random(seed)
    for attempt in range(ATTEMPTS):
        network = _network(choose, 1000 * attempt + seed, seed % 3, units)
        for _ in range(20):
            try:
                shape = _shape(choose)
                layout_of(network, shape)
            except FormatError:
                continue
            return design_of(network, shape)
    raise AssertionError(f"no design in {ATTEMPTS} attempts for seed {seed}")


def _network(choose, seed, kind, units):
    if kind == 0:
        return draw_network(seed, largest=4)
    if kind == 1:
        return make_stack(seed, largest=min(9, units)).network
    layers = [(choose.choice(sorted(CELLS)), choose.randint(1, units)) for _ in range(choose.randint(1, 3))]
    return quantized_cells(
        layers,
        choose.randint(1, 9),
        seed=seed,
        weight_bits=choose.randint(1, 8),
        state_bits=choose.randint(4, 16),
        input_bits=choose.randint(2, 8),
        output_mode=choose.choice(("every_step", "last_step")),
        output_kind=choose.choice(list(OutputKind)),
    )


def _shape(choose):
    return Shape(
        columns=choose.choice((1, 2, 4, 8, 16)),
        lanes=choose.randint(1, 24),
        interval=choose.randint(1, 8),
        multipliers=choose.randint(1, 8),
        banks=choose.choice((0, 0, 0, 1)),
    )


def quantized_cells(layers, inputs, outputs=3, seed=0, **options):
    """Return the integers of random cells: layers of (name, units)."""
    rng, size, cells = np.random.default_rng(seed), inputs, []
    for name, units in layers:
        cells.append(real_cell(name, units, size, rng))
        size = cells[-1].units
    stack = RealStack(tuple(cells), rng.normal(size=(outputs, size)), rng.normal(size=outputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantized_stack(stack, rng.normal(size=(8, 6, inputs)), **options).network


def sequences_of(network, lengths, seed):
    """Return sequences of random inputs, of the given lengths in steps."""
    rng, source = np.random.default_rng(seed), network.input
    shape = () if source.one_hot else (source.size,)
    return [rng.integers(source.format.min, source.format.max + 1, (steps, *shape)) for steps in lengths]
