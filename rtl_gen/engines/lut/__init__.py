"""The gateware of the lut engine."""

from qornn_hw.rtl_gen.engines.lut.core import LutCore

__all__ = ["CORE"]

CORE = LutCore
