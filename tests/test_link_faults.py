"""benchmarks/link_faults.py: faults on the line are detected or harmless, and the injector makes them."""

import random
from pathlib import Path

import pytest

SLOW = [pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))


class Line:
    """A transport that keeps what is sent and has something to say."""

    name = "line"

    def __init__(self, said=b""):
        self.sent = b""
        self.said = said

    def write(self, data):
        """Keep bytes."""
        self.sent += data

    def read(self, seconds):
        """Say two bytes at a time."""
        data, self.said = self.said[:2], self.said[2:]
        return data

    def close(self):
        """Close."""


@pytest.mark.parametrize("kind", ["flip", "replace", "drop", "insert", "repeat", "cut", "noise", "reset"])
@pytest.mark.parametrize("at", [0, 3, 9])
def test_the_injector_makes_one_fault(kind, at):
    """Bytes before the place are untouched, behind it something differs, in whatever pieces they come."""
    from link_faults import FaultyTransport

    data = bytes(range(100))
    for to_board in (True, False):
        line = Line(data)
        transport = FaultyTransport(line, kind, to_board, at, random.Random(f"{kind} {at}"))
        if to_board:
            for i in range(0, 100, 3):
                transport.write(data[i : i + 3])
            got = line.sent
        else:
            got = b"".join(transport.read(0) for _ in range(50))
        assert transport.done
        assert got[:at] == data[:at]
        assert got != data
        assert abs(len(got) - len(data)) <= 60


def test_the_injector_lets_a_host_go_away():
    """What was before the place is sent, then the host is gone."""
    from link_faults import FaultyTransport, HostGoneError

    line = Line()
    transport = FaultyTransport(line, "gone", True, 5, random.Random(1))
    transport.write(b"abc")
    with pytest.raises(HostGoneError):
        transport.write(b"defg")
    assert line.sent == b"abcde"


@pytest.mark.parametrize("name", ["vector", "symbols"])
@pytest.mark.parametrize("count", [60, pytest.param(5000, marks=SLOW)])
def test_faults_are_detected_or_harmless(name, count, tmp_path):
    """In sequences and streams no wrong answer is accepted, and the board answers again after every fault."""
    from link_faults import Campaign, designs, running

    campaign = Campaign()
    design = designs()[name]
    with running(design, tmp_path) as board:
        campaign.play(design, board, count - count // 3, seed=3)
        campaign.play(design, board, count // 3, seed=4, stream=True)
    assert sum(campaign.faults.values()) == count
    assert campaign.wrong_answers == 0
    assert campaign.given_up == []
    assert sum(campaign.detected.values()) > count / 2
    assert sum((campaign.detected + campaign.harmless).values()) == count
