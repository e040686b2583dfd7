"""Seeded random networks with lively states, and input sequences with their corner cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork, operations_of
from qornn_hw.cells.elman_bounds import state_range
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import (
    SHIFT_MAX,
    Activation,
    InputKind,
    IntegerNetwork,
    OutputKind,
    OutputMode,
    WeightBits,
)
from qornn_hw.data.random_inputs import random_inputs
from qornn_hw.files.scale_consistency import scales_for
from qornn_hw.ir.formats import IntFormat, Rounding, scale_to_multiplier

__all__ = ["corner_sequences", "is_lively", "random_network", "random_sequences"]

IntArray = NDArray[np.int64]

ATTEMPTS = 200
# The index of a table or of pieces goes from minus to plus this.
INDEX_REACH = 3.0
# The widest operand that the dot product is verified for.
OPERAND_BITS_MAX = 17


def random_network(
    *,
    seed: int,
    hidden_size: int,
    input_size: int,
    output_size: int,
    activation: Activation = Activation.IDENTITY,
    weight_bits: WeightBits | int = 4,
    state_bits: int = 8,
    input_kind: InputKind = InputKind.VECTOR,
    input_format: IntFormat | None = None,
    rounding: Rounding = Rounding.HALF_UP,
    output_mode: OutputMode = OutputMode.EVERY_STEP,
    output_kind: OutputKind = OutputKind.BOTH,
    index_bits: int | None = None,
    shared_multiplier: bool = False,
) -> IntegerNetwork:
    """Return a random network whose states are neither stuck nor all saturated (:func:`is_lively`).

    Args:
        seed: same seed and sizes, same network.
        hidden_size: units n.
        input_size: entries of an input vector, or symbols, m.
        output_size: logits p.
        activation: any.
        weight_bits: of W, U and V, or one number for all.
        state_bits: bits of a unit.
        input_kind: vector or one-hot.
        input_format: of an entry of a vector; 4 bits unsigned where absent. One-hot has its own.
        rounding: tie rule.
        output_mode: answers after every step or the last.
        output_kind: logits, argmax or both.
        index_bits: bits of the index of a table or of pieces; where absent 2 more than the state's, at most
            10.
        shared_multiplier: one M for all units instead of one each.

    Raises:
        ValueError: no lively network was found, as for a shape that leaves no room for one.
    """
    if isinstance(weight_bits, int):
        weight_bits = WeightBits(weight_bits, weight_bits, weight_bits)
    one_hot = input_kind is InputKind.ONE_HOT
    form = input_format or IntFormat(4, signed=False)
    if one_hot:
        form = IntegerNetwork.index_format(input_size)
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, attempt])
        draw = _Draw(
            activation=activation,
            state_bits=state_bits,
            input_format=form,
            one_hot=one_hot,
            recurrent_weight=_weights(rng, (hidden_size, hidden_size), weight_bits.recurrent),
            input_weight=_weights(rng, (hidden_size, input_size), weight_bits.input),
            output_weight=_weights(rng, (output_size, hidden_size), weight_bits.output),
        )
        input_shift, std = draw.input_shift_and_std(rng)
        bias = draw.bias(rng, std, input_shift)
        result_bits = (index_bits or min(state_bits + 2, 10)) if activation.shape.indexed else state_bits
        index_step = INDEX_REACH / (1 << (result_bits - 1))
        spread = np.ones(hidden_size) if shared_multiplier else rng.uniform(0.7, 1.4, hidden_size)
        factors, shift = _factors(std, result_bits, spread)
        network = IntegerNetwork(
            activation=activation,
            recurrent_weight=draw.recurrent_weight,
            input_weight=draw.input_weight,
            output_weight=draw.output_weight,
            bias=bias,
            output_bias=draw.output_bias(rng),
            weight_bits=weight_bits,
            state_bits=state_bits,
            input_kind=input_kind,
            input_format=form,
            input_shift=input_shift,
            multiplier=factors,
            shift=shift,
            rounding=rounding,
            initial_state=_initial_state(rng, activation, state_bits, hidden_size),
            output_mode=output_mode,
            output_kind=output_kind,
            scales=scales_for(activation, state_bits, int(factors.max()), shift, index_step=index_step),
            **activation.function.parts(result_bits, index_step, state_bits),
        )
        if is_lively(network):
            return network
    raise ValueError(f"no lively network of {hidden_size} units found for seed {seed} in {ATTEMPTS} attempts")


@dataclass(frozen=True, kw_only=True)
class _Draw:
    """The drawn weights of a network, and the statistics of its accumulators."""

    activation: Activation
    state_bits: int
    input_format: IntFormat
    one_hot: bool
    recurrent_weight: IntArray
    input_weight: IntArray
    output_weight: IntArray

    @property
    def target(self) -> float:
        """The wanted root mean square of a state."""
        return float(0.4 * 2 ** (self.state_bits - 1))

    def input_shift_and_std(self, rng: np.random.Generator) -> tuple[int, float]:
        """Return the shift that makes U x as large as W g, and the accumulator's standard deviation."""
        u, form = self.input_weight, self.input_format
        hidden_size, input_size = u.shape
        recurrent_std = max(1.0, self.target * _rms(self.recurrent_weight) * hidden_size**0.5)
        if self.one_hot:
            input_std, shift_max = _rms(u), 31
        else:
            input_std = _rms(u) * _rms(rng.integers(form.min, form.max + 1, 256)) * input_size**0.5
            shift_max = max(0, min(31, OPERAND_BITS_MAX - form.signed_bits))
        input_shift = int(np.clip(np.round(np.log2(recurrent_std / max(input_std, 0.5))), 0, shift_max))
        return input_shift, float(np.hypot(recurrent_std, input_std * 2**input_shift))

    def bias(self, rng: np.random.Generator, std: float, input_shift: int) -> IntArray:
        """Return a bias that cancels the mean of the products."""
        u, form = self.input_weight, self.input_format
        center = np.zeros(len(u))
        if not self.activation.shape.unit_bias and not self.one_hot:
            center += u.sum(axis=1) * 2.0**input_shift * (form.min + form.max) / 2
        mean = self.activation.function.centre * 2 ** (self.state_bits - 1)
        center += self.recurrent_weight.sum(axis=1) * mean
        return np.round(0.3 * std * rng.standard_normal(len(u)) - center).astype(np.int64)

    def output_bias(self, rng: np.random.Generator) -> IntArray:
        """Return a bias of the logits."""
        v = self.output_weight
        return np.round(0.5 * self.target * _rms(v) * rng.standard_normal(len(v))).astype(np.int64)


