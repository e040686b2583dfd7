"""The choice of scales by the error of the whole integer network against the float network.

The error is that of the integer logits times their scale against the float logits, on the sample of the
calibration inputs: :func:`qornn_hw.quantization.calibration.balanced_error`. One thing is varied at a time,
and what is best is kept; the number of candidates is bounded by the number of things, not by their product:

1. one scale for all channels: bits of the input, range of the state, steps of W, U and V;
2. scales by channel and offsets, kept where they take a fifth of the error away;
3. where `per_row` is set, a step for each row of W, kept where the error is less.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.errors import FormatError
from qornn_hw.quantization.calibration import Sample, balanced_error, relative_error
from qornn_hw.quantization.candidates import Candidates, Choice
from qornn_hw.quantization.float_model import dequantized, dequantized_inputs, run_real
from qornn_hw.quantization.input_grids import InputForm

__all__ = ["Found", "GridSearch"]

FloatArray = NDArray[np.floating[Any]]

# Scales by channel and offsets must bring the error below this part of that of one scale.
_SIMPLER = 0.8
# States that saturate, or a range that none needs, must bring it below this part of that of the range that
# holds the states: less is chance.
_ANOTHER_RANGE = 0.95
# The search does not begin with a network that says nothing while there is one that says something.
_USABLE = 1.0
# Rounded weights may let the states grow without bound; the range follows them up to here.
_GROWN_LEAST, _GROWN_MOST = 1.001, 4.0
# Fewer bits of the input must bring the error below this part.
_FEWER_BITS = 0.95
# Another round of the search follows where one has brought the error below this part.
_AGAIN = 0.98
_ROUNDS = 3


@dataclass(frozen=True)
class Found:
    """A choice with its network and its errors on the sample.

    Attributes:
        choice: what was chosen.
        network: what it gives.
        error: the balanced error, by which choices are compared.
        relrms: the relative error.
    """

    choice: Choice
    network: IntegerNetwork
    error: float
    relrms: float

    def beats(self, other: "Found", part: float = 1.0) -> bool:
        """Return whether both errors are less, the balanced one below ``part`` of the other's."""
        return self.error < part * other.error and self.relrms <= other.relrms


