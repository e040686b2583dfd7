"""Activation quantization of a network that is there: the same weights, another width of the state."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qornn_hw.cells.elman_network import IntegerNetwork, WeightBits
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.quantization.float_model import RealNetwork, accumulator_scales, dequantized, dequantized_inputs
from qornn_hw.quantization.quality import quality_of, real_reference, reference_of
from qornn_hw.quantization.quantize import export
from qornn_hw.tasks import Task

__all__ = ["calibration_inputs", "requantized"]

# States that a calibration may hold at once, in numbers.
_HELD = 20_000_000
# What finer columns of a one-hot U are marked with: no step ties them.
_FREE = 2.0**-40


def calibration_inputs(task: Task, hidden: int, seed: int = 0) -> Any:
    """Return training sequences of a task as integers, as many as a calibration can hold, 16 to 1000.

    There are fewer than 16 if the training set has not more (:meth:`Task.most_sequences`). If sequences
    differ in length, those that are at least as long as the median are taken, cut to it.

    Args:
        task: the task.
        hidden: n of the network.
        seed: of the choice.
    """
    first = task.first_full_batch
    steps = task.training_batch(first, 1, seed).inputs.shape[1]
    count = int(np.clip(_HELD // (steps * hidden), 16, 1000))
    most = task.most_sequences()
    examples = task.training_batch(first, count if most is None else min(count, most), seed)
    if examples.lengths is None:
        return examples.inputs
    # Padding is no input: half of the sequences, those that are long enough, without what comes later.
    steps = int(np.median(examples.lengths))
    return examples.inputs[examples.lengths >= steps, :steps]


def requantized(checkpoint: Checkpoint, state_bits: int, inputs: ArrayLike) -> Checkpoint:
    """Return the network with states of ``state_bits`` bits, its range calibrated anew.

    The integers of W and V stay, and those of U where its scale is free (all but bounded activations with
    vector inputs). This is quantization after training: a network fine-tuned at this width does better.

    Args:
        checkpoint: the network.
        state_bits: a, 4 to 16.
        inputs: calibration inputs as integers in the network's format: (batch, steps) or (batch, steps, m).

    Returns:
        A checkpoint whose provenance says what was done, with the report of its quality on the inputs,
        ``metrics["quality"]``, against the float network, or where there is none against the network of the
        same quantized weights with real states (docs/quality.md).

    Raises:
        FormatError: the width or the inputs cannot be.
    """
    net = checkpoint.network
    s, s_acc = net.scales, accumulator_scales(net)
    real = _of_integer_inputs(net)
    bits = net.weight_bits
    d_w, d_u = s_acc / s.state, s_acc * 2.0**net.input_shift
    if bits.input > 8:
        # Columns of a one-hot input, at the accumulator's precision: they have no step.
        bits, d_u = WeightBits(bits.recurrent, 8, bits.output), d_w * _FREE
    options: dict[str, Any] = {"input": str(net.input_kind)}
    if net.vector_input:
        form = net.input_format
        options |= {"input_bits": form.bits, "input_signed": form.signed, "input_scale": 1.0}
    by_row = len(set(net.multiplier.tolist())) > 1
    steps = (d_w, d_u) if by_row else (float(d_w[0]), float(d_u[0]))
    made = export(
        real.recurrent_weight,
        real.input_weight,
        real.output_weight,
        activation=str(net.activation),
        calibration_inputs=np.asarray(inputs),
        bias=real.bias,
        output_bias=real.output_bias,
        initial_state=real.initial_state,
        weight_bits=bits,
        state_bits=state_bits,
        output_mode=str(net.output_mode),
        output_kind=str(net.output_kind),
        rounding=str(net.rounding),
        multiplier_bits=max(int(net.multiplier.max()).bit_length(), 1),
        weight_steps=(*steps, s.output / s.state),
        float_weights=checkpoint.float_weights,
        quality=False,
        task=checkpoint.task,
        provenance=checkpoint.provenance | {"requantized": state_bits},
        **options,
    )
    scales = replace(made.network.scales, input=s.input, input_offset=s.input_offset)
    network = replace(made.network, scales=scales)
    reference, name = reference_of(checkpoint)
    quality = quality_of(
        network, dequantized_inputs(net, inputs), real_reference(reference), reference_name=name
    )
    return replace(made, network=network, metrics={"quality": quality.to_metrics()})


def _of_integer_inputs(network: IntegerNetwork) -> RealNetwork:
    """Return the network with real states that takes the integers of the inputs.

    The scales and the offsets of the inputs are part of its U and b, so that the integers of U have one step
    for all channels.
    """
    plain = replace(network.scales, input=1.0, input_offset=0.0)
    return dequantized(replace(network, scales=plain))
