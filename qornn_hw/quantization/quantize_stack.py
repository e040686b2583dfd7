"""Quantizing a stack of cells for a user: checked arguments, the input's format, the measured quality."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from qornn_hw.arguments import choice_of
from qornn_hw.data.sequences import equal_length_batches, require_finite, sequences_of
from qornn_hw.errors import FormatError, QualityWarning
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.ir.formats import IntFormat, bits_for_range
from qornn_hw.ir.kinds import OutputKind, OutputMode
from qornn_hw.quantization.cell_lowering import CellBits
from qornn_hw.quantization.input_grid import InputGrid
from qornn_hw.quantization.recorded_quality import callers_level
from qornn_hw.quantization.stack import RealStack, quantize_stack
from qornn_hw.quantization.stack_quality import stack_quality

__all__ = ["quantized_stack"]

_NUMBERS = 1 << 21
# Options of a stack by name, and the field of CellBits that each sets.
_WIDTHS = {
    "gate_bits": "gates",
    "index_bits": "index",
    "value_bits": "values",
    "multiplier_bits": "multiplier",
}
_INPUT = ("input_bits", "input_signed", "input_scale", "input_offset")
_OTHERS = ("output_mode", "output_kind", "quality", "task", "metrics", "provenance")


def quantized_stack(
    stack: RealStack,
    calibration_inputs: Any,
    *,
    weight_bits: Any = 4,
    state_bits: int = 8,
    mode: OutputMode = OutputMode.EVERY_STEP,
    notes: tuple[str, ...] = (),
    **options: Any,
) -> NetworkCheckpoint:
    """Return the integer network of a stack, with its quality on the calibration inputs.

    Args:
        stack: float parameters.
        calibration_inputs: real vectors (count, steps, m) or indices (count, steps), or a list of sequences.
        weight_bits: of all matrices, 1 to 8, or three numbers: of U, W and V.
        state_bits: 2 to 16.
        mode: after which steps the trained network answers; the option ``output_mode`` goes first.
        notes: of the import, which are warned of.
        options: ``gate_bits``, ``index_bits``, ``value_bits``, ``multiplier_bits``
            (:class:`~qornn_hw.quantization.cell_lowering.CellBits`), ``input_bits`` (8 where not given),
            ``input_signed``, ``input_scale``, ``input_offset``, ``output_mode``, ``output_kind``,
            ``quality``, ``task``, ``metrics``, ``provenance``.

    Raises:
        FormatError: an option that stacks do not have, or a parameter that does not fit its width.

    Warns:
        QualityWarning: the integer network answers otherwise than the float network, or clips its inputs.
    """
    known = (*_WIDTHS, *_INPUT, *_OTHERS)
    if unknown := sorted(options.keys() - set(known)):
        raise FormatError(
            f"option {unknown[0]} must be one of those for gated and stacked layers, {', '.join(known)}"
        )
    hidden, output = _weight_bits(weight_bits)
    bits = CellBits(
        weights=hidden,
        states=state_bits,
        **{field: options[name] for name, field in _WIDTHS.items() if options.get(name) is not None},
    )
    sequences = sequences_of("calibration_inputs", calibration_inputs)
    require_finite("calibration_inputs", sequences)
    _check_shape(stack, sequences)
    grid = None if stack.one_hot else _grid(stack, sequences, options)
    batches = [batch for _, batch in equal_length_batches(sequences, _NUMBERS, stack.cells[0].units)]
    network, layers = quantize_stack(
        stack,
        batches,
        grid,
        bits=bits,
        output_bits=output,
        mode=choice_of("output_mode", options.get("output_mode") or mode, OutputMode),
        kind=choice_of("output_kind", options.get("output_kind") or OutputKind.BOTH, OutputKind),
    )
    metrics = dict(options.get("metrics") or {})
    said = list(notes)
    if options.get("quality", True):
        coarse = {name: count for layer in layers for name, count in layer.coarse.items()}
        found = stack_quality(network, stack, sequences, coarse)
        metrics["quality"] = found.to_metrics()
        said += found.warnings
    if said:
        warnings.warn("; ".join(said), QualityWarning, stacklevel=callers_level())
    return NetworkCheckpoint(network, options.get("task") or {}, metrics, options.get("provenance") or {})


def _weight_bits(given: Any) -> tuple[int, int]:
    """Return the bits of the layers' matrices, and of V."""
    if isinstance(given, int):
        return given, given
    found = tuple(given) if isinstance(given, (tuple, list)) else (given.recurrent, given.input, given.output)
    if len(found) != 3 or found[0] != found[1]:
        raise FormatError(
            f"weight_bits must be a number, or three with the first two equal, not {given!r:.80}"
        )
    return found[0], found[2]


def _check_shape(stack: RealStack, sequences: list[Any]) -> None:
    m, first = stack.cells[0].inputs, sequences[0]
    if stack.one_hot:
        if first.ndim != 1:
            raise FormatError(
                f"calibration_inputs must be indices (count, steps), not of shape {first.shape}"
            )
        worst = max(int(one.max()) for one in sequences)
        if worst >= m or min(int(one.min()) for one in sequences) < 0:
            raise FormatError(f"calibration_inputs must be indices from 0 to {m - 1}, not {worst}")
    elif first.ndim != 2 or first.shape[1] != m:
        raise FormatError(
            f"calibration_inputs must be vectors (count, steps, {m}), not sequences of shape {first.shape}"
        )


def _grid(stack: RealStack, sequences: list[Any], options: Mapping[str, Any]) -> InputGrid:
    bits = options.get("input_bits")
    if bits is not None and (type(bits) is not int or not 1 <= bits <= 16):
        raise FormatError(f"input_bits must be an integer from 1 to 16, not {bits!r:.80}")
    every = np.concatenate([one.astype(np.float64) for one in sequences])
    m = stack.cells[0].inputs
    scale, offset, signed = (options.get(name) for name in ("input_scale", "input_offset", "input_signed"))
    if scale is None:
        if offset is not None or signed is not None:
            raise FormatError("input_scale must be given with input_offset or input_signed")
        return InputGrid.of_range(every, bits or 8)
    steps = np.broadcast_to(np.asarray(scale, dtype=np.float64), (m,))
    if not np.all(np.isfinite(steps) & (steps > 0)):
        raise FormatError("input_scale must be positive and finite")
    middles = np.broadcast_to(np.asarray(0.0 if offset is None else offset, dtype=np.float64), (m,))
    units = np.rint((every - middles) / steps)
    low, high = int(units.min()), int(units.max())
    sign = bool(low < 0) if signed is None else bool(signed)
    # An unsigned format needs no bit for the sign, and saturates what is below 0.
    needed = bits_for_range(low, high) if sign else max(bits_for_range(0, high) - 1, 1)
    if bits is None and needed > 16:
        raise FormatError(
            f"input_scale must be coarser: the inputs need {needed} bits, and at most 16 can be"
        )
    return InputGrid(IntFormat(bits or needed, signed=sign), steps, middles)
