"""Gowin LittleBee: GW1NR-9C."""

from qornn_hw.boards.devices.gowin.devices import GOWIN_DEVICES
from qornn_hw.boards.devices.gowin.family import FAMILIES, GOWIN
from qornn_hw.boards.devices.gowin.pll import GOWIN_PLL

__all__ = ["FAMILIES", "GOWIN", "GOWIN_DEVICES", "GOWIN_PLL"]
