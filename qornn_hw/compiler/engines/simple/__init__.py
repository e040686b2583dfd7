"""The simple engine: one multiplier, which executes the program of any network."""

from qornn_hw.compiler.engines.simple.engine import ENGINE

__all__ = ["ENGINE"]
