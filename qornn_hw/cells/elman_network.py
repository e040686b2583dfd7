"""The integer network: every integer and every format that the hardware is built from.

Nothing here is trained or calibrated; :mod:`qornn_hw.cells.elman_model` computes with it and docs/numerics.md
defines what it means.
"""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qornn_hw.cells.activations.registry import Activation
from qornn_hw.cells.pieces import Pieces
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode

__all__ = [
    "BIAS_BITS_MAX",
    "INDEX_BITS_MAX",
    "MULTIPLIER_BITS_MAX",
    "SHIFT_MAX",
    "Activation",
    "InputKind",
    "IntegerNetwork",
    "OutputKind",
    "OutputMode",
    "Scales",
    "WeightBits",
]

IntArray = NDArray[np.int64]

STATE_BITS = range(4, 17)
WEIGHT_BITS = range(1, 9)
ONE_HOT_WEIGHT_BITS = range(1, 33)
INPUT_BITS = range(1, 17)
INDEX_BITS_MAX = 14
MULTIPLIER_BITS_MAX = 16
SHIFT_MAX = 47
BIAS_BITS_MAX = 40


@dataclass(frozen=True)
class WeightBits:
    """Bits of an entry of W, U and V. One bit means the two values -1 and +1."""

    recurrent: int
    input: int
    output: int


@dataclass(frozen=True)
class Scales:
    """What one unit of each integer is worth in the units of the trained network.

    real value = integer * scale, and for entry j of an input vector
    ``real_j = integer_j * input_j + input_offset_j``. The integers alone decide what the hardware computes;
    the scales only turn a user's real numbers into integers and back.

    Attributes:
        input: worth of a unit of an input's entry: one number, or m of them, one for each channel.
        state: of the state.
        accumulator: of the accumulator of the unit with the largest multiplier.
        output: of a logit.
        input_offset: the real number that the integer 0 stands for: one number, or one for each channel.
    """

    input: float | tuple[float, ...]
    state: float
    accumulator: float
    output: float
    input_offset: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name.startswith("input") and np.ndim(value) == 1:
                value = tuple(float(v) for v in value)
                object.__setattr__(self, f.name, value)
            numbers = value if isinstance(value, tuple) else (value,)
            for number in numbers:
                offset = f.name == "input_offset"
                if not (np.isfinite(number) and (offset or number > 0)):
                    wanted = "finite" if offset else "positive and finite"
                    raise FormatError(f"scales.{f.name} must be {wanted}, not {number!r}")

    def input_steps(self, channels: int) -> NDArray[np.float64]:
        """Return :attr:`input` of each of ``channels`` channels, (m,)."""
        return np.array(np.broadcast_to(np.asarray(self.input, dtype=np.float64), (channels,)))

    def input_offsets(self, channels: int) -> NDArray[np.float64]:
        """Return :attr:`input_offset` of each of ``channels`` channels, (m,)."""
        return np.array(np.broadcast_to(np.asarray(self.input_offset, dtype=np.float64), (channels,)))


def _require(name: str, value: int, allowed: range) -> None:
    if value not in allowed:
        raise FormatError(f"{name} must be {allowed.start} to {allowed.stop - 1}, not {value!r}")


def _integers(name: str, values: ArrayLike, shape: tuple[int, ...]) -> IntArray:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise FormatError(f"{name} must hold integers, not {array.dtype}")
    if array.shape != shape:
        raise FormatError(f"{name} must have shape {shape}, not {array.shape}")
    # Before the cast, which would wrap an unsigned value silently.
    limit = np.iinfo(np.int64)
    if array.dtype.kind == "u" and array.dtype.itemsize >= limit.dtype.itemsize:
        _check_range(name, array, 0, limit.max)
    array = array.astype(np.int64)
    array.setflags(write=False)
    return array


def _check_weights(name: str, array: IntArray, bits: int) -> None:
    if bits == 1:
        if not np.all(np.abs(array) == 1):
            raise FormatError(f"{name} with 1-bit weights must hold only -1 and +1")
        return
    form = IntFormat(bits, signed=True)
    _check_range(name, array, form.min, form.max)


