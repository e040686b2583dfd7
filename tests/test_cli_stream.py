"""Lines of numbers in, lines of answers out: what is parsed, answered, compared, counted and refused."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import make_network, one_hot_fields

from qornn_hw.cells.elman_model import IntegerModel
from qornn_hw.cells.elman_network import OutputKind, OutputMode, Scales
from qornn_hw.cli.stream import LONGEST_LINE, LineStream, read_lines
from qornn_hw.data.inference import answer_words
from qornn_hw.errors import DataError, FormatError, MismatchError

# Inputs 0 .. 15 stand for -1.5 .. 2.25 and 8 .. 11.75.
EVERY = make_network(n=4, m=2, p=2, seed=1, scales=Scales((0.25, 0.25), 1.0, 1.0, 0.5, (-1.5, 8.0)))
LAST = replace(EVERY, output_mode=OutputMode.LAST_STEP)
SYMBOLS = make_network(n=3, m=5, p=3, seed=3, output_kind=OutputKind.LOGITS, **one_hot_fields(5))


class ModelHost:
    """A host that computes with the integer model; ``spoil`` changes the words of an answer."""

    def __init__(self, network, spoil=lambda step, words: words):
        self.network, self.spoil = network, spoil
        self.model = IntegerModel(network)
        self.resets = self.steps = 0
        self.reset_state()

    def reset_state(self):
        """Begin anew."""
        self.state = self.model.initial_state(1)

    def step(self, x, *, first=False, last=False):
        """Compute a step."""
        self.state = self.model.step(self.state, np.asarray(x)[np.newaxis]).state
        self.steps += 1
        if self.network.output_mode is OutputMode.LAST_STEP and not last:
            return None
        logits = self.model.logits(self.state)[0]
        kind = self.network.output_kind
        words = [*(logits if kind.has_logits else []), *[np.argmax(logits)] * kind.has_argmax]
        return self.spoil(self.steps, np.array(words))


def play(network, text, host=None, **options):
    """Play text; return the lines of answers, the warnings and the stream."""
    lines, warned = [], []
    stream = LineStream(
        host or ModelHost(network), network, write=lines.append, warn=warned.append, **options
    )
    stream.play(io.BytesIO(text if isinstance(text, bytes) else text.encode()))
    return lines, warned, stream


@pytest.mark.parametrize("network", [EVERY, LAST], ids=["every", "last"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_answers_are_those_of_whole_sequences(network, data):
    """Random sequences, ended by empty lines or `reset`, give the integer model's answers line by line."""
    sequences = data.draw(
        st.lists(
            st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=6),
            min_size=1, max_size=5,
        )
    )  # fmt: skip
    text = ""
    for sequence in sequences:
        comma = data.draw(st.sampled_from([" ", ",", " , ", "\t"]))
        text += "".join(f"{x}{comma}{y}\n" for x, y in sequence)
        text += data.draw(st.sampled_from(["\n", "reset\n", "\n \n", "reset\r\n\n"]))
    lines, _, stream = play(network, text, integers=True, check=True)
    due = np.concatenate(answer_words(network, [np.array(s) for s in sequences]))
    assert lines == [" ".join(map(str, words)) for words in due.tolist()]
    result = stream.result
    assert (result.sequences, result.steps) == (len(sequences), sum(map(len, sequences)))
    assert (result.answers, result.integers_compared) == (len(due), due.size)


def test_real_numbers_go_through_the_scales():
    """Numbers are real, by channel; answers are real logits and the class."""
    lines, warned, stream = play(EVERY, "-1.5 8\n2.25, 11.75\n-1.0,1e1\n")
    (due,) = answer_words(EVERY, [np.array([[0, 0], [15, 15], [2, 8]])])
    assert lines == [f"{a * 0.5:.6g} {b * 0.5:.6g} {c}" for a, b, c in due.tolist()]
    assert warned == []
    assert stream.inputs.text is None


def test_clipped_numbers_are_told_once_and_counted():
    """The first number beyond the format is told with its line, all are counted by channel."""
    lines, warned, stream = play(EVERY, "0 9\n\n0 12\n3 9\n-9 9\n")
    (sentence,) = warned
    assert sentence.startswith("line 3: 12 in channel 1 lies outside 8 to 11.75 and is clipped; further ones")
    assert len(lines) == 4
    assert stream.inputs.clipped.tolist() == [2, 1]


def test_symbols_are_indices():
    """A one-hot network takes an index a line."""
    lines, _, _ = play(SYMBOLS, "0\n4\n 2 \n", check=True)
    (due,) = answer_words(SYMBOLS, [np.array([0, 4, 2])])
    assert lines == [" ".join(map(str, words)) for words in due.tolist()]


