"""What is sent to a link, as the bytes of its stream, cycle by cycle."""

from collections.abc import Sequence

# A byte and whether it was received badly, or None in a cycle without one.
Event = tuple[int, int] | None


def link_events(script: Sequence[bytes | int | None], byte_cycles: int) -> list[Event]:
    """Return the events of bytes, pauses (int: cycles) and bad bytes (None); a byte takes ``byte_cycles``."""
    events: list[Event] = []
    for item in script:
        if isinstance(item, int):
            events += [None] * item
            continue
        for byte in [(0x55, 1)] if item is None else [(byte, 0) for byte in item]:
            events += [byte, *[None] * (byte_cycles - 1)]
    return events
