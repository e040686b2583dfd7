"""The tile engine: a tile of a matrix a cycle, and a pipeline that is made from a cell's operations."""

from qornn_hw.compiler.engines.tile.engine import ENGINE

__all__ = ["ENGINE"]
