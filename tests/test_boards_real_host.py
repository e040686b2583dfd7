"""A host called with real numbers: the same integers, the network's scales around them."""

from dataclasses import replace

import numpy as np
from fake_board import FakeBoard

from qornn_hw.boards.host import Host, model_answers
from qornn_hw.boards.real_host import RealHost
from qornn_hw.cells.elman_network import InputKind, OutputKind, OutputMode, Scales
from qornn_hw.compiler.design import compile_network
from qornn_hw.sim.stimuli import random_network, random_sequences

VECTOR = replace(
    random_network(seed=1, hidden_size=5, input_size=3, output_size=2),
    scales=Scales((0.5, 0.25, 2.0), 1.0, 1.0, 0.125, (1.0, 0.0, -4.0)),
)
SYMBOLS = random_network(
    seed=2, hidden_size=4, input_size=5, output_size=3,
    input_kind=InputKind.ONE_HOT, output_mode=OutputMode.LAST_STEP, output_kind=OutputKind.ARGMAX,
)  # fmt: skip


def host_of(network):
    """Return a host of a fake board with a network."""
    return Host(network, FakeBoard(compile_network(network, elements=2)), timeout=0.02)


def real_of(network, x):
    """Return integers as the real numbers that they stand for."""
    return x * network.scales.input_steps(3) + network.scales.input_offsets(3)


def test_sequences_of_real_numbers():
    """Sequences of different lengths give the words of the integers that they stand for, and real logits."""
    sequences = [random_sequences(VECTOR, batch=1, steps=n, seed=n)[0] for n in (4, 1, 6)]
    seen = []
    with host_of(VECTOR) as host:
        real = RealHost(host)
        got = real.run(
            [real_of(VECTOR, s) for s in sequences], receive=lambda index, found: seen.append((index, found))
        )
    for answers, due in zip(got, model_answers(VECTOR, sequences), strict=True):
        assert np.array_equal(answers.words, due)
        assert np.array_equal(answers.logits, due[:, :2] * 0.125)
        assert np.array_equal(answers.classes, due[:, 2])
    assert [index for index, _ in seen] == [0, 1, 2]
    assert real.inputs.text is None


def test_a_padded_array_with_lengths():
    """The first steps of each sequence of a padded array count."""
    x = np.stack(random_sequences(VECTOR, batch=3, steps=5, seed=9))
    lengths = [5, 2, 3]
    with host_of(VECTOR) as host:
        got = RealHost(host).run(real_of(VECTOR, x), lengths)
    due = model_answers(VECTOR, [one[:n] for one, n in zip(x, lengths, strict=True)])
    assert all(np.array_equal(a.words, d) for a, d in zip(got, due, strict=True))


def test_steps_of_real_numbers():
    """Steps and chunks go on from the state, and entries beyond the format are counted."""
    (x,) = random_sequences(VECTOR, batch=1, steps=8, seed=3)
    with host_of(VECTOR) as host:
        real = RealHost(host)
        for _ in range(2):
            got = [real.step(v) for v in real_of(VECTOR, x)[:5]]
            got += real.run(real_of(VECTOR, x)[np.newaxis, 5:], continue_state=True)
            due = model_answers(VECTOR, [x])[0]
            assert np.array_equal(np.vstack([a.words for a in got]), due)
            assert isinstance(float(got[0].logits[0]), float)
            assert int(got[0].classes) == due[0, 2]
            real.reset_state()
        real.step([1e6, 0.0, -1e6])
        assert real.inputs.clipped.tolist() == [1, 0, 1]
        assert "in channel 0 (1 of 17)" in real.inputs.text


def test_symbols_and_an_argmax():
    """Indices go in as they are; a network that sends the argmax only has classes and no logits."""
    (x,) = random_sequences(SYMBOLS, batch=1, steps=6, seed=4)
    with host_of(SYMBOLS) as host:
        real = RealHost(host)
        assert [real.step(int(v)) for v in x[:5]] == [None] * 5
        answer = real.step(int(x[5]), last=True)
    assert answer.logits is None
    assert int(answer.classes) == model_answers(SYMBOLS, [x])[0][0, 0]
