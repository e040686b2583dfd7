"""The device families that there are, one line each: the registry.

A family is a folder with its cost model, its devices and its tools. Nothing outside the folder asks for the
family's name.
"""

from qornn_hw.boards.device_family import DeviceFamily
from qornn_hw.boards.devices import ecp5, gatemate, gowin, ice40

__all__ = ["FAMILIES"]

FAMILIES: tuple[DeviceFamily, ...] = (
    *ice40.FAMILIES,
    *ecp5.FAMILIES,
    *gowin.FAMILIES,
    *gatemate.FAMILIES,
)
