"""Comparison of one network at several bit widths (float, 4, 6, 8 bits) on the user's own inputs.

Each row is the result of one quantization of the same float weights. Its scales are calibrated on the inputs
on which it is measured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from qornn_hw.arguments import whole
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.errors import FormatError
from qornn_hw.evaluation.labelled_sequences import LabelledSequences, Score
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.importers.any_model import quantizer_of
from qornn_hw.quantization.float_model import RealNetwork
from qornn_hw.quantization.quality import Quality, percent, quality_of, real_reference, shapes_text

__all__ = ["BitComparison", "BitRow", "check_widths", "compare_bits"]

WEIGHT_BITS = (4, 6, 8)
STATE_BITS = (8, 12)
# No limit on the number of sequences.
_ALL = 1 << 80


@dataclass(frozen=True, eq=False)
class BitRow:
    """The results of one bit width.

    Attributes:
        name: "float", "4-bit weights, 8-bit states", or "as given".
        weight_bits: bits of W; None for the float network.
        state_bits: bits of the state; None for the float network.
        score: accuracy or mean squared error; None without targets.
        quality: quality report; None for the float network.
    """

    name: str
    weight_bits: int | None
    state_bits: int | None
    score: float | None
    quality: Quality | None

    @property
    def agreement(self) -> float:
        """Share of the answers that equal the float network's."""
        return 1.0 if self.quality is None else self.quality.agreement

    @property
    def relrms(self) -> float | None:
        """Relative RMS error of the logits; None if the float logits are constant."""
        return 0.0 if self.quality is None else self.quality.relrms

    @property
    def weight_kilobytes(self) -> float | None:
        """Memory of W, U and V in units of 1000 bytes; None for the float network."""
        return None if self.quality is None else _bits_of(self.quality.network) / 8000

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON-able values."""
        found: dict[str, Any] = {
            "name": self.name,
            "weight_bits": self.weight_bits,
            "state_bits": self.state_bits,
            "agreement": self.agreement,
            "relrms": self.relrms,
            "score": self.score,
            "weight_kilobytes": self.weight_kilobytes,
        }
        return found if self.quality is None else found | {"quality": self.quality.to_metrics()}


def _bits_of(network: IntegerNetwork) -> int:
    n, m, p, bits = network.hidden_size, network.input_size, network.output_size, network.weight_bits
    return n * n * bits.recurrent + n * m * bits.input + p * n * bits.output


@dataclass(frozen=True, eq=False)
class BitComparison:
    """A float network and its integer networks of several widths, measured on the same sequences.

    Attributes:
        rows: the float network, then the widths by weight bits and state bits, then the given integers.
        score_name: "accuracy" or "mse"; None without targets.
    """

    rows: tuple[BitRow, ...]
    score_name: str | None

    @property
    def shapes(self) -> str:
        """The shape of the data as it was understood: sequences, steps, inputs, outputs."""
        quality = self.rows[-1].quality
        assert quality is not None
        return shapes_text(quality.to_metrics()["shapes"])

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON-able values."""
        return {
            "understood": self.shapes,
            "score": self.score_name,
            "rows": [row.to_json() for row in self.rows],
        }

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the column heads, and the cells of each row, as text."""
        heads = ["network", "agreement", "relrms", "saturated", "clipped", "weights"]
        if self.score_name is not None:
            heads.insert(1, self.score_name)
        return heads, [self._cells(row) for row in self.rows]

    def _cells(self, row: BitRow) -> list[str]:
        score = []
        if self.score_name is not None:
            value = row.score
            assert value is not None
            score = [f"{100 * value:.2f} %" if self.score_name == "accuracy" else f"{value:.4g}"]
        if row.quality is None:
            return [row.name, *score, "-", "-", "-", "-", "-"]
        q = row.quality
        relrms = "undefined" if q.relrms is None else f"{q.relrms:.3g}"
        saturated = percent(q.ends_share) if q.saturating else "-"
        clipped = percent(float(q.clipped.sum() / max(q.entries * len(q.clipped), 1)))
        size = f"{row.weight_kilobytes:.3g} kB"
        return [row.name, *score, f"{100 * q.agreement:.2f} %", relrms, saturated, clipped, size]

    def table(self) -> str:
        """Return the comparison as a text table, one row a line."""
        heads, rows = self.cells()
        widths = [max(len(line[i]) for line in [heads, *rows]) for i in range(len(heads))]
        lines = [
            "  ".join(
                [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
            )
            for line in [heads, *rows]
        ]
        return "\n".join([f"understood: {self.shapes}", *lines])


def check_widths(weight_bits: Sequence[int], state_bits: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return widths of weights, 1 to 8, and of states, 4 to 16, at least one of each.

    Raises:
        FormatError: a width is none, or there is none.
    """
    widths = [whole("weight_bits", k, 1, 8) for k in weight_bits]
    states = [whole("state_bits", a, 4, 16) for a in state_bits]
    if not widths or not states:
        raise FormatError("weight_bits and state_bits must each name at least one width, not none")
    return widths, states


