"""Images of half the size: a training begins on sequences of a quarter of the steps."""

from torch import Tensor
from torch.nn import functional

from qornn_hw.tasks.mnist import ROWS

__all__ = ["STEPS_RATIO", "halved"]

# A sequence of pixels has this many times as many steps as one of the halved image.
STEPS_RATIO = 4


def halved(x: Tensor) -> Tensor:
    """Return images of 28 by 28 pixels, (batch, 784, 1), as the means of 2 by 2 pixels, (batch, 196, 1)."""
    images = x.reshape(-1, 1, ROWS, ROWS)
    return functional.avg_pool2d(images, 2).reshape(len(x), ROWS * ROWS // STEPS_RATIO, 1)
