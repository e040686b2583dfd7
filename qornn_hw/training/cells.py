"""The trained module: a recurrent network that sees its quantized weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qornn_hw.network import Activation
from qornn_hw.training.bjorck import orthogonalize
from qornn_hw.training.quantizer import quantize, round_state, snapped, step_of

__all__ = ["QORNN", "Quantized"]


@dataclass(frozen=True)
class Quantized:
    """Weights as the hardware has them, with the straight-through gradient, and their steps.

    recurrent (n, n), input (n, m), output (p, n); steps of the three; plain: W before quantization;
    state_step: the step to which states are rounded, None if they are not.
    """

    recurrent: Tensor
    input: Tensor
    output: Tensor
    steps: tuple[float, float, float]
    plain: Tensor
    state_step: float | None


class QORNN(nn.Module):
    """``h' = act(q(B(W)) h + q(U) x + b)``, ``y = q(V) h' + c``; B is Björck's orthogonalization.

    Args:
        inputs, hidden, outputs: m, n, p.
        activation: the activation.
        bits: bits of W and U.
        output_bits: bits of V.
        multiplier_bits: the step of W is kept at a value that the requantizer holds exactly.
        orthogonal: whether W goes through Björck's iteration, or is free.
        fixed_scales: for tanh and hardtanh with vector inputs: (bits of the state, scale of an input). The
            step of U then follows that of W, as the shared accumulator demands.

    States are real numbers until ``state_bits`` is set. Then they are rounded to that many bits, full scale 1
    for tanh and hardtanh, else with the step ``d_U input_scale / (d_W 2**state_shift)``, which follows the
    weights (see :mod:`qornn_hw.exporting`). With ``round_weights`` unset the weights stay real, too.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        activation: Activation,
        bits: int,
        output_bits: int,
        multiplier_bits: int = 12,
        orthogonal: bool = True,
        fixed_scales: tuple[int, float] | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.bits = bits
        self.output_bits = output_bits
        self.multiplier_bits = multiplier_bits
        self.orthogonal = orthogonal
        self.fixed_scales = fixed_scales
        self.recurrent_weight = nn.Parameter(nn.init.orthogonal_(torch.empty(hidden, hidden)))
        self.input_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(hidden, inputs)))
        self.output_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, hidden)))
        # A bias would only move the fixed point of a linear network.
        small = torch.zeros(hidden)
        if activation is Activation.MODRELU:
            small = torch.empty(hidden).uniform_(-0.01, 0.01)
        self.bias = nn.Parameter(small, requires_grad=activation is not Activation.IDENTITY)
        self.output_bias = nn.Parameter(torch.zeros(outputs))
        self.round_weights = True
        self.state_bits: int | None = None
        self.state_shift = 0
        self.input_scale = 1.0

    def quantized(self) -> Quantized:
        """Return the weights of this forward pass."""
        w = orthogonalize(self.recurrent_weight) if self.orthogonal else self.recurrent_weight
        d_w = snapped(step_of(w, self.bits), self.multiplier_bits)
        d_u, d_v = step_of(self.input_weight, self.bits), step_of(self.output_weight, self.output_bits)
        if self.fixed_scales is not None:
            state_bits, s_x = self.fixed_scales
            d_u = self._tied_step(d_w * 2.0 ** (1 - state_bits) / s_x)
        if not self.round_weights:
            return Quantized(w, self.input_weight, self.output_weight, (d_w, d_u, d_v), w, None)
        state_step = None
        if self.state_bits is not None:
            state_step = d_u * self.input_scale / d_w * 2.0**-self.state_shift
            if self.activation in (Activation.TANH, Activation.HARDTANH):
                state_step = 2.0 ** (1 - self.state_bits)
        return Quantized(
            quantize(w, self.bits, d_w),
            quantize(self.input_weight, self.bits, d_u),
            quantize(self.output_weight, self.output_bits, d_v),
            (d_w, d_u, d_v),
            w,
            state_step,
        )

    def _tied_step(self, unit: float) -> float:
        """Return the step ``unit * 2**e``, e from 0 to 31, that loses least of U."""
        u = self.input_weight.detach()
        steps = [unit * 2.0**e for e in range(32)]
        return min(steps, key=lambda d: float((quantize(u, self.bits, d) - u).square().sum()))

    def activate(self, z: Tensor, state_step: float | None = None) -> Tensor:
        """Return ``act(z + b)``, for modrelu ``sgn(z) max(|z| + b, 0)``, rounded if there is a step."""
        match self.activation:
            case Activation.IDENTITY:
                h = z
            case Activation.RELU:
                h = torch.relu(z + self.bias)
            case Activation.MODRELU:
                h = torch.sign(z) * torch.relu(z.abs() + self.bias)
            case Activation.HARDTANH:
                h = torch.clamp(z + self.bias, -1.0, 1.0)
            case Activation.TANH:
                h = torch.tanh(z + self.bias)
        if state_step is None or self.state_bits is None:
            return h
        return round_state(h, state_step, self.state_bits)

    def step(self, q: Quantized, state: Tensor, x: Tensor) -> Tensor:
        """Return the next state, (batch, n), for indices (batch,) or vectors (batch, m)."""
        drive = q.input.T[x] if x.ndim == 1 else x @ q.input.T
        return self.activate(state @ q.recurrent.T + drive, q.state_step)

    def logits(self, q: Quantized, state: Tensor) -> Tensor:
        """Return ``q(V) h + c``, (..., p)."""
        return state @ q.output.T + self.output_bias

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run sequences, (batch, steps) or (batch, steps, m); return states (batch, steps, n) and logits."""
        q = self.quantized()
        h = self.bias.new_zeros(x.shape[0], len(self.bias))
        states = []
        for t in range(x.shape[1]):
            h = self.step(q, h, x[:, t])
            states.append(h)
        stacked = torch.stack(states, dim=1)
        return stacked, self.logits(q, stacked)
