"""The level of a process decides what its log shows."""

import logging

import pytest

from qornn_hw.terminal.verbosity import Verbosity, set_verbosity, verbosity


@pytest.mark.parametrize("level", list(Verbosity))
def test_the_level_is_what_was_set(level):
    """The last level that was set counts; details are logged at VERBOSE only."""
    set_verbosity(level)
    try:
        assert verbosity() is level
        assert logging.getLogger("qornn_hw.tools").isEnabledFor(logging.INFO) == (level is Verbosity.VERBOSE)
    finally:
        set_verbosity(Verbosity.NORMAL)
