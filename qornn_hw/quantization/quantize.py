"""From a trained real-valued network to an integer network: weights, scales and requantizer.

One accumulator serves W and U, so their products must share a scale up to a power of two. With the steps
d of the weights (``W = Wi d_W``), s_h of the state and s_x of the input, the accumulator's unit is

    s_acc = d_W s_h        and must also be        s_acc = d_U s_x / 2**e,   e >= 0 the input shift,

and the new state in units of s_h is ``act(acc) s_acc / s_h = act(acc) d_W``: the requantizer's factor is the
step of W whatever the other scales are. This is the integer recurrence of Foucault, Mamalet and Malgouyres
(arXiv 2402.04012), where h is divided by alpha_U and alpha_W goes into the requantizer.

The parts: :mod:`qornn_hw.quantization.arguments` checks what is given,
:mod:`qornn_hw.quantization.calibration` takes ranges and a sample from the calibration inputs,
:mod:`qornn_hw.quantization.candidates` makes the network of a choice of scales, and
:mod:`qornn_hw.quantization.grid_search` chooses by the error of the whole network.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.arguments import array_of
from qornn_hw.cells.activations.tanh import tanh_table
from qornn_hw.cells.elman_network import IntegerNetwork, WeightBits
from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.quantization.arguments import ExportArguments, check_arguments
from qornn_hw.quantization.calibration import Sample, check_indices, input_range, sample_of, state_range
from qornn_hw.quantization.candidates import Candidates
from qornn_hw.quantization.grid_search import Found, GridSearch
from qornn_hw.quantization.grids import grid_step, quantize_weights, weight_step
from qornn_hw.quantization.input_grids import InputGrids
from qornn_hw.quantization.quality import real_reference
from qornn_hw.quantization.recorded_quality import with_quality

__all__ = [
    "Exported",
    "export",
    "grid_step",
    "quantize_weights",
    "quantized",
    "tanh_table",
    "weight_step",
]


@dataclass(frozen=True, eq=False)
class Exported:
    """An integer network with what it was chosen by.

    Attributes:
        network: the integer network.
        sample: the calibration sequences that it was judged on, with the float network's logits.
        choice: what was chosen and why, as it goes into the checkpoint's provenance.
    """

    network: IntegerNetwork
    sample: Sample
    choice: dict[str, Any]


def quantized(arguments: ExportArguments) -> Exported:
    """Return the integer network of a float network: ranges by calibration, scales by search.

    Raises:
        FormatError: the inputs or the states have no range, or no integers fit.
    """
    a = arguments
    inputs: InputGrids | None = None
    sequences: list[NDArray[Any]] = a.sequences
    prepare: Callable[[NDArray[Any]], NDArray[Any]]
    if a.one_hot:
        sequences = list(check_indices(sequences, a.inputs))
        prepare = np.asarray
    else:
        inputs = InputGrids(a, input_range(sequences, a.percentile))
        prepare = inputs.clip
    reach, largest = None, a.state_range
    if a.homogeneous and largest is None:
        found = state_range(a.network, sequences, prepare, a.percentile)
        reach, largest = found.reach, _checked_largest(found.largest)
    sample = sample_of(a.network, sequences, prepare, reach)
    if largest is None:
        largest = _checked_largest(sample.largest)
    search = GridSearch(Candidates(a, inputs, sample, largest), sample)
    chosen, other = search.run()
    return Exported(chosen.network, sample, _said(a, search, chosen, other))


def _checked_largest(largest: float) -> float:
    if not (math.isfinite(largest) and largest > 0):
        raise FormatError(
            f"the largest state on the calibration inputs must be positive and finite, not {largest!r}; "
            "check the weights and the inputs"
        )
    return largest


def _said(a: ExportArguments, search: GridSearch, chosen: Found, other: Found | None) -> dict[str, Any]:
    """Return what was chosen and by which errors, in plain numbers."""

    def number(error: float) -> float | None:
        return float(f"{error:.4g}") if math.isfinite(error) else None

    network, sample = chosen.network, search.sample
    said: dict[str, Any] = {
        "relrms": number(chosen.relrms),
        "judged_on": {
            "sequences": len(sample.chosen),
            "of": sample.of,
            "steps": max(x.shape[1] for x in sample.batches),
        },
        "networks_tried": search.tried,
    }
    if network.vector_input:
        said["input_bits"] = network.input_format.bits
        said["input_scales"] = "by channel" if isinstance(network.scales.input, tuple) else "one"
        said["offsets"] = bool(np.any(network.scales.input_offset))
        form = chosen.choice.form, chosen.choice.offset
        said["relrms_by_input_bits"] = {
            str(bits): number(error)
            for (*key, bits), error in sorted(search.bits_errors.items())
            if (*key,) == form
        }
    if a.per_row:
        said["steps"] = "by row" if chosen.choice.by_row else "one"
        if other is not None:
            said["relrms_of_" + ("one_step" if chosen.choice.by_row else "steps_by_row")] = number(
                other.error
            )
    return said


def export(
    recurrent_weight: Any,
    input_weight: Any,
    output_weight: Any,
    *,
    activation: str,
    calibration_inputs: Any,
    bias: Any = None,
    output_bias: Any = None,
    initial_state: Any = None,
    weight_bits: int | WeightBits = 4,
    state_bits: int = 8,
    input: str | None = None,
    input_bits: int | None = None,
    input_signed: bool | None = None,
    input_scale: Any = None,
    input_offset: Any = None,
    output_mode: str = "every_step",
    output_kind: str = "both",
    rounding: str = "half_up",
    multiplier_bits: int = 12,
    index_bits: int | None = None,
    state_range: float | None = None,
    calibration_percentile: float = 100.0,
    already_quantized: bool = False,
    per_row: bool = False,
    weight_steps: tuple[Any, Any, Any] | None = None,
    float_weights: Mapping[str, Any] | None = None,
    reference: Any = None,
    quality: bool = True,
    task: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> Checkpoint:
    """Quantize a trained network ``h' = act(W h + U x + b)``, ``y = V h' + c`` for the hardware.

    Arrays may be NumPy arrays or torch tensors. Without ``already_quantized`` the weights are rounded
    here, each matrix with the step of several that brings the integer network nearest to the float network; a
    network that has to keep its state for long should have seen its quantized weights in training.
    ``provenance["export"]`` says which options were chosen, and by which errors.

    Args:
        recurrent_weight: W, (n, n).
        input_weight: U, (n, m).
        output_weight: V, (p, n).
        activation: a word of :class:`qornn_hw.cells.activations.registry.Activation`.
        calibration_inputs: inputs as in use: real vectors (batch, steps, m), not all of them zero, or indices
            (batch, steps); for sequences of different lengths a list of arrays (steps, m) or (steps,). They
            are clipped as the hardware clips them before they set the range of the state.
        bias: b, (n,), for modrelu the bias inside the activation; zero where absent.
        output_bias: c, (p,); zero where absent.
        initial_state: h before the first step, (n,); zero where absent.
        weight_bits: bits of W, U and V, together or apart. The columns of U for a one-hot input of a
            tanh or hardtanh network are kept at the accumulator's precision instead.
        state_bits: bits of the state, 4 to 16.
        input: "one_hot" or "vector"; by default "vector" where calibration_inputs has three dimensions and
            "one_hot" where it has two and holds integers.
        input_bits: bits of an entry of a vector, 1 to 16. By default those that hold the calibration inputs
            where input_scale is given, else 4 to 8, those with the least error of the network.
        input_signed: whether they are signed; by default if a calibration input is negative.
        input_scale: what one unit of an entry is worth: a number, or one for each channel, (m,). By default
            the largest calibration input is full scale; each channel has a scale of its own where that takes
            a fifth of the error away.
        input_offset: the real number that the integer 0 stands for: a number, or one for each channel, (m,).
            By default 0 where input_scale is given; else 0, or the middle of each channel's range where that
            takes a fifth of the error away. Not for one-hot inputs, nor for modrelu.
        output_mode: "every_step" or "last_step".
        output_kind: "logits", "argmax" or "both".
        rounding: "half_up" or "half_even".
        multiplier_bits: bits of the requantizer's factor, at most 16.
        index_bits: bits of the index of the tanh table; by default two more than the state, at most 14.
        state_range: largest magnitude of h that the state must hold (identity, relu, modrelu); by default
            that of the calibration inputs, or less or more where the error of the network is clearly less.
        calibration_percentile: above 50, at most 100. Below 100 the ranges of inputs and states leave out the
            values beyond this percentile, which the hardware then clips.
        already_quantized: the weights lie on their grids; find the grids instead of rounding.
        per_row: a step for each row of W, each with its own factor in the requantizer, which costs memory
            for n factors; the steps of U follow. One step for all is kept where its error is not more.
        weight_steps: the steps of W, U and V where they are known; those of W and U may be arrays (n,). With
            a step by row of W, vector inputs and a homogeneous activation those of U must be these times
            one number.
        float_weights: the network before quantization, for the checkpoint; by default what is passed here.
        reference: what the quality is measured against: the logits of the caller's own network on the
            calibration inputs, or the function from inputs to logits, as
            :func:`qornn_hw.quantization.quality.quality_of` takes them; by default the network that is passed
            here.
        quality: measure the integer network on the calibration inputs, store the report in
            ``metrics["quality"]``, and warn where it is bad (docs/quality.md).
        task: name and parameters of the task, for `qornn-hw eval`.
        metrics: what was measured.
        provenance: how the network was made.

    Raises:
        FormatError: an argument breaks a number rule; the message names it.

    Warns:
        QualityWarning: the integer network answers otherwise than the float network, or clips its inputs.
    """
    given = dict(locals())
    arguments = check_arguments({k: v for k, v in given.items() if k not in ("reference", "quality")})
    exported = quantized(arguments)
    real = arguments.network
    floats = float_weights or {
        "recurrent_weight": real.recurrent_weight,
        "input_weight": real.input_weight,
        "output_weight": real.output_weight,
        "bias": real.bias,
        "output_bias": real.output_bias,
        **({"initial_state": real.initial_state} if real.initial_state.any() else {}),
    }
    made = Checkpoint(
        network=exported.network,
        float_weights={k: array_of(f"float_weights[{k!r}]", a) for k, a in floats.items()},
        task=task or {},
        metrics=metrics or {},
        provenance={
            "qornn_hw": metadata.version("qornn-hw"),
            **(provenance or {}),
            "export": exported.choice,
        },
    )
    if not quality:
        return made

    def retry(**changes: Any) -> Checkpoint:
        return export(**{**given, "quality": False, **changes})

    wanted = real_reference(real) if reference is None else reference
    name = getattr(reference, "name", "network of the given reference")
    if reference is None:
        name = "float network"
    return with_quality(made, arguments.sequences, wanted, retry, given, reference_name=name)
