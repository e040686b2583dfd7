"""From a trained real-valued network to an integer network: weights, scales and requantizer.

One accumulator serves W and U, so their products must share a scale up to a power of two. With the steps
d of the weights (``W = Wi d_W``), s_h of the state and s_x of the input, the accumulator's unit is

    s_acc = d_W s_h        and must also be        s_acc = d_U s_x / 2**e,   e >= 0 the input shift,

and the new state in units of s_h is ``act(acc) s_acc / s_h = act(acc) d_W``: the requantizer's factor is the
step of W whatever the other scales are.

- identity, relu, modrelu are positively homogeneous, so s_h is free: ``s_h = d_U s_x / (d_W 2**e)``, and e
  picks a power-of-two range, by calibration. This is the integer recurrence of Foucault, Mamalet and
  Malgouyres (arXiv 2402.04012), where h is divided by alpha_U and alpha_W goes into the requantizer.
  Where the range would need e < 0, the input has more fractional bits than the state can take up: a
  narrower input is the cure, else U loses bits.
- tanh and hardtanh fix s_h (full scale is 1). Then U is quantized with that of the steps
  ``d_W s_h 2**e / s_x`` which loses least.
- a one-hot input multiplies nothing, so its columns of U may hold any integer at the scale s_acc.

W may have a step for each row. Then d_W, s_acc and the requantizer's factor are those of a unit, and the
first equation holds for each: the steps of U must be those of W times one number, ``d_U = r d_W`` and
``s_h = r s_x / 2**e``, or lie at the accumulator's precision (one-hot).
"""

import dataclasses
import math
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.arguments import array_of, choice_of, matrix_of, positive, shown, whole
from qornn_hw.checkpoint import Checkpoint
from qornn_hw.errors import FormatError
from qornn_hw.fixed import IntFormat, Rounding
from qornn_hw.float_model import RealNetwork, run_real
from qornn_hw.grids import (
    TIED,
    given_step,
    grid_step,
    input_weights,
    integers_of,
    multipliers,
    quantize_weights,
    row_steps,
    tanh_range,
    tanh_table,
    tied_ratio,
    tied_steps,
    weight_step,
)
from qornn_hw.integer_model import IntegerModel
from qornn_hw.network import (
    INDEX_BITS_MAX,
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    Scales,
    WeightBits,
)

__all__ = ["export", "export_torch_rnn", "grid_step", "quantize_weights", "tanh_table", "weight_step"]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

_HOMOGENEOUS = (Activation.IDENTITY, Activation.RELU, Activation.MODRELU)


def _input_kind(input: str | None, calibration_inputs: Any) -> InputKind:
    """Return the kind of input, by the form of the calibration inputs where it is not given."""
    if input is not None:
        kind: InputKind = choice_of("input", input, InputKind)
        return kind
    array = array_of("calibration_inputs", calibration_inputs)
    if array.ndim == 3:
        return InputKind.VECTOR
    if array.ndim == 2 and array.dtype.kind in "iu":
        return InputKind.ONE_HOT
    raise FormatError(
        "calibration_inputs must be vectors (batch, steps, inputs) or integer indices (batch, steps), "
        f"not {array.dtype} of shape {array.shape}; say which is meant with input='vector' or input='one_hot'"
    )


def _weight_bits(weight_bits: Any) -> WeightBits:
    if isinstance(weight_bits, (int, np.integer)):
        apart = dict.fromkeys(("recurrent", "input", "output"), weight_bits)
    elif isinstance(weight_bits, WeightBits):
        apart = dataclasses.asdict(weight_bits)
    else:
        raise FormatError(
            "weight_bits must be an integer from 1 to 8, or WeightBits(recurrent, input, output) of "
            f"qornn_hw.network, not {shown(weight_bits)}"
        )
    return WeightBits(**{k: whole(f"weight_bits.{k}", bits, 1, 8) for k, bits in apart.items()})


def _steps(
    weights: tuple[FloatArray, FloatArray, FloatArray],
    bits: WeightBits,
    weight_steps: Any,
    already_quantized: bool,
    per_row: bool,
) -> tuple[FloatArray, FloatArray | None, FloatArray]:
    """Return the steps of W, U and V, (1, 1) or (n, 1) each; None for U: it shall follow W."""
    apart = dataclasses.astuple(bits)
    if per_row and (weight_steps is not None or already_quantized):
        raise FormatError(
            "per_row must be unset where the weights are quantized already; pass steps by row in weight_steps"
        )
    if weight_steps is not None:
        if not isinstance(weight_steps, (tuple, list)) or len(weight_steps) != 3:
            text = shown(weight_steps)
            raise FormatError(f"weight_steps must be three numbers, those of W, U and V, not {text}")
        d_w, d_u = (given_step(f"weight_steps[{i}]", weight_steps[i], len(weights[i])) for i in (0, 1))
        return d_w, d_u, np.full((1, 1), positive("weight_steps[2]", weight_steps[2]))
    if already_quantized:
        names = ("recurrent_weight", "input_weight", "output_weight")
        found = [grid_step(name, a, k) for name, a, k in zip(names, weights, apart, strict=True)]
    else:
        found = [weight_step(a, k) for a, k in zip(weights, apart, strict=True)]
    w, u, v = (np.full((1, 1), step) for step in found)
    return (row_steps(weights[0], bits.recurrent), None, v) if per_row else (w, u, v)


