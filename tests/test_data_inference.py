"""Inference with real numbers: the integers are the integer model's, and clipped inputs are reported."""

import warnings

import numpy as np
import pytest
from networks import make_network, one_hot_fields

from qornn_hw.cells.any_network import operations_of
from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import OutputKind, OutputMode, Scales
from qornn_hw.data.inference import (
    Answers,
    ClippedInputsWarning,
    InputConverter,
    answer_words,
    classes_of,
    file_sequences,
    infer,
)
from qornn_hw.errors import DataError, FormatError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.ir.formats import IntFormat
from qornn_hw.ir.interpreter import Interpreter

# Two channels of other worth and other zero: -1.5 .. 2.25 and 8 .. 11.75.
SCALES = Scales((0.25, 0.25), 1.0, 1.0, 0.125, (-1.5, 8.0))
REAL = make_network(n=4, m=2, p=3, seed=1, scales=SCALES, input_format=IntFormat(4, signed=False))
LAST = make_network(n=4, m=2, p=1, seed=2, scales=SCALES, output_mode=OutputMode.LAST_STEP)
SYMBOLS = make_network(n=3, m=5, p=2, seed=3, **one_hot_fields(5))


def integers(network, count, steps, seed=0):
    """Return random inputs of a network as its own integers."""
    form = network.input_format
    shape = (count, steps, network.input_size) if network.vector_input else (count, steps)
    high = form.max if network.vector_input else network.input_size - 1
    return np.random.default_rng(seed).integers(form.min, high + 1, shape)


def real_of(network, x):
    """Return integers as the real numbers that they stand for."""
    return x * network.scales.input_steps(2) + network.scales.input_offsets(2)


@pytest.mark.parametrize("network", [REAL, LAST], ids=["every", "last"])
def test_real_numbers_in_and_out(network):
    """The call gives the integer model's logits times the output scale, and integers() the logits."""
    x = integers(network, 5, 7)
    due = IntegerModel(network).answers(x)
    model = Checkpoint(network)
    got = model(real_of(network, x))
    assert got.dtype == np.float64
    assert np.array_equal(got, due * 0.125)
    whole = model.integers(real_of(network, x))
    assert whole.dtype == np.int64
    assert np.array_equal(whole, due)


def test_indices_are_what_they_are():
    """Indices of symbols go in as they are, of whatever dtype."""
    x = integers(SYMBOLS, 4, 6)
    due = IntegerModel(SYMBOLS).answers(x)
    for dtype in (np.int64, np.uint8, np.float32):
        assert np.array_equal(Checkpoint(SYMBOLS).integers(x.astype(dtype)), due)
    with pytest.raises(FormatError, match=r"^inputs must be indices from 0 to 4, not 5$"):
        Checkpoint(SYMBOLS)(np.array([[0, 5]]))


@pytest.mark.parametrize("network", [REAL, LAST], ids=["every", "last"])
def test_sequences_of_different_lengths(network):
    """A list, and a padded array with lengths, give for each sequence what it gives alone."""
    x = integers(network, 9, 6, seed=4)
    lengths = np.array([1, 6, 3, 3, 2, 6, 1, 4, 5])
    model = Checkpoint(network)
    alone = [IntegerModel(network).answers(one[np.newaxis, :n])[0] for one, n in zip(x, lengths, strict=True)]
    listed = model.integers([real_of(network, one[:n]) for one, n in zip(x, lengths, strict=True)])
    padded = model.integers(real_of(network, x), lengths)
    for got in (listed, padded):
        assert len(got) == 9
        assert all(map(np.array_equal, got, alone))


def test_batches_are_bounded(monkeypatch):
    """Sequences are computed in batches that a bound keeps small, and the answers keep their order."""
    import qornn_hw.data.inference as module

    seen = []

    class Watched(Interpreter):
        def answers(self, inputs, initial_state=None):
            seen.append(inputs.shape)
            return super().answers(inputs, initial_state)

    monkeypatch.setattr(module, "interpreter_of", lambda network: Watched(operations_of(network)))
    monkeypatch.setattr(module, "BATCH_NUMBERS", 60)
    x = integers(REAL, 10, 5)
    got = infer(REAL, real_of(REAL, x), real=False)
    assert np.array_equal(got, IntegerModel(REAL).answers(x))
    assert {shape[0] for shape in seen} == {4, 2}