def compare_bits(
    model: Any,
    inputs: Any,
    *,
    targets: Any = None,
    lengths: Any = None,
    weight_bits: Sequence[int] = WEIGHT_BITS,
    state_bits: Sequence[int] = STATE_BITS,
    **options: Any,
) -> BitComparison:
    """Measure one network as float and with several widths of weights and states.

    Args:
        model: a :class:`qornn_hw.Checkpoint` with the weights of a float network; W, U and V as a tuple of
            three arrays; a tuple of a ``torch.nn.RNN`` and its ``torch.nn.Linear`` readout; or a module of
            both, as for :func:`qornn_hw.quantize`.
        inputs: real vectors (batch, steps, m) or indices (batch, steps), or a list of sequences of different
            lengths. The scales of each width are calibrated on them.
        targets: classes or values, as in :mod:`qornn_hw.evaluation.labelled_sequences`.
        lengths: number of steps of each sequence of padded inputs, (batch,).
        weight_bits: the widths of W, U and V to try, 1 to 8.
        state_bits: the widths of the state to try, 4 to 16.
        options: options of :func:`qornn_hw.quantize`; activation is required if ``model`` is arrays.

    Raises:
        FormatError: there is no float network or no sequence, or a width is out of range.
    """
    data = LabelledSequences.of(inputs, targets, lengths)
    widths, states = check_widths(weight_bits, state_bits)
    quantizer, every = quantizer_of(model), {**options, "quality": False}
    make = partial(quantizer, calibration_inputs=_calibration(data), **every)
    rows: list[BitRow] = []
    float_row: BitRow | None = None
    made = [
        (f"{k}-bit weights, {a}-bit states", make(weight_bits=k, state_bits=a))
        for k in sorted(set(widths))
        for a in sorted(set(states))
    ]
    if isinstance(model, Checkpoint):
        made.append(("as given", model))
    real = RealNetwork.trained(made[0][1])
    if real is None:
        raise FormatError(
            "model must hold the weights of a float network; a quantization-aware training leaves none"
        )
    reference = real_reference(real)
    for name, checkpoint in made:
        row, base = _measured(name, checkpoint.network, data, reference, float_row is None)
        float_row = float_row or base
        rows.append(row)
    assert float_row is not None
    score = None if data.targets is None else Score(made[0][1].network, data.targets).name
    return BitComparison((float_row, *rows), score)


def _measured(
    name: str,
    network: IntegerNetwork,
    data: LabelledSequences,
    reference: Callable[[Any], Any],
    with_float: bool,
) -> tuple[BitRow, BitRow | None]:
    """Return a row and, if ``with_float``, that of the float network."""
    scores = None if data.targets is None else [Score(network, data.targets) for _ in range(2)]

    def observe(members: Any, logits: Any, wanted: Any) -> None:
        if scores is not None:
            scores[0].add(members, logits)
            scores[1].add(members, wanted)

    quality = quality_of(network, data.sequences, reference, observe=observe, work=_ALL)
    values = [None, None] if scores is None else [score.value for score in scores]
    row = BitRow(name, network.weight_bits.recurrent, network.state_bits, values[0], quality)
    return row, BitRow("float", None, None, values[1], None) if with_float else None


def _calibration(data: LabelledSequences) -> Any:
    """Return the sequences in the form for calibration: one array if all have the same length."""
    if len({len(one) for one in data.sequences}) == 1:
        return np.stack(data.sequences)
    return data.sequences
