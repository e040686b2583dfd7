"""Builds of the Python API: a real build, what belongs to it, and builds of others."""

import doctest
import shutil

import numpy as np
import pytest
from fake_board import FakeBoard
from networks import make_network

from qornn_hw.api.build import Build
from qornn_hw.api.design import compile
from qornn_hw.api.network import Network
from qornn_hw.errors import BoardError, DataError, FormatError, LinkError, ToolError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.rtl_gen.links.uart import link


@pytest.fixture(scope="module")
def built():
    """Return the build of the example of the class, and its network."""
    (example,) = [t for t in doctest.DocTestFinder().find(Build, "Build") if t.examples]
    assert doctest.DocTestRunner().run(example, clear_globs=False).failed == 0
    return example.globs["build"], example.globs["net"]


def test_a_build(built):
    """The report has the counted cycles of the design and its clock; the bitstream is there."""
    build, net = built
    assert build.report["cycles_per_step"] == compile(net, clock=12).cycles
    assert build.report["clock_mhz"] == 12
    assert build.report["design_digest"] == build.core.digest
    assert build.bitstream.stat().st_size > 1000
    assert repr(build) == f"Build({str(build.folder)!r}, 'icebreaker', 12 MHz)"
    assert "logic cells" in str(build)


def test_a_build_is_read_again(built):
    """The folder gives the same build for its network; for another network or board it is refused."""
    build, net = built
    again = Build.read(build.folder, net)
    assert (again.report, again.core.digest, again.model) == (build.report, build.core.digest, build.model)
    other = Network(Checkpoint(make_network(n=2, m=2, p=2, seed=6)))
    with pytest.raises(FormatError, match=r"^the build must be of this model, .* is of another design"):
        Build.read(build.folder, other)
    with pytest.raises(FormatError, match=r"^board must be icebreaker, the board of .*, not upduino"):
        Build.read(build.folder, net, "upduino")
    with pytest.raises(DataError):
        Build.read(build.folder / "logs", net)


def test_a_page(built, tmp_path):
    """The report as a page names network and board."""
    built[0].write_page(tmp_path / "page.html", "of mine")
    assert "of mine" in (tmp_path / "page.html").read_text()


def test_a_board_that_holds_it(built, monkeypatch):
    """A board is opened at the build's rate, and computes with real numbers."""
    build, net = built
    opened = []

    def open_port(port, baud):
        opened.append((port, baud))
        return FakeBoard(build.core)

    monkeypatch.setattr(link, "open_port", open_port)
    x = np.zeros((2, 3, 2))
    with build.open("here", timeout=0.05) as board:
        assert np.array_equal(board.run(x, check=True), net(x))
    assert opened == [("here", build.report["baud"])]
    with pytest.raises(FormatError, match=r"^timeout must be"):
        build.open("here", timeout=-1)


def test_no_board_and_no_programmer(built, monkeypatch):
    """Without a programmer, and with no such port, it is said what is missing."""
    build, _ = built
    with pytest.raises((BoardError, LinkError)):
        build.open("/dev/ttyNONE")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match=r"^loading a bitstream into icebreaker must have iceprog"):
        build.program()


def test_the_netlist(built):
    """The placed netlist gives the integer model's answers through the board's pins."""
    result = built[0].simulate(sequences=1, steps=2)
    assert (result.mismatches, result.integers_compared) == (0, 2 * 3)
