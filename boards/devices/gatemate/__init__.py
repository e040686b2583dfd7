"""Cologne Chip GateMate: CCGM1A1."""

from qornn_hw.boards.devices.gatemate.devices import CCGM1A1
from qornn_hw.boards.devices.gatemate.family import FAMILIES, GATEMATE
from qornn_hw.boards.devices.gatemate.platform import GateMatePlatform
from qornn_hw.boards.devices.gatemate.pll import GATEMATE_PLL

__all__ = ["CCGM1A1", "FAMILIES", "GATEMATE", "GATEMATE_PLL", "GateMatePlatform"]
