"""What goes with a stream, and what does not; test_cli_run.py plays streams on a board."""

import pytest

from qornn_hw.cli.stream_command import check_stream
from qornn_hw.errors import FormatError

PLAIN = {"integers": False, "history": None, "inputs": None, "random": None, "limit": None, "out": None}


@pytest.mark.parametrize(
    ("stream", "options", "message"),
    [
        (True, {"random": 1}, "`stream` must come without `random`"),
        (True, {"limit": 3}, "`stream` must come without `limit`"),
        (True, {"out": "x.npy"}, "`stream` must come without `out`"),
        (False, {"integers": True}, "`integers` must come with `stream`"),
        (False, {"history": 3}, "`history` must come with `stream`"),
    ],
)
def test_what_does_not_go_together(stream, options, message):
    """Each is named."""
    with pytest.raises(FormatError, match=f"^{message}"):
        check_stream(stream, **(PLAIN | options))


@pytest.mark.parametrize(
    ("stream", "options"), [(True, {"integers": True, "history": 0}), (False, {"limit": 1})]
)
def test_what_goes_together(stream, options):
    """Nothing is raised."""
    check_stream(stream, **(PLAIN | options))
