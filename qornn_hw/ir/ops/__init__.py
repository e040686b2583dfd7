"""The operations of a network, one class and one file each; docs/numerics.md has a section for each.

``OPERATIONS`` is their registry by the names that model files use.
"""

from qornn_hw.ir.ops.add import Add, Summand
from qornn_hw.ir.ops.answer import Answer
from qornn_hw.ir.ops.assign import Assign
from qornn_hw.ir.ops.diagonal import Diagonal
from qornn_hw.ir.ops.hadamard import HadamardTerm
from qornn_hw.ir.ops.mat_vec import AnyTerm, MatVec
from qornn_hw.ir.ops.mod_relu import ModRelu
from qornn_hw.ir.ops.multiply import Multiply
from qornn_hw.ir.ops.operation import Operation
from qornn_hw.ir.ops.piecewise_linear import PiecewiseLinear
from qornn_hw.ir.ops.requantize import Factor, Requantize
from qornn_hw.ir.ops.table import Table
from qornn_hw.ir.ops.term import Term

__all__ = [
    "OPERATIONS",
    "Add",
    "Answer",
    "AnyTerm",
    "Assign",
    "Diagonal",
    "Factor",
    "HadamardTerm",
    "MatVec",
    "ModRelu",
    "Multiply",
    "Operation",
    "PiecewiseLinear",
    "Requantize",
    "Summand",
    "Table",
    "Term",
]

OPERATIONS: dict[str, type[Operation]] = {
    kind.op: kind
    for kind in (
        MatVec,
        Diagonal,
        Requantize,
        Table,
        PiecewiseLinear,
        ModRelu,
        Multiply,
        Add,
        Assign,
        Answer,
    )
}
