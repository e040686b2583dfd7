"""From a choice of scales to the integer network that it gives.

With the steps d_W,i of the rows of W, the scales s_x,j of the channels and one number tau, the worth of U's
integers is

    d_U,ij = d_W,i tau / s_x,j          tau = s_h 2**e,   e >= 0 the input shift

so that W g and U x share the accumulator, whose unit is ``s_acc,i = d_W,i s_h``. Identity, relu and modrelu
leave s_h free: tau is chosen for U, e for the range of the state. Bounded ones fix ``s_h = 2**(1-a)``: e
is chosen for U. A one-hot input of these multiplies nothing, so its columns of U may hold any integer.
Offsets of the inputs go into the bias: ``U x + b = U (x - o) + (b + U o)``.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import IntegerNetwork, Scales, WeightBits
from qornn_hw.errors import FormatError
from qornn_hw.ir.formats import IntFormat, bits_for_range
from qornn_hw.quantization.arguments import ExportArguments
from qornn_hw.quantization.calibration import Sample
from qornn_hw.quantization.grids import (
    input_shift_of_least_loss,
    integers_of,
    quantize_weights,
    weight_limit,
)
from qornn_hw.quantization.input_grid import InputGrid
from qornn_hw.quantization.input_grids import InputForm, InputGrids, index_grid, plain_or_tuple
from qornn_hw.quantization.recurrent_grids import (
    RecurrentGrid,
    RowProblem,
    held_steps,
    one_step_rules,
    signed_weights,
    steps_by_row,
)

__all__ = ["Candidates", "Choice"]

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]

# W is held no finer than this many bits below U: what it loses there is nothing beside U's own rounding.
_FINER_THAN_DRIVE = 16
_FINER_THAN_COLUMNS = 25
# The same for a W, or a V, of zeros; one bit has no zero, and should add nothing.
_ZEROS_FINER, _ONE_BIT_ZEROS_FINER = 4, 20


@dataclass(frozen=True)
class Choice:
    """A choice of options that an export may make.

    Attributes:
        bits: of an entry of a vector.
        form: of the scales of the channels.
        offset: whether each channel has an offset.
        recurrent: the rule for the step of W, a name of :meth:`Candidates.recurrent_rules`.
        by_row: whether W has a step for each row.
        drive: how much coarser U's step is than one that clips nothing: in quarters of a power of two, or
            with bounded activations in powers of two.
        spare: how many times the state's range is halved, from the one that holds every calibrated state.
        output: the rule for the step of V.
    """

    bits: int = 8
    form: InputForm = InputForm.ONE
    offset: bool = False
    recurrent: str = "full"
    by_row: bool = False
    drive: int = 0
    spare: int = 0
    output: str = "full"


@dataclass(frozen=True)
class _Units:
    """The units that belong together: tau, s_h, e. ``free``: U's columns have the accumulator's precision."""

    tau: float
    state: float
    shift: int
    free: bool = False


class Candidates:
    """Makes the network of each choice.

    Args:
        arguments: of the export.
        inputs: the grids that a vector input may have; None for one-hot.
        sample: whose mean squares weigh the errors of rows.
        largest: the largest state, which the range is to hold.
    """

    def __init__(
        self, arguments: ExportArguments, inputs: InputGrids | None, sample: Sample, largest: float
    ) -> None:
        self.arguments = arguments
        self.inputs = inputs
        self._sample = sample
        self._largest = largest
        self._full = 2.0 ** (arguments.state_bits - 1)
        # The state's step, roughly, where it is free.
        self._state = largest / self._full if arguments.homogeneous else 1 / self._full
        self._grids: dict[tuple[int, InputForm, bool], InputGrid] = {}

    def widen(self, factor: float) -> None:
        """Multiply the largest state that the range is to hold."""
        self._largest *= factor
        if self.arguments.homogeneous:
            self._state *= factor

    @cached_property
    def _index_step(self) -> float | None:
        """The real worth of a unit of the requantizer's result; None where that is the state."""
        a = self.arguments
        return a.activation.function.index_step(a.state_bits, a.index_bits)

    @cached_property
    def _parts(self) -> dict[str, Any]:
        """The fields that hold the activation's function behind the requantizer."""
        a = self.arguments
        if self._index_step is None:
            return {}
        return a.activation.function.parts(a.index_bits, self._index_step, a.state_bits)

    @cached_property
    def _unit(self) -> float:
        """The step of W that ``M / 2**s = 1`` stands for."""
        return 1.0 if self._index_step is None else self._index_step * self._full

    @cached_property
    def recurrent_rules(self) -> dict[str, float]:
        """Steps for all of W that are tried, by name."""
        a = self.arguments
        rules = one_step_rules(a.network.recurrent_weight, a.weight_bits.recurrent)
        if "full" in rules and (not a.homogeneous or a.multiplier_bits < 8):
            # U's step is bound to W's by a power of two, or W's to few factors: a coarser one may suit both.
            rules |= {f"wide_{i}": rules["full"] * 2.0 ** (i / 4) for i in (1, 2, 3)}
        return rules

    @cached_property
    def output_rules(self) -> dict[str, float]:
        """Steps of V that are tried, by name."""
        a = self.arguments
        rules = one_step_rules(a.network.output_weight, a.weight_bits.output)
        if all(rules.values()):
            return rules
        bias = float(np.abs(a.network.output_bias).max()) or 1.0
        return {"zeros": bias / (self._state * self._full) * 2.0**-_ONE_BIT_ZEROS_FINER}

    def grid(self, choice: Choice) -> InputGrid:
        """Return the grid of the input."""
        a = self.arguments
        if self.inputs is None:
            return index_grid(IntegerNetwork.index_format(a.inputs), a.inputs)
        key = choice.bits, choice.form, choice.offset
        if key not in self._grids:
            self._grids[key] = self.inputs.grid(choice.bits, choice.form, choice.offset, self._columns)
        return self._grids[key]

    @cached_property
    def _columns(self) -> FloatArray:
        """The size of each column of U, (m,)."""
        weight = np.abs(self.arguments.network.input_weight)
        size: FloatArray = (
            weight.mean(axis=0) if self.arguments.weight_bits.input == 1 else weight.max(axis=0)
        )
        return size

    def forms(self) -> list[tuple[InputForm, bool]]:
        """Return the forms of the scales of the channels that are tried, each without and with offsets."""
        if self.inputs is None:
            return [(InputForm.ONE, False)]
        offsets = (False, True) if self.inputs.offsets_help() else (False,)
        return [(form, offset) for form in self.inputs.forms(self._columns) for offset in offsets]

    def _one_step(self, rule: str, drive: FloatArray) -> float:
        """Return the step for all of W, no finer than is of use beside U."""
        a = self.arguments
        step = self.recurrent_rules[rule]
        columns = a.one_hot and not a.homogeneous
        most = float(np.abs(drive).max()) / (1 if columns else weight_limit(a.weight_bits.input))
        if step == 0.0:
            finer = _ONE_BIT_ZEROS_FINER if a.weight_bits.recurrent == 1 else _ZEROS_FINER
            most = most or float(np.abs(a.network.bias).max()) * 2.0**-8 or 1.0
        else:
            finer = _FINER_THAN_COLUMNS if columns else _FINER_THAN_DRIVE
        # No coarser than a factor of 1, for the sake of inputs that saturate the state anyway.
        return max(step, min(most / self._state * 2.0**-finer, self._unit))

    def _units(self, choice: Choice, drive: FloatArray, step: FloatArray) -> _Units:
        """Return the units for U in units of its inputs' integers, (n, m), and the step of W."""
        a = self.arguments
        size, limit = np.abs(drive) / step, weight_limit(a.weight_bits.input)
        tau = float(size.mean() if a.weight_bits.input == 1 else size.max() / limit)
        tau = tau or self._state
        if not a.homogeneous:
            state = 1 / self._full
            if a.one_hot:
                return _Units(state, state, 0, free=True)
            exact = math.log2(tau / state)
            e = round(exact) if a.weight_bits.input == 1 else math.ceil(exact)
            e = min(max(e + choice.drive, 0), 31)
            return _Units(state * 2.0**e, state, e)
        return self._free_units(choice, tau * 2.0 ** (choice.drive / 4))

    def _shift(self, choice: Choice, tau: float) -> int:
        """Return the e of ``s_h = tau 2**-e`` whose range holds the largest state, less what is spared."""
        e = choice.spare - math.ceil(math.log2(self._largest / (self._full * tau)))
        if e > 31:
            raise FormatError(
                f"the input shift must be at most 31, not {e}: lower the input's or the state's bits"
            )
        return e

    def _free_units(self, choice: Choice, tau: float) -> _Units:
        """Return the units where the state's step is free."""
        e = self._shift(choice, tau)
        if e >= 0:
            return _Units(tau, tau * 2.0**-e, e)
        # The input is finer than the state can take up: U gets a coarser step, that of the state.
        state = max(tau, self._largest / self._full * 2.0 ** (-choice.spare / 2))
        return _Units(state, state, 0, free=self.arguments.one_hot)

    def _recurrent(self, choice: Choice, drive: FloatArray) -> tuple[RecurrentGrid, _Units]:
        """Return W in integers with the units that go with it."""
        a = self.arguments
        w, bits = a.network.recurrent_weight, a.weight_bits
        rule = (
            choice.recurrent if choice.recurrent in self.recurrent_rules else next(iter(self.recurrent_rules))
        )
        target = np.full((1, 1), self._one_step(rule, drive))
        step, factors, shift = held_steps(target, self._unit, a.multiplier_bits)
        units = self._units(choice, drive, step)
        if choice.by_row:
            grid, sample = self.grid(choice), self._sample
            moments = sample.inputs_squared - 2 * grid.offset * sample.inputs_mean + grid.offset**2
            problem = RowProblem(
                recurrent=w,
                drive=drive / units.tau,
                recurrent_bits=bits.recurrent,
                drive_bits=0 if units.free else bits.input,
                states_squared=sample.states_squared,
                inputs_squared=moments / grid.scale**2 * units.tau**2,
                multiplier_bits=a.multiplier_bits,
                unit=self._unit,
                one_step=float(step.max()),
            )
            step, factors, shift = held_steps(steps_by_row(problem), self._unit, a.multiplier_bits)
        return RecurrentGrid(step, factors, shift, signed_weights(w, bits.recurrent, step)), units

    def _given(self, choice: Choice, drive: FloatArray) -> tuple[RecurrentGrid, _Units, IntArray | None]:
        """Return the same for weights whose steps are given, and U in integers where its step is kept."""
        a, steps = self.arguments, self.arguments.steps
        assert steps is not None
        w_int = quantize_weights(a.network.recurrent_weight, a.weight_bits.recurrent, steps.recurrent)
        step, factors, shift = held_steps(steps.recurrent, self._unit, a.multiplier_bits)
        recurrent = RecurrentGrid(step, factors, shift, w_int)
        state = 1 / self._full
        if not a.homogeneous:
            if a.one_hot:
                return recurrent, _Units(state, state, 0, free=True), None
            e = input_shift_of_least_loss(drive, a.weight_bits.input, step * state)
            return recurrent, _Units(state * 2.0**e, state, e), None
        by_row = step.size > 1
        # One unit of the state is tau times a power of two.
        if by_row and steps.ratio is not None:
            tau = steps.ratio
        else:
            tau = float(steps.input.mean()) / float(step.mean())
        tau *= float(self.grid(choice).scale[0])
        e = self._shift(choice, tau)
        if e < 0 or steps.ratio is None:
            state = tau * 2.0**-e
            return recurrent, _Units(state, state, 0, free=a.one_hot), None
        kept = quantize_weights(a.network.input_weight, a.weight_bits.input, steps.input)
        return recurrent, _Units(tau, tau * 2.0**-e, e), kept

    def _integers(self, choice: Choice) -> tuple[RecurrentGrid, _Units, IntArray, int]:
        """Return W in integers with its units, and U in integers with its bits."""
        a = self.arguments
        drive, bits = a.network.input_weight * self.grid(choice).scale, a.weight_bits.input
        kept: IntArray | None = None
        if a.steps is None:
            recurrent, units = self._recurrent(choice, drive)
        else:
            recurrent, units, kept = self._given(choice, drive)
        if kept is not None:
            return recurrent, units, kept, bits
        if units.free:
            columns = integers_of(drive / (recurrent.step * units.state))
            bits = max(2, bits_for_range(int(columns.min()), int(columns.max())))
            return recurrent, units, columns, bits
        return recurrent, units, self._rounded(drive, bits, recurrent.step * units.tau), bits

    def _rounded(self, weight: FloatArray, bits: int, step: FloatArray | float) -> IntArray:
        """Return the integers of U or V; as training rounds them where steps are given."""
        rule = signed_weights if self.arguments.steps is None else quantize_weights
        return rule(weight, bits, step)

    def _bias(self, choice: Choice) -> FloatArray:
        """Return the bias in real numbers, with U times the offsets of the inputs."""
        real = self.arguments.network
        if real.activation.shape.unit_bias:
            return real.bias
        return real.bias + real.input_weight @ self.grid(choice).offset

    def network(self, choice: Choice) -> IntegerNetwork:
        """Return the network of a choice.

        Raises:
            FormatError: its integers do not fit.
        """
        a, grid, real = self.arguments, self.grid(choice), self.arguments.network
        recurrent, units, u_int, u_bits = self._integers(choice)
        s_acc = recurrent.step * units.state
        d_v = self._output_step(choice)
        s_y, state = d_v * units.state, IntFormat(a.state_bits, signed=True)
        first = np.clip(np.floor(real.initial_state / units.state + 0.5), state.min, state.max)
        return IntegerNetwork(
            activation=real.activation,
            recurrent_weight=recurrent.integers,
            input_weight=u_int,
            output_weight=self._rounded(real.output_weight, a.weight_bits.output, d_v),
            bias=integers_of(self._bias(choice) / s_acc[:, 0]),
            output_bias=integers_of(real.output_bias / s_y),
            weight_bits=WeightBits(a.weight_bits.recurrent, u_bits, a.weight_bits.output),
            state_bits=a.state_bits,
            input_kind=a.kind,
            input_format=grid.format,
            input_shift=units.shift,
            multiplier=np.broadcast_to(recurrent.factors[:, 0], (len(real.bias),)),
            shift=recurrent.shift,
            rounding=a.rounding,
            initial_state=first.astype(np.int64),
            output_mode=real.output_mode,
            output_kind=a.output_kind,
            scales=Scales(
                input=plain_or_tuple(grid.scale),
                state=units.state,
                accumulator=float(s_acc.max()),
                output=s_y,
                input_offset=plain_or_tuple(grid.offset),
            ),
            **self._parts,
        )

    def _output_step(self, choice: Choice) -> float:
        if self.arguments.steps is not None:
            return self.arguments.steps.output
        rules = self.output_rules
        return rules.get(choice.output) or next(iter(rules.values()))
