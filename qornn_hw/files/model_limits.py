"""Size limits of model files: beyond the capacity of every FPGA, but within the memory of a small computer.

The limits are checked before arrays are read, because a small file can declare, or inflate to, any size.
"""

import re
from collections.abc import Mapping

from qornn_hw.errors import CheckpointError

__all__ = [
    "HEADER_BYTES",
    "HEADER_CHARACTERS",
    "HEADER_DEPTH",
    "MODEL_BYTES",
    "MOST_ARRAYS",
    "MOST_HIDDEN",
    "MOST_INPUTS",
    "MOST_OUTPUTS",
    "MOST_WEIGHTS",
    "check_entries",
    "check_sizes",
]

MOST_HIDDEN = 4096
MOST_INPUTS = 65_536
MOST_OUTPUTS = 65_536
# Limit for the number of weights of all matrices together: W, U and V.
MOST_WEIGHTS = 20_000_000
# A .pt file has one member an array and a few small ones; :class:`Archive` accepts 512 members.
MOST_ARRAYS = 480
# Limits for the length of the header's JSON text and for the nesting of its lists and objects.
HEADER_CHARACTERS = 1 << 20
HEADER_DEPTH = 64
HEADER_BYTES = 4 * HEADER_CHARACTERS + 4096
# Limit for the bytes of all members: W, U and V as int64 and as float64, and 16 MiB for the rest.
MODEL_BYTES = 2 * 8 * MOST_WEIGHTS + (16 << 20)

Shape = tuple[int, ...]
_MATRICES = ("recurrent_weight", "input_weight", "output_weight")
# Name of the weight matrix of a MatVec term in files of version 2.
_TERM = re.compile(r".*\.weights\.[0-9]+")
# Name of the signs of a Hadamard matrix, which stand for a square one.
_SIGNS = re.compile(r".*\.signs\.[0-9]+")
_FLOAT = "float."


def _is_matrix(name: str) -> bool:
    return name in _MATRICES or _TERM.fullmatch(name) is not None


def check_entries(name: str, shape: Shape) -> None:
    """Check the number of entries of an array.

    Raises:
        CheckpointError: the array has more entries than its limit.
    """
    # The limit for vectors is the largest number of outputs, which is also above the largest table.
    most = MOST_WEIGHTS if _is_matrix(name.removeprefix(_FLOAT)) else MOST_OUTPUTS
    size = 1
    for count in shape:
        size *= count
    if size > most:
        raise CheckpointError(f"{name} must have at most {most:,} entries, not {size:,}")


def check_sizes(shapes: Mapping[str, Shape]) -> None:
    """Check the size of a network by the shapes of its arrays. Arrays that are not matrices are not counted.

    Raises:
        CheckpointError: n, m, p or the number of weights of all matrices exceeds its limit.
    """
    for name, axis, most, what in (
        ("recurrent_weight", 0, MOST_HIDDEN, "hidden units"),
        ("input_weight", 1, MOST_INPUTS, "inputs"),
        ("output_weight", 0, MOST_OUTPUTS, "outputs"),
    ):
        shape = shapes.get(name, ())
        if len(shape) == 2 and shape[axis] > most:
            raise CheckpointError(f"a network must have at most {most:,} {what}, not {shape[axis]:,}")
    for name, shape in shapes.items():
        check_entries(name, shape)
    matrices = [shape for name, shape in shapes.items() if _is_matrix(name) and len(shape) == 2]
    total = sum(rows * columns for rows, columns in matrices)
    total += sum(shape[0] ** 2 for name, shape in shapes.items() if _SIGNS.fullmatch(name) and shape)
    if total > MOST_WEIGHTS:
        raise CheckpointError(
            f"a network must have at most {MOST_WEIGHTS:,} weights in all matrices together, not {total:,}"
        )
    if len(shapes) > MOST_ARRAYS:
        raise CheckpointError(f"a network must have at most {MOST_ARRAYS} arrays, not {len(shapes)}")
