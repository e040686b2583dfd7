"""Calling a loaded network: the answers of the hardware for a user's inputs."""

from typing import Any

from qornn_hw.cells.any_network import AnyNetwork
from qornn_hw.data.inference import infer

__all__ = ["CallableNetwork"]


class CallableNetwork:
    """A network that can be called with real numbers; the base class of both kinds of checkpoint.

    Attributes:
        network: the network, as parameters of an Elman cell or as operations.
    """

    network: AnyNetwork

    def __call__(self, inputs: Any, lengths: Any = None) -> Any:
        """Return the logits that the hardware computes for real inputs, as real numbers.

        Args:
            inputs: real vectors (count, steps, m) or indices (count, steps) of any dtype, or a list of
                sequences of different lengths (:mod:`qornn_hw.data.sequences`).
            lengths: number of steps of each sequence, (count,), if the array is padded.

        Returns:
            (count, steps, p), or (count, 1, p) if the network answers the last step only. For a list, or
            with lengths, a list of arrays (steps, p) or (1, p).

        Warns:
            ClippedInputsWarning: inputs lay outside the input format.

        Raises:
            FormatError: the inputs have another shape, or an entry is not finite.
        """
        return infer(self.network, inputs, lengths)

    def integers(self, inputs: Any, lengths: Any = None) -> Any:
        """Return the logits of :meth:`__call__` as the integers that the hardware computes."""
        return infer(self.network, inputs, lengths, real=False)
