"""The kinds of inputs and answers that a network may have."""

from enum import StrEnum

__all__ = ["InputKind", "OutputKind", "OutputMode"]


class InputKind(StrEnum):
    """What one time step brings: the index of a one, or a vector of integers."""

    ONE_HOT = "one_hot"
    VECTOR = "vector"


class OutputMode(StrEnum):
    """After which steps of a sequence the network answers."""

    EVERY_STEP = "every_step"
    LAST_STEP = "last_step"


class OutputKind(StrEnum):
    """What an answer holds: the logits, the index of the largest, or the logits and then the index."""

    LOGITS = "logits"
    ARGMAX = "argmax"
    BOTH = "both"

    @property
    def has_logits(self) -> bool:
        """Whether the logits are part of the answer."""
        return self is not OutputKind.ARGMAX

    @property
    def has_argmax(self) -> bool:
        """Whether the index of the largest logit is part of the answer."""
        return self is not OutputKind.LOGITS
