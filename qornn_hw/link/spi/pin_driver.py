"""An SPI controller at the pins of a simulated design."""

from collections import deque
from collections.abc import Callable

from qornn_hw.link.physical import SimulatedPins
from qornn_hw.link.spi.stuffing import IDLE, Unstuffer, stuff

__all__ = ["SpiPinDriver"]

# Bytes of a transaction, and bit times for which CS is released between two and after it is asserted.
BURST_BYTES = 16
RELEASED_BITS = 2


class SpiPinDriver:
    """Clocks bytes in and out: those to send, or idle ones.

    It wakes up twice a bit, not once a clock cycle. CS is released every few bytes.

    Args:
        pins: the pins.
        bit_ps: picoseconds of a period of SCK.
        receive: called with the bytes from the board, without stuffing.

    Attributes:
        bad_bytes: always 0: an SPI controller cannot tell that a byte is damaged.
    """

    def __init__(self, pins: SimulatedPins, bit_ps: int, receive: Callable[[bytes], None]) -> None:
        self._pins = pins
        self._bit_ps = bit_ps
        self._receive = receive
        self._unstuffer = Unstuffer()
        self._queue: deque[int] = deque()
        self._sending = False
        self.bad_bytes = 0

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._queue.extend(stuff(data))
        while self._queue or self._sending:
            await self._pins.wait(self._bit_ps)

    async def run(self) -> None:
        """Clock bytes for ever."""
        while True:
            self._pins.set("cs", 0)
            await self._pins.wait(RELEASED_BITS * self._bit_ps)
            for _ in range(BURST_BYTES):
                self._sending = bool(self._queue)
                byte = await self._exchange(self._queue.popleft() if self._queue else IDLE)
                self._sending = False
                if data := self._unstuffer.feed(bytes([byte])):
                    self._receive(data)
            self._pins.set("cs", 1)
            await self._pins.wait(RELEASED_BITS * self._bit_ps)

    async def _exchange(self, byte: int) -> int:
        """Clock a byte in each direction."""
        received = 0
        low = self._bit_ps // 2
        for bit in range(7, -1, -1):
            self._pins.set("copi", byte >> bit & 1)
            await self._pins.wait(low)
            received = received << 1 | self._pins.get("cipo")
            self._pins.set("sck", 1)
            await self._pins.wait(self._bit_ps - low)
            self._pins.set("sck", 0)
        return received
