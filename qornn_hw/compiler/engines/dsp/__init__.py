"""The dsp engine: a chain of hard multipliers, one column each, many passes."""

from qornn_hw.compiler.engines.dsp.engine import ENGINE, schedule

__all__ = ["ENGINE", "schedule"]