@dataclass
class GridSearch:
    """Looks for the choice with the least error.

    Attributes:
        candidates: makes the network of a choice.
        sample: what it is judged by.
        tried: how many networks were made.
        bits_errors: the least relative error of each form of the input's scales, at each number of bits.
    """

    candidates: Candidates
    sample: Sample
    tried: int = 0
    bits_errors: dict[tuple[InputForm, bool, int], float] = field(default_factory=dict)
    _known: dict[Choice, Found | None] = field(default_factory=dict)
    _refusal: FormatError | None = None
    _inputs: dict[tuple[int, InputForm, bool], list[NDArray[np.int64]]] = field(default_factory=dict)

    def judge(self, choice: Choice) -> Found | None:
        """Return a choice with its error, None where it gives no network."""
        if choice not in self._known:
            self.tried += 1
            try:
                self._known[choice] = self._judged(choice)
            except FormatError as error:
                self._refusal = self._refusal or error
                self._known[choice] = None
        return self._known[choice]

    def _judged(self, choice: Choice) -> Found:
        network = self.candidates.network(choice)
        model = IntegerModel(network)
        found = [model.answers(x) * network.scales.output for x in self._integers(choice)]
        wanted = self.sample.logits
        error, relrms = balanced_error(found, wanted), relative_error(found, wanted)
        if network.vector_input:
            key = choice.form, choice.offset, choice.bits
            self.bits_errors[key] = min(relrms, self.bits_errors.get(key, np.inf))
        return Found(choice, network, error, relrms)

    def _integers(self, choice: Choice) -> list[NDArray[np.int64]]:
        key = choice.bits, choice.form, choice.offset
        if self.candidates.inputs is None:
            return self.sample.batches
        if key not in self._inputs:
            grid = self.candidates.grid(choice)
            self._inputs[key] = [grid.integers(x) for x in self.sample.batches]
        return self._inputs[key]

    @property
    def _free_range(self) -> bool:
        """Whether the range of the state is to be chosen."""
        a = self.candidates.arguments
        return a.homogeneous and a.state_range is None

    def start(self) -> Found:
        """Return the first choice that gives a network with less than :data:`_USABLE` error, or the best.

        Raises:
            FormatError: none gives a network; the reason of the first.
        """
        inputs = self.candidates.inputs
        best: Found | None = None
        for bits in (8,) if inputs is None else inputs.bits:
            for spare in (0, 1, -1, 2, 3) if self._free_range else (0,):
                found = self.judge(Choice(bits=bits, spare=spare))
                if found is not None and found.error < _USABLE:
                    return found
                if found is not None and (best is None or found.error < best.error):
                    best = found
        if best is None:
            assert self._refusal is not None
            raise self._refusal
        return best

    def _better(self, best: Found, choices: Iterator[Choice]) -> Found:
        for choice in choices:
            found = self.judge(choice)
            if found is not None and found.error < best.error:
                best = found
        return best

    def _climb(self, best: Found, name: str, low: int, high: int, part: float = 1.0) -> Found:
        """Return the best along a whole number of a choice, while a step brings the error below ``part``."""
        for way in (1, -1):
            while low <= getattr(best.choice, name) + way <= high:
                choice = replace(best.choice, **{name: getattr(best.choice, name) + way})
                found = self.judge(choice)
                if found is None or not found.error < part * best.error:
                    break
                best = found
        return best

    def _descend(self, best: Found, forms: bool) -> Found:
        """Return the best that single changes lead to."""
        candidates = self.candidates
        given = candidates.arguments.steps is not None
        inputs = candidates.inputs
        for _ in range(_ROUNDS):
            before = best.error
            best = self._state(best)
            if inputs is not None:
                best = self._input_bits(best)
                if forms:
                    best = self._forms(best)
            if not given:
                if not best.choice.by_row:
                    best = self._recurrent(best)
                best = self._drive(best)
                c = best.choice
                best = self._better(best, (replace(c, output=r) for r in candidates.output_rules))
            if not best.error < _AGAIN * before:
                break
        return best

    def _state(self, best: Found) -> Found:
        """Return the best range of the state."""
        if not self._free_range:
            return best
        return self._climb(best, "spare", -2, 4, _ANOTHER_RANGE)

    def _input_bits(self, best: Found) -> Found:
        """Return the best number of bits of the input, each with the state's range that suits it."""
        inputs, c = self.candidates.inputs, best.choice
        assert inputs is not None
        for bits in inputs.bits:
            found = self.judge(replace(c, bits=bits))
            if found is not None:
                found = self._state(found)
                part = _FEWER_BITS if bits < best.choice.bits else 1.0
                best = found if found.error < part * best.error else best
        return best

    def _recurrent(self, best: Found) -> Found:
        """Return the best step for all of W, each with the state's range or U's step, bound to it."""
        c = best.choice
        for rule in self.candidates.recurrent_rules:
            found = self.judge(replace(c, recurrent=rule))
            if found is not None:
                found = self._state(found) if self._free_range else self._drive(found)
                best = found if found.error < best.error else best
        return best

    def _drive(self, best: Found) -> Found:
        """Return the best step of U: all near to the present one are tried, then on while it gets better."""
        a = self.candidates.arguments
        if a.steps is not None or (a.one_hot and not a.homogeneous):
            return best
        low, high = (-8, 8) if a.homogeneous else (-2, 4)
        c = best.choice
        near = range(-4, 4) if a.homogeneous else range(-1, 2)
        best = self._better(best, (replace(c, drive=d) for d in near))
        return self._state(self._climb(best, "drive", low, 16 if c.by_row else high))

    def _forms(self, best: Found) -> Found:
        """Return the best form of scales and offsets, each with the state's range that suits it."""
        inputs = self.candidates.inputs
        assert inputs is not None
        c = best.choice
        for form, offset in self.candidates.forms():
            for bits in dict.fromkeys((c.bits, inputs.bits[0])):
                found = self.judge(replace(c, form=form, offset=offset, bits=bits))
                if found is None:
                    continue
                found = self._state(found)
                if found.error < best.error:
                    best = found
        return best

    def run(self) -> tuple[Found, Found | None]:
        """Return what is chosen, and with `per_row` the best of the other kind: rows or one step.

        Raises:
            FormatError: no choice gives a network.
        """
        best = self._hold(self._descend(self.start(), forms=False))
        if len(self.candidates.forms()) > 1:
            other = self._descend(self._forms(best), forms=True)
            if other.beats(best, _SIMPLER):
                best = other
        if not self.candidates.arguments.per_row:
            return best, None
        rows = self._rows(best)
        if rows is not None and rows.beats(best):
            return rows, best
        return best, rows

    def _hold(self, best: Found) -> Found:
        """Return the best where the range holds the states of rounded weights on rounded inputs, too."""
        if not self._free_range:
            return best
        real = dequantized(best.network)
        with np.errstate(over="ignore", invalid="ignore"):
            farthest = max(
                float(np.abs(run_real(real, dequantized_inputs(best.network, x))[0]).max())
                for x in self._integers(best.choice)
            )
        grown = min(farthest / self.sample.largest, _GROWN_MOST)
        if not grown > _GROWN_LEAST:
            return best
        before = dict(self._known)
        self.candidates.widen(grown)
        self._known.clear()
        again = self.judge(best.choice)
        wider = None if again is None else self._descend(again, forms=False)
        if wider is not None and wider.error * _ANOTHER_RANGE < best.error:
            return wider
        self.candidates.widen(1 / grown)
        self._known = before
        return best

    def _rows(self, best: Found) -> Found | None:
        """Return the best with a step for each row of W, in the chosen form of the inputs' scales."""
        start = None
        for drive in (0, 4, 8, 2, 1) if self.candidates.arguments.homogeneous else (0, 1, 2, 3):
            found = self.judge(replace(best.choice, by_row=True, drive=best.choice.drive + drive))
            if found is not None and (start is None or found.error < start.error):
                start = found
        return None if start is None else self._descend(start, forms=False)
