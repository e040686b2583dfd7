"""The lut engine: a systolic chain of elements of logic cells, several columns an element."""

from qornn_hw.compiler.engines.lut.engine import ENGINE, schedule

__all__ = ["ENGINE", "schedule"]
