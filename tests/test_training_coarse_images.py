"""Trainings that begin with images of half the size."""

import torch

from qornn_hw.training import train
from qornn_hw.training.coarse_images import STEPS_RATIO, halved
from qornn_hw.training.stack_configs import SequentialMnistStackConfig


def test_a_halved_image_has_the_means_of_four_pixels():
    """Pixel (r, c) is the mean of rows 2 r and 2 r + 1, columns 2 c and 2 c + 1."""
    x = torch.rand(3, 784, 1, generator=torch.Generator().manual_seed(0))
    found = halved(x)
    assert found.shape == (3, 784 // STEPS_RATIO, 1)
    image, small = x[1].view(28, 28), found[1].view(14, 14)
    for r, c in ((0, 0), (5, 9), (13, 13)):
        torch.testing.assert_close(small[r, c], image[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean())


def test_smnist_is_trained_on_halved_and_then_on_whole_images(bars):
    """The stages follow each other, and the integers answer sequences of 784 steps."""
    config = SequentialMnistStackConfig(
        data=str(bars), hidden=8, batch=80, learning_rate=2e-2, halved_epochs=8, float_epochs=1, epochs=1
    )
    checkpoint = train(config, quiet=True)
    stages = list(dict.fromkeys(point["stage"] for point in checkpoint.provenance["curve"]))
    assert stages == ["smnist, halved images", "smnist, real numbers", "smnist, integers"]
    assert checkpoint.metrics["integer"]["accuracy"] > 0.15
