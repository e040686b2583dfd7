"""The levels of a link's pins."""

import pytest

from qornn_hw.link.physical import LinkPin


@pytest.mark.parametrize(
    ("idle", "active_low", "level"), [(0, False, 0), (1, False, 1), (0, True, 1), (1, True, 0)]
)
def test_an_active_low_pin_has_the_other_level(idle, active_low, level):
    """The level at the pin is that of the gateware's signal, inverted where the pin is active low."""
    assert LinkPin("cs", driven=False, idle=idle, active_low=active_low).idle_level == level