def _input_grid(
    inputs: FloatArray, bits: int, signed: bool | None, scale: float | None
) -> tuple[IntFormat, float]:
    """Return the format of a vector input and its step, full scale at the largest calibration input."""
    form = IntFormat(bits, signed=bool(inputs.min() < 0) if signed is None else signed)
    if not form.signed and inputs.min() < 0:
        raise FormatError(f"calibration_inputs must not be negative for unsigned inputs, not {inputs.min()}")
    if scale is None:
        scale = float(np.abs(inputs).max()) / max(form.max, 1)
    return form, scale


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
    input_scale: float | None = None,
    output_mode: str = "every_step",
    output_kind: str = "both",
    rounding: str = "half_up",
    multiplier_bits: int = 12,
    index_bits: int | None = None,
    state_range: float | None = None,
    already_quantized: bool = False,
    per_row: bool = False,
    weight_steps: tuple[Any, Any, Any] | None = None,
    float_weights: Mapping[str, Any] | None = None,
    task: dict[str, Any] | None = None,
    metrics: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
) -> Checkpoint:
    """Quantize a trained network ``h' = act(W h + U x + b)``, ``y = V h' + c`` for the hardware.

    Arrays may be NumPy arrays or torch tensors. Without ``already_quantized`` the weights are rounded
    here with the paper's q_k; a network that has to keep its state for long should have seen its quantized
    weights in training.

    Args:
        recurrent_weight: W, (n, n).
        input_weight: U, (n, m).
        output_weight: V, (p, n).
        activation: identity, relu, modrelu, hardtanh or tanh.
        calibration_inputs: inputs as in use, which set the state's range: indices (batch, steps), or real
            vectors (batch, steps, m), not all of them zero.
        bias: b, (n,), for modrelu the bias inside the activation; zero where absent.
        output_bias: c, (p,); zero where absent.
        initial_state: h before the first step, (n,); zero where absent.
        weight_bits: bits of W, U and V, together or apart. The columns of U for a one-hot input of a
            tanh or hardtanh network are kept at the accumulator's precision instead.
        state_bits: bits of the state, 4 to 16.
        input: "one_hot" or "vector"; by default "vector" where calibration_inputs has three dimensions and
            "one_hot" where it has two and holds integers.
        input_bits: bits of an entry of a vector, 1 to 16; by default 8, or fewer (at least 4) where the
            state could not take that many up.
        input_signed: whether they are signed; by default if a calibration input is negative.
        input_scale: what one unit of an entry is worth; by default the largest calibration
            input is full scale.
        output_mode: "every_step" or "last_step".
        output_kind: "logits", "argmax" or "both".
        rounding: "half_up" or "half_even".
        multiplier_bits: bits of the requantizer's factor, at most 16.
        index_bits: bits of the index of the tanh table; by default two more than the state, at most 14.
        state_range: largest magnitude of h that the state must hold (identity, relu, modrelu); by default
            the power-of-two range that comes nearest to the unrounded logits on the calibration inputs.
        already_quantized: the weights lie on their grids; find the grids instead of rounding.
        per_row: a step for each row of W, each with its own factor in the requantizer, which costs memory
            for n factors; the steps of U follow (homogeneous activations: times one number).
        weight_steps: the steps of W, U and V where they are known; those of W and U may be arrays (n,). With
            a step by row of W, vector inputs and a homogeneous activation those of U must be these times
            one number.
        float_weights: the network before quantization, for the checkpoint; by default what is passed here.
        task: name and parameters of the task, for `qornn-hw eval`.
        metrics: what was measured.
        provenance: how the network was made.

    Raises:
        FormatError: an argument breaks a number rule; the message names it.
    """
    act: Activation = choice_of("activation", activation, Activation)
    kind = _input_kind(input, calibration_inputs)
    w = matrix_of("recurrent_weight", recurrent_weight, (None, None))
    n = w.shape[0]
    w = matrix_of("recurrent_weight", w, (n, n))
    u = matrix_of("input_weight", input_weight, (n, None))
    v = matrix_of("output_weight", output_weight, (None, n))
    m, p = u.shape[1], v.shape[0]
    b = np.zeros(n) if bias is None else matrix_of("bias", bias, (n,))
    c = np.zeros(p) if output_bias is None else matrix_of("output_bias", output_bias, (p,))
    h0 = np.zeros(n) if initial_state is None else matrix_of("initial_state", initial_state, (n,))
    bits = _weight_bits(weight_bits)
    state_bits = whole("state_bits", state_bits, 4, 16)
    multiplier_bits = whole("multiplier_bits", multiplier_bits, 1, 16)
    if input_bits is not None:
        input_bits = whole("input_bits", input_bits, 1, 16)
    if index_bits is not None:
        index_bits = whole("index_bits", index_bits, 2, INDEX_BITS_MAX)
    if input_scale is not None:
        input_scale = positive("input_scale", input_scale)
    if state_range is not None:
        state_range = positive("state_range", state_range)

    homogeneous = act in _HOMOGENEOUS
    d_w, d_u_given, d_v = _steps((w, u, v), bits, weight_steps, already_quantized, per_row)
    w_int = quantize_weights(w, bits.recurrent, d_w)
    v_int = quantize_weights(v, bits.output, d_v)
    factors, shift = multipliers(d_w, multiplier_bits)
    # What the hardware multiplies by; the scales below follow it, not the ideal.
    d_w = factors / 2.0**shift
    full = 2.0 ** (state_bits - 1)
    if act is Activation.TANH:
        t = min(state_bits + 2, INDEX_BITS_MAX) if index_bits is None else index_bits
        index_step = tanh_range(state_bits) / 2.0 ** (t - 1)
        factors, shift = multipliers(d_w / full / index_step, multiplier_bits)
        d_w = d_w.max() * (factors / factors.max())
    d_u = tied_steps(u, bits.input, d_w) if d_u_given is None else d_u_given
    ratio = tied_ratio(d_u, d_w)
    if ratio is None and homogeneous and kind is InputKind.VECTOR:
        raise FormatError(
            "weight_steps[1] must be one number times weight_steps[0], by row, for vector inputs of an "
            f"{act} network, which share W's accumulator; they differ by more than {TIED:.0%}"
        )
    # The network that the integers approach as the state gets finer.
    mode: OutputMode = choice_of("output_mode", output_mode, OutputMode)
    by_row = d_w.size > 1
    u_real = quantize_weights(u, bits.input, d_u) * (ratio * d_w if by_row and ratio is not None else d_u)
    real = RealNetwork(act, w_int * d_w, u_real, v_int * d_v, b, c, h0, mode)
    # A unit of the state is this times s_x times a power of two.
    unit_u, unit_w = (float(d_u.mean()), float(d_w.mean())) if not by_row or ratio is None else (ratio, 1.0)

    if kind is InputKind.VECTOR:
        x_real: NDArray[Any] = matrix_of("calibration_inputs", calibration_inputs, (None, None, m))
        if not x_real.any():
            raise FormatError(
                "calibration_inputs must not be all zero: they set the scales of input and state; "
                "pass inputs like those of use"
            )
    else:
        indices = matrix_of("calibration_inputs", calibration_inputs, (None, None))
        bad = indices[(indices < 0) | (indices >= m) | (indices != np.rint(indices))]
        if len(bad):
            raise FormatError(f"calibration_inputs must be indices from 0 to {m - 1}, not {bad[0]:g}")
        x_real = indices.astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        states, logits = run_real(real, x_real)
    largest = float(np.abs(states).max()) if state_range is None else state_range
    if not (np.isfinite(largest) and largest > 0):
        raise FormatError(
            f"the largest state on the calibration inputs must be positive and finite, not {largest!r}; "
            "check the weights and the inputs"
        )
    if kind is InputKind.ONE_HOT:
        x_int, input_format, s_x = x_real, IntegerNetwork.index_format(m), 1.0
    else:
        for x_bits in range(8, 3, -1) if input_bits is None else (input_bits,):
            input_format, s_x = _input_grid(x_real, x_bits, input_signed, input_scale)
            if unit_u * s_x / unit_w * full >= largest:
                break
        x_int = np.clip(np.rint(x_real / s_x), input_format.min, input_format.max).astype(np.int64)

    def build(s_h: float) -> IntegerNetwork:
        """Return the network whose state has the step ``s_h``."""
        s_acc = d_w * s_h
        tied = unit_u * s_x / (unit_w * s_h) if homogeneous and ratio is not None else None
        u_int, u_bits, e = input_weights(u, bits.input, d_u, s_x, s_acc, kind, tied)
        table = tanh_table(t, index_step, state_bits) if act is Activation.TANH else None
        state = IntFormat(state_bits, signed=True)
        s_y = float(d_v[0, 0]) * s_h
        return IntegerNetwork(
            activation=act,
            recurrent_weight=w_int,
            input_weight=u_int,
            output_weight=v_int,
            bias=integers_of(b / s_acc[:, 0]),
            output_bias=integers_of(c / s_y),
            weight_bits=WeightBits(bits.recurrent, u_bits, bits.output),
            state_bits=state_bits,
            input_kind=kind,
            input_format=input_format,
            input_shift=e,
            multiplier=np.broadcast_to(factors[:, 0], (n,)),
            shift=shift,
            rounding=choice_of("rounding", rounding, Rounding),
            initial_state=np.clip(np.floor(h0 / s_h + 0.5), state.min, state.max).astype(np.int64),
            output_mode=mode,
            output_kind=choice_of("output_kind", output_kind, OutputKind),
            scales=Scales(input=s_x, state=s_h, accumulator=float(s_acc.max()), output=s_y),
            table=table,
        )

    if homogeneous:
        unit = unit_u * s_x / unit_w
        exponent = math.ceil(math.log2(largest / (full * unit)))
        lower = (0,) if state_range is not None else (0, 1, 2)
        candidates = [build(unit * 2.0 ** (exponent - less)) for less in lower]
        network = _nearest(candidates, x_int, logits)
    else:
        network = build(1 / full)
    floats = float_weights or {
        "recurrent_weight": w,
        "input_weight": u,
        "output_weight": v,
        "bias": b,
        "output_bias": c,
        **({"initial_state": h0} if h0.any() else {}),
    }
    return Checkpoint(
        network=network,
        float_weights={
            k: np.asarray(a.detach().cpu().numpy() if hasattr(a, "detach") else a) for k, a in floats.items()
        },
        task=task or {},
        metrics=metrics or {},
        provenance={"qornn_hw": metadata.version("qornn-hw"), **(provenance or {})},
    )


