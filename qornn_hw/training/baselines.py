"""The baseline networks in full precision: LSTM and FastRNN.

The size of a network is the memory for its parameters, ``kB = parameters * bits / 8 / 1024``.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from qornn_hw.errors import FormatError

__all__ = ["LSTM", "Baseline", "FastRNN", "kilobytes"]


def kilobytes(parameters: int, bits: int = 32) -> float:
    """Return the size of ``parameters`` numbers of ``bits`` bits, in kB of 1024 bytes.

    >>> kilobytes(256 * 256, 5)
    40.0
    """
    return parameters * bits / 8 / 1024


class Baseline(nn.Module):
    """A recurrent network with a linear readout, ``y_t = V h_t + c``.

    Args:
        inputs: length m of an input vector, or number of symbols.
        hidden: number n of hidden units.
        outputs: number p of outputs.

    Raises:
        FormatError: a size is below 1.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        for name, value in (("inputs", inputs), ("hidden", hidden), ("outputs", outputs)):
            if value < 1:
                raise FormatError(f"{name} must be at least 1, not {value!r}")
        self.inputs, self.hidden, self.outputs = inputs, hidden, outputs
        self.readout = nn.Linear(hidden, outputs)

    @staticmethod
    def count(inputs: int, hidden: int, outputs: int) -> int:
        """Return the number of parameters of a network of this kind."""
        raise NotImplementedError  # each kind of network has its own

    @property
    def parameter_count(self) -> int:
        """Number of parameters that inference has to store."""
        return self.count(self.inputs, self.hidden, self.outputs)

    def size_kb(self, bits: int = 32) -> float:
        """Return the network's size in kB of 1024 bytes at ``bits`` bits a parameter."""
        return kilobytes(self.parameter_count, bits)

    def _vectors(self, x: Tensor) -> Tensor:
        """Return the inputs as vectors (batch, steps, m) of the readout's dtype."""
        if x.ndim == 2 and not x.is_floating_point():
            return nn.functional.one_hot(x.long(), self.inputs).to(self.readout.weight.dtype)
        if x.ndim != 3 or x.shape[2] != self.inputs:
            raise FormatError(
                f"inputs must be indices (batch, steps) or vectors (batch, steps, {self.inputs}), "
                f"not {x.dtype} of shape {tuple(x.shape)}"
            )
        return x.to(self.readout.weight.dtype)

    def forward(self, x: Tensor, state: Any = None, last_only: bool = False) -> tuple[Tensor, Any]:
        """Run sequences.

        Args:
            x: indices (batch, steps), or real vectors (batch, steps, m).
            state: the final state of an earlier call; zero by default.
            last_only: answer after the last step only.

        Returns:
            Logits (batch, steps, p), or (batch, p), and the state after the last step.
        """
        states, state = self._run(self._vectors(x), state)
        return self.readout(states[:, -1] if last_only else states), state

    def _run(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the hidden vectors (batch, steps, n) and the last state."""
        raise NotImplementedError  # each kind of network has its own


class LSTM(Baseline):
    """LSTM with forget gates (Hochreiter and Schmidhuber 1997; Gers et al. 2000), by torch's kernels.

    Torch has two bias vectors; the second is fixed at zero and not counted. The bias of the forget gates is
    initialized to 1 (Jozefowicz et al. 2015).
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(inputs, hidden, outputs)
        self.cell = nn.LSTM(inputs, hidden, batch_first=True)
        bias = torch.zeros(4 * hidden)
        bias[hidden : 2 * hidden] = 1.0
        self.cell.bias_ih_l0 = nn.Parameter(bias)
        self.cell.bias_hh_l0 = nn.Parameter(torch.zeros(4 * hidden), requires_grad=False)

    @staticmethod
    def count(inputs: int, hidden: int, outputs: int) -> int:
        """Return ``4 n (m + n + 1) + p (n + 1)``."""
        return 4 * hidden * (inputs + hidden + 1) + outputs * (hidden + 1)

    def _run(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        states, last = self.cell(x, state)
        return states, last


class FastRNN(Baseline):
    """An RNN with a weighted residual connection of two scalars (Kusupati et al. 2018, equation 2).

        c_t = sigma(U x_t + W h_{t-1} + b)
        h_t = sigmoid(a) c_t + sigmoid(r) h_{t-1}

    The two scalars are initialized to ``sigmoid(-3) = 0.05`` and ``sigmoid(3) = 0.95``.

    Args:
        inputs: m.
        hidden: n.
        outputs: p.
        activation: sigma; tanh by default.
    """

    def __init__(
        self, inputs: int, hidden: int, outputs: int, activation: Callable[[Tensor], Tensor] = torch.tanh
    ) -> None:
        super().__init__(inputs, hidden, outputs)
        self.activation = activation
        self.recurrent_weight = nn.Parameter(nn.init.orthogonal_(torch.empty(hidden, hidden)))
        self.input_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(hidden, inputs)))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.alpha = nn.Parameter(torch.tensor(-3.0))
        self.beta = nn.Parameter(torch.tensor(3.0))

    @staticmethod
    def count(inputs: int, hidden: int, outputs: int) -> int:
        """Return ``n (m + n + 1) + 2 + p (n + 1)``."""
        return hidden * (inputs + hidden + 1) + 2 + outputs * (hidden + 1)

    def _run(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        drive = x @ self.input_weight.T + self.bias
        new, old = torch.sigmoid(self.alpha), torch.sigmoid(self.beta)
        h = drive.new_zeros(drive.shape[0], self.hidden) if state is None else state
        states = []
        for u in drive.unbind(1):
            h = new * self.activation(torch.addmm(u, h, self.recurrent_weight.T)) + old * h
            states.append(h)
        return torch.stack(states, 1), h
