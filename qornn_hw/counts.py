"""Counts that a user asks for, checked before any work; and the one that must not be 0 at the end.

Two counts that are right alone can multiply to more than any machine holds.
"""

from qornn_hw.errors import DataError, FormatError

__all__ = [
    "MOST_INPUTS",
    "MOST_SEED",
    "MOST_STEPS",
    "check_count",
    "check_limit",
    "check_seed",
    "check_steps",
    "require_compared",
]

# Steps in all: minutes on a board, hours in a simulation. Entries of their inputs: half a gigabyte.
MOST_STEPS = 1_000_000
MOST_INPUTS = 1 << 26
MOST_SEED = (1 << 63) - 1


def check_count(name: str, count: int, most: int = MOST_STEPS) -> None:
    """Refuse a count outside 1 to ``most``.

    Raises:
        FormatError: it is.
    """
    if not 1 <= count <= most:
        raise FormatError(f"{name} must be 1 to {most}, not {_shown(count)}")


def check_limit(limit: int | None) -> None:
    """Refuse a number of sequences to take below 1; None takes all.

    Raises:
        FormatError: it is.
    """
    if limit is not None and limit < 1:
        raise FormatError(f"limit must be at least 1, not {_shown(limit)}")


def check_seed(name: str, seed: int) -> None:
    """Refuse a seed outside 0 to 2**63 - 1.

    Raises:
        FormatError: it is.
    """
    if seed < 0:
        raise FormatError(f"{name} must be 0 or more, not {_shown(seed)}")
    if seed > MOST_SEED:
        raise FormatError(f"{name} must be at most {MOST_SEED}, not {_shown(seed)}")


def check_steps(sequences: tuple[str, int], steps: tuple[str, int], width: int = 1) -> None:
    """Refuse counts of sequences and steps, alone, multiplied, or with the inputs of a step.

    Args:
        sequences: what a message calls their count, and the count.
        steps: likewise, of each sequence.
        width: numbers that a step brings, m for vectors.

    Raises:
        FormatError: one is below 1, or they are too many.
    """
    check_count(*sequences)
    check_count(*steps)
    total = sequences[1] * steps[1]
    if total > MOST_STEPS:
        raise FormatError(f"{sequences[0]} times {steps[0]} must be at most {MOST_STEPS}, not {total}")
    if total * width > MOST_INPUTS:
        raise FormatError(
            f"{sequences[0]} times {steps[0]} must be at most {MOST_INPUTS // width} of {width} inputs each, "
            f"not {total}"
        )


def require_compared(count: int) -> int:
    """Return how many integers were compared; none is no success.

    Raises:
        DataError: none was.
    """
    if count < 1:
        raise DataError(
            "at least 1 integer must be compared, and none was, since no answer was due; give at least one "
            "whole sequence"
        )
    return count


def _shown(count: int) -> str:
    """Return a count as a message shows it; Python refuses to print integers of thousands of digits."""
    return str(count) if count.bit_length() < 200 else f"one of {count.bit_length()} bits"
