"""What a board holds: a design that is planned, or a build; never both."""

from pathlib import Path

import pytest
from networks import make_network

from qornn_hw.api.design import compile
from qornn_hw.api.held import held
from qornn_hw.api.network import Network
from qornn_hw.errors import DataError, FormatError
from qornn_hw.files.checkpoint import Checkpoint

NET = Network(Checkpoint(make_network(n=4, m=3, p=2, seed=5)))


def test_without_a_build():
    """The design is that of the arguments."""
    assert held(NET, "tinyfpga-bx", lanes=2).core.digest == compile(NET, "tinyfpga-bx", lanes=2).core.digest


@pytest.mark.parametrize("options", [{"lanes": 4}, {"engine": "lut"}])
def test_a_build_has_its_own(options, tmp_path):
    """Lanes and engine with a build are refused before the build is read."""
    with pytest.raises(FormatError, match=r"^`build` must come without `lanes` and `engine`"):
        held(NET, build=tmp_path / "nowhere", **options)


def test_a_build_that_is_not_there():
    """A folder that is not there is said to be no build."""
    with pytest.raises(DataError, match=r"^nowhere must be a folder with the results of a build"):
        held(NET, build=Path("nowhere"))
