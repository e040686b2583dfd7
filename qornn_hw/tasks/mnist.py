"""MNIST: 28 rows of 28 pixels, or 784 steps of one pixel; the answer is the digit after the last step.

A pixel p of 0 to 255 becomes the integer ``p >> (8 - b)`` of b bits, which stands for the real number
``integer / 2**b``. (LeCun, Cortes, Burges; the four IDX files as published, gzipped.)
"""

import gzip
import zlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import InputKind, OutputMode
from qornn_hw.errors import DataError, FormatError
from qornn_hw.tasks.measures import EpochOrder, generator, hits, whole
from qornn_hw.tasks.task import Examples, Task

__all__ = [
    "CLASSES",
    "ORDERS",
    "PERMUTATION_SEED",
    "ROWS",
    "MnistTask",
    "load",
    "permutation",
    "quantize_pixels",
    "shifted",
]

ROWS = 28
CLASSES = 10
ORDERS = ("rows", "pixels", "permuted")
# Seed of the pixel permutation in projUNN, expRNN and HadamRNN.
PERMUTATION_SEED = 92916
_NAMES = {"train": "train", "test": "t10k"}
COUNTS = {"train": 60000, "test": 10000}
# The validation set is this fraction of the training images: the last 5000.
_VALIDATION_SHARE = 12
_ORDER, _SHIFT = 3, 4


