"""The UART as a physical link: its rate, and the constant that makes it."""

from fractions import Fraction

import pytest

from qornn_hw.errors import BoardError
from qornn_hw.rtl_gen.links.uart.link import UART
from qornn_hw.rtl_gen.links.uart.rate import CLOCKS_PER_BIT_MIN, phase_increment

RATES = (3_000_000, 1_000_000, 115_200)


@pytest.mark.parametrize(
    ("hz", "rate"),
    [(48_000_000, 3_000_000), (24_000_000, 3_000_000), (23_999_999, 1_000_000), (921_600, 115_200)],
)
def test_the_fastest_rate_that_leaves_a_bit_eight_cycles(hz, rate):
    """Of the rates of the bridge, the first that the clock serves."""
    assert UART.rate(RATES, hz) == rate


def test_a_clock_that_is_too_slow_for_all_rates():
    """The least clock is told."""
    message = r"^clock must be at least 0\.9216 MHz, 8 cycles of a UART bit at 0\.1152 Mbaud, not 0\.9 MHz$"
    with pytest.raises(BoardError, match=message):
        UART.rate(RATES, 900_000)


@pytest.mark.parametrize("fastest_mhz", [30, 120, 250])
def test_the_constant_serves_every_clock(fastest_mhz):
    """From the slowest clock to the fastest the increment fits its bits, and is that of the rate."""
    bits = UART.constant_bits(RATES, Fraction(fastest_mhz * 1_000_000))
    for hz in range(921_600, fastest_mhz * 1_000_000, 777_777):
        value = UART.constant_value(RATES, hz, bits)
        assert value == phase_increment(Fraction(hz, UART.rate(RATES, hz)), bits) < 1 << bits


def test_the_clock_of_the_full_rate():
    """Eight cycles of the fastest rate."""
    assert UART.full_rate_hz(RATES) == CLOCKS_PER_BIT_MIN * RATES[0]
    assert UART.rate(RATES, UART.full_rate_hz(RATES)) == RATES[0]
