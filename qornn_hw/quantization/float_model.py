"""The same recurrence in real numbers: trained weights, quantized weights, or fully fake-quantized.

Three rungs lead from the trained network to the integer model; `qornn-hw eval` shows one column each, the
first only where the float weights are those of a network that was fitted with float arithmetic:

    float            the float network's weights, real states     run_real(trained)
    fake-quantized   the network's integer weights x their scales, real states     run_real(dequantized)
    integer          everything rounded                           IntegerModel, equal to run_fake_quantized
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.cells.elman_network import Activation, IntegerNetwork, OutputMode
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.ir.formats import IntFormat, Rounding

__all__ = [
    "RealNetwork",
    "accumulator_scales",
    "dequantized",
    "dequantized_inputs",
    "latent_weights",
    "real_states",
    "run_fake_quantized",
    "run_real",
]

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class RealNetwork:
    """``h' = act(W h + U x + b)``, ``y = V h' + c`` in real numbers.

    Attributes:
        activation: as in :class:`qornn_hw.cells.elman_network.IntegerNetwork`.
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
        """Return the float network that the integer network was made from, None where there is none.

        There is none where the checkpoint holds no float weights, or where these are latent
        (:func:`latent_weights`): the state behind the roundings of a training, which no training fitted as a
        network with float arithmetic.
        """
        floats = checkpoint.float_weights
        if floats is None or latent_weights(checkpoint):
            return None
        n = checkpoint.network.hidden_size
        arrays: dict[str, FloatArray] = {k: np.asarray(a, dtype=np.float64) for k, a in floats.items()}
        arrays.setdefault("initial_state", np.zeros(n))
        return cls(
            activation=checkpoint.network.activation, output_mode=checkpoint.network.output_mode, **arrays
        )


def latent_weights(checkpoint: Checkpoint) -> bool:
    """Return whether the float weights are the latent weights of a quantization-aware training.

    Such weights are rounded in every forward pass of the training, so the float network that they would
    form was never fitted. ``provenance["float_weights"]`` says which they are, "fitted" or "latent". Files
    without that entry: each training but that of the method ptq (post-training quantization) wrote latent
    weights, and only a training writes ``provenance["method"]``.
    """
    kind = checkpoint.provenance.get("float_weights")
    if kind in ("fitted", "latent"):
        return bool(kind == "latent")
    return bool(checkpoint.provenance.get("method", "ptq") != "ptq")


def accumulator_scales(network: IntegerNetwork) -> NDArray[np.float64]:
    """Return what one unit of each hidden unit's accumulator is worth, (n,).

    ``s_acc,i = scales.accumulator M_i / max M``: where W has a step by row, the requantizer's factors are in
    the ratio of the steps, and ``scales.accumulator`` belongs to the largest.
    """
    m = network.multiplier
    return np.asarray(network.scales.accumulator * (m / m.max()))


def dequantized(network: IntegerNetwork) -> RealNetwork:
    """Return the network with real states whose weights are the integer network's.

    With the scales s of accumulator (of each unit), state h, input x (of each channel) with offset o, and
    output y (docs/numerics.md): ``W = Wi s_acc / s_h``, ``U = Ui 2**e s_acc / s_x``,
    ``b = bi s_acc - U o``, ``V = Vi s_y / s_h``, ``c = ci s_y``, ``h0 = g0 s_h``.
    """
    s, s_acc = network.scales, accumulator_scales(network)
    m = network.input_size
    u = network.input_weight * ((2.0**network.input_shift * s_acc)[:, None] / s.input_steps(m))
    return RealNetwork(
        activation=network.activation,
        recurrent_weight=network.recurrent_weight * (s_acc / s.state)[:, None],
        input_weight=u,
        output_weight=network.output_weight * (s.output / s.state),
        bias=network.bias * s_acc - u @ s.input_offsets(m),
        output_bias=network.output_bias * s.output,
        initial_state=network.initial_state * s.state,
        output_mode=network.output_mode,
    )


def dequantized_inputs(network: AnyNetwork, inputs: ArrayLike) -> NDArray[Any]:
    """Return integer inputs as the real inputs that they stand for, ``x s_x + o``; indices as they are."""
    x, source = np.asarray(inputs), operations_of(network).input
    if source.one_hot:
        return x
    found: NDArray[Any] = x * np.asarray(source.scale) + np.asarray(source.offset)
    return found


def _drive(weight: FloatArray, x: NDArray[Any]) -> FloatArray:
    """Return U x for real vectors (batch, m), or the columns of U for indices (batch,)."""
    return np.asarray(x @ weight.T if x.ndim == 2 else weight.T[x], dtype=np.float64)


def real_states(network: RealNetwork, inputs: ArrayLike) -> Iterator[FloatArray]:
    """Yield the state after each step in float64, (batch, n), without keeping the earlier ones.

    Args:
        network: the network.
        inputs: real vectors (batch, steps, m), or indices (batch, steps).
    """
    x = np.asarray(inputs)
    h = np.tile(network.initial_state, (x.shape[0], 1))
    for t in range(x.shape[1]):
        z = h @ network.recurrent_weight.T + _drive(network.input_weight, x[:, t])
        h = network.activation.function.evaluate(z, network.bias)
        yield h


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
    states = np.empty((*x.shape[:2], len(network.bias)))
    for t, h in enumerate(real_states(network, x)):
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
    x: NDArray[Any] = np.asarray(inputs)
    if network.vector_input:
        # Without the offsets, whose share of the accumulator is part of the integer bias.
        x = x * s.input_steps(network.input_size)
    bias = network.bias * s_acc
    gain = network.multiplier * 2.0**-network.shift
    index = IntFormat(network.index_bits, signed=True)
    h = np.tile(real.initial_state, (x.shape[0], 1))
    states = np.empty((*x.shape[:2], h.shape[1]))
    function = network.activation.function
    behind = function.state_operation("state", "index", network)
    for t in range(x.shape[1]):
        z = h @ real.recurrent_weight.T + _drive(real.input_weight, x[:, t])
        z = np.rint(z / s_acc) * s_acc
        on_grid = np.rint(function.evaluate_accumulator(z, bias) / s_acc)
        q = np.clip(_round(on_grid * gain, network.rounding), index.min, index.max)
        if behind is not None:
            q = behind.evaluate(q.astype(np.int64)).astype(np.float64)
        h = q * s.state
        states[:, t] = h
    answered = states if network.output_mode is OutputMode.EVERY_STEP else states[:, -1:]
    return states, answered @ real.output_weight.T + real.output_bias