def load(data_dir: str | Path | None, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (count, 28, 28) and labels (count,) of the split "train" or "test".

    Args:
        data_dir: folder with the four files, or its parent folder if it is called ``mnist``.
        split: "train" (60,000) or "test" (10,000).

    Raises:
        DataError: a file does not exist or is malformed.
    """
    if data_dir is None:
        raise DataError("the mnist task needs its data: pass as data the folder with the four MNIST files")
    folder = Path(data_dir)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; pass as data the folder with the four MNIST files")
    name = _NAMES[split]
    if not (folder / f"{name}-images-idx3-ubyte.gz").exists():
        folder = folder / "mnist"
    images = _idx(folder / f"{name}-images-idx3-ubyte.gz", (COUNTS[split], ROWS, ROWS))
    path = folder / f"{name}-labels-idx1-ubyte.gz"
    labels = _idx(path, (COUNTS[split],))
    if labels.max() >= CLASSES:
        raise DataError(f"{path}: labels must be 0 to {CLASSES - 1}, not {labels.max()}; fetch it again")
    return images, labels.astype(np.int64)


def _idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read an IDX file of bytes: magic 0, 0, 8, rank, then big-endian sizes, then the data."""
    try:
        content = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file; put the four MNIST files (*-ubyte.gz) there, or pass another folder"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: must be a gzip file: {error}; fetch it again") from None
    rank = len(shape)
    start = 4 + 4 * rank
    if len(content) < start or content[:4] != bytes((0, 0, 8, rank)):
        raise DataError(
            f"{path}: must begin with the IDX header of bytes of rank {rank}, not {content[:start]!r}"
        )
    found = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">i4"))
    if found != shape or len(content) - start != int(np.prod(shape)):
        raise DataError(f"{path}: must hold {shape} bytes, not {found} ({len(content) - start} bytes)")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def quantize_pixels(images: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    """Return ``p >> (8 - bits)`` for bits from 1 to 8, as int64 of the same shape."""
    return (images >> np.uint8(8 - bits)).astype(np.int64)


def permutation() -> NDArray[np.int64]:
    """Return the fixed pixel order of permuted MNIST, (784,): step t shows pixel ``permutation()[t]``.

    It is ``numpy.random.RandomState(92916).permutation(784)``, as in projUNN, expRNN and HadamRNN.
    """
    return np.random.RandomState(PERMUTATION_SEED).permutation(ROWS * ROWS).astype(np.int64)


def shifted(
    images: NDArray[np.uint8], down: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Return each image shifted by whole pixels; the new pixels are black.

    Args:
        images: (count, 28, 28).
        down: pixels, (count,), negative for up.
        right: pixels, (count,), negative for left.
    """
    room = int(max(np.abs(down).max(), np.abs(right).max()))
    padded = np.pad(images, ((0, 0), (room, room), (room, room)))
    place = np.arange(ROWS) + room
    rows = (place[None, :] - down[:, None])[:, :, None]
    columns = (place[None, :] - right[:, None])[:, None, :]
    return np.asarray(padded[np.arange(len(images))[:, None, None], rows, columns])


class MnistTask(Task):
    """MNIST in one of three orders; metric: accuracy on the 10,000 test images.

    rows: 28 steps of 28 pixels. pixels (sMNIST): 784 steps of one pixel, row by row. permuted (pMNIST): the
    same in the order of :func:`permutation`. The last 5000 training images are the validation set and are
    not trained on.

    Args:
        data: folder with the four files, or its parent folder if it is called ``mnist``.
        order: rows, pixels or permuted.
        input_bits: bits b of a pixel, 1 to 8.
        augment: shift each training image by up to this number of pixels in each direction, 0 to 14, with a
            new random shift in each epoch.
    """

    name = "mnist"
    metric = "accuracy"
    larger_is_better = True
    options = ("order", "augment")
    required = ("order",)
    data_argument = "data"
    input_bits_range = range(1, 9)
    input_kind = InputKind.VECTOR
    outputs = CLASSES
    output_mode = OutputMode.LAST_STEP

    def __init__(
        self, data: str | Path | None, order: str = "rows", input_bits: int = 4, augment: int = 0
    ) -> None:
        if order not in ORDERS:
            raise FormatError(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
        self.data = data
        self.order = order
        self.input_bits = whole("input_bits", input_bits, 1, 8)
        self.augment = whole("augment", augment, 0, ROWS // 2)
        self.inputs = ROWS if order == "rows" else 1
        self.input_scale = 2.0**-self.input_bits
        self._place = permutation() if order == "permuted" else np.arange(ROWS * ROWS)

    def description(self) -> dict[str, Any]:
        """Return name and order, and ``augment`` if it is not 0."""
        plain: dict[str, Any] = {"name": self.name, "order": self.order}
        return plain | ({"augment": self.augment} if self.augment else {})

    @cached_property
    def _training(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return load(self.data, "train")

    @cached_property
    def _test(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return load(self.data, "test")

    @cached_property
    def _order(self) -> EpochOrder:
        return EpochOrder(self._trained, _ORDER)

    @property
    def _trained(self) -> int:
        images = len(self._training[0])
        return images - images // _VALIDATION_SHARE

    def load(self) -> None:
        """Read the four files."""
        _ = self._test, self._training

    def _examples(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Examples:
        """Return images (count, 28, 28) as sequences in the task's order."""
        count = len(images)
        if self.order != "rows":
            images = images.reshape(count, -1)[:, self._place, None]
        return Examples(quantize_pixels(images, self.input_bits), labels)

    def training_batch(self, index: int, count: int, seed: int) -> Examples:
        """Return the images of the batch, shifted if ``augment`` is set."""
        images, labels = self._training
        chosen = self._order.chosen(index, count, seed)
        batch = images[chosen]
        if self.augment:
            moves = generator(_SHIFT, seed, index).integers(-self.augment, self.augment + 1, (2, count))
            batch = shifted(batch, moves[0], moves[1])
        return self._examples(batch, labels[chosen])

    def batches_per_epoch(self, count: int) -> int:
        """Return ``55,000 // count``."""
        return self._order.batches(count)

    def most_sequences(self) -> int:
        """Return 55,000, the number of training images."""
        return self._trained

    def validation(self) -> Examples:
        """Return the last 5000 training images."""
        images, labels = self._training
        return self._examples(images[self._trained :], labels[self._trained :])

    def test(self, limit: int | None = None) -> Examples:
        """Return the 10,000 test images, or the first ``limit`` of them."""
        images, labels = self._test
        return self._examples(images[:limit], labels[:limit])

    def blind(self) -> float:
        """Return the share of the most frequent test digit, 0.1135."""
        labels = self._test[1]
        return float(np.bincount(labels).max()) / len(labels)

    def totals(self, logits: NDArray[np.floating[Any]], targets: NDArray[Any]) -> dict[str, float]:
        """Return the number of images with the right digit."""
        return {"accuracy": hits(logits, targets)}
