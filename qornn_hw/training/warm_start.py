"""Warm start: a training that begins with the weights of a checkpoint.

A warm start keeps the checkpoint's size, activation, bits and method, and for vectors the input grid, unless
other options are given. A checkpoint that does not come from a training, such as one of
:func:`qornn_hw.quantize`, has the method ``free``: the other methods would make its W orthogonal.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from qornn_hw.cells.activations.registry import BOUNDED
from qornn_hw.errors import CheckpointError
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint
from qornn_hw.quantization.float_model import dequantized
from qornn_hw.tasks import Task
from qornn_hw.training.cells import QORNN
from qornn_hw.training.config import Method, RunConfig
from qornn_hw.training.rounding import steps_of
from qornn_hw.training.units import training_weights

__all__ = ["begin_with", "changes", "inherited", "settings_of", "warm_config", "weights_of"]

Config = TypeVar("Config", bound=RunConfig)

_ORTHOGONAL = (Method.BJORCK, Method.PTQ, Method.PROJUNN, Method.HADAMARD)


def settings_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the options of a training that correspond to a checkpoint's network, by name."""
    net = checkpoint.network
    method = checkpoint.provenance.get("method")
    found: dict[str, Any] = {
        "hidden": net.hidden_size,
        "bits": net.weight_bits.input if method == Method.HADAMARD else net.weight_bits.recurrent,
        "output_bits": net.weight_bits.output,
        "state_bits": net.state_bits,
        "activation": str(net.activation),
        "method": str(method) if method in list(Method) else str(Method.FREE),
        "per_row": len(set(net.multiplier.tolist())) > 1,
        "rounding": str(net.rounding),
        "output_kind": str(net.output_kind),
    }
    if method == Method.HADAMARD:
        found["block"] = int(np.count_nonzero(net.recurrent_weight[0]))
    if net.vector_input:
        found["input_bits"] = net.input_format.bits
    # The network does not show whether its training kept the norm of W.
    if isinstance(kept := checkpoint.provenance.get("norm_preserving"), bool):
        found["norm_preserving"] = kept
    return found


def inherited(
    config_class: type[RunConfig], checkpoint: Checkpoint, wanted: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of a warm start: those of the checkpoint, except for the ``wanted`` ones.

    Args:
        config_class: class of the training's configuration; options that it does not have are left out.
        checkpoint: the checkpoint.
        wanted: options that were given explicitly.
    """
    known = {f.name for f in fields(config_class)}
    found = {k: v for k, v in settings_of(checkpoint).items() if k in known}
    found |= wanted
    if "block" not in wanted and found.get("method") != Method.HADAMARD:
        found.pop("block", None)
    if "per_row" not in wanted and found["activation"] in BOUNDED:
        # Bounded states do not allow steps by row. This happens only if the activation is changed.
        found["per_row"] = False
    return found


def warm_config(config_class: type[Config], path: str | Path, **wanted: Any) -> Config:
    """Return the configuration of a warm start from the checkpoint ``path``.

    Args:
        config_class: class of the training's configuration.
        path: path of the checkpoint.
        wanted: options that replace the checkpoint's, and options that a checkpoint does not determine.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        FormatError: an option is out of range.
    """
    options = inherited(config_class, load_checkpoint(Path(path)), wanted)
    return config_class(**options | {"warm_start": str(path)})


def changes(config: RunConfig, checkpoint: Checkpoint) -> list[str]:
    """Return the changes of a warm start to the checkpoint's network as text, one entry a change."""
    found = []
    for name, before in settings_of(checkpoint).items():
        after = getattr(config, name, before)
        if after == before or name == "hidden":  # another size is refused
            continue
        text = f"{name} {before} becomes {after}"
        if name == "method" and after in _ORTHOGONAL and before not in _ORTHOGONAL:
            text += ", which makes W orthogonal"
        found.append(text)
    return found


def weights_of(checkpoint: Checkpoint) -> dict[str, NDArray[np.floating[Any]]]:
    """Return a checkpoint's real weights; if it has none, its dequantized integers."""
    if checkpoint.float_weights is not None:
        return dict(checkpoint.float_weights)
    real = dequantized(checkpoint.network)
    found = {
        name: np.asarray(getattr(real, name))
        for name in ("recurrent_weight", "input_weight", "output_weight", "bias", "output_bias")
    }
    return found | ({"initial_state": real.initial_state} if real.initial_state.any() else {})


def begin_with(cell: QORNN, checkpoint: Checkpoint, where: str, config: RunConfig, task: Task) -> None:
    """Set the network's weights to a checkpoint's real weights.

    If W would be rounded to nearly orthogonal rows at once, and the checkpoint has a W of the same bits that
    the method does not change, its integers are kept: the search would find other integers, and the training
    since the checkpoint's own search would be lost.

    Args:
        cell: the network.
        checkpoint: the checkpoint with the weights.
        where: name of the checkpoint in messages.
        config: the run's configuration.
        task: its task, in whose units the network is trained.

    Raises:
        CheckpointError: the weights have other shapes.
    """
    real = weights_of(checkpoint)
    for name, values in real.items():
        shape = tuple(getattr(cell, name).shape)
        if shape != values.shape:
            raise CheckpointError(
                f"{where}: float.{name} must have shape {shape} for a warm start of this network, "
                f"not {values.shape}"
            )
    for name, values in training_weights(real, task).items():
        getattr(cell, name).copy_(torch.from_numpy(np.array(values)))
    unrounded, _, _ = config.stages(task)
    same_bits = checkpoint.network.weight_bits.recurrent == config.bits
    if config.orthogonal_rounding and not unrounded and same_bits:
        _keep_integers(cell, checkpoint.network.recurrent_weight, config)


def _keep_integers(cell: QORNN, wanted: NDArray[np.int64], config: RunConfig) -> None:
    """Hold steps with which W, after the method's transformation, is rounded to ``wanted``, if any exist."""
    plain = cell.quantized().plain.double().numpy()
    steps = steps_of(plain, wanted.astype(np.float64), config.bits, config.per_row)
    if steps is None:
        return
    cell.held_step = torch.from_numpy(steps).float() if config.per_row else steps.item()
    q = cell.quantized()
    # The float32 step and one more iteration of Björck can change the last digit of an entry.
    if not np.array_equal(np.rint((q.recurrent / q.steps[0]).double().numpy()), wanted):
        cell.held_step = None
