"""Times of a step, from its cycles: in the core alone, and over the link (docs/boards.md).

The latency over the link counts from the first edge of a step's frame on the line to the end of its answer's
frame, with a board that has nothing else to do and a host that never pauses. A USB bridge and the host's
system come on top of it.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from qornn_hw.link.physical import LineTiming
from qornn_hw.link.protocol import CRC_BYTES, LinkFormat

__all__ = ["LATENCY_KEYS", "StepTimes", "latency_facts", "link_cycles"]

LATENCY_KEYS = (
    "steps_per_second",
    "first_answer_word_cycles",
    "answer_latency_cycles",
    "answer_latency_us",
    "link_latency_us",
)


@dataclass(frozen=True)
class StepTimes:
    """Cycles of a core.

    Attributes:
        step: cycles from step to step in the steady state; None where they are not known.
        first_word: cycles from the last input word of a step to the first word of its answer.
        last_word: cycles to the last word of its answer.
    """

    step: float | None
    first_word: int
    last_word: int


def latency_facts(
    times: StepTimes | None,
    link: LinkFormat | None,
    clock_mhz: float | None,
    baud: int | None,
    line: LineTiming,
) -> dict[str, Any]:
    """Return the keys of a report that say how long an answer takes; null where it is not known.

    Args:
        times: cycles of the core.
        link: sizes of the link's frames.
        clock_mhz: of the core.
        baud: rate of the link in bits a second.
        line: time of a byte on the link.
    """
    found: dict[str, Any] = dict.fromkeys(LATENCY_KEYS)
    if times is None:
        return found
    found |= {"first_answer_word_cycles": times.first_word, "answer_latency_cycles": times.last_word}
    if clock_mhz is None:
        return found
    found["answer_latency_us"] = round(times.last_word / clock_mhz, 4)
    if times.step:
        found["steps_per_second"] = round(clock_mhz * 1e6 / times.step, 1)
    if link is not None and baud is not None:
        clocks_per_bit = Fraction(str(clock_mhz)) * 1_000_000 / baud
        found["link_latency_us"] = round(float(link_cycles(times, link, clocks_per_bit, line)) / clock_mhz, 2)
    return found


def link_cycles(
    times: StepTimes, form: LinkFormat, clocks_per_bit: Fraction | int, line: LineTiming
) -> Fraction:
    """Return the cycles from the start of a step's frame on the line to the end of its answer's frame.

    The words of the step go to the core once the frame's CRC was good. The answer's frame begins with the
    first word of the answer, and waits for later words where the core takes longer for them than the line.
    """
    bit = Fraction(clocks_per_bit)
    byte = line.bits_per_byte * bit
    received = form.step_frame_bytes * byte - line.received_early * bit
    taken = received + 2 * form.word_bytes * form.words_per_step + line.cycles + line.start_bits * bit
    paced_by_line = taken + times.first_word + form.answer_frame_bytes * byte
    behind_last_word = form.answer_word_bytes + 1 + CRC_BYTES
    return max(paced_by_line, taken + times.last_word + behind_last_word * byte)
