"""The stages that an activation has beside the requantizer: their latencies, and their logic in bits."""

from qornn_hw.cells.activations.shape import ActivationShape
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.latencies import MODRELU_LATENCY, PIECES_LATENCY
from qornn_hw.compiler.widths import Widths

__all__ = ["accumulator_latency", "activation_cells", "state_latency"]

# Bits of straight pieces, fitted to synthesis for LUT4s (142 to 420 cells for 7 to 31 pieces of indices of 8
# to 14 bits): for each bit of the sum, and for each bit of the index and each piece.
_PIECES_CELLS_PER_BIT = 6.5
_PIECES_CELLS_PER_INDEX_BIT = 0.6


def accumulator_latency(shape: ActivationShape) -> int:
    """Return the cycles of the stage between the accumulator and the requantizer, 0 where there is none."""
    return MODRELU_LATENCY if shape.unit_bias else 0


def state_latency(shape: ActivationShape) -> int:
    """Return the cycles of the stage behind the requantizer; a table's read is the requantizer's last one."""
    return PIECES_LATENCY if shape.pieces else 0


def activation_cells(net: IntegerNetwork, widths: Widths) -> int:
    """Return the bits of the stages beside the requantizer, as :class:`CoreCounts` counts them."""
    # Magnitude, bias, and zeroing.
    cells = 3 * widths.activated_bits if net.activation.shape.unit_bias else 0
    if net.pieces is not None:
        cells += round(
            _PIECES_CELLS_PER_BIT * (net.state_bits + net.pieces.shift)
            + _PIECES_CELLS_PER_INDEX_BIT * net.pieces.index_bits * net.pieces.count
        )
    return cells
