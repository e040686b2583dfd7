"""The gateware of the dsp engine."""

from qornn_hw.rtl_gen.engines.dsp.core import DspCore

__all__ = ["CORE"]

CORE = DspCore
