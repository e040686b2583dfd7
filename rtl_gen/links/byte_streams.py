"""The byte streams between a physical link and the frame layer."""

from amaranth.lib import data, stream, wiring

__all__ = ["BYTE_CYCLES_MIN", "ReceivedByte", "from_host", "to_host"]

# Cycles between two received bytes that the frame layer needs: its CRC takes one bit in each cycle.
BYTE_CYCLES_MIN = 12

ReceivedByte = data.StructLayout({"data": 8, "error": 1})
"""A byte from the host. ``error``: the physical link detected damage; ``data`` means nothing."""


def from_host() -> wiring.Signature:
    """Return the stream of received bytes; the frame layer is always ready.

    Two transfers are at least :data:`BYTE_CYCLES_MIN` cycles apart.
    """
    return stream.Signature(ReceivedByte, always_ready=True)


def to_host() -> wiring.Signature:
    """Return the stream of bytes to send; the physical link exerts back-pressure by ``ready``."""
    return stream.Signature(8)