@pytest.mark.parametrize("integers", [True, False])
def test_json_lines(integers):
    """Each answer is an object with the line of its step."""
    text = "1 2\n\n3 4\n" if integers else "-1.25 8.5\n\n-0.75 9\n"
    lines, _, _ = play(EVERY, text, integers=integers, as_json=True)
    due = np.concatenate(answer_words(EVERY, [np.array([[1, 2]]), np.array([[3, 4]])])).tolist()
    found = [json.loads(line) for line in lines]
    assert [one["line"] for one in found] == [1, 3]
    if integers:
        assert [one["words"] for one in found] == due
    else:
        assert [one["logits"] for one in found] == [[a * 0.5, b * 0.5] for a, b, _ in due]
        assert [one["class"] for one in found] == [c for *_, c in due]


def test_one_output_is_a_threshold():
    """With one output the class is 1 where the logit is above 0; its argmax alone is refused."""
    network = make_network(n=3, m=1, p=1, seed=2)
    text = "".join(f"{v}\n" for v in range(16))
    lines, _, _ = play(network, text)
    found = [line.split() for line in lines]
    assert {klass for _, klass in found} == {"0", "1"}
    assert all((float(logit) > 0) == (klass == "1") for logit, klass in found)
    with pytest.raises(FormatError, match=r"^output_kind of a network with one output must be"):
        play(replace(network, output_kind=OutputKind.ARGMAX), text)


def test_a_wrong_answer_is_a_mismatch():
    """The first word that differs ends the stream, with its line."""
    host = ModelHost(EVERY, lambda step, words: words + np.array([0, step == 3, 0]))
    lines = []
    stream = LineStream(host, EVERY, integers=True, check=True, write=lines.append, warn=print)
    with pytest.raises(MismatchError, match=r"^line 4, word 1 of the answer: the board says -?\d+, the "):
        stream.play(io.BytesIO(b"1 1\n1 1\n\n1 1\n1 1\n"))
    assert len(lines) == 2
    # Without --check it is not seen.
    assert len(play(EVERY, "1 1\n" * 4, ModelHost(EVERY, lambda s, words: words + 1), integers=True)[0]) == 4


@pytest.mark.parametrize("text", ["", "\n\n", "reset\n"])
@pytest.mark.parametrize("network", [EVERY, LAST], ids=["every", "last"])
def test_an_empty_stream_is_no_success(network, text):
    """A stream without a step is refused."""
    with pytest.raises(DataError, match=r"^the stream must have at least one step, and had none; "):
        play(network, text, check=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "line 2 must have 2 numbers, one a channel, not 3"),
        ("1", "line 2 must have 2 numbers, one a channel, not 1"),
        ("1,,2", "line 2 must hold numbers, and its entry 1, '', is not a number"),
        ("1,2,", "line 2 must hold numbers, and its entry 2, '', is not a number"),
        ("1 nan", "line 2 must hold numbers, and its entry 1, 'nan', is not a number"),
        ("1_0 2", "line 2 must hold numbers, and its entry 0, '1_0', is not a number"),
        ("1 1e999", "line 2: inputs must be finite, not inf at [1]"),
        ("RESET", "line 2 must hold numbers, and its entry 0, 'RESET', is not a number"),
        ("\x1b[31m 2", "line 2 must hold numbers, and its entry 0, '\\x1b[31m', is not a number"),
        (b"1 \xff", "line 2 must hold numbers in ASCII, and holds the byte 0xff"),
        ("7" * 50 + "x", "line 2 must hold numbers, and its entry 0, '" + "7" * 37 + "...', is not a number"),
        (b"1" * (LONGEST_LINE + 5), f"line 2 must have at most {LONGEST_LINE} bytes, and has more"),
    ],
)
def test_a_bad_line_is_told(text, message):
    """The line's number and the fault are told; the answers before it were written."""
    data = text if isinstance(text, bytes) else text.encode()
    lines = []
    stream = LineStream(ModelHost(EVERY), EVERY, write=lines.append, warn=print)
    with pytest.raises(DataError) as error:
        stream.play(io.BytesIO(b"0 9\n" + data + b"\n"))
    assert str(error.value) == message
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("network", "text", "message"),
    [
        (EVERY, "1 16", "line 1: inputs must lie in 0 to 15, not 1 to 16"),
        (EVERY, "1.5 2", "line 1 must hold numbers, and its entry 0, '1.5', is not an integer"),
        (
            EVERY,
            "1 9999999999999999999",
            "line 1 must hold numbers, and its entry 1, '99999999999",
        ),
        (SYMBOLS, "8", "line 1: inputs must lie in 0 to 7, not 8 to 8"),
        (SYMBOLS, "1 2", "line 1 must have 1 numbers, the index of a symbol, not 2"),
    ],
)
def test_a_bad_line_of_integers_is_told(network, text, message):
    """Integers beyond the format are refused, not clipped."""
    with pytest.raises(DataError) as error:
        play(network, text, integers=True)
    assert str(error.value).startswith(message)


def test_an_index_of_no_symbol_is_told():
    """Without --integers an index must be one of a symbol."""
    with pytest.raises(DataError, match=r"^line 1: inputs must be indices from 0 to 4, not 5$"):
        play(SYMBOLS, "5")


def test_lines_without_an_end():
    """The last line needs no newline."""
    assert list(read_lines(io.BytesIO(b"1\n\n 2"))) == [(1, "1"), (2, ""), (3, "2")]
