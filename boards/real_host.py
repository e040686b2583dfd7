"""A network on a board, called with real numbers: the host's calls with the network's scales around them."""

from collections.abc import Callable
from typing import Any

from numpy.typing import ArrayLike

from qornn_hw.boards.host import Host, Progress
from qornn_hw.data.inference import Answers, InputConverter
from qornn_hw.data.sequences import sequences_of

__all__ = ["RealHost"]


class RealHost:
    """Real numbers in, answers with real logits out.

        with Host(checkpoint.network, open_port("/dev/ttyUSB1", 3_000_000)) as host:
            real = RealHost(host)
            answer = real.step([0.3, -1.2]).logits
            print(real.inputs.text)       # None, or a sentence on the inputs that were clipped

    Args:
        host: a connected host.

    Attributes:
        inputs: what converts the inputs; it counts the entries that were clipped.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self.inputs = InputConverter(host.network)

    def run(
        self,
        sequences: Any,
        lengths: Any = None,
        *,
        progress: Progress | None = None,
        receive: Callable[[int, Answers], None] | None = None,
        continue_state: bool = False,
    ) -> list[Answers]:
        """Send sequences of real vectors or indices and return the answers to each.

        Args:
            sequences: in a form of :mod:`qornn_hw.data.sequences`; of whatever dtype.
            lengths: steps of each sequence where they are padded.
            progress: as for :meth:`qornn_hw.boards.host.Host.run`.
            receive: called with the index of a sequence and its answers as soon as they are all there.
            continue_state: as for :meth:`qornn_hw.boards.host.Host.run`.

        Raises:
            FormatError: a sequence is none of this network.
            LinkError: the board does not answer any more.
        """
        network = self._host.network
        integers = [self.inputs.from_real(one) for one in sequences_of("sequences", sequences, lengths)]
        words = self._host.run(
            integers,
            progress=progress,
            receive=None if receive is None else lambda i, words: receive(i, Answers.of(network, words)),
            continue_state=continue_state,
        )
        return [Answers.of(network, one) for one in words]

    def step(self, x: ArrayLike, *, first: bool = False, last: bool = False) -> Answers | None:
        """Send the next step of the stream, (m,) or an index; as :meth:`qornn_hw.boards.host.Host.step`."""
        words = self._host.step(self.inputs.from_real(x), first=first, last=last)
        return None if words is None else Answers.of(self._host.network, words)

    def reset_state(self) -> None:
        """Begin the stream anew."""
        self._host.reset_state()
