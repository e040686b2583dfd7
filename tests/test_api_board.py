"""A network on a board with real numbers in and out; the board is a fake one behind a transport."""

import warnings

import numpy as np
import pytest
from fake_board import FakeBoard
from networks import make_network

from qornn_hw.api.board import Board, check_connection
from qornn_hw.api.network import Network
from qornn_hw.boards.host import Host
from qornn_hw.cells.elman_network import OutputKind, OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.data.inference import ClippedInputsWarning, answer_words
from qornn_hw.errors import FormatError, MismatchError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.sim.stimuli import random_sequences


def board_of(network, other=None):
    """Return the board of a network, which computes another one where that is given."""
    held = compile_network(network if other is None else other, elements=2)
    return Board(Network(Checkpoint(network)), Host(network, FakeBoard(held), timeout=0.02))


def real(network, sequences):
    """Return integers as the real numbers that they stand for."""
    steps = network.scales.input_steps(network.input_size)
    return sequences * steps + network.scales.input_offsets(network.input_size)


@pytest.mark.parametrize("mode", list(OutputMode))
@pytest.mark.parametrize("kind", list(OutputKind))
def test_runs_give_what_the_network_gives(mode, kind):
    """Arrays and lists of sequences give the network's logits, or classes where only these are sent."""
    network = make_network(n=5, m=3, p=4, seed=3, output_mode=mode, output_kind=kind)
    x = real(network, np.stack(random_sequences(network, batch=3, steps=5, seed=4)))
    net = Network(Checkpoint(network))
    wanted = net(x)
    wanted = wanted if kind.has_logits else np.argmax(wanted, axis=-1)
    with board_of(network) as board:
        assert np.array_equal(board.run(x, check=True), wanted)
        one, two = board.run([x[0], x[1, :2]])
        assert np.array_equal(one, wanted[0]) and len(two) == (2 if mode is OutputMode.EVERY_STEP else 1)
        assert np.array_equal(board.run(x, [5, 2, 1])[0], wanted[0])
        assert board.statistics.sequences == 8


def test_a_stream_keeps_its_state():
    """Steps and chunks go on from call to call, until the state is reset."""
    network = make_network(n=5, m=3, p=4, seed=3)
    (x,) = real(network, np.stack(random_sequences(network, batch=1, steps=6, seed=4)))
    wanted = Network(Checkpoint(network))(x[np.newaxis])[0]
    with board_of(network) as board:
        for _ in range(2):
            assert np.array_equal([board.step(one) for one in x[:4]], wanted[:4])
            assert np.array_equal(board.run(x[np.newaxis, 4:], continue_state=True)[0], wanted[4:])
            board.reset_state()
        assert np.array_equal(board.step(x[0], first=True), wanted[0])
        with pytest.raises(FormatError, match=r"^check must come without continue_state"):
            board.run(x[np.newaxis], check=True, continue_state=True)


def test_a_wrong_answer_is_found():
    """A board whose network differs in one constant is found by the comparison, not without it."""
    network = make_network(n=5, m=3, p=4, seed=3, output_kind=OutputKind.LOGITS)
    other = make_network(
        n=5, m=3, p=4, seed=3, output_kind=OutputKind.LOGITS, output_bias=np.array([1, 0, 0, 0])
    )
    x = real(network, np.stack(random_sequences(network, batch=1, steps=2, seed=4)))
    with board_of(network, other) as board:
        board.run(x)
        with pytest.raises(MismatchError, match="sequence 0"):
            board.run(x, check=True)


def test_clipped_inputs_are_told():
    """An input beyond the format is a warning of the call, and counted for steps."""
    network = make_network(n=5, m=3, p=4, seed=3)
    with board_of(network) as board:
        with pytest.warns(ClippedInputsWarning, match="1 of 6 input entries"):
            board.run(np.array([[[1e6, 0, 0], [0, 0, 0]]]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            board.step([1e6, 0, 0])
        assert board.inputs.clipped.tolist() == [1, 0, 0]
        assert repr(board).startswith("Board('")


def test_integers_go_in_and_out():
    """Sequences of integers give the words of the hardware, with the progress of the sequences."""
    network = make_network(n=5, m=3, p=4, seed=3)
    x = random_sequences(network, batch=2, steps=3, seed=4)
    seen = []
    with board_of(network) as board:
        words = board.run_integers(x, check=True, progress=lambda done, total: seen.append((done, total)))
    assert all(np.array_equal(a, b) for a, b in zip(words, answer_words(network, x), strict=True))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout must be more than 0 and at most 3600 seconds, not 0"),
        ({"timeout": float("nan")}, "timeout must be more than 0 and at most 3600 seconds, not nan"),
        ({"baud": 0}, "baud must be 1 to 100000000, not 0"),
        ({"history": -1}, "history must be 0 or more, not -1"),
    ],
)
def test_a_connection_that_cannot_be(options, message):
    """Timeout, rate and history are checked before anything is opened."""
    with pytest.raises(FormatError, match=f"^{message}$"):
        check_connection(**options)