def test_what_is_clipped_is_told():
    """Entries beyond the format are clipped, counted by channel, and reported by a warning."""
    x = np.array([[[-1.5, 8.0], [3.0, 9.0], [-2.0, 20.0], [5.0, 11.75]]])
    message = (
        r"^4 of 8 input entries lay outside the input's format and were clipped, most of them in channel 0 "
        r"\(3 of 4\), which takes -1.5 to 2.25$"
    )
    with pytest.warns(ClippedInputsWarning, match=message):
        got = Checkpoint(REAL).integers(x)
    clipped = np.array([[[0, 0], [15, 4], [0, 15], [15, 15]]])
    assert np.array_equal(got, IntegerModel(REAL).answers(clipped))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Checkpoint(REAL)(x[:, :1])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((2, 3, 3)), r"^inputs must have 2 channels in their last dimension, not shape \(3, 3\)$"),
        (np.array([[[0.0, np.nan]]]), r"^inputs must be finite, not nan at \[0, 1\]$"),
        (np.zeros((0, 3, 2)), r"^inputs must hold sequences, .*not shape \(0, 3, 2\)$"),
        ([np.zeros((0, 2))], r"^inputs\[0\] must be one sequence"),
    ],
)
def test_what_is_refused(inputs, message):
    """Another shape, no sequence, no step, and text are refused."""
    with pytest.raises(FormatError, match=message):
        Checkpoint(REAL)(inputs)


def test_a_converter_keeps_integers_and_counts():
    """Integers of an array are the network's own; real numbers are converted, and counted over all calls."""
    converter = InputConverter(REAL)
    kept = np.array([[1, 2], [15, 0]], dtype=np.uint8)
    assert converter.from_array(kept) is kept
    assert (converter.entries, converter.text) == (0, None)
    assert np.array_equal(converter.from_array(np.array([[-1.25, 8.5]])), [[1, 2]])
    converter.from_array(np.array([[9.0, 9.0]], dtype=np.float32))
    converter.from_real([[9, 9]])
    assert converter.clipped.tolist() == [2, 0]
    assert converter.entries == 3
    assert converter.text.startswith("2 of 6 input entries lay outside")


@pytest.mark.parametrize("kind", list(OutputKind))
@pytest.mark.parametrize("mode", list(OutputMode))
def test_words_are_those_of_the_hardware(kind, mode):
    """Logits and argmax come as the output kind says, for sequences of different lengths."""
    network = make_network(n=4, m=2, p=3, seed=5, output_kind=kind, output_mode=mode)
    sequences = [integers(network, 1, steps, seed=steps)[0] for steps in (4, 2, 4, 1)]
    got = answer_words(network, sequences)
    for words, sequence in zip(got, sequences, strict=True):
        trace = IntegerModel(network).run(sequence[np.newaxis])
        parts = [trace.logits[0]] * kind.has_logits + [trace.argmax[0][:, np.newaxis]] * kind.has_argmax
        assert np.array_equal(words, np.concatenate(parts, axis=1))
        meaning = Answers.of(network, words)
        assert np.array_equal(meaning.classes, trace.argmax[0])
        if kind.has_logits:
            assert np.array_equal(meaning.logits, trace.logits[0] * network.scales.output)
        else:
            assert meaning.logits is None


def test_one_output_is_a_threshold():
    """A single logit means class 1 above 0, and class 0 else: the argmax of (0, y)."""
    y = np.arange(-3, 4)[:, np.newaxis]
    assert classes_of(y).tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert np.array_equal(classes_of(y), np.argmax(np.hstack([np.zeros_like(y), y]), axis=1))
    for kind, words in ((OutputKind.LOGITS, y), (OutputKind.BOTH, np.hstack([y, 0 * y]))):
        network = make_network(n=2, m=2, p=1, output_kind=kind)
        assert np.array_equal(Answers.of(network, words).classes, classes_of(y))


def test_an_argmax_of_one_output_is_refused():
    """The argmax of a single logit is always 0 and is refused."""
    network = make_network(n=2, m=2, p=1, output_kind=OutputKind.ARGMAX)
    with pytest.raises(FormatError, match=r"^output_kind of a network with one output must be"):
        Answers.of(network, np.zeros((3, 1), dtype=np.int64))


def test_sequences_of_a_file(tmp_path):
    """Real numbers of a file are converted and counted, integers are the network's own, lengths count."""
    x = integers(REAL, 3, 4, seed=6)
    lengths = np.array([4, 1, 2])
    np.savez(tmp_path / "real.npz", inputs=real_of(REAL, x) + 1.0 * (x == 15), lengths=lengths)
    np.save(tmp_path / "integers.npy", x.astype(np.uint16))
    found, converter = file_sequences(REAL, tmp_path / "real.npz")
    assert [len(one) for one in found] == [4, 1, 2]
    assert all(np.array_equal(one, x[i, : len(one)]) for i, one in enumerate(found))
    beyond = sum((x[i, :n] == 15).sum(axis=0) for i, n in enumerate(lengths))
    assert converter.clipped.tolist() == beyond.tolist()
    found, converter = file_sequences(REAL, tmp_path / "integers.npy", limit=2)
    assert np.array_equal(found, x[:2])
    assert converter.entries == 0
    np.save(tmp_path / "integers.npy", x + 1)
    with pytest.raises(DataError, match=r"integers\.npy: inputs must lie in 0 to 15, not \d+ to 16$"):
        file_sequences(REAL, tmp_path / "integers.npy")
