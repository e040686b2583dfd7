"""The quality of an exported network: measured, stored in its checkpoint, warned of with a cure."""

import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qornn_hw.data.sequences import sequences_of
from qornn_hw.errors import FormatError, QualityWarning
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.quantization.cures import find_cure
from qornn_hw.quantization.quality import Quality, quality_of

__all__ = ["callers_level", "with_quality"]

# Size of the part of the inputs with which changed options are tried.
_PART_SEQUENCES = 64
_PART_WORK = 300_000_000


def with_quality(
    made: Checkpoint,
    inputs: Any,
    reference: Any,
    retry: Callable[..., Checkpoint],
    options: Mapping[str, Any],
    *,
    reference_name: str = "float network",
) -> Checkpoint:
    """Return a checkpoint with the report of its quality in ``metrics["quality"]``; warn where it is bad.

    Args:
        made: what the export made.
        inputs: the calibration inputs, in any form of :mod:`qornn_hw.data.sequences`.
        reference: the logits of the network that was exported, as
            :func:`qornn_hw.quantization.quality.quality_of` takes them.
        retry: exports the same network again, with ``calibration_inputs`` and changed options by name.
        options: the options of the export.
        reference_name: what the messages call the reference.
    """
    quality = quality_of(made.network, inputs, reference, reference_name=reference_name)
    if quality.bad:
        quality = replace(quality, cure=_cure(quality, inputs, reference, retry, options))
        warnings.warn("; ".join(quality.warnings), QualityWarning, stacklevel=callers_level())
    return replace(made, metrics={**made.metrics, "quality": quality.to_metrics()})


def callers_level() -> int:
    """Return the stack level of the caller's first caller outside of this package, for a warning."""
    package = str(Path(__file__).parents[1])
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    return level


def _cure(
    quality: Quality,
    inputs: Any,
    reference: Any,
    retry: Callable[..., Checkpoint],
    options: Mapping[str, Any],
) -> Any:
    sequences = sequences_of("inputs", inputs)
    net = quality.network
    macs = net.hidden_size * (net.hidden_size + net.input_size)
    steps = max(len(one) for one in sequences)
    most = max(1, min(_PART_SEQUENCES, _PART_WORK // (macs * steps)))
    chosen = np.unique(np.linspace(0, len(sequences) - 1, min(most, len(sequences))).round().astype(int))
    part: Any = [sequences[i] for i in chosen]
    if len({len(one) for one in part}) == 1:
        part = np.stack(part)
    part_reference = reference if callable(reference) else [reference[int(i)] for i in chosen]

    def attempt(changes: Mapping[str, Any], quick: bool) -> Quality | None:
        given, wanted = (part, part_reference) if quick else (inputs, reference)
        try:
            network = retry(calibration_inputs=given if quick else inputs, **changes).network
            return quality_of(network, given, wanted)
        except FormatError:
            # These options cannot be for this network.
            return None

    return find_cure(quality, options, attempt)
