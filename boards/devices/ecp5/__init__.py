"""Lattice ECP5."""

from qornn_hw.boards.devices.ecp5.devices import ECP5_DEVICES
from qornn_hw.boards.devices.ecp5.family import ECP5, FAMILIES
from qornn_hw.boards.devices.ecp5.pll import ECP5_PLL

__all__ = ["ECP5", "ECP5_DEVICES", "ECP5_PLL", "FAMILIES"]
