"""MNIST, a row of 28 pixels a step: 28 steps, answer after the last.

A pixel p of 0 to 255 becomes the integer ``p >> (8 - b)`` of b bits and stands for the real number
``integer / 2**b``. (LeCun, Cortes, Burges; the four IDX files as published, gzipped.)
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import DataError

__all__ = ["CLASSES", "ROWS", "load", "quantize_pixels"]

ROWS = 28
CLASSES = 10
_NAMES = {"train": "train", "test": "t10k"}
_COUNTS = {"train": 60000, "test": 10000}


def load(data_dir: str | Path | None, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (count, 28, 28) and labels (count,) of the split "train" or "test".

    Args:
        data_dir: the folder with the four files, or the one that holds it as ``mnist``.
        split: "train" (60,000) or "test" (10,000).

    Raises:
        DataError: a file is absent or is not what it should be.
    """
    if data_dir is None:
        raise DataError(
            "the mnist task needs its data: pass --data DIR, the folder with the four MNIST files"
        )
    folder = Path(data_dir)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; pass --data DIR, the folder with the four MNIST files")
    name = _NAMES[split]
    if not (folder / f"{name}-images-idx3-ubyte.gz").exists():
        folder = folder / "mnist"
    images = _idx(folder / f"{name}-images-idx3-ubyte.gz", (_COUNTS[split], ROWS, ROWS))
    labels = _idx(folder / f"{name}-labels-idx1-ubyte.gz", (_COUNTS[split],))
    return images, labels.astype(np.int64)


def _idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an IDX file of bytes: magic 0, 0, 8, rank, then big-endian sizes, then the data."""
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; put the four MNIST files (*-ubyte.gz) there, or pass another --data DIR"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: must be a gzip file: {error}; fetch it again") from None
    rank = len(shape)
    start = 4 + 4 * rank
    if content[:4] != bytes((0, 0, 8, rank)):
        raise DataError(
            f"{path}: must begin with the IDX header of bytes of rank {rank}, not {content[:4]!r}"
        )
    found = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">i4"))
    if found != shape or len(content) - start != int(np.prod(shape)):
        raise DataError(f"{path}: must hold {shape} bytes, not {found} ({len(content) - start} bytes)")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def quantize_pixels(images: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    """Return ``p >> (8 - bits)`` for bits from 1 to 8, as int64 of the same shape."""
    return (images >> np.uint8(8 - bits)).astype(np.int64)
