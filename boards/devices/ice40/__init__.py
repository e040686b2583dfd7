"""Lattice iCE40: UltraPlus, and HX and LP without its multipliers and large memories."""

from qornn_hw.boards.devices.ice40.devices import HX8K, LP8K, UP5K
from qornn_hw.boards.devices.ice40.family import FAMILIES, ICE40_HX_LP, ICE40_ULTRAPLUS
from qornn_hw.boards.devices.ice40.pll import ICE40_CORE, ICE40_OSCILLATOR, ICE40_PAD

__all__ = [
    "FAMILIES",
    "HX8K",
    "ICE40_CORE",
    "ICE40_HX_LP",
    "ICE40_OSCILLATOR",
    "ICE40_PAD",
    "ICE40_ULTRAPLUS",
    "LP8K",
    "UP5K",
]
