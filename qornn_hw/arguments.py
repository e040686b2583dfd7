"""Checks of the arguments of an export: what is wrong is named in one line."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError

__all__ = ["array_of", "choice_of", "matrix_of", "positive", "shown", "whole"]

FloatArray = NDArray[np.floating[Any]]

_SHORT_FLOATS = (
    "bfloat16",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
)


def array_of(name: str, values: Any) -> NDArray[Any]:
    """Return ``values``, also a torch tensor, as an array of real numbers."""
    try:
        array = np.asarray(_of_torch(values) if hasattr(values, "detach") else values)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        kind = type(values).__name__
        raise FormatError(f"{name} must be an array of real numbers, not {kind}: {reason}") from None
    if array.dtype.name in _SHORT_FLOATS:
        array = array.astype(np.float32)
    # Other byte orders are of no concern from here on.
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind not in "fiu":
        raise FormatError(f"{name} must hold real numbers, not {array.dtype}")
    return array


def _of_torch(tensor: Any) -> Any:
    tensor = tensor.detach().cpu()
    # NumPy has no such numbers, and float32 holds each of them.
    if str(tensor.dtype).removeprefix("torch.") in _SHORT_FLOATS:
        tensor = tensor.float()
    return tensor.numpy()


def matrix_of(name: str, values: Any, shape: tuple[int | None, ...]) -> FloatArray:
    """Return ``values``, also a torch tensor, as finite float64 of the given shape (None: any size)."""
    array = array_of(name, values).astype(np.float64)
    right = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not right or 0 in array.shape:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise FormatError(f"{name} must have shape ({wanted}), not {array.shape}")
    if not np.all(np.isfinite(array)):
        raise FormatError(
            f"{name} must be finite, but has {np.sum(~np.isfinite(array))} NaN or infinite entries"
        )
    return array


def shown(value: Any) -> str:
    """Return an argument as a message shows it: short and in one line."""
    return " ".join(repr(value).split())[:60]


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise FormatError(f"{name} must be {low} to {high}, not {shown(value)}")
    return int(value)


def positive(name: str, value: Any) -> float:
    """Return a positive and finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise FormatError(f"{name} must be a positive and finite number, not {shown(value)}")
    return number


def choice_of(name: str, value: str, choices: Any) -> Any:
    """Return the member of the enumeration ``choices`` with that value."""
    if value not in list(choices):
        raise FormatError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return choices(value)
