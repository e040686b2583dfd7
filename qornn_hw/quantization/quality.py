"""How near an integer network is to the float network that it was made from, on the user's own inputs.

With the float network's logits y and the integer network's logits g (docs/quality.md)::

    relrms     rms(g * scales.output - y) / std(y), over all answers and outputs; / rms(y) where y is constant
    agreement  share of the answers with the same argmax; with one output: on the same side of 0

The report also counts what quantization loses or wastes: input entries outside the input's format, states at
the ends of the state's format, and units whose state never changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.arguments import array_of
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import IntegerNetwork, OutputMode
from qornn_hw.data.inference import classes_of
from qornn_hw.data.real_inputs import QuantizedInputs, clipped_text, quantize_inputs
from qornn_hw.data.sequences import equal_length_batches, sequences_of
from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.quantization.float_model import RealNetwork, dequantized, run_real

__all__ = [
    "AGREEMENT_LEAST",
    "CLIPPED_MOST",
    "RELRMS_MOST",
    "Cure",
    "Quality",
    "percent",
    "quality_lines",
    "quality_of",
    "quality_text",
    "real_reference",
    "reference_of",
    "shapes_text",
]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]
Reference = Callable[[NDArray[Any]], FloatArray]
Observer = Callable[[IntArray, FloatArray, FloatArray], None]

RELRMS_MOST = 0.25
"""An integer network of a larger relrms is reported as bad."""
AGREEMENT_LEAST = 0.95
"""An integer network whose answers agree less often is reported as bad, where its argmax is an answer."""
CLIPPED_MOST = 0.01
"""A channel of which more entries are clipped is reported."""

# Multiply-accumulates that one measurement takes at most: some seconds. Beyond them sequences are left out.
_WORK = 20_000_000_000
# Numbers that a batch holds at once.
_NUMBERS = 1 << 21
_BINS = 64
_TIME_BINS = 8
_WORST = 8
# A reference whose spread is less than this part of its mean is constant, up to rounding.
_CONSTANT = 1e-12
# A share of saturated states that calibration accepts for finer steps.
_RARE = 0.001


@dataclass(frozen=True)
class Cure:
    """A change of the export's options, and what it gave when it was tried on the same inputs.

    Attributes:
        options: the options of :func:`qornn_hw.quantize` with their new values; empty where nothing helped.
        relrms: of the network that they make.
        agreement: of the network that they make.
        enough: whether that network is reported as good.
    """

    options: dict[str, Any]
    relrms: float | None
    agreement: float
    enough: bool

    def __str__(self) -> str:
        """Return the cure as a sentence of the warning."""
        if not self.options:
            return (
                "no number of bits that was tried is enough: train the network with quantized weights "
                "(docs/training.md)"
            )
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        result = f"{options} gives {_accuracy_text(self.relrms, self.agreement)} on the same inputs"
        if self.enough:
            return f"cure: {result}"
        return f"the best that was tried: {result}; more needs a training with quantized weights"


@dataclass(frozen=True, eq=False)
class Quality:
    """Measurements of an integer network (n units, m inputs, p outputs) on a user's inputs.

    Attributes:
        network: the integer network.
        reference: what the logits were compared with, "float network" for example.
        sequences: sequences that were given.
        measured: sequences that were run; fewer only where all would take too long.
        steps: steps of the shortest and of the longest sequence.
        answers: answers that were compared.
        relrms: rms(integer logits * scales.output - reference) / std(reference); over rms(reference) where
            the reference is constant, as a single answer of one output is; None where it is 0 everywhere.
        agreement: share of the answers with the same argmax, or with one output on the same side of 0.
        ends_by_unit: share of each unit's states at the ends of its format, (n,).
        ends_by_time: the same share by the part of the sequence, (8,) at most, NaN-free.
        first_end: the first step, from 0, at which a state was at an end; None where none was.
        histogram: states of all units by 64 equal parts (fewer where there are fewer values) of the format
            from its minimum to its maximum, counts.
        constant_units: units whose state was the same after every step.
        zero_units: those of them whose state was always 0.
        clipped: entries of each channel outside the input's format, (m,); (1,) of zero for indices.
        entries: entries of each channel.
        cure: what mends a bad network, where it was looked for.
        judged: whether answers unlike the reference's are a fault; not so after a training.
    """

    network: IntegerNetwork
    reference: str
    sequences: int
    measured: int
    steps: tuple[int, int]
    answers: int
    relrms: float | None
    agreement: float
    ends_by_unit: FloatArray
    ends_by_time: FloatArray
    first_end: int | None
    histogram: IntArray
    constant_units: tuple[int, ...]
    zero_units: tuple[int, ...]
    clipped: IntArray
    entries: int
    cure: Cure | None = field(default=None)
    judged: bool = True

    @property
    def saturating(self) -> bool:
        """Whether a state at the end of its format lost something; tanh and hardtanh end there anyway."""
        return not self.network.activation.function.bounded

    @property
    def ends_share(self) -> float:
        """Share of all states that are at the ends of their format."""
        return float(self.ends_by_unit.mean())

    @property
    def clipped_share(self) -> float:
        """Share of the entries of the worst channel that were clipped."""
        return float(self.clipped.max() / max(self.entries, 1))

    @property
    def inaccurate(self) -> bool:
        """Whether the answers are too far from the reference's, where that is a fault."""
        if not self.judged:
            return False
        if self.relrms is not None and self.relrms > RELRMS_MOST:
            return True
        return self.network.output_kind.has_argmax and self.agreement < AGREEMENT_LEAST

    @property
    def bad(self) -> bool:
        """Whether there is something to warn of."""
        return self.inaccurate or self.clipped_share > CLIPPED_MOST

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what is bad, its likely reasons, and the cure if one was looked for."""
        if not self.bad:
            return ()
        found = []
        if self.inaccurate:
            found.append(
                f"the integer network must answer as the {self.reference} does, but has "
                f"{_accuracy_text(self.relrms, self.agreement)} in {self.answers} answers"
            )
        if self.inaccurate and self.saturating and self.ends_share > _RARE:
            found.append(
                f"states saturate: {percent(self.ends_share)} of all are at the ends of their "
                f"{self.network.state_bits}-bit format{self._where()}"
            )
        counted = QuantizedInputs(np.empty(0, dtype=np.int64), self.clipped, self.entries)
        if clipped := clipped_text(self.network, counted):
            found.append(clipped)
        if self.cure is not None:
            found.append(str(self.cure))
        return tuple(found)

    def _where(self) -> str:
        worst = int(self.ends_by_unit.argmax())
        text = f", most in unit {worst} ({percent(float(self.ends_by_unit[worst]))})"
        return text + (f", first after step {self.first_end}" if self.first_end is not None else "")

    def to_metrics(self) -> dict[str, Any]:
        """Return the report as JSON-able values, for ``checkpoint.metrics["quality"]``."""
        net = self.network
        bits = net.weight_bits
        order = np.argsort(-self.ends_by_unit, kind="stable")[:_WORST]
        clipped = {str(i): int(c) for i, c in enumerate(self.clipped) if c}
        found: dict[str, Any] = {
            "reference": self.reference,
            "relrms": None if self.relrms is None else _digits(self.relrms),
            "agreement": _digits(self.agreement),
            "agreement_of": "argmax" if net.output_size > 1 else "threshold at 0",
            "answers": self.answers,
            "shapes": {
                "sequences": self.sequences,
                "measured": self.measured,
                "steps": list(self.steps),
                "inputs": net.input_size,
                "input": str(net.input_kind),
                "outputs": net.output_size,
                "output_mode": str(net.output_mode),
            },
            "bits": {
                "weights": {"recurrent": bits.recurrent, "input": bits.input, "output": bits.output},
                "state": net.state_bits,
                "input": net.input_format.bits,
                "input_signed": net.input_format.signed,
            },
            "scales": _scales(net),
            "states": {
                "saturating": self.saturating,
                "ends_share": _digits(self.ends_share),
                "ends_worst_units": {
                    str(int(u)): _digits(float(self.ends_by_unit[u])) for u in order if self.ends_by_unit[u]
                },
                "ends_by_time": [_digits(float(share)) for share in self.ends_by_time],
                "first_end": self.first_end,
                "constant_units": list(self.constant_units),
                "zero_units": list(self.zero_units),
            },
            "inputs": {"entries": self.entries, "clipped": clipped},
            "warnings": list(self.warnings),
        }
        if self.cure is not None:
            found["cure"] = {
                "options": {k: _plain(v) for k, v in self.cure.options.items()},
                "relrms": self.cure.relrms,
                "agreement": self.cure.agreement,
                "enough": self.cure.enough,
            }
        return found

    def table(self) -> str:
        """Return the report as a short text of several lines."""
        return quality_text(self.to_metrics())


def quality_of(
    network: IntegerNetwork,
    inputs: Any,
    reference: Any,
    *,
    lengths: Any = None,
    reference_name: str = "float network",
    observe: Observer | None = None,
    work: int = _WORK,
) -> Quality:
    """Measure an integer network on real inputs against the logits of the network that it was made from.

    Args:
        network: the integer network.
        inputs: real vectors (batch, steps, m) or indices (batch, steps); or a list of sequences of different
            lengths, (steps, m) or (steps,) each.
        reference: logits in real units, (batch, steps, p), or (batch, 1, p) where the network answers after
            the last step only; or a list of them by sequence, (steps or 1, p) each; or a function from inputs
            (batch, steps[, m]) to such logits.
        lengths: steps of each sequence of padded inputs, (batch,).
        reference_name: what the messages call the reference.
        observe: called for each batch with the numbers of its sequences, (count,), the integer network's
            logits in real units, (count, steps or 1, p), and the reference's.
        work: multiply-accumulates of the measurement; where all sequences would take more, some are left out
            evenly, and ``measured`` says how many were run.

    Raises:
        FormatError: no sequences, inputs of another network, or a reference of another shape or not finite.
    """
    sequences = sequences_of("inputs", inputs, lengths)
    m, n, p = network.input_size, network.hidden_size, network.output_size
    answer = _reference_answers(network, reference, len(sequences))
    chosen = _thinned(sequences, n * (n + m), work)
    lengths_found = [len(one) for one in sequences]
    tally = _Tally(network, max(lengths_found))
    shortest = min(lengths_found)
    width = m + n + (p if network.output_mode is OutputMode.EVERY_STEP else -(-p // shortest))
    for members, batch in equal_length_batches([sequences[i] for i in chosen], _NUMBERS, width):
        found = quantize_inputs(network, batch)
        wanted = answer(chosen[members], batch)
        logits = tally.add(found, wanted)
        if observe is not None:
            observe(chosen[members], logits, wanted)
    return tally.quality(
        reference=reference_name,
        sequences=len(sequences),
        measured=len(chosen),
        steps=(shortest, max(lengths_found)),
    )


def reference_of(checkpoint: Checkpoint) -> tuple[RealNetwork, str]:
    """Return the network that a checkpoint's integers are compared with, and its name.

    That is the float network that they were made from. If the checkpoint holds none, it is the network of
    the same quantized weights with real states, from which only the roundings of inputs and states differ.
    """
    trained = RealNetwork.trained(checkpoint)
    if trained is not None:
        return trained, "float network"
    return dequantized(checkpoint.network), "network of quantized weights and real states"


def real_reference(network: RealNetwork) -> Reference:
    """Return the function from real inputs to the logits of a float network."""

    def answers(inputs: NDArray[Any]) -> FloatArray:
        with np.errstate(over="ignore", invalid="ignore"):
            return run_real(network, inputs)[1]

    return answers


def _thinned(sequences: Sequence[NDArray[Any]], macs: int, work: int) -> IntArray:
    """Return the indices of the sequences to run: all, or as many as the work allows, evenly spread."""
    total = sum(len(one) for one in sequences)
    count = len(sequences)
    most = max(1, int(count * work / max(total * macs, 1)))
    if most >= count:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def _reference_answers(
    network: IntegerNetwork, reference: Any, count: int
) -> Callable[[IntArray, NDArray[Any]], FloatArray]:
    """Return the function from a batch and the numbers of its sequences to the reference's logits."""

    def checked(logits: Any, batch: NDArray[Any]) -> FloatArray:
        found = array_of("reference", logits).astype(np.float64)
        size, steps = batch.shape[:2]
        every = network.output_mode is OutputMode.EVERY_STEP
        wanted = (size, steps if every else 1, network.output_size)
        if not every and found.shape == (size, network.output_size):
            found = found[:, None]
        if not every and found.shape == (size, steps, network.output_size):
            found = found[:, -1:]
        if found.shape != wanted:
            raise FormatError(
                f"reference must have logits of shape {wanted} for inputs of shape {batch.shape}, "
                f"not {found.shape}"
            )
        bad = found[~np.isfinite(found)]
        if len(bad):
            raise FormatError(f"reference must be finite, not {bad[0]}; check the weights and the inputs")
        return found

    if callable(reference):
        return lambda members, batch: checked(reference(batch), batch)
    rows = list(reference) if isinstance(reference, (list, tuple)) else array_of("reference", reference)
    if len(rows) != count:
        raise FormatError(f"reference must have the logits of {count} sequences, not of {len(rows)}")
    return lambda members, batch: checked(np.stack([np.asarray(rows[int(i)]) for i in members]), batch)


