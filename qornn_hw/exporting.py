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
"""

import dataclasses
import math
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.checkpoint import Checkpoint
from qornn_hw.errors import FormatError
from qornn_hw.fixed import IntFormat, Rounding, bits_for_range, scale_to_multiplier
from qornn_hw.float_model import RealNetwork, run_real
from qornn_hw.integer_model import IntegerModel
from qornn_hw.network import (
    INDEX_BITS_MAX,
    SHIFT_MAX,
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


def weight_step(weight: ArrayLike, bits: int) -> float:
    """Return the step of q_k: ``max|W| / 2**(k-1)``, and for one bit ``mean|W|`` (1 where W is zero)."""
    magnitude = np.abs(np.asarray(weight, dtype=np.float64))
    alpha = float(magnitude.mean() if bits == 1 else magnitude.max()) or 1.0
    return alpha / 2.0 ** (bits - 1)


def quantize_weights(weight: ArrayLike, bits: int, step: float) -> IntArray:
    """Return the integers of ``q_k(W) = step * clip(round(W / step), -2**(k-1), 2**(k-1)-1)``.

    Ties go to even, as in training. One bit gives -1 and +1 (the integers 0 and -1 would make the
    hardware's weights lopsided); zero goes to +1.
    """
    w = np.asarray(weight, dtype=np.float64)
    if bits == 1:
        return np.where(w < 0, np.int64(-1), np.int64(1))
    form = IntFormat(bits, signed=True)
    return np.clip(np.rint(w / step), form.min, form.max).astype(np.int64)


def _integers(values: FloatArray) -> IntArray:
    """Return the nearest integers; what is beyond all formats stays so, and the network's checks name it."""
    integers: IntArray = np.clip(np.rint(values), -(2.0**62), 2.0**62).astype(np.int64)
    return integers


def grid_step(name: str, weight: ArrayLike, bits: int) -> float:
    """Return the step of weights that lie on a ``bits``-bit grid already, the largest one that fits.

    Raises:
        FormatError: the weights are on no such grid.
    """
    w = np.asarray(weight, dtype=np.float64)
    largest = float(np.abs(w).max())
    if largest == 0.0:
        return weight_step(w, bits)
    for top in range(1, 2 ** (bits - 1) + 1):
        step = largest / top
        # float32 weights are off their grid by a few units of 2**-24.
        if np.abs(w / step - np.rint(w / step)).max() < 1e-3 and np.array_equal(
            quantize_weights(w, bits, step), np.rint(w / step)
        ):
            return step
    raise FormatError(
        f"{name} must lie on a grid of {bits} bits where already_quantized is set; unset it to round them"
    )


def tanh_table(index_bits: int, index_step: float, state_bits: int) -> IntArray:
    """Return ``clip(round(tanh(q index_step) 2**(a-1)))`` for q from ``-2**(t-1)`` to ``2**(t-1) - 1``.

    The requantizer rounds to the nearest index, so q times the step is the centre of what falls on q.
    """
    q = np.arange(-(1 << (index_bits - 1)), 1 << (index_bits - 1))
    form = IntFormat(state_bits, signed=True)
    values = np.rint(np.tanh(q * index_step) * 2.0 ** (state_bits - 1))
    integers: IntArray = np.clip(values, form.min, form.max).astype(np.int64)
    return integers


def _tanh_range(state_bits: int) -> float:
    """Return the power of two beyond which tanh is within half a unit of 1 in ``state_bits`` bits."""
    return 2.0 ** math.ceil(math.log2(math.atanh(1 - 2.0**-state_bits)))


def _array(name: str, values: Any) -> NDArray[Any]:
    """Return ``values``, also a torch tensor, as an array of real numbers."""
    try:
        array = np.asarray(values.detach().cpu().numpy() if hasattr(values, "detach") else values)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        kind = type(values).__name__
        raise FormatError(f"{name} must be an array of real numbers, not {kind}: {reason}") from None
    if array.dtype.kind not in "fiu":
        raise FormatError(f"{name} must hold real numbers, not {array.dtype}")
    return array


def _matrix(name: str, values: Any, shape: tuple[int | None, ...]) -> FloatArray:
    """Return ``values``, also a torch tensor, as finite float64 of the given shape (None: any size)."""
    array = _array(name, values).astype(np.float64)
    right = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not right or 0 in array.shape:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise FormatError(f"{name} must have shape ({wanted}), not {array.shape}")
    if not np.all(np.isfinite(array)):
        raise FormatError(
            f"{name} must be finite, but has {np.sum(~np.isfinite(array))} NaN or infinite entries"
        )
    return array


def _input_kind(input: str | None, calibration_inputs: Any) -> InputKind:
    """Return the kind of input, by the form of the calibration inputs where it is not given."""
    if input is not None:
        kind: InputKind = _choice("input", input, InputKind)
        return kind
    array = _array("calibration_inputs", calibration_inputs)
    if array.ndim == 3:
        return InputKind.VECTOR
    if array.ndim == 2 and array.dtype.kind in "iu":
        return InputKind.ONE_HOT
    raise FormatError(
        "calibration_inputs must be vectors (batch, steps, inputs) or integer indices (batch, steps), "
        f"not {array.dtype} of shape {array.shape}; say which is meant with input='vector' or input='one_hot'"
    )


def _shown(value: Any) -> str:
    """Return an argument as a message shows it: short and in one line."""
    return " ".join(repr(value).split())[:60]


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise FormatError(f"{name} must be {low} to {high}, not {_shown(value)}")
    return int(value)


def _weight_bits(weight_bits: Any) -> WeightBits:
    if isinstance(weight_bits, (int, np.integer)):
        apart = dict.fromkeys(("recurrent", "input", "output"), weight_bits)
    elif isinstance(weight_bits, WeightBits):
        apart = dataclasses.asdict(weight_bits)
    else:
        raise FormatError(
            "weight_bits must be an integer from 1 to 8, or WeightBits(recurrent, input, output) of "
            f"qornn_hw.network, not {_shown(weight_bits)}"
        )
    return WeightBits(**{k: _whole(f"weight_bits.{k}", bits, 1, 8) for k, bits in apart.items()})


def _positive(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise FormatError(f"{name} must be a positive and finite number, not {_shown(value)}")
    return number


def _choice(name: str, value: str, choices: Any) -> Any:
    if value not in list(choices):
        raise FormatError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    return choices(value)


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
    weight_steps: tuple[float, float, float] | None = None,
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
        weight_steps: the steps of W, U and V where they are known.
        float_weights: the network before quantization, for the checkpoint; by default what is passed here.
        task: name and parameters of the task, for `qornn-hw eval`.
        metrics: what was measured.
        provenance: how the network was made.

    Raises:
        FormatError: an argument breaks a number rule; the message names it.
    """
    act: Activation = _choice("activation", activation, Activation)
    kind = _input_kind(input, calibration_inputs)
    w = _matrix("recurrent_weight", recurrent_weight, (None, None))
    n = w.shape[0]
    w = _matrix("recurrent_weight", w, (n, n))
    u = _matrix("input_weight", input_weight, (n, None))
    v = _matrix("output_weight", output_weight, (None, n))
    m, p = u.shape[1], v.shape[0]
    b = np.zeros(n) if bias is None else _matrix("bias", bias, (n,))
    c = np.zeros(p) if output_bias is None else _matrix("output_bias", output_bias, (p,))
    h0 = np.zeros(n) if initial_state is None else _matrix("initial_state", initial_state, (n,))
    bits = _weight_bits(weight_bits)
    state_bits = _whole("state_bits", state_bits, 4, 16)
    multiplier_bits = _whole("multiplier_bits", multiplier_bits, 1, 16)
    if input_bits is not None:
        input_bits = _whole("input_bits", input_bits, 1, 16)
    if index_bits is not None:
        index_bits = _whole("index_bits", index_bits, 2, INDEX_BITS_MAX)
    if input_scale is not None:
        input_scale = _positive("input_scale", input_scale)
    if state_range is not None:
        state_range = _positive("state_range", state_range)

    if weight_steps is not None:
        if not isinstance(weight_steps, (tuple, list)) or len(weight_steps) != 3:
            shown = _shown(weight_steps)
            raise FormatError(f"weight_steps must be three numbers, those of W, U and V, not {shown}")
        d_w, d_u, d_v = (_positive(f"weight_steps[{i}]", step) for i, step in enumerate(weight_steps))
    elif already_quantized:
        d_w = grid_step("recurrent_weight", w, bits.recurrent)
        d_u = grid_step("input_weight", u, bits.input)
        d_v = grid_step("output_weight", v, bits.output)
    else:
        d_w, d_u, d_v = (
            weight_step(a, k) for a, k in ((w, bits.recurrent), (u, bits.input), (v, bits.output))
        )
    w_int = quantize_weights(w, bits.recurrent, d_w)
    v_int = quantize_weights(v, bits.output, d_v)
    multiplier, shift = scale_to_multiplier(d_w, multiplier_bits, SHIFT_MAX)
    # What the hardware multiplies by; the scales below follow it, not the ideal.
    d_w = multiplier / 2.0**shift
    # The network that the integers approach as the state gets finer.
    mode: OutputMode = _choice("output_mode", output_mode, OutputMode)
    u_real = quantize_weights(u, bits.input, d_u) * d_u
    real = RealNetwork(act, w_int * d_w, u_real, v_int * d_v, b, c, h0, mode)

    if kind is InputKind.VECTOR:
        x_real: NDArray[Any] = _matrix("calibration_inputs", calibration_inputs, (None, None, m))
        if not x_real.any():
            raise FormatError(
                "calibration_inputs must not be all zero: they set the scales of input and state; "
                "pass inputs like those of use"
            )
    else:
        indices = _matrix("calibration_inputs", calibration_inputs, (None, None))
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
    full = 2.0 ** (state_bits - 1)
    if kind is InputKind.ONE_HOT:
        x_int, input_format, s_x = x_real, IntegerNetwork.index_format(m), 1.0
    else:
        for x_bits in range(8, 3, -1) if input_bits is None else (input_bits,):
            input_format, s_x = _input_grid(x_real, x_bits, input_signed, input_scale)
            if d_u * s_x / d_w * full >= largest:
                break
        x_int = np.clip(np.rint(x_real / s_x), input_format.min, input_format.max).astype(np.int64)

    def build(s_h: float) -> IntegerNetwork:
        """Return the network whose state has the step ``s_h``."""
        s_acc = d_w * s_h
        u_int, u_bits, e = _input_weights(u, bits.input, d_u, s_x, s_acc, kind, tied=act in _HOMOGENEOUS)
        factor, factor_shift, table = multiplier, shift, None
        if act is Activation.TANH:
            t = min(state_bits + 2, INDEX_BITS_MAX) if index_bits is None else index_bits
            index_step = _tanh_range(state_bits) / 2.0 ** (t - 1)
            factor, factor_shift = scale_to_multiplier(s_acc / index_step, multiplier_bits, SHIFT_MAX)
            table = tanh_table(t, index_step, state_bits)
        state = IntFormat(state_bits, signed=True)
        s_y = d_v * s_h
        return IntegerNetwork(
            activation=act,
            recurrent_weight=w_int,
            input_weight=u_int,
            output_weight=v_int,
            bias=_integers(b / s_acc),
            output_bias=_integers(c / s_y),
            weight_bits=WeightBits(bits.recurrent, u_bits, bits.output),
            state_bits=state_bits,
            input_kind=kind,
            input_format=input_format,
            input_shift=e,
            multiplier=np.full(n, factor, dtype=np.int64),
            shift=factor_shift,
            rounding=_choice("rounding", rounding, Rounding),
            initial_state=np.clip(np.rint(h0 / s_h), state.min, state.max).astype(np.int64),
            output_mode=mode,
            output_kind=_choice("output_kind", output_kind, OutputKind),
            scales=Scales(input=s_x, state=s_h, accumulator=s_acc, output=s_y),
            table=table,
        )

    if act in _HOMOGENEOUS:
        # The state's step is this times a power of two.
        unit = d_u * s_x / d_w
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


def _input_weights(
    u: FloatArray, bits: int, d_u: float, s_x: float, s_acc: float, kind: InputKind, tied: bool
) -> tuple[IntArray, int, int]:
    """Return the integers of U, their bits, and the input shift e with ``U x ~ (Ui xi << e) s_acc``.

    ``tied`` says that ``d_u s_x / s_acc`` is a power of two, because the state's step was chosen so.
    """
    ratio = d_u * s_x / s_acc
    if tied and ratio > 0.75:
        e = round(math.log2(ratio))
        if e > 31:
            raise FormatError(
                f"the input shift must be at most 31, not {e}: lower the input's or the state's bits"
            )
        return quantize_weights(u, bits, d_u), bits, e
    if kind is InputKind.ONE_HOT:
        columns = _integers(u * s_x / s_acc)
        return columns, max(2, bits_for_range(int(columns.min()), int(columns.max()))), 0
    # The shift whose step loses least of U.
    best: tuple[float, int, IntArray] | None = None
    for e in range(32):
        step = s_acc * 2.0**e / s_x
        u_int = quantize_weights(u, bits, step)
        error = float(np.square(u - u_int * step).sum())
        if best is None or error < best[0]:
            best = error, e, u_int
    assert best is not None
    return best[2], bits, best[1]


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


def export_torch_rnn(rnn: Any, readout: Any, calibration_inputs: Any, **options: Any) -> Checkpoint:
    """Export a one-layer ``torch.nn.RNN`` (tanh or relu) and its ``torch.nn.Linear`` readout.

    The two biases of the RNN add up to b. ``options`` are those of :func:`export`, but for activation, bias,
    output_bias; one-hot indices stand for ``torch.nn.functional.one_hot`` vectors. The calibration inputs are
    (batch, steps, m), or indices (batch, steps), whatever the RNN's ``batch_first``.

    Raises:
        FormatError: another kind of module, more than one layer, two directions, or a wrong readout.
    """
    kind = type(rnn).__name__
    if kind != "RNN" or not hasattr(rnn, "weight_ih_l0"):
        raise FormatError(f"rnn must be a torch.nn.RNN, not {kind}: gated cells have no hardware here")
    if rnn.num_layers != 1:
        raise FormatError(f"rnn must have 1 layer, not {rnn.num_layers}")
    if rnn.bidirectional:
        raise FormatError("rnn must go in one direction, not both: pass bidirectional=False")
    if type(readout).__name__ != "Linear":
        raise FormatError(f"readout must be a torch.nn.Linear, not {type(readout).__name__}")
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
