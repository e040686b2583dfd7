"""The result of an importer: the float network in a file or a module of another program."""

from dataclasses import dataclass

from qornn_hw.ir.kinds import OutputMode
from qornn_hw.quantization.stack import RealStack

__all__ = ["TOLERANCE", "Imported"]

# Largest difference of an imported network's answers, relative to the largest answer.
TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Imported:
    """A float network, checked against the answers of its own program.

    Attributes:
        stack: cells and readout.
        mode: whether the program answers after every step or the last one.
        difference: the largest difference of the logits, relative to the largest logit.
        notes: sentences about parts that were left out or look wrong.
    """

    stack: RealStack
    mode: OutputMode
    difference: float
    notes: tuple[str, ...] = ()
