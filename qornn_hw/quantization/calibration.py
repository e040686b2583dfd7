"""The calibration inputs: their ranges, the range of the states, and the sample that judges the candidates.

Ranges come from all of the inputs, run in batches that take bounded memory. Candidates for the scales are
compared on a sample: at most :data:`SAMPLE_STATES` states, whole sequences chosen by a fixed seed, together
with the few that drive the state farthest. A sequence longer than :data:`SAMPLE_STEPS` is judged by its first
steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.data.sequences import equal_length_batches
from qornn_hw.errors import FormatError
from qornn_hw.quantization.float_model import RealNetwork, real_states, run_real

__all__ = [
    "InputRange",
    "Sample",
    "StateRange",
    "balanced_error",
    "check_indices",
    "input_range",
    "relative_error",
    "sample_of",
    "state_range",
]

FloatArray = NDArray[np.floating[Any]]
AnyArray = NDArray[Any]

# Numbers that a batch holds at once.
BATCH_NUMBERS = 2_000_000
# States that the sample has at most, but at least this many sequences of it are taken.
SAMPLE_STATES = 2_000_000
SAMPLE_SEQUENCES = 8
SAMPLE_STEPS = 4096
# Sequences of the sample that are taken because their states go farthest.
FARTHEST = 2
# Entries of a channel that a percentile is taken from.
_PERCENTILE_ENTRIES = 1_000_000
# Logits whose variance is below this part of their mean square do not vary, up to rounding.
_NOTHING = 1e-24
# Percentiles of states: bins of a power of two, and the powers that are told apart.
_OCTAVE_BINS, _OCTAVES = 64, 256


@dataclass(frozen=True, eq=False)
class InputRange:
    """Smallest and largest value of each entry of a vector, (m,) each, or the percentiles."""

    low: FloatArray
    high: FloatArray

    @property
    def magnitude(self) -> FloatArray:
        """Largest magnitude of each entry, (m,)."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def input_range(sequences: list[AnyArray], percentile: float = 100.0) -> InputRange:
    """Return the range of real input vectors.

    Args:
        sequences: (steps, m) each.
        percentile: below 100, the lowest and highest ``100 - percentile`` percent of the entries of each
            channel are left out, as found in at most a million entries, evenly spaced.

    Raises:
        FormatError: an entry is not finite, or all are zero.
    """
    m = sequences[0].shape[1]
    low, high, wrong = np.full(m, np.inf), np.full(m, -np.inf), 0
    for _, x in equal_length_batches(sequences, BATCH_NUMBERS, m):
        wrong += int(np.sum(~np.isfinite(x)))
        flat = x.reshape(-1, m)
        low, high = np.minimum(low, flat.min(axis=0)), np.maximum(high, flat.max(axis=0))
    if wrong:
        raise FormatError(f"calibration_inputs must be finite, but has {wrong} NaN or infinite entries")
    if percentile < 100:
        steps = sum(len(one) for one in sequences)
        every = -(-steps // _PERCENTILE_ENTRIES)
        found, first = [], 0
        for one in sequences:
            found.append(one[first::every])
            first = (first - len(one)) % every
        low, high = np.percentile(np.concatenate(found), [100 - percentile, percentile], axis=0)
    if not (low.any() or high.any()):
        raise FormatError(
            "calibration_inputs must not be all zero: they set the scales of input and state; "
            "pass inputs like those of use"
        )
    return InputRange(low.astype(np.float64), high.astype(np.float64))


def check_indices(sequences: list[AnyArray], symbols: int) -> list[NDArray[np.signedinteger[Any]]]:
    """Return one-hot sequences as signed integers, those that are so as they are.

    Raises:
        FormatError: an entry is no index from 0 to ``symbols - 1``.
    """
    found = []
    for one in sequences:
        bad = one[~((one >= 0) & (one < symbols) & (one == np.rint(one)))]
        if len(bad):
            raise FormatError(f"calibration_inputs must be indices from 0 to {symbols - 1}, not {bad[0]:g}")
        found.append(one if one.dtype.kind == "i" else one.astype(np.min_scalar_type(-symbols)))
    return found


@dataclass(frozen=True, eq=False)
class StateRange:
    """How far the states of the float network go on all calibration inputs.

    Attributes:
        largest: their largest magnitude, or the percentile of it.
        reach: the largest magnitude within each sequence, (count,).
    """

    largest: float
    reach: FloatArray


def state_range(
    network: RealNetwork,
    sequences: list[AnyArray],
    prepare: Callable[[AnyArray], AnyArray],
    percentile: float = 100.0,
) -> StateRange:
    """Run a float network on all calibration inputs and return the range of its states.

    Args:
        network: the float network.
        sequences: the calibration inputs.
        prepare: what the hardware's input format does to a batch of them (clipping).
        percentile: share of the states whose largest magnitude is returned, in percent, to within 1 %.
    """
    n = len(network.bias)
    reach = np.zeros(len(sequences))
    counts = np.zeros(_OCTAVE_BINS * _OCTAVES, dtype=np.int64)
    width = max(n, sequences[0].shape[1] if sequences[0].ndim == 2 else 1)
    for members, batch in equal_length_batches(sequences, BATCH_NUMBERS * 8, width):
        x = prepare(batch)
        farthest = np.zeros(len(members))
        with np.errstate(over="ignore", invalid="ignore"):
            for h in real_states(network, x):
                size = np.abs(h)
                farthest = np.maximum(farthest, size.max(axis=1))
                if percentile < 100:
                    counts += _octaves(size)
        reach[members] = farthest
    largest = float(reach.max())
    if percentile < 100 and np.isfinite(largest):
        share = np.cumsum(counts) / counts.sum()
        place = int(np.searchsorted(share, percentile / 100))
        largest = min(largest, 2.0 ** ((place + 1) / _OCTAVE_BINS - _OCTAVES // 2))
    return StateRange(largest, reach)


def _octaves(size: FloatArray) -> NDArray[np.int64]:
    """Return how many magnitudes lie in each bin; a bin is 1/64 of a power of two."""
    exponent = np.log2(np.maximum(size, 2.0 ** (-_OCTAVES // 2)))
    place = np.floor((np.nan_to_num(exponent) + _OCTAVES // 2) * _OCTAVE_BINS)
    last = _OCTAVE_BINS * _OCTAVES - 1
    bins = np.clip(place, 0, last).astype(np.int64).ravel()
    return np.bincount(bins, minlength=last + 1)


@dataclass(frozen=True, eq=False)
class Sample:
    """The calibration sequences that candidates are judged by.

    Attributes:
        batches: sequences of one length each, as the hardware's input range leaves them: (count, steps, m)
            real, or (count, steps) indices.
        logits: of the float network on each batch, (count, steps or 1, p).
        chosen: the numbers of the sequences in the calibration inputs.
        of: how many sequences these hold.
        states_squared: mean square of each state, (n,).
        inputs_mean: mean of each entry of a vector, (m,); the share of each symbol for indices.
        inputs_squared: mean square of the same.
        largest: the largest magnitude of a state.
    """

    batches: list[AnyArray]
    logits: list[FloatArray]
    chosen: list[int]
    of: int
    states_squared: FloatArray
    inputs_mean: FloatArray
    inputs_squared: FloatArray
    largest: float


def _chosen(sequences: list[AnyArray], hidden: int, reach: FloatArray | None) -> list[int]:
    """Return the numbers of the sequences of the sample, in order."""
    count = len(sequences)
    order = np.random.default_rng(0).permutation(count)
    if reach is not None:
        farthest = np.argsort(-np.nan_to_num(reach, nan=np.inf), kind="stable")[:FARTHEST]
        order = np.concatenate([farthest, order[~np.isin(order, farthest)]])
    found: list[int] = []
    states = 0
    for i in order:
        states += min(len(sequences[i]), SAMPLE_STEPS) * hidden
        if states > SAMPLE_STATES and len(found) >= SAMPLE_SEQUENCES:
            break
        found.append(int(i))
    return sorted(found)


def sample_of(
    network: RealNetwork,
    sequences: list[AnyArray],
    prepare: Callable[[AnyArray], AnyArray],
    reach: FloatArray | None = None,
) -> Sample:
    """Return the sample of the calibration inputs, with the float network's logits on it.

    Args:
        network: the float network.
        sequences: all calibration inputs.
        prepare: what the hardware's input format does to a batch of them (clipping).
        reach: the largest state of each sequence, if it is known; the farthest are taken into the sample.
    """
    m = network.input_weight.shape[1]
    chosen = _chosen(sequences, len(network.bias), reach)
    cut = [sequences[i][:SAMPLE_STEPS] for i in chosen]
    batches: list[AnyArray] = []
    logits: list[FloatArray] = []
    squared, mean, square = np.zeros(len(network.bias)), np.zeros(m), np.zeros(m)
    steps, largest = 0, 0.0
    for _, batch in equal_length_batches(cut, BATCH_NUMBERS, len(network.bias)):
        x = prepare(batch)
        with np.errstate(over="ignore", invalid="ignore"):
            states, answers = run_real(network, x)
            squared = squared + np.square(states).sum(axis=(0, 1))
        if x.ndim == 3:
            mean, square = mean + x.sum(axis=(0, 1)), square + np.square(x).sum(axis=(0, 1))
        else:
            symbols = np.bincount(x.ravel(), minlength=m)
            mean, square = mean + symbols, square + symbols
        steps += x.shape[0] * x.shape[1]
        largest = float(np.maximum(largest, np.abs(states).max()))
        batches.append(x)
        logits.append(answers)
    return Sample(
        batches=batches,
        logits=logits,
        chosen=chosen,
        of=len(sequences),
        states_squared=squared / steps,
        inputs_mean=mean / steps,
        inputs_squared=square / steps,
        largest=largest,
    )


def relative_error(found: list[FloatArray], wanted: list[FloatArray]) -> float:
    """Return ``rms(found - wanted) / std(wanted)`` over batches of logits; over the rms where std is 0.

    It is infinite where the numbers are too large, or too small, for their squares.
    """
    unit = max(float(np.abs(b).max()) for b in wanted) or 1.0
    theirs = np.concatenate([b.ravel() for b in wanted]) / unit
    ours = np.concatenate([a.ravel() for a in found]) / unit
    spread = theirs.std() or np.sqrt(np.square(theirs).mean()) or 1.0
    return _finite(np.sqrt(np.square(ours - theirs).mean()) / spread)


def balanced_error(found: list[FloatArray], wanted: list[FloatArray]) -> float:
    """Return ``rms(found - wanted) / sqrt(std(found) std(wanted))``, each output about its own mean.

    Near to the float network this is the relative error. Far from it the relative error alone is least for a
    network that says nothing (all answers the mean); this one is infinite there. It is the relative error
    where the wanted logits do not vary.
    """
    unit = max(float(np.abs(b).max()) for b in wanted) or 1.0
    theirs = np.concatenate([b.reshape(-1, b.shape[2]) for b in wanted]) / unit
    ours = np.concatenate([a.reshape(-1, a.shape[2]) for a in found]) / unit
    spread = theirs.var(axis=0).mean()
    if not spread > 0:
        return relative_error(found, wanted)
    varied = ours.var(axis=0).mean()
    if not varied > _NOTHING * np.square(ours).mean():
        return float(np.inf)
    return _finite(np.sqrt(np.square(ours - theirs).mean() / np.sqrt(varied * spread)))


def _finite(error: Any) -> float:
    return float(error) if np.isfinite(error) else float(np.inf)
