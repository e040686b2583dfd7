"""The arguments of an export, checked: what is wrong is named in one line before anything is computed."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.arguments import array_of, choice_of, matrix_of, positive, shown, whole
from qornn_hw.cells.elman_network import (
    INDEX_BITS_MAX,
    Activation,
    InputKind,
    OutputKind,
    OutputMode,
    WeightBits,
)
from qornn_hw.data.sequences import sequences_of
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import Rounding
from qornn_hw.quantization.float_model import RealNetwork
from qornn_hw.quantization.grids import TIED, given_step, grid_step, tied_ratio
from qornn_hw.quantization.recurrent_grids import held_steps

__all__ = ["ExportArguments", "GivenSteps", "check_arguments", "input_kind_of"]

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class GivenSteps:
    """Steps of weights that lie on their grids already.

    Attributes:
        recurrent: of W, (1, 1), or (n, 1) by row.
        input: of U, the same.
        output: of V.
        ratio: r of ``d_U = r d_W`` for every row, with the steps of W that the requantizer's factors hold;
            None where the steps are not so.
    """

    recurrent: FloatArray
    input: FloatArray
    output: float
    ratio: float | None


@dataclass(frozen=True, eq=False)
class ExportArguments:
    """The arguments of :func:`qornn_hw.quantization.quantize.export`, in one form.

    Attributes:
        network: the float network, W, U, V, b, c, the initial state, the activation and the output mode.
        kind: of the input.
        sequences: the calibration inputs, (steps, m) or (steps,) each.
        weight_bits: of W, U and V.
        state_bits: of the state.
        multiplier_bits: of the requantizer's factor.
        index_bits: of the index of the tanh table.
        input_bits: of an entry of a vector; None: to be chosen.
        input_signed: whether entries are signed; None: as the calibration inputs need.
        input_scale: worth of a unit of each entry, (m,); None: to be chosen.
        input_offset: what the integer 0 of each entry stands for, (m,); None: to be chosen.
        state_range: largest magnitude that the state must hold; None: by calibration.
        percentile: share of the calibration values that the ranges must hold, in percent.
        output_kind: logits, argmax or both.
        rounding: the tie rule of the requantizer.
        per_row: whether W may have a step for each row.
        steps: the steps of weights that are on their grids; None: to be chosen.
    """

    network: RealNetwork
    kind: InputKind
    sequences: list[NDArray[Any]]
    weight_bits: WeightBits
    state_bits: int
    multiplier_bits: int
    index_bits: int
    input_bits: int | None
    input_signed: bool | None
    input_scale: FloatArray | None
    input_offset: FloatArray | None
    state_range: float | None
    percentile: float
    output_kind: OutputKind
    rounding: Rounding
    per_row: bool
    steps: GivenSteps | None

    @property
    def activation(self) -> Activation:
        """Activation of the network."""
        return self.network.activation

    @property
    def homogeneous(self) -> bool:
        """Whether the step of the state is free."""
        return not self.activation.function.bounded

    @property
    def one_hot(self) -> bool:
        """Whether a step brings an index."""
        return self.kind is InputKind.ONE_HOT

    @property
    def inputs(self) -> int:
        """Entries of a vector, or symbols: m."""
        return int(self.network.input_weight.shape[1])


def input_kind_of(input: str | None, calibration_inputs: Any) -> InputKind:
    """Return the kind of input, by the form of the calibration inputs where it is not given.

    Raises:
        FormatError: another word, or a form that says neither.
    """
    if input is not None:
        kind: InputKind = choice_of("input", input, InputKind)
        return kind
    if isinstance(calibration_inputs, (list, tuple)) and len(calibration_inputs):
        first = array_of("calibration_inputs[0]", calibration_inputs[0])
        dimensions, dtype, form = first.ndim + 1, first.dtype, f"sequences of shape {first.shape}"
    else:
        array = array_of("calibration_inputs", calibration_inputs)
        dimensions, dtype, form = array.ndim, array.dtype, f"shape {array.shape}"
    if dimensions == 3:
        return InputKind.VECTOR
    if dimensions == 2 and dtype.kind in "iu":
        return InputKind.ONE_HOT
    raise FormatError(
        "calibration_inputs must be vectors (batch, steps, inputs) or integer indices (batch, steps), "
        f"not {dtype} of {form}; say which is meant with input='vector' or input='one_hot'"
    )


def _sequences(values: Any, kind: InputKind, m: int) -> list[NDArray[Any]]:
    """Return the calibration inputs as sequences of vectors of m entries, or of indices."""
    listed = isinstance(values, (list, tuple)) and len(values) > 0
    if not listed:
        array = array_of("calibration_inputs", values)
        wanted = (m,) if kind is InputKind.VECTOR else ()
        if array.ndim != 2 + len(wanted) or array.shape[2:] != wanted or 0 in array.shape:
            form = ", ".join(["any", "any", *map(str, wanted)])
            raise FormatError(f"calibration_inputs must have shape ({form}), not {array.shape}")
    found = sequences_of("calibration_inputs", values)
    shape = found[0].shape
    if listed and (shape[1:] != (m,) if kind is InputKind.VECTOR else len(shape) != 1):
        form = f"(steps, {m})" if kind is InputKind.VECTOR else "(steps,)"
        raise FormatError(f"calibration_inputs[0] must have shape {form}, not {shape}")
    return found


def _weight_bits(weight_bits: Any) -> WeightBits:
    if isinstance(weight_bits, (int, np.integer)):
        apart = dict.fromkeys(("recurrent", "input", "output"), weight_bits)
    elif isinstance(weight_bits, WeightBits):
        apart = dataclasses.asdict(weight_bits)
    else:
        raise FormatError(
            "weight_bits must be an integer from 1 to 8, or WeightBits(recurrent, input, output) of "
            f"qornn_hw.cells.elman_network, not {shown(weight_bits)}"
        )
    return WeightBits(**{k: whole(f"weight_bits.{k}", bits, 1, 8) for k, bits in apart.items()})


def _given_steps(
    weights: tuple[FloatArray, FloatArray, FloatArray],
    bits: WeightBits,
    weight_steps: Any,
    already_quantized: bool,
    per_row: bool,
    multiplier_bits: int,
) -> GivenSteps | None:
    """Return the steps that the caller gave or that the weights lie on, None where neither is said."""
    if weight_steps is None and not already_quantized:
        return None
    if per_row:
        raise FormatError(
            "per_row must be unset where the weights are quantized already; pass steps by row in weight_steps"
        )
    if weight_steps is None:
        names = ("recurrent_weight", "input_weight", "output_weight")
        apart = dataclasses.astuple(bits)
        w, u, v = (grid_step(name, a, k) for name, a, k in zip(names, weights, apart, strict=True))
        d_w, d_u, d_v = np.full((1, 1), w), np.full((1, 1), u), v
    else:
        if not isinstance(weight_steps, (tuple, list)) or len(weight_steps) != 3:
            text = shown(weight_steps)
            raise FormatError(f"weight_steps must be three numbers, those of W, U and V, not {text}")
        d_w, d_u = (given_step(f"weight_steps[{i}]", weight_steps[i], len(weights[i])) for i in (0, 1))
        d_v = positive("weight_steps[2]", weight_steps[2])
    held, _, _ = held_steps(d_w, 1.0, multiplier_bits)
    return GivenSteps(d_w, d_u, d_v, tied_ratio(d_u, held))


def _channel_numbers(name: str, value: Any, m: int) -> FloatArray:
    """Return a finite number, or one for each of m channels, as (m,)."""
    numbers = array_of(name, value).astype(np.float64)
    if numbers.shape not in ((), (m,)):
        raise FormatError(f"{name} must be a number or have shape ({m},), not {numbers.shape}")
    if not np.all(np.isfinite(numbers)):
        raise FormatError(f"{name} must be finite, not {shown(value)}")
    return np.array(np.broadcast_to(numbers, (m,)))


def _input_scale(value: Any, m: int) -> FloatArray | None:
    if value is None:
        return None
    if np.ndim(value.detach().cpu() if hasattr(value, "detach") else value) == 0:
        return np.full(m, positive("input_scale", value))
    scale = _channel_numbers("input_scale", value, m)
    if not np.all(scale > 0):
        raise FormatError(f"input_scale must be positive for every channel, not {scale.min():g}")
    return scale


def _input_offset(value: Any, m: int, kind: InputKind, activation: Activation) -> FloatArray | None:
    if value is None:
        return None
    offset = _channel_numbers("input_offset", value, m)
    if offset.any() and kind is InputKind.ONE_HOT:
        raise FormatError(f"input_offset must be 0 for a one-hot input, not {shown(value)}")
    if offset.any() and activation.shape.unit_bias:
        raise FormatError(
            f"input_offset must be 0 for {activation}, not {shown(value)}: its bias is not added to U x and "
            "cannot take U times the offset up; subtract it from the inputs before they reach the network"
        )
    return offset


def _check_given(
    steps: GivenSteps | None, scale: FloatArray | None, kind: InputKind, activation: Activation
) -> None:
    """Refuse steps of U that one accumulator with W cannot keep."""
    if steps is None or kind is InputKind.ONE_HOT or activation.function.bounded:
        return
    if steps.ratio is None:
        raise FormatError(
            "weight_steps[1] must be one number times weight_steps[0], by row, for vector inputs of an "
            f"{activation} network, which share W's accumulator; they differ by more than {TIED:.0%}"
        )
    if scale is not None and np.ptp(scale) > 0:
        raise FormatError(
            "input_scale must be one number where the weights are quantized already and the activation is "
            f"{activation}, not one for each channel: the steps of U's columns would have to follow it"
        )


def _percentile(value: Any) -> float:
    share = positive("calibration_percentile", value)
    if not 50 < share <= 100:
        raise FormatError(f"calibration_percentile must be above 50 and at most 100, not {shown(value)}")
    return share


def check_arguments(given: dict[str, Any]) -> ExportArguments:
    """Return the arguments of :func:`qornn_hw.quantization.quantize.export`, by name, in one form.

    Raises:
        FormatError: an argument breaks a number rule; the message names it.
    """
    act: Activation = choice_of("activation", given["activation"], Activation)
    kind = input_kind_of(given["input"], given["calibration_inputs"])
    w = matrix_of("recurrent_weight", given["recurrent_weight"], (None, None))
    n = w.shape[0]
    w = matrix_of("recurrent_weight", w, (n, n))
    u = matrix_of("input_weight", given["input_weight"], (n, None))
    v = matrix_of("output_weight", given["output_weight"], (None, n))
    m = u.shape[1]

    def vector(name: str, size: int) -> FloatArray:
        return np.zeros(size) if given[name] is None else matrix_of(name, given[name], (size,))

    def bits_of(name: str, low: int, high: int) -> int | None:
        return None if given[name] is None else whole(name, given[name], low, high)

    mode: OutputMode = choice_of("output_mode", given["output_mode"], OutputMode)
    network = RealNetwork(
        act, w, u, v, vector("bias", n), vector("output_bias", len(v)), vector("initial_state", n), mode
    )
    weight_bits = _weight_bits(given["weight_bits"])
    state_bits = whole("state_bits", given["state_bits"], 4, 16)
    multiplier_bits = whole("multiplier_bits", given["multiplier_bits"], 1, 16)
    input_bits, index_bits = bits_of("input_bits", 1, 16), bits_of("index_bits", 2, INDEX_BITS_MAX)
    scale = _input_scale(given["input_scale"], m)
    state_range = given["state_range"]
    per_row = bool(given["per_row"])
    steps = _given_steps(
        (w, u, v),
        weight_bits,
        given["weight_steps"],
        given["already_quantized"],
        per_row,
        multiplier_bits,
    )
    _check_given(steps, scale, kind, act)
    signed = given["input_signed"]
    return ExportArguments(
        network=network,
        kind=kind,
        weight_bits=weight_bits,
        state_bits=state_bits,
        multiplier_bits=multiplier_bits,
        index_bits=min(state_bits + 2, INDEX_BITS_MAX) if index_bits is None else index_bits,
        input_bits=input_bits,
        input_signed=None if signed is None else bool(signed),
        input_scale=scale,
        input_offset=_input_offset(given["input_offset"], m, kind, act),
        state_range=None if state_range is None else positive("state_range", state_range),
        percentile=_percentile(given["calibration_percentile"]),
        output_kind=choice_of("output_kind", given["output_kind"], OutputKind),
        rounding=choice_of("rounding", given["rounding"], Rounding),
        per_row=per_row,
        steps=steps,
        sequences=_sequences(given["calibration_inputs"], kind, m),
    )
