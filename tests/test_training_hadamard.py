"""W of signs and Hadamard blocks in the training of Elman layers."""

import numpy as np
import pytest
import torch

from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import load_checkpoint, save_checkpoint
from qornn_hw.ir.sylvester import blocks
from qornn_hw.training import train
from qornn_hw.training.hadamard import HadamardSigns, straight_signs
from qornn_hw.training.task_configs import AddingConfig, ArraysConfig, CopyConfig
from qornn_hw.training.warm_start import settings_of, warm_config


def test_signs_pass_gradients():
    """0 is positive; the gradient is the identity's."""
    latent = torch.tensor([-2.0, 0.0, 0.5], requires_grad=True)
    (straight_signs(latent) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert straight_signs(latent).tolist() == [-1.0, 1.0, 1.0]
    assert latent.grad.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("units", "block", "bits"), [(8, 0, 1), (8, 8, 1), (8, 2, 2), (12, 0, 2)])
def test_the_matrix_is_orthogonal(units, block, bits):
    """Any matrix becomes signs times blocks; such a matrix comes back as it is."""
    torch.manual_seed(units)
    made = HadamardSigns(units, block)
    w = made(torch.randn(units, units))
    torch.testing.assert_close(w @ w.T, torch.eye(units), atol=1e-5, rtol=0)
    torch.testing.assert_close(made(w), w)
    assert made.bits == bits and set(np.unique((w / made.step).round().int())) <= {-1, 0, 1}


def test_balanced_signs():
    """Half of them are negative."""
    torch.manual_seed(0)
    made = HadamardSigns(64)
    w = made(made.balanced())
    signs = (w * made.pattern).sum(1)
    assert int((signs < 0).sum()) == 32


def config_of(**given):
    """Return a short training of the copy task."""
    return CopyConfig(
        **{
            "method": "hadamard", "hidden": 32, "blank": 20, "bits": 4, "output_bits": 4, "state_bits": 12,
            "iterations": 150, "finetune_iterations": 20, "multiplier_bits": 16,
        } | given
    )  # fmt: skip


def test_the_copy_task_is_learned_with_one_bit(tmp_path):
    """W has one bit, U and V four; a warm start has the same options and begins with the same W."""
    made = train(config_of(), quiet=True)
    network = made.network
    assert (network.weight_bits.recurrent, network.weight_bits.input) == (1, 4)
    w = network.recurrent_weight
    assert np.array_equal(w * w[:, :1], np.broadcast_to(blocks(32, 32), w.shape))
    assert made.metrics["integer"]["recall_accuracy"] > 0.5
    save_checkpoint(tmp_path / "model.pt", made)
    found = settings_of(load_checkpoint(tmp_path / "model.pt"))
    assert (found["method"], found["bits"], found["block"]) == ("hadamard", 4, 32)
    again = train(
        warm_config(CopyConfig, tmp_path / "model.pt", blank=20, iterations=1, finetune_iterations=0),
        quiet=True,
    )
    assert np.array_equal(again.network.recurrent_weight, w)


def test_another_method_begins_with_a_checkpoint_of_signs(tmp_path):
    """The block is that of signs only, and is not inherited by another method."""
    save_checkpoint(tmp_path / "model.pt", train(config_of(iterations=2, finetune_iterations=0), quiet=True))
    for method in ("bjorck", "free"):
        config = warm_config(CopyConfig, tmp_path / "model.pt", blank=20, method=method)
        assert (config.method, config.block) == (method, 0)


@pytest.mark.parametrize(
    ("kind", "given"),
    [(ArraysConfig, {"task_file": "x.npz"}), (AddingConfig, {}), (CopyConfig, {})],
)
def test_the_defaults_of_each_task_fit(kind, given):
    """The first matrix that a task has by default does not matter."""
    assert kind(method="hadamard", hidden=16, **given).block == 0


def test_the_multiplier_is_not_changed_by_a_gain():
    """With the norm preserved the step of W stays that of the blocks."""
    made = [
        train(config_of(iterations=2, finetune_iterations=0, norm_preserving=kept), quiet=True).network
        for kept in (False, True)
    ]
    assert np.array_equal(made[0].multiplier, made[1].multiplier)


def test_blocks_have_two_bits():
    """Zeros stand outside the blocks."""
    network = train(config_of(block=8, iterations=2, finetune_iterations=0), quiet=True).network
    assert network.weight_bits.recurrent == 2
    assert np.array_equal(np.abs(network.recurrent_weight), np.kron(np.eye(4), np.ones((8, 8))))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"block": 3}, "block must be a power of two from 2 to 32, which divides 32 units, not 3"),
        ({"hidden": 31}, "the units must be even for a Hadamard matrix, not 31"),
        ({"per_row": True}, "per_row must be off for hadamard, whose rows have one step, not on"),
        ({"orthogonal_rounding": True}, "orthogonal_rounding must be off for hadamard"),
        ({"first_matrix": "identity"}, "first_matrix must be haar for hadamard, not identity"),
        ({"method": "bjorck", "block": 8}, "block must be 0 for bjorck, not 8: it is for hadamard"),
    ],
)
def test_options_that_do_not_fit(given, message):
    """Each is named."""
    with pytest.raises(FormatError) as caught:
        config_of(**given)
    assert message in str(caught.value)
