"""The digits of a factor, the highest first, give the factor back."""

from types import SimpleNamespace

import pytest
from program_bench import run_cycles

from qornn_hw.rtl_gen.engines.simple.factor import Factor


@pytest.mark.parametrize("bits, digits", [(2, 1), (2, 4), (3, 3), (5, 2), (8, 1)])
def test_every_factor(bits, digits):
    """All values that the digits hold, taken at once and with a cycle between."""
    width = bits * digits
    program = SimpleNamespace(
        digit_bits=bits, factor_digits=digits, accumulator_bits=width + 3, multiplier_bits=bits + 1
    )
    cycles, starts = [], []
    for pause in (0, 1):
        for value in range(-(1 << width - 1), 1 << width - 1):
            cycles.append({"load": 1, "value": value, "take": 0})
            starts.append((value, len(cycles), pause))
            for _ in range(digits):
                cycles += [{"load": 0, "take": 0}] * pause + [{"load": 0, "take": 1}]
    seen = run_cycles(Factor(program), cycles, "digit")
    for value, start, pause in starts:
        found = seen[start + pause : start + digits * (pause + 1) : pause + 1]
        assert sum(d << bits * k for k, d in enumerate(reversed(found))) == value
