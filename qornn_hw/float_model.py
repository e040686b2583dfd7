"""The same recurrence in real numbers: trained weights, quantized weights, or fully fake-quantized.

Three rungs lead from the trained network to the integer model; `qornn-hw eval` shows one column each:

    float            trained weights, real states                 run_real(trained)
    fake-quantized   the network's integer weights x their scales, real states     run_real(dequantized)
    integer          everything rounded                           IntegerModel, equal to run_fake_quantized
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.checkpoint import Checkpoint
from qornn_hw.fixed import IntFormat, Rounding
from qornn_hw.network import Activation, IntegerNetwork, OutputMode

__all__ = [
    "RealNetwork",
    "accumulator_scales",
    "dequantized",
    "dequantized_inputs",
    "quantized_inputs",
    "run_fake_quantized",
    "run_real",
]

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class RealNetwork:
    """``h' = act(W h + U x + b)``, ``y = V h' + c`` in real numbers.

    Attributes:
        activation: as in :class:`qornn_hw.network.IntegerNetwork`.
        recurrent_weight: W, (n, n).
        input_weight: U, (n, m).
        output_weight: V, (p, n).
        bias: b, (n,); for modrelu the bias inside the activation.
        output_bias: c, (p,).
        initial_state: h before the first step, (n,).
        output_mode: answers after every step or after the last one.
    """

    activation: Activation
    recurrent_weight: FloatArray
    input_weight: FloatArray
    output_weight: FloatArray
    bias: FloatArray
    output_bias: FloatArray
    initial_state: FloatArray
    output_mode: OutputMode

    @classmethod
    def trained(cls, checkpoint: Checkpoint) -> "RealNetwork | None":
        """Return the network before its weights were quantized, if the checkpoint holds it."""
        floats = checkpoint.float_weights
        if floats is None:
            return None
        n = checkpoint.network.hidden_size
        arrays: dict[str, FloatArray] = {k: np.asarray(a, dtype=np.float64) for k, a in floats.items()}
        arrays.setdefault("initial_state", np.zeros(n))
        return cls(
            activation=checkpoint.network.activation, output_mode=checkpoint.network.output_mode, **arrays
        )


def accumulator_scales(network: IntegerNetwork) -> NDArray[np.float64]:
    """Return what one unit of each hidden unit's accumulator is worth, (n,).

    ``s_acc,i = scales.accumulator M_i / max M``: where W has a step by row, the requantizer's factors are in
    the ratio of the steps, and ``scales.accumulator`` belongs to the largest.
    """
    m = network.multiplier
    return np.asarray(network.scales.accumulator * (m / m.max()))


def dequantized(network: IntegerNetwork) -> RealNetwork:
    """Return the network with real states whose weights are the integer network's.

    With the scales s of accumulator (of each unit), state h, input x and output y (docs/numerics.md):
    ``W = Wi s_acc / s_h``, ``U = Ui 2**e s_acc / s_x``, ``b = bi s_acc``, ``V = Vi s_y / s_h``,
    ``c = ci s_y``, ``h0 = g0 s_h``.
    """
    s, s_acc = network.scales, accumulator_scales(network)
    return RealNetwork(
        activation=network.activation,
        recurrent_weight=network.recurrent_weight * (s_acc / s.state)[:, None],
        input_weight=network.input_weight * (2.0**network.input_shift * s_acc / s.input)[:, None],
        output_weight=network.output_weight * (s.output / s.state),
        bias=network.bias * s_acc,
        output_bias=network.output_bias * s.output,
        initial_state=network.initial_state * s.state,
        output_mode=network.output_mode,
    )


def quantized_inputs(network: IntegerNetwork, values: ArrayLike) -> NDArray[np.int64]:
    """Return real input vectors as the network's integers, ``clip(round(x / s_x))``; indices as they are."""
    x = np.asarray(values)
    if not network.vector_input:
        return x.astype(np.int64)
    form = network.input_format
    return np.clip(np.rint(x / network.scales.input), form.min, form.max).astype(np.int64)


