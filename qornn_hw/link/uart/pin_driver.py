"""A UART at the pins of a simulated design."""

from collections.abc import Callable

from qornn_hw.link.physical import SimulatedPins

__all__ = ["UartPinDriver"]


class UartPinDriver:
    """Sends bytes into ``rx`` and takes those that come from ``tx``.

    It wakes up once a bit, not once a clock cycle.

    Args:
        pins: the pins.
        bit_ps: picoseconds of a bit.
        receive: called with each byte from the board.

    Attributes:
        bad_bytes: bytes whose stop bit was low.
    """

    def __init__(self, pins: SimulatedPins, bit_ps: int, receive: Callable[[bytes], None]) -> None:
        self._pins = pins
        self._bit_ps = bit_ps
        self._receive = receive
        self.bad_bytes = 0

    async def send(self, data: bytes) -> None:
        """Send bytes, each with a start and a stop bit."""
        for byte in data:
            for bit in (0, *(byte >> i & 1 for i in range(8)), 1):
                self._pins.set("rx", bit)
                await self._pins.wait(self._bit_ps)

    async def run(self) -> None:
        """Take bytes from the line for ever."""
        while True:
            await self._pins.fall("tx")
            await self._pins.wait(self._bit_ps // 2)
            byte = 0
            for i in range(8):
                await self._pins.wait(self._bit_ps)
                byte |= self._pins.get("tx") << i
            await self._pins.wait(self._bit_ps)
            if self._pins.get("tx") != 1:
                self.bad_bytes += 1
            self._receive(bytes([byte]))
