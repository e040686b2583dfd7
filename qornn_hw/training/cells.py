"""The trained module: an Elman network whose forward pass uses the quantized weights."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qornn_hw.cells.elman_network import Activation
from qornn_hw.ir.formats import Rounding
from qornn_hw.quantization.grids import multipliers
from qornn_hw.training.bjorck import Bjorck
from qornn_hw.training.config import Method
from qornn_hw.training.hadamard import HadamardSigns
from qornn_hw.training.quantizer import norm_gain, quantize, round_state, snapped, step_of
from qornn_hw.training.recurrence import Grid, Workspace, recur
from qornn_hw.training.rounding import orthogonal_levels

__all__ = ["QORNN", "Quantized", "ratio"]


@dataclass(frozen=True)
class Quantized:
    """The quantized weights of one forward pass, with straight-through gradients, and their steps.

    Attributes:
        recurrent: q(W), (n, n).
        input: q(U), (n, m).
        output: q(V), (p, n).
        steps: the quantization steps of the three; those of W and U are (n, 1) if each row has its own.
        plain: W before quantization.
        grid: grid of the states; None if states are not rounded.
    """

    recurrent: Tensor
    input: Tensor
    output: Tensor
    steps: tuple[float | Tensor, float | Tensor, float]
    plain: Tensor
    grid: Grid | None

    def cpu(self) -> "Quantized":
        """Return a copy in the memory of the CPU."""
        unit, d_u, d_v = (step.cpu() if isinstance(step, Tensor) else step for step in self.steps)
        return replace(
            self,
            recurrent=self.recurrent.cpu(),
            input=self.input.cpu(),
            output=self.output.cpu(),
            steps=(unit, d_u, float(d_v)),
            plain=self.plain.cpu(),
        )


def ratio(input_step: float | Tensor, recurrent_step: float | Tensor) -> float:
    """Return ``d_U / d_W`` as a number, also if both are one step a row (their ratio is the same in each)."""
    found = input_step / recurrent_step
    return float(found.double().mean()) if isinstance(found, Tensor) else found


class QORNN(nn.Module):
    """``h' = act(q(O(W)) h + q(U) x + b)``, ``y = q(V) h' + c``; the training method determines O.

    Args:
        inputs, hidden, outputs: m, n, p.
        activation: the activation.
        bits: bits of W and U; with the method hadamard of U only.
        output_bits: bits of V.
        method: with bjorck and ptq, O is Björck's iteration; with hadamard the signs of
            :class:`HadamardSigns`; else O is the identity, and the optimizer keeps W orthogonal.
        block: units of a Hadamard block, 0 for the largest.
        norm_preserving: scale the step of W so that ``||q(W)||_F = ||W||_F``. This needs no hardware, and
            limits the growth of the state.
        per_row: one step for each row of W, and steps of U in the same ratio. The hardware needs a memory of
            multipliers.
        multiplier_bits: bits of the requantizer's multiplier; the step of W is rounded to a value that the
            requantizer represents exactly.
        fixed_scales: for bounded activations with vector inputs: (bits of the state, scale of an input). The
            step of U is then tied to that of W, because both share the accumulator.
        learned_start: learn the initial state; otherwise it is zero.
        rounding: the tie rule for rounded states.

    States are real numbers until ``state_bits`` is set. Then they are rounded to that many bits, with full
    scale 1 for bounded activations, else with the step ``d_U input_scale / (d_W 2**state_shift)``, which
    follows the weights (see :mod:`qornn_hw.quantization.quantize`). With ``round_weights`` unset the weights
    stay real, too. All of these are part of ``state_dict``.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        activation: Activation,
        bits: int,
        output_bits: int,
        *,
        method: Method = Method.BJORCK,
        block: int = 0,
        norm_preserving: bool = False,
        per_row: bool = False,
        multiplier_bits: int = 12,
        fixed_scales: tuple[int, float] | None = None,
        learned_start: bool = False,
        rounding: Rounding = Rounding.HALF_UP,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.bits = bits
        self.output_bits = output_bits
        self.norm_preserving = norm_preserving
        self.per_row = per_row
        self.rounding = rounding
        self.multiplier_bits = multiplier_bits
        self.fixed_scales = fixed_scales
        self.bjorck = Bjorck(hidden) if method in (Method.BJORCK, Method.PTQ) else None
        self.signs = HadamardSigns(hidden, block) if method is Method.HADAMARD else None
        self.recurrent_bits = bits if self.signs is None else self.signs.bits
        self.recurrent_weight = nn.Parameter(nn.init.orthogonal_(torch.empty(hidden, hidden)))
        self.input_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(hidden, inputs)))
        self.output_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, hidden)))
        # A linear network has no bias: it would only move the fixed point.
        small = torch.zeros(hidden)
        if reach := activation.function.bias_reach:
            small = torch.empty(hidden).uniform_(-reach, reach)
        self.bias = nn.Parameter(small, requires_grad=not activation.function.linear)
        self.output_bias = nn.Parameter(torch.zeros(outputs))
        self.initial_state = nn.Parameter(torch.zeros(hidden), requires_grad=learned_start)
        self.round_weights = True
        self.state_bits: int | None = None
        self.state_shift = 0
        self.input_scale = 1.0
        # Step of the state grid; its rounding error is added as noise where there is no loop to round in.
        self.noise_step = 0.0
        # The fixed step of W, or (n, 1) steps by row; None if the step follows the weights.
        self.held_step: Tensor | float | None = None
        # Use bfloat16 matrix products in training; evaluation never uses them.
        self.bfloat16_products = False
        self._workspace = Workspace()

    def get_extra_state(self) -> dict[str, Any]:
        """Return the part of ``state_dict`` that is not a parameter or buffer (called by torch)."""
        return {
            "round_weights": self.round_weights,
            "state_bits": self.state_bits,
            "state_shift": self.state_shift,
            "input_scale": self.input_scale,
            "noise_step": self.noise_step,
            "held_step": self.held_step,
        }

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore what :meth:`get_extra_state` returned (called by torch)."""
        for name, value in state.items():
            # ``load_state_dict`` does not move these values to the module's device.
            setattr(self, name, value.to(self.bias.device) if isinstance(value, Tensor) else value)

    def quantized(self) -> Quantized:
        """Return the quantized weights of this forward pass."""
        w = self.recurrent_weight
        if self.bjorck is not None:
            # While W is frozen, the estimate of its norm must be frozen, too: its last digits decide how
            # entries half way between two levels are rounded.
            self.bjorck.train(self.training and w.requires_grad)
            w = self.bjorck(w)
        u, v = self.input_weight, self.output_weight
        if self.signs is not None:
            w = self.signs(w)
        d_w = self._recurrent_step(w)
        gain = norm_gain(w, self.bits, d_w) if self.norm_preserving and self.signs is None else 1.0
        unit, d_u = self._units(gain * d_w)
        d_v = step_of(v, self.output_bits)
        if not self.round_weights:
            return Quantized(w, u, v, (unit, d_u, d_v), w, None)
        grid = None
        if self.state_bits is not None:
            step = ratio(d_u, unit) * self.input_scale * 2.0**-self.state_shift
            if self.activation.function.bounded:
                step = 2.0 ** (1 - self.state_bits)
            grid = Grid(step, self.state_bits, self.rounding)
        return Quantized(
            quantize(w, self.recurrent_bits, d_w, unit / d_w),
            quantize(u, self.bits, d_u),
            quantize(v, self.output_bits, d_v),
            (unit, d_u, d_v),
            w,
            grid,
        )

    def _recurrent_step(self, weight: Tensor) -> float | Tensor:
        """Return the step with which W is rounded."""
        if self.signs is not None:
            return self.signs.step
        return step_of(weight, self.bits, per_row=self.per_row) if self.held_step is None else self.held_step

    def _units(self, ideal: float | Tensor) -> tuple[float | Tensor, float | Tensor]:
        """Return the step of W, which the requantizer represents exactly, and the step of U."""
        u = self.input_weight.detach()
        if isinstance(ideal, Tensor):
            found, shift = multipliers(ideal.double().cpu().numpy(), self.multiplier_bits)
            unit = torch.from_numpy(found * 2.0**-shift).to(ideal)
            return unit, unit * step_of(u / unit, self.bits)
        single = snapped(ideal, self.multiplier_bits)
        if self.fixed_scales is None:
            return single, step_of(u, self.bits)
        state_bits, s_x = self.fixed_scales
        return single, self._tied_step(single * 2.0 ** (1 - state_bits) / s_x)

    def _tied_step(self, unit: float) -> float:
        """Return the step ``unit * 2**e`` of U, e from 0 to 31, with the smallest quantization error."""
        u = self.input_weight.detach()
        steps = [unit * 2.0**e for e in range(32)]
        return min(steps, key=lambda d: float((quantize(u, self.bits, d) - u).square().sum()))

    def round_orthogonally(self) -> None:
        """Replace W by nearly orthogonal integers times its step, and hold the step from now on.

        Each entry is then in the middle of its quantization interval, so the integers change only after
        training has moved W by half a step. See :mod:`qornn_hw.training.rounding`.
        """
        with torch.no_grad():
            w = self.quantized().plain
            step = step_of(w, self.bits, per_row=self.per_row)
            steps = step.double().cpu().numpy() if isinstance(step, Tensor) else step
            levels = orthogonal_levels(w.double().cpu().numpy(), self.bits, steps)
            if self.per_row:
                lengths = np.maximum(np.linalg.norm(levels, axis=1, keepdims=True), 1.0)
                self.held_step = torch.from_numpy(1.0 / lengths).to(w)
            else:
                self.held_step = math.sqrt(len(levels)) / max(float(np.linalg.norm(levels)), 1.0)
            self.recurrent_weight.copy_(torch.from_numpy(levels).to(w) * self.held_step)

    def states(self, q: Quantized, x: Tensor, state: Tensor | None = None, last_only: bool = False) -> Tensor:
        """Return the states after all steps, (T, batch, n), or after the last, (batch, n).

        Args:
            q: the quantized weights.
            x: indices (batch, T), or vectors (batch, T, m).
            state: the state before the first step, (batch, n); by default the network's initial state.
            last_only: return the last state only.
        """
        if state is None:
            start: Tensor = self.initial_state
            if q.grid is not None:
                # The initial state is rounded to the nearest point of the grid, as in the export.
                state = round_state(start, q.grid.step, q.grid.bits).expand(len(x), -1)
            else:
                state = start.expand(len(x), -1)
        return recur(
            self.activation,
            q.recurrent,
            q.input,
            self.bias,
            x,
            state,
            unit=q.steps[0] if self.round_weights else 1.0,
            grid=q.grid,
            last_only=last_only,
            bfloat16=self.bfloat16_products and self.training,
            workspace=self._workspace,
        )

    def logits(self, q: Quantized, state: Tensor) -> Tensor:
        """Return ``q(V) h + c``, (..., p)."""
        return state @ q.output.T + self.output_bias

    def forward(
        self, x: Tensor, state: Tensor | None = None, last_only: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Run sequences of indices (batch, T) or vectors (batch, T, m).

        Returns:
            The logits, (batch, T, p), or with ``last_only`` (batch, p), and the last state, (batch, n).
        """
        q = self.quantized()
        h = self.states(q, x, state, last_only)
        if last_only:
            return self.logits(q, h), h
        # A copy, because the next pass overwrites the workspace.
        return self.logits(q, h).transpose(0, 1), h[-1].clone()
