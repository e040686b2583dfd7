"""SPI devices of Linux, with a stand-in for the package spidev: bytes both ways, a host, and each error."""

import random
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from fake_board import FakeBoard

from qornn_hw.boards.host import Host, model_answers
from qornn_hw.compiler.design import compile_network
from qornn_hw.errors import LinkError
from qornn_hw.link.spi import transport as module
from qornn_hw.link.spi.stuffing import ESCAPE, IDLE, Unstuffer, stuff
from qornn_hw.link.spi.transport import MOST_BYTES, POLL_BYTES, SpidevTransport, open_port
from qornn_hw.sim.stimuli import random_network, random_sequences

PORT = "/dev/spidev1.2"


class Line:
    """A controller in the place of ``spidev.SpiDev``, with a transport's far end behind it."""

    made = None

    def __init__(self):
        type(self).made = self
        self.opened = None
        self.closed = False
        self.sizes = []
        self.sent = b""
        self.replies = b""
        self.far_end = None
        self.error = None
        self._unstuffer = Unstuffer()

    def open(self, bus, device):
        """Open."""
        if self.error is not None:
            raise self.error
        self.opened = (bus, device)

    def close(self):
        """Close."""
        self.closed = True

    def xfer2(self, block):
        """Exchange a block: whatever is there goes out first, idle bytes before and behind it."""
        if self.error is not None:
            raise self.error
        assert isinstance(block, list) and len(block) <= MOST_BYTES
        self.sizes.append(len(block))
        out, self.replies = self.replies[: len(block)], self.replies[len(block) :]
        data = self._unstuffer.feed(bytes(block))
        self.sent += data
        if self.far_end is not None:
            self.far_end.write(data)
            self.replies += stuff(self.far_end.read(0))
        return list(out + bytes([IDLE]) * (len(block) - len(out)))


@pytest.fixture
def line(monkeypatch):
    """Return an open transport and the line behind it."""
    monkeypatch.setitem(sys.modules, "spidev", SimpleNamespace(SpiDev=Line))
    transport = open_port(PORT, 6_000_000)
    return transport, Line.made


def test_the_device_is_opened_as_it_must_be(line):
    """Bus, device, mode 0 and the rate."""
    transport, made = line
    assert made.opened == (1, 2)
    assert (made.mode, made.bits_per_word, made.max_speed_hz) == (0, 8, 6_000_000)
    assert transport.name == PORT
    transport.close()
    assert made.closed


def test_bytes_go_both_ways(line):
    """What is sent arrives, in blocks that the driver takes; what comes meanwhile is kept."""
    transport, made = line
    data = random.Random(1).randbytes(9000) + bytes([IDLE, ESCAPE] * 50)
    made.replies = stuff(data)
    transport.write(data)
    got = transport.read(0)
    assert made.sent == data and max(made.sizes) == MOST_BYTES
    while piece := transport.read(0.01):
        got += piece
    assert got == data


def test_polls_grow_with_what_comes(line):
    """A silent board is asked for few bytes, one that has much to say for more and more."""
    transport, made = line
    assert transport.read(0.01) == b""
    assert set(made.sizes) == {POLL_BYTES}
    made.sizes.clear()
    made.replies = bytes(20_000)
    got = b""
    while piece := transport.read(0.01):
        got += piece
    assert got == bytes(20_000)
    assert max(made.sizes) > 1000 and made.sizes[-1] == POLL_BYTES


def test_nothing_is_clocked_where_nobody_waits(line):
    """A read of no seconds takes what is there."""
    transport, made = line
    assert transport.read(0) == b"" and not made.sizes


def test_a_host_runs_sequences_over_spi(line):
    """The host client, unchanged: every answer is the integer model's."""
    transport, made = line
    network = random_network(seed=1, hidden_size=5, input_size=3, output_size=2)
    design = compile_network(network, columns_per_element=2, elements=2)
    made.far_end = FakeBoard(design)
    sequences = random_sequences(network, batch=4, steps=6, seed=2)
    with Host(network, transport, design=design, timeout=0.2) as host:
        answers = host.run(sequences)
    assert all(map(np.array_equal, answers, model_answers(network, sequences)))
    assert host.statistics.resets == 0


def test_a_missing_package_is_told(monkeypatch):
    """One line that says how to install it."""
    monkeypatch.setitem(sys.modules, "spidev", None)
    message = (
        r"^port /dev/spidev1\.2 must have the package spidev, which is not installed; install it \(pip "
        r"install 'qornn-hw\[spi\]'\)$"
    )
    with pytest.raises(LinkError, match=message):
        open_port(PORT, 1_000_000)


def test_a_device_that_cannot_be_opened_is_told(monkeypatch):
    """The reason of the system, and what often mends it."""

    class Closed(Line):
        def open(self, bus, device):
            """Refuse."""
            raise PermissionError(13, "Permission denied")

    monkeypatch.setitem(sys.modules, "spidev", SimpleNamespace(SpiDev=Closed))
    message = (
        r"^port must be an SPI device .*, /dev/spidev1\.2 cannot: .*Permission denied; enable it .*spi \$USER"
    )
    with pytest.raises(LinkError, match=message):
        open_port(PORT, 1_000_000)


def test_a_device_that_is_lost_is_told(line):
    """Reading and writing tell it."""
    transport, made = line
    made.error = OSError("gone")
    for call in (lambda: transport.write(b"x"), lambda: transport.read(0.1)):
        with pytest.raises(
            LinkError, match=r"^the port /dev/spidev1\.2 must stay connected, and was lost \(gone\)"
        ):
            call()


def test_another_port_is_a_serial_one(monkeypatch):
    """A controller that forwards bytes is at a serial port, which opens as any."""
    opened = []
    monkeypatch.setattr(module.serial_port, "open_port", lambda *port: opened.append(port))
    open_port("/dev/ttyACM0", 1_000_000)
    assert opened == [("/dev/ttyACM0", 1_000_000)]
    with pytest.raises(LinkError, match=r"^port must be /dev/spidevBUS\.DEVICE, not /dev/ttyACM0$"):
        SpidevTransport("/dev/ttyACM0", 1_000_000)