def _nearest(candidates: list[IntegerNetwork], inputs: IntArray, logits: FloatArray) -> IntegerNetwork:
    """Return the network whose answers are nearest to ``logits`` in the mean square.

    The range that holds every calibrated state need not be the best one: half of it, with rare saturation
    and finer steps, often is.
    """

    def error(network: IntegerNetwork) -> float:
        return float(
            np.square(IntegerModel(network).run(inputs).logits * network.scales.output - logits).mean()
        )

    return min(candidates, key=error) if len(candidates) > 1 else candidates[0]


def _kind(module: Any) -> str:
    """Return the name of a module's class; torch's parametrizations make a class of their own of it."""
    return type(module).__name__.removeprefix("Parametrized")


def export_torch_rnn(rnn: Any, readout: Any, calibration_inputs: Any, **options: Any) -> Checkpoint:
    """Export a one-layer ``torch.nn.RNN`` (tanh or relu) and its ``torch.nn.Linear`` readout.

    The two biases of the RNN add up to b. ``options`` are those of :func:`export`, but for activation, bias,
    output_bias; one-hot indices stand for ``torch.nn.functional.one_hot`` vectors. The calibration inputs are
    (batch, steps, m), or indices (batch, steps), whatever the RNN's ``batch_first``. Weights may be
    parametrized (:class:`qornn_hw.training.bjorck.Bjorck`, :class:`qornn_hw.training.quantizer.Quantize`);
    what they evaluate to is exported, in evaluation mode best.

    Raises:
        FormatError: another kind of module, more than one layer, two directions, or a wrong readout.
    """
    kind = _kind(rnn)
    if kind != "RNN" or not hasattr(rnn, "weight_ih_l0"):
        raise FormatError(f"rnn must be a torch.nn.RNN, not {kind}: gated cells have no hardware here")
    if rnn.num_layers != 1:
        raise FormatError(f"rnn must have 1 layer, not {rnn.num_layers}")
    if rnn.bidirectional:
        raise FormatError("rnn must go in one direction, not both: pass bidirectional=False")
    if _kind(readout) != "Linear":
        raise FormatError(f"readout must be a torch.nn.Linear, not {_kind(readout)}")
    if readout.in_features != rnn.hidden_size:
        raise FormatError(
            f"readout must take the rnn's {rnn.hidden_size} hidden units, not {readout.in_features} features"
        )
    bias = rnn.bias_ih_l0 + rnn.bias_hh_l0 if rnn.bias else None
    return export(
        rnn.weight_hh_l0,
        rnn.weight_ih_l0,
        readout.weight,
        activation=str(rnn.nonlinearity),
        calibration_inputs=calibration_inputs,
        bias=bias,
        output_bias=readout.bias,
        **options,
    )