def _factors(std: float, result_bits: int, spread: NDArray[np.float64]) -> tuple[IntArray, int]:
    """Return M of each unit and the shift."""
    # A draw of zeros alone gives any scale; its network is not lively.
    scale = min(0.4 * 2 ** (result_bits - 1) / std, 16.0)
    multiplier, shift = scale_to_multiplier(scale, 8, SHIFT_MAX)
    # Factors of two were removed from it; put them back so that the spread has something to act on.
    while multiplier < 128 and shift < SHIFT_MAX:
        multiplier, shift = 2 * multiplier, shift + 1
    return np.maximum(1, np.round(multiplier * spread)).astype(np.int64), shift


def is_lively(network: IntegerNetwork) -> bool:
    """Return whether random inputs move the states: not stuck, not all zero, not all saturated."""
    sequences = random_sequences(network, batch=2, steps=12, seed=0)
    trace = IntegerModel(network).run(np.stack(sequences))
    later = trace.states[:, 2:]
    low, high = state_range(network)
    at_end = (later == network.state_format.min) | (later == network.state_format.max)
    moving = np.any(np.diff(later, axis=1) != 0, axis=2).mean()
    return bool(
        np.mean(at_end) < 0.7
        and np.mean(later != 0) > 0.2
        and moving > 0.6
        and len(np.unique(later)) >= min(4, high - low + 1)
    )


def random_sequences(network: AnyNetwork, *, batch: int, steps: int, seed: int) -> list[IntArray]:
    """Return ``batch`` sequences of uniformly random inputs, (steps,) symbols or (steps, m) vectors."""
    return list(random_inputs(operations_of(network).input, batch=batch, steps=steps, seed=seed))


def corner_sequences(network: AnyNetwork, *, steps: int) -> dict[str, IntArray]:
    """Return named sequences at the ends of the input's format.

    One-hot: the first and the last symbol, and the largest index, which stands for no symbol if it lies
    past the last one.
    """
    source = operations_of(network).input
    low, high = source.format.min, source.format.max
    shape = (steps,) if source.one_hot else (steps, source.size)
    odd = np.indices(shape).sum(axis=0) % 2
    corners = {
        "all_min": np.full(shape, low),
        "all_max": np.full(shape, high),
        "alternating": np.where(odd == 1, high, low),
        "zero": np.zeros(shape),
    }
    if source.one_hot:
        corners["last_symbol"] = np.full(shape, source.size - 1)
    return {name: values.astype(np.int64) for name, values in corners.items()}


def _weights(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> IntArray:
    if bits == 1:
        return rng.choice(np.array([-1, 1], dtype=np.int64), shape)
    form = IntFormat(bits, signed=True)
    weights = rng.integers(-form.max, form.max + 1, shape, dtype=np.int64)
    # The one weight without a positive twin, once a row: more of it would make all units swing together.
    if shape[1] > 2:
        weights[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = form.min
    return weights


def _initial_state(
    rng: np.random.Generator, activation: Activation, state_bits: int, hidden_size: int
) -> IntArray:
    form = IntFormat(state_bits, signed=True)
    low = 0 if activation.function.centre > 0 else form.min
    return rng.integers(low, form.max + 1, hidden_size, dtype=np.int64)


def _rms(values: Sequence[int] | IntArray) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(values, dtype=np.float64)))))
