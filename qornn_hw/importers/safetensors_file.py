"""Reader of the arrays in a ``.safetensors`` file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError, ToolError

__all__ = ["read_safetensors"]


def read_safetensors(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of a file by name.

    Raises:
        FormatError: the file is damaged, or holds numbers that NumPy lacks, such as bfloat16.
        ToolError: the package ``safetensors`` is not installed.
        OSError: the file cannot be read.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ImportError:
        raise ToolError(
            "reading safetensors files must have safetensors, which is not installed; pip install "
            "'qornn-hw[safetensors]'"
        ) from None
    data = Path(path).read_bytes()
    try:
        return {name: np.asarray(array, dtype=np.float64) for name, array in load(data).items()}
    except SafetensorError as error:
        raise FormatError(
            f"{path} must be a safetensors file: {' '.join(str(error).split())[:200]}"
        ) from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{path} must hold float32, float16 or float64 numbers, but {' '.join(str(error).split())[:100]} "
            "is another kind: convert it with tensor.float()"
        ) from None