def dequantized_inputs(network: IntegerNetwork, inputs: ArrayLike) -> NDArray[Any]:
    """Return integer inputs as the real inputs that they stand for; indices as they are."""
    x = np.asarray(inputs)
    return x * network.scales.input if network.vector_input else x


def activate(activation: Activation, z: FloatArray, bias: FloatArray) -> FloatArray:
    """Return ``act(z + b)``, for modrelu ``sgn(z) max(|z| + b, 0)``."""
    match activation:
        case Activation.MODRELU:
            return np.asarray(np.sign(z) * np.maximum(np.abs(z) + bias, 0.0))
        case Activation.RELU:
            return np.maximum(z + bias, 0.0)
        case Activation.HARDTANH:
            return np.clip(z + bias, -1.0, 1.0)
        case Activation.TANH:
            return np.tanh(z + bias)
        case Activation.IDENTITY:
            return z + bias


def _drive(weight: FloatArray, x: NDArray[Any]) -> FloatArray:
    """Return U x for real vectors (batch, m), or the columns of U for indices (batch,)."""
    return np.asarray(x @ weight.T if x.ndim == 2 else weight.T[x], dtype=np.float64)


def run_real(network: RealNetwork, inputs: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Run whole sequences in float64.

    Args:
        network: the network.
        inputs: real vectors (batch, steps, m), or indices (batch, steps).

    Returns:
        The states (batch, steps, n), and the logits (batch, steps, p), or (batch, 1, p) where the network
        answers after the last step only.
    """
    x = np.asarray(inputs)
    h = np.tile(network.initial_state, (x.shape[0], 1))
    states = np.empty((*x.shape[:2], h.shape[1]))
    for t in range(x.shape[1]):
        z = h @ network.recurrent_weight.T + _drive(network.input_weight, x[:, t])
        h = activate(network.activation, z, network.bias)
        states[:, t] = h
    answered = states if network.output_mode is OutputMode.EVERY_STEP else states[:, -1:]
    return states, answered @ network.output_weight.T + network.output_bias


def _round(value: FloatArray, rounding: Rounding) -> FloatArray:
    return np.rint(value) if rounding is Rounding.HALF_EVEN else np.floor(value + 0.5)


def run_fake_quantized(network: IntegerNetwork, inputs: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Run whole sequences in real units with weights, biases, inputs and states on their grids.

    Every state equals ``integer state * scales.state`` of the integer model, exactly: real arithmetic errs by
    far less than half a unit of the accumulator, so that its value is put back on that grid before the
    requantizer's rounding, where a tie would otherwise fall to either side. A real network with a state
    quantizer, which is how training sees the hardware, therefore is what the hardware computes.

    Args:
        network: the integer network.
        inputs: integer vectors (batch, steps, m), or indices (batch, steps).

    Returns:
        States and logits as :func:`run_real`, in real units.
    """
    real, s, s_acc = dequantized(network), network.scales, accumulator_scales(network)
    x = dequantized_inputs(network, inputs)
    gain = network.multiplier * 2.0**-network.shift
    index = IntFormat(network.index_bits, signed=True)
    h = np.tile(real.initial_state, (x.shape[0], 1))
    states = np.empty((*x.shape[:2], h.shape[1]))
    # tanh and hardtanh are the table and the saturation that follow the requantizer.
    inner = (
        network.activation
        if network.activation in (Activation.RELU, Activation.MODRELU)
        else Activation.IDENTITY
    )
    for t in range(x.shape[1]):
        z = h @ real.recurrent_weight.T + _drive(real.input_weight, x[:, t])
        z = np.rint(z / s_acc) * s_acc
        on_grid = np.rint(activate(inner, z, real.bias) / s_acc)
        q = np.clip(_round(on_grid * gain, network.rounding), index.min, index.max)
        if network.table is not None:
            q = network.table[q.astype(np.int64) + len(network.table) // 2].astype(np.float64)
        h = q * s.state
        states[:, t] = h
    answered = states if network.output_mode is OutputMode.EVERY_STEP else states[:, -1:]
    return states, answered @ real.output_weight.T + real.output_bias