def _check_range(name: str, array: NDArray[np.integer[Any]], low: int, high: int) -> None:
    bad = np.argwhere((array < low) | (array > high))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        raise FormatError(f"{name} must lie in {low} to {high}, not {int(array[at])} at {list(at)}")


def _in_words(form: IntFormat) -> str:
    """Return a format as a message says it: "4 bits, signed"."""
    return f"{form.bits} bit{'' if form.bits == 1 else 's'}, {'signed' if form.signed else 'unsigned'}"


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """``g' = act(W g + (U x << input_shift) + b)``, ``y = V g' + c``, all in integers.

    Shapes: n hidden units, m inputs (symbols, if one-hot), p outputs.

    Attributes:
        activation: the function between accumulator and state.
        recurrent_weight: W, (n, n).
        input_weight: U, (n, m). One-hot: column x is added for symbol x.
        output_weight: V, (p, n).
        bias: b at the accumulator's scale, (n,). For modrelu the bias inside the activation.
        output_bias: c at the scale of V g, (p,).
        weight_bits: bits of W, U and V, 1 to 8 each (one-hot U: 1 to 32).
        state_bits: bits of the signed state g, 4 to 16.
        input_kind: one-hot index or vector.
        input_format: format of an entry of a vector x, 1 to 16 bits; for one-hot that of the index.
        input_shift: e, the left shift that puts U x on the accumulator's scale, 0 to 31.
        multiplier: M, (n,), unsigned, 1 to 65535: the requantizer's factor of each unit.
        shift: s of the requantizer, 0 to 47.
        rounding: the tie rule of the requantizer.
        table: where the activation's shape has one: (2**t,) states in the order of the table index
            -2**(t-1) .. 2**(t-1)-1.
        pieces: where the activation's shape has them: the state as a function of the index.
        initial_state: g before the first step, (n,).
        output_mode: answers after every step or after the last one.
        output_kind: logits, argmax or both.
        scales: real worth of the integers.
    """

    activation: Activation
    recurrent_weight: IntArray
    input_weight: IntArray
    output_weight: IntArray
    bias: IntArray
    output_bias: IntArray
    weight_bits: WeightBits
    state_bits: int
    input_kind: InputKind
    input_format: IntFormat
    input_shift: int
    multiplier: IntArray
    shift: int
    rounding: Rounding
    initial_state: IntArray
    output_mode: OutputMode
    output_kind: OutputKind
    scales: Scales
    table: IntArray | None = field(default=None)
    pieces: Pieces | None = None

    def __post_init__(self) -> None:
        w, u, v = (np.asarray(a) for a in (self.recurrent_weight, self.input_weight, self.output_weight))
        if w.ndim != 2 or u.ndim != 2 or v.ndim != 2:
            raise FormatError("recurrent_weight, input_weight and output_weight must be matrices")
        n, m, p = w.shape[0], u.shape[1], v.shape[0]
        for name, size in (("hidden units", n), ("inputs", m), ("outputs", p)):
            if size < 1:
                raise FormatError(f"a network must have at least 1 of its {name}, not {size}")
        shapes: dict[str, tuple[int, ...]] = {
            "recurrent_weight": (n, n),
            "input_weight": (n, m),
            "output_weight": (p, n),
            "bias": (n,),
            "output_bias": (p,),
            "multiplier": (n,),
            "initial_state": (n,),
        }
        for name, shape in shapes.items():
            object.__setattr__(self, name, _integers(name, getattr(self, name), shape))
        one_hot = self.input_kind is InputKind.ONE_HOT
        _require("weight_bits.recurrent", self.weight_bits.recurrent, WEIGHT_BITS)
        _require("weight_bits.input", self.weight_bits.input, ONE_HOT_WEIGHT_BITS if one_hot else WEIGHT_BITS)
        _require("weight_bits.output", self.weight_bits.output, WEIGHT_BITS)
        _check_weights("recurrent_weight", self.recurrent_weight, self.weight_bits.recurrent)
        _check_weights("input_weight", self.input_weight, self.weight_bits.input)
        _check_weights("output_weight", self.output_weight, self.weight_bits.output)
        _require("state_bits", self.state_bits, STATE_BITS)
        _require("input_shift", self.input_shift, range(32))
        _require("shift", self.shift, range(SHIFT_MAX + 1))
        if one_hot:
            if self.input_format != self.index_format(m):
                raise FormatError(
                    f"input_format of {m} one-hot symbols must be {_in_words(self.index_format(m))}, "
                    f"not {_in_words(self.input_format)}"
                )
        else:
            _require("input_format.bits", self.input_format.bits, INPUT_BITS)
        limit = IntFormat(BIAS_BITS_MAX, signed=True)
        _check_range("bias", self.bias, limit.min, limit.max)
        _check_range("output_bias", self.output_bias, limit.min, limit.max)
        _check_range("multiplier", self.multiplier, 1, (1 << MULTIPLIER_BITS_MAX) - 1)
        self._check_input_scales()
        state = self.state_format
        _check_range("initial_state", self.initial_state, state.min, state.max)
        if self.activation.shape.table:
            if self.table is None:
                raise FormatError(f"table must be given for the {self.activation} activation")
            size = np.asarray(self.table).shape[0] if np.ndim(self.table) == 1 else 0
            if size.bit_count() != 1 or not 4 <= size <= 1 << INDEX_BITS_MAX:
                raise FormatError(
                    f"table must have 4 to {1 << INDEX_BITS_MAX} entries, a power of two, "
                    f"not shape {np.shape(self.table)}"
                )
            object.__setattr__(self, "table", _integers("table", self.table, (size,)))
            _check_range("table", self.table, state.min, state.max)
        elif self.table is not None:
            raise FormatError(f"table must be absent for the {self.activation} activation")
        if self.activation.shape.pieces is not (self.pieces is not None):
            must = "given" if self.activation.shape.pieces else "absent"
            raise FormatError(f"pieces must be {must} for the {self.activation} activation")

    def _check_input_scales(self) -> None:
        """Refuse input scales and offsets that this network's input or activation cannot have."""
        m = self.input_size
        for name in ("input", "input_offset"):
            value = getattr(self.scales, name)
            if not isinstance(value, tuple):
                continue
            if not self.vector_input:
                raise FormatError(f"scales.{name} of a one-hot input must be one number, not {len(value)}")
            if len(value) != m:
                raise FormatError(
                    f"scales.{name} must be one number or one for each of the {m} inputs, not {len(value)}"
                )
        if np.any(self.scales.input_offsets(m)):
            if not self.vector_input:
                raise FormatError("scales.input_offset of a one-hot input must be 0")
            if self.activation.shape.unit_bias:
                raise FormatError(
                    f"scales.input_offset must be 0 for {self.activation}, whose bias cannot take U times "
                    "the offset up"
                )

    @staticmethod
    def index_format(symbols: int) -> IntFormat:
        """Return the format of the index of one of ``symbols`` symbols."""
        return IntFormat(max(1, (symbols - 1).bit_length()), signed=False)

    @property
    def hidden_size(self) -> int:
        """Hidden units, n."""
        return int(self.recurrent_weight.shape[0])

    @property
    def input_size(self) -> int:
        """Entries of an input vector, or one-hot symbols, m."""
        return int(self.input_weight.shape[1])

    @property
    def output_size(self) -> int:
        """Logits, p."""
        return int(self.output_weight.shape[0])

    @property
    def state_format(self) -> IntFormat:
        """Format of an entry of the state."""
        return IntFormat(self.state_bits, signed=True)

    @property
    def vector_input(self) -> bool:
        """Whether the input is a vector."""
        return self.input_kind is InputKind.VECTOR

    @property
    def index_bits(self) -> int:
        """Bits t of the index of table or pieces; ``state_bits`` where there is neither."""
        if self.pieces is not None:
            return self.pieces.index_bits
        return self.state_bits if self.table is None else (len(self.table) - 1).bit_length()
