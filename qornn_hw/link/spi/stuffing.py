"""Byte stuffing: what a byte on the wires means, in both directions.

A controller clocks bytes in both directions at once, whether the board or the host has something to say or
not. Who has nothing to say sends :data:`IDLE`, within a frame as well: the board where an answer's next word
is not computed yet, a controller whose bytes come late. So that no byte of a frame is taken for it, a byte
IDLE or ESCAPE of a frame is sent as ESCAPE and the byte with bit 5 inverted, as in HDLC (RFC 1662).
"""

__all__ = ["ESCAPE", "FLIP", "IDLE", "Unstuffer", "stuff"]

IDLE = 0x7E
ESCAPE = 0x7D
FLIP = 0x20


def stuff(data: bytes) -> bytes:
    """Return the bytes on the wires for the bytes of frames.

    >>> stuff(bytes([0x01, 0x7E, 0x7D])).hex()
    '017d5e7d5d'
    """
    return b"".join(bytes([ESCAPE, b ^ FLIP]) if b in (IDLE, ESCAPE) else bytes([b]) for b in data)


class Unstuffer:
    """The inverse of :func:`stuff`, for pieces of any size, with IDLE anywhere between."""

    def __init__(self) -> None:
        self._escaped = False

    def feed(self, wire: bytes) -> bytes:
        """Return the bytes of frames among the bytes on the wires."""
        if not self._escaped and ESCAPE not in wire:
            return wire.replace(bytes([IDLE]), b"")
        data = bytearray()
        for byte in wire:
            if byte == IDLE:
                continue
            if byte == ESCAPE:
                self._escaped = True
            else:
                data.append(byte ^ FLIP if self._escaped else byte)
                self._escaped = False
        return bytes(data)
