"""The quality of a stack in integers, against its float network, with the keys of docs/quality.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.data.real_inputs import quantize_inputs
from qornn_hw.data.sequences import equal_length_batches
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.network import Network
from qornn_hw.quantization.quality import AGREEMENT_LEAST, CLIPPED_MOST, RELRMS_MOST, percent
from qornn_hw.quantization.stack import RealStack

__all__ = ["StackQuality", "stack_quality"]

FloatArray = NDArray[np.float64]

# Numbers that a batch holds at once.
_NUMBERS = 1 << 21
_WORST = 8


@dataclass(frozen=True, eq=False)
class StackQuality:
    """Measurements on a user's inputs.

    Attributes:
        network: the integer network.
        sequences: how many were run.
        steps: of the shortest and of the longest sequence.
        answers: how many were compared.
        relrms: rms(integer logits * scale - float logits) / rms of the float logits around their mean.
        agreement: share of answers with the same argmax; with one output on the same side of 0.
        ends: by the state's name, the share of each unit's values at the ends of its format.
        constant: by the state's name, units whose value never changed.
        clipped: entries of each channel outside the input's format.
        entries: entries of each channel.
        coarse: by the operation's name, factors of less than 8 units.
    """

    network: Network
    sequences: int
    steps: tuple[int, int]
    answers: int
    relrms: float
    agreement: float
    ends: dict[str, FloatArray]
    constant: dict[str, list[int]]
    clipped: NDArray[np.int64]
    entries: int
    coarse: dict[str, int]

    @property
    def warnings(self) -> list[str]:
        """Sentences on what is bad."""
        found = []
        decides = self.network.readout.answer.kind.has_argmax
        if self.relrms > RELRMS_MOST or (decides and self.agreement < AGREEMENT_LEAST):
            found.append(
                "the integer network must answer as the float network does, but has "
                f"{percent(self.agreement)} agreement, relrms {self.relrms:.2g} in {self.answers} answers"
            )
            found += [
                f"{name} has {count} factors of less than 3 bits: its terms have scales that are too unlike"
                for name, count in self.coarse.items()
            ]
        if (share := float(self.clipped.max()) / max(self.entries, 1)) > CLIPPED_MOST:
            found.append(f"{percent(share)} of the entries of an input channel are clipped")
        return found

    def to_metrics(self) -> dict[str, Any]:
        """Return the report as JSON-able values, for ``checkpoint.metrics["quality"]``."""
        net = self.network
        worst = sorted(
            ((f"{name}[{u}]", float(s)) for name, ends in self.ends.items() for u, s in enumerate(ends) if s),
            key=lambda pair: -pair[1],
        )
        constant = [f"{name}[{u}]" for name, units in self.constant.items() for u in units]
        rows = [
            term for layer in net.layers for group in layer.groups for row in group.rows for term in row.terms
        ]
        return {
            "reference": "float network",
            "relrms": float(f"{self.relrms:.6g}"),
            "agreement": float(f"{self.agreement:.6g}"),
            "agreement_of": "argmax" if net.output_size > 1 else "threshold at 0",
            "answers": self.answers,
            "shapes": {
                "sequences": self.sequences,
                "measured": self.sequences,
                "steps": list(self.steps),
                "inputs": net.input.size,
                "input": str(net.input.kind),
                "outputs": net.output_size,
                "output_mode": str(net.readout.mode),
            },
            "bits": {
                "weights": {
                    # A minGRU has no recurrent matrix.
                    "recurrent": max((t.bits for t in rows if t.value in net.states), default=0),
                    "input": max((t.bits for t in rows if t.value == net.input.name), default=0),
                    "output": net.readout.logits.terms[0].bits,
                },
                "state": max(state.format.bits for state in net.states.values()),
                "input": net.input.format.bits,
                "input_signed": net.input.format.signed,
            },
            "states": {
                "saturating": True,
                "ends_share": float(np.mean([ends.mean() for ends in self.ends.values()])),
                "ends_worst_units": dict(worst[:_WORST]),
                "constant_units": constant,
                "zero_units": [],
            },
            "inputs": {
                "entries": self.entries,
                "clipped": {str(i): int(c) for i, c in enumerate(self.clipped) if c},
            },
            "coarse_factors": dict(self.coarse),
            "warnings": self.warnings,
        }


def stack_quality(
    network: Network, stack: RealStack, sequences: Sequence[NDArray[Any]], coarse: dict[str, int]
) -> StackQuality:
    """Measure an integer network against its float network on real inputs.

    Args:
        network: the integers.
        stack: the float network.
        sequences: real vectors (steps, m) or indices (steps,).
        coarse: as :attr:`StackQuality.coarse`.
    """
    interpreter, tally = Interpreter(network), _Tally(network)
    width = sum(state.size for state in network.states.values()) + network.input.size
    for _, batch in equal_length_batches(sequences, _NUMBERS, width):
        tally.add(interpreter, stack, batch)
    lengths = [len(one) for one in sequences]
    return tally.quality(len(sequences), (min(lengths), max(lengths)), coarse)


class _Tally:
    """Sums over batches."""

    def __init__(self, network: Network) -> None:
        self.network = network
        p = network.output_size
        self.error, self.square, self.total = np.zeros(p), np.zeros(p), np.zeros(p)
        self.answers = self.equal = self.entries = self.steps = 0
        self.clipped: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self.ends = {name: np.zeros(state.size) for name, state in network.states.items()}
        self.low: dict[str, NDArray[np.int64]] = {}
        self.high: dict[str, NDArray[np.int64]] = {}

    def add(self, interpreter: Interpreter, stack: RealStack, batch: NDArray[Any]) -> None:
        found = quantize_inputs(self.network, batch)
        run = interpreter.run(found.integers)
        wanted = stack.run(batch)
        if not self.network.every_step:
            wanted = wanted[:, -1:]
        logits = run.logits * self.network.scales[self.network.readout.logits.name]
        self.error += np.square(logits - wanted).sum(axis=(0, 1))
        self.square += np.square(wanted).sum(axis=(0, 1))
        self.total += wanted.sum(axis=(0, 1))
        same = (
            logits.argmax(-1) == wanted.argmax(-1) if wanted.shape[-1] > 1 else (logits > 0) == (wanted > 0)
        )
        self.equal, self.answers = (
            self.equal + int(same.sum()),
            self.answers + wanted.shape[0] * wanted.shape[1],
        )
        self.clipped = self.clipped + found.clipped
        self.entries += found.entries
        for name, values in run.states.items():
            self._add_state(name, values.reshape(-1, values.shape[-1]))
        self.steps += batch.shape[0] * batch.shape[1]

    def _add_state(self, name: str, values: NDArray[np.int64]) -> None:
        form = self.network.states[name].format
        at_end = values == form.max
        if form.signed:
            at_end |= values == form.min
        self.ends[name] += at_end.sum(axis=0)
        low, high = values.min(axis=0), values.max(axis=0)
        self.low[name] = np.minimum(self.low.get(name, low), low)
        self.high[name] = np.maximum(self.high.get(name, high), high)

    def quality(self, sequences: int, steps: tuple[int, int], coarse: dict[str, int]) -> StackQuality:
        spread = float((self.square - np.square(self.total) / self.answers).sum())
        spread = spread if spread > 0 else float(self.square.sum())
        return StackQuality(
            network=self.network,
            sequences=sequences,
            steps=steps,
            answers=self.answers,
            relrms=float(np.sqrt(self.error.sum() / spread)) if spread else 0.0,
            agreement=self.equal / self.answers,
            ends={name: ends / self.steps for name, ends in self.ends.items()},
            constant={name: np.flatnonzero(self.low[name] == self.high[name]).tolist() for name in self.low},
            clipped=self.clipped,
            entries=self.entries,
            coarse=coarse,
        )
