"""The options of each task with data, which trainings of all cells share."""

from dataclasses import dataclass
from typing import ClassVar

from qornn_hw.tasks import CharactersTask, MnistTask, SpeechTask, Task

__all__ = [
    "Arrays",
    "Characters",
    "MnistPermuted",
    "MnistPixels",
    "MnistRows",
    "Speech",
    "iterations_of",
]


@dataclass(frozen=True, kw_only=True)
class _Data:
    """A task with a public data set.

    Attributes:
        data: folder of the data.
    """

    data: str


@dataclass(frozen=True, kw_only=True)
class MnistRows(_Data):
    """MNIST by rows.

    Attributes:
        input_bits: bits of a pixel.
        augment: shift each training image by up to this number of pixels.
    """

    command: ClassVar[str] = "mnist"
    order: ClassVar[str] = "rows"

    input_bits: int = 4
    augment: int = 1

    def task(self) -> Task:
        """Return the MNIST task in the pixel order of this class."""
        return MnistTask(self.data, self.order, self.input_bits, self.augment)


@dataclass(frozen=True, kw_only=True)
class MnistPixels(MnistRows):
    """MNIST by pixels: 784 steps."""

    command: ClassVar[str] = "smnist"
    order: ClassVar[str] = "pixels"

    input_bits: int = 8
    augment: int = 0


@dataclass(frozen=True, kw_only=True)
class MnistPermuted(MnistPixels):
    """MNIST by pixels in a fixed random order."""

    command: ClassVar[str] = "pmnist"
    order: ClassVar[str] = "permuted"


@dataclass(frozen=True, kw_only=True)
class Speech(_Data):
    """Spoken digits.

    Attributes:
        input_bits: bits of a feature.
        bands: number m of mel bands.
        frames: steps of a sequence.
        hop: samples from the start of a frame to the next, at 8000 samples a second.
        train_all: train on the validation recordings, too; no network is then chosen by validation.
    """

    command: ClassVar[str] = "speech"

    input_bits: int = 4
    bands: int = 24
    frames: int = 32
    hop: int = 240
    train_all: bool = False

    def task(self) -> Task:
        """Return the spoken digits."""
        return SpeechTask(
            self.data,
            self.input_bits,
            bands=self.bands,
            frames=self.frames,
            hop=self.hop,
            train_all=self.train_all,
        )


@dataclass(frozen=True, kw_only=True)
class Characters(_Data):
    """A character language model.

    Attributes:
        window: steps between two updates; the states are carried from one window to the next.
    """

    command: ClassVar[str] = "characters"

    window: int = 150

    def task(self) -> Task:
        """Return the text."""
        return CharactersTask(self.data, self.window)


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """Your own arrays.

    Attributes:
        task_file: the .npz file with inputs and targets.
        input_bits: bits of an entry of a vector.
        one_output: for classes 0 and 1: use one output, above 0 for class 1, instead of two.
    """

    command: ClassVar[str] = "arrays"

    task_file: str
    input_bits: int = 8
    one_output: bool = False

    @property
    def data_dir(self) -> str | None:
        """The task's file."""
        return self.task_file


def iterations_of(epochs: int | None, batches: int, steps: int, least: int) -> int:
    """Return the optimizer steps of a stage: of some epochs, or about ``steps``, at least ``least`` epochs.

    >>> iterations_of(3, 10, 2000, 10), iterations_of(None, 300, 2000, 10), iterations_of(None, 30, 2000, 10)
    (30, 3000, 2010)
    """
    return batches * (max(least, -(-steps // batches)) if epochs is None else epochs)