class _Tally:
    """Sums over batches, from which the report is made."""

    def __init__(self, network: IntegerNetwork, longest: int) -> None:
        self.network = network
        self.model = IntegerModel(network)
        n = network.hidden_size
        form = network.state_format
        self.low, self.high = network.activation.function.state_ends(network)
        self.bins = min(_BINS, 1 << network.state_bits)
        self.parts = min(_TIME_BINS, longest)
        self.ends = np.zeros(n, dtype=np.int64)
        self.ends_by_part = np.zeros(self.parts, dtype=np.int64)
        self.states_by_part = np.zeros(self.parts, dtype=np.int64)
        self.first_end: int | None = None
        self.histogram = np.zeros(self.bins, dtype=np.int64)
        self.least = np.full(n, form.max, dtype=np.int64)
        self.most = np.full(n, form.min, dtype=np.int64)
        self.clipped = np.zeros(network.input_size if network.vector_input else 1, dtype=np.int64)
        self.entries = self.states = self.answers = self.agreed = 0
        self.squares = 0.0
        # Count, mean and sum of squared differences from it, of the reference.
        self.spread = (0, 0.0, 0.0)

    def add(self, inputs: QuantizedInputs, reference: FloatArray) -> FloatArray:
        """Run a batch of sequences of one length; return its logits in real units."""
        self.clipped += inputs.clipped
        self.entries += inputs.entries
        x = inputs.integers
        size, steps = x.shape[:2]
        every = self.network.output_mode is OutputMode.EVERY_STEP
        state = self.model.initial_state(size)
        logits = np.empty(reference.shape, dtype=np.int64)
        for t in range(steps):
            state = self.model.step(state, x[:, t]).state
            self._add_states(state, t, t * self.parts // steps)
            if every or t == steps - 1:
                logits[:, t if every else 0] = self.model.logits(state)
        self.states += size * steps
        self._add_spread(reference)
        real = logits * self.network.scales.output
        self._add_answers(real, reference)
        return real

    def _add_states(self, state: IntArray, step: int, part: int) -> None:
        ends = ((state <= self.low) | (state >= self.high)).sum(axis=0)
        total = int(ends.sum())
        self.ends += ends
        self.ends_by_part[part] += total
        self.states_by_part[part] += state.size
        if total and (self.first_end is None or step < self.first_end):
            self.first_end = step
        shift = self.network.state_bits - (self.bins.bit_length() - 1)
        places = (state - self.network.state_format.min) >> shift
        self.histogram += np.bincount(places.ravel(), minlength=self.bins)
        np.minimum(self.least, state.min(axis=0), out=self.least)
        np.maximum(self.most, state.max(axis=0), out=self.most)

    def _add_answers(self, logits: FloatArray, reference: FloatArray) -> None:
        self.squares += float(np.square(logits - reference).sum())
        same = classes_of(logits) == classes_of(reference)
        self.agreed += int(same.sum())
        self.answers += same.size

    def _add_spread(self, values: FloatArray) -> None:
        """Add values to the spread, by the sum of squares of two parts with means apart."""
        count, mean, squares = self.spread
        more, other = values.size, float(values.mean())
        total = count + more
        between = (other - mean) ** 2 * count * more / total
        squares += float(np.square(values - other).sum()) + between
        self.spread = total, mean + (other - mean) * more / total, squares

    def quality(self, **facts: Any) -> Quality:
        """Return the report of all that was added."""
        count, mean, squares = self.spread
        std = float(np.sqrt(squares / count))
        unit = std if std > _CONSTANT * abs(mean) else abs(mean)
        rms = float(np.sqrt(self.squares / count))
        constant = np.flatnonzero(self.least == self.most)
        return Quality(
            network=self.network,
            answers=self.answers,
            relrms=rms / unit if unit > 0 else None,
            agreement=self.agreed / self.answers,
            ends_by_unit=self.ends / self.states,
            ends_by_time=self.ends_by_part / np.maximum(self.states_by_part, 1),
            first_end=self.first_end,
            histogram=self.histogram,
            constant_units=tuple(int(u) for u in constant),
            zero_units=tuple(int(u) for u in constant if self.least[u] == 0),
            clipped=self.clipped,
            entries=self.entries,
            **facts,
        )


def quality_text(metrics: dict[str, Any]) -> str:
    """Return what :meth:`Quality.to_metrics` gave as a short text of several lines."""
    return "\n".join(f"{name:<10} {value}" for name, value in quality_lines(metrics))


def quality_lines(metrics: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of a short table of what :meth:`Quality.to_metrics` gave, name and text each."""
    bits, states, inputs = metrics["bits"], metrics["states"], metrics["inputs"]
    weights = bits["weights"]
    clipped = inputs["clipped"]
    relrms = metrics["relrms"]
    agreement = f"{percent(metrics['agreement'])} of {metrics['answers']} answers ({metrics['agreement_of']})"
    ends = "saturated" if states["saturating"] else "at full scale"
    worst = next(iter(states["ends_worst_units"].items()), None)
    at = "" if worst is None else f", most in unit {worst[0]} ({percent(worst[1])})"
    lost = ", ".join(f"channel {i}: {percent(c / max(inputs['entries'], 1))}" for i, c in clipped.items())
    return [
        ("understood", shapes_text(metrics["shapes"])),
        ("against", metrics["reference"]),
        ("relrms", "undefined, the reference is 0 everywhere" if relrms is None else f"{relrms:.3g}"),
        ("agreement", agreement),
        ("states", f"{bits['state']} bits, {percent(states['ends_share'])} {ends}{at}"),
        ("dead units", _dead(states)),
        (
            "inputs",
            f"{bits['input']} bits, {'signed' if bits['input_signed'] else 'unsigned'}, "
            + (f"clipped in {lost}" if clipped else "none clipped"),
        ),
        ("weights", f"W {weights['recurrent']}, U {weights['input']}, V {weights['output']} bits"),
        *(("warning", text) for text in metrics["warnings"]),
    ]


def shapes_text(shapes: dict[str, Any]) -> str:
    """Return what shape was understood as what: sequences, steps, inputs and answers."""
    low, high = shapes["steps"]
    steps = f"{low}" if low == high else f"{low} to {high}"
    inputs = (
        f"{shapes['inputs']} inputs" if shapes["input"] == "vector" else f"1 of {shapes['inputs']} symbols"
    )
    when = "every step" if shapes["output_mode"] == "every_step" else "the last step"
    text = (
        f"{shapes['sequences']} sequences of {steps} steps of {inputs}, "
        f"{shapes['outputs']} outputs after {when}"
    )
    return text + ("" if shapes["measured"] == shapes["sequences"] else f"; {shapes['measured']} measured")


def _dead(states: dict[str, Any]) -> str:
    constant, zero = states["constant_units"], states["zero_units"]
    if not constant:
        return "none"
    some = ", ".join(str(u) for u in constant[:_WORST]) + (", ..." if len(constant) > _WORST else "")
    return f"{len(constant)} never change ({len(zero)} always 0): {some}"


def _accuracy_text(relrms: float | None, agreement: float) -> str:
    return f"{percent(agreement)} agreement" + ("" if relrms is None else f", relrms {relrms:.2g}")


def percent(share: float) -> str:
    """Return a share as a percentage that does not round to 0 or 100 unless it is."""
    value = 100 * share
    for digits in (1, 2, 3, 4):
        text = f"{value:.{digits}f}"
        if share in (0.0, 1.0) or float(text) not in (0.0, 100.0):
            return f"{text} %"
    return f"{value:.6f} %"


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _scales(network: IntegerNetwork) -> dict[str, Any]:
    s = network.scales

    def number(value: Any) -> Any:
        return [float(v) for v in value] if isinstance(value, tuple) else float(value)

    # As in a checkpoint's header, where an offset of 0 is absent.
    offset = {"input_offset": number(s.input_offset)} if np.any(s.input_offset) else {}
    return {
        "input": number(s.input),
        **offset,
        "state": s.state,
        "accumulator": s.accumulator,
        "output": s.output,
    }
