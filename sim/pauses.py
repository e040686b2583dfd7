"""When a stream waits: patterns for idle cycles of the input and back-pressure of the output."""

import random
from collections.abc import Callable

__all__ = ["PATTERNS", "pauses"]

PATTERNS = ("none", "periodic", "random")


def pauses(pattern: str, seed: int) -> Callable[[], bool]:
    """Return a function that says, cycle by cycle, whether to pause.

    ``none`` never, ``periodic`` three cycles of four, ``random`` every other cycle at random, with now and
    then a pause of up to 200 cycles.

    >>> pause = pauses("periodic", seed=0)
    >>> [pause() for _ in range(5)]
    [True, True, True, False, True]
    """
    if pattern == "none":
        return lambda: False
    if pattern == "periodic":
        count = 0

        def periodic() -> bool:
            nonlocal count
            count = (count + 1) % 4
            return count != 0

        return periodic
    if pattern != "random":
        raise ValueError(f"a pattern must be one of {', '.join(PATTERNS)}, not {pattern!r}")
    rng = random.Random(seed)
    left = 0

    def at_random() -> bool:
        nonlocal left
        if left:
            left -= 1
            return True
        left = rng.randrange(200) if rng.random() < 0.01 else 0
        return rng.random() < 0.5

    return at_random
