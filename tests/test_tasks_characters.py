"""The next character of a text."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from data_sets import data_dir

from qornn_hw.errors import CheckpointError, DataError, FormatError
from qornn_hw.evaluation.evaluate import evaluate
from qornn_hw.quantization.quantize import export
from qornn_hw.tasks import CharactersTask, characters, make_task

TEXT = "".join(f"line {i * 7919 % 10007} of a text.\n" for i in range(500))


@pytest.fixture
def folder(tmp_path):
    """A folder with a plain text."""
    (tmp_path / "input.txt").write_text(TEXT)
    return tmp_path


def decoded(task, indices):
    """Return indices as text."""
    return "".join(task.alphabet[i] for i in indices)


def test_split_of_a_plain_text(folder):
    """The last tenth is the test, the last twentieth of the rest the validation, all in their order."""
    training, validation, test = characters.read_texts(folder)
    assert training + validation + test == TEXT
    assert len(test) == len(TEXT) - len(TEXT) * 9 // 10
    assert len(training) == (len(TEXT) - len(test)) * 95 // 100
    (folder / "up").mkdir()
    (folder / "up" / "tinyshakespeare").symlink_to(folder)
    assert characters.read_texts(folder / "up") == (training, validation, test)


def test_penn_treebank(tmp_path):
    """Words are separated by one blank, and no blank precedes a newline."""
    (tmp_path / "ptb").mkdir()
    for part, count in (("train", 100), ("valid", 50), ("test", 40)):
        (tmp_path / "ptb" / f"ptb.{part}.txt").write_text(f" {part} <unk> N \n" * count)
    training, validation, test = characters.read_texts(tmp_path)
    assert training == "train <unk> N\n" * 100
    assert (validation[:14], len(test)) == ("valid <unk> N\n", 13 * 40)
    (tmp_path / "ptb" / "ptb.valid.txt").unlink()
    with pytest.raises(DataError, match=r"ptb\.valid\.txt: no such file, beside the others; pass as data"):
        characters.read_texts(tmp_path)


def test_targets_are_the_next_characters(folder):
    """Each target is the input of the next step, in batches as in the test's 100 streams."""
    task = CharactersTask(folder, window=20)
    test = task.test()
    assert len(test.inputs) == 100
    np.testing.assert_array_equal(test.inputs[:, 1:], test.targets[:, :-1])
    text = characters.read_texts(folder)[2]
    steps = test.inputs.shape[1]
    assert steps == (len(text) - 1) // 100
    assert decoded(task, test.inputs.ravel()) == text[: 100 * steps]
    assert decoded(task, test.targets.ravel()) == text[1 : 100 * steps + 1]
    batch = task.training_batch(2, 8, 0)
    np.testing.assert_array_equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert all(decoded(task, row) in 2 * task._texts[0] for row in batch.inputs)
    np.testing.assert_array_equal(task.test(3).inputs, test.inputs[:3])


def test_batches_continue_to_the_end_of_the_epoch(folder):
    """A batch continues the one before it, and the next epoch starts at another place."""
    task = CharactersTask(folder, window=20)
    count = 8
    per_epoch = task.batches_per_epoch(count)
    assert per_epoch == (len(task._texts[0]) // count - 1) // 20
    batches = [task.training_batch(i, count, 1) for i in range(per_epoch + 2)]
    assert [b.continues for b in batches] == [False] + [True] * (per_epoch - 1) + [False, True]
    for before, after in pairwise(batches[:per_epoch]):
        np.testing.assert_array_equal(before.targets[:, -1], after.inputs[:, 0])
    again = CharactersTask(folder, window=20).training_batch(per_epoch + 1, count, 1)
    np.testing.assert_array_equal(again.inputs, batches[per_epoch + 1].inputs)
    assert not np.array_equal(batches[0].inputs, batches[per_epoch].inputs)
    # Streams of an epoch do not overlap.
    stream = [np.concatenate([b.inputs[i] for b in batches[:per_epoch]]) for i in range(count)]
    text = 2 * task._texts[0]
    places = sorted(text.index(decoded(task, one)) for one in stream)
    assert min(np.diff(places)) >= per_epoch * 20


def test_metrics_and_blind(folder):
    """Uniform logits cost the bits of the alphabet, right ones none, blind ones those of the counts."""
    task = CharactersTask(folder)
    examples = task.test()
    p = len(task.alphabet)
    logits = np.zeros((*examples.targets.shape, p))
    found = task.metrics(task.totals(logits, examples.targets), 100)
    assert found["bits_per_character"] == pytest.approx(math.log2(p), rel=1e-5)
    found = task.metrics(task.totals(100 * np.eye(p)[examples.targets], examples.targets), 100)
    assert found == {"bits_per_character": 0.0, "accuracy": 1.0}
    counts = np.array([task._texts[0].count(c) for c in task.alphabet]) + 1
    bits = [-math.log2(counts[i] / counts.sum()) for i in examples.targets.ravel()]
    assert task.blind() == pytest.approx(np.mean(bits))


def test_a_checkpoint_holds_the_alphabet(folder):
    """A network is measured by its checkpoint's alphabet; a text in another alphabet is refused."""
    task = CharactersTask(folder, window=9)
    assert task.alphabet == "".join(sorted(set(TEXT)))
    made = make_task(task.description(), folder)
    assert made.description() == task.description() and made.window == 9
    n, m = 6, len(task.alphabet)
    rng = np.random.default_rng(0)
    checkpoint = export(
        np.eye(n),
        rng.normal(size=(n, m)),
        rng.normal(size=(m, n)),
        activation="relu",
        calibration_inputs=task.test(5).inputs,
        task=task.description(),
    )
    result = evaluate(checkpoint, folder, rungs=("integer",))
    assert result["sequences"] == 100 and result["integer"]["bits_per_character"] > 1
    assert result["blind_bits_per_character"] == float(f"{task.blind():.6g}")
    (folder / "input.txt").write_text(TEXT.upper())
    with pytest.raises(
        DataError, match=r"the test text must be in the alphabet of the checkpoint, but holds"
    ):
        evaluate(checkpoint, folder)
    with pytest.raises(CheckpointError, match=r"^task.alphabet must be a string of different characters"):
        make_task({"name": "characters", "alphabet": "aa"}, folder)


def test_strange_characters(folder):
    """A few unknown characters are read as the first one of the alphabet."""
    (folder / "input.txt").write_text(TEXT[:-3] + "é" + TEXT[-2:])
    task = CharactersTask(folder)
    task.load()
    assert "é" not in task.alphabet
    assert task._indices[2][-3] == 0


@pytest.mark.parametrize(
    "prepare, message",
    [
        (
            lambda p: None,
            "must hold ptb.train.txt, ptb.valid.txt, ptb.test.txt, or input.txt; pass as data",
        ),
        (
            lambda p: (p / "input.txt").write_text("short"),
            "must hold at least 200 characters for training, not",
        ),
        (
            lambda p: (p / "input.txt").write_text("abc\n" * 600),
            "must hold at least 200 characters for validation, not 108",
        ),
        (lambda p: (p / "input.txt").write_bytes(b"\xff" * 999), "must be text in UTF-8: invalid start byte"),
        (
            lambda p: (p / "input.txt").write_text("".join(map(chr, range(3000, 9000)))),
            "the training text must have at most 1024 different characters, not 5130",
        ),
    ],
)
def test_bad_data(tmp_path, prepare, message):
    """Absent, short and strange texts are named in one line."""
    prepare(tmp_path)
    with pytest.raises(DataError, match=f"^{re.escape(str(tmp_path))}.*{re.escape(message)}"):
        CharactersTask(tmp_path)


def test_no_data(tmp_path):
    """Without a folder the error says what to pass."""
    with pytest.raises(DataError, match=r"^the characters task needs its data: pass as data"):
        CharactersTask(None)
    with pytest.raises(DataError, match=r"no such folder; pass as data"):
        CharactersTask(tmp_path / "no")


def test_bad_batches(folder):
    """More streams or a longer window than the text has room for are refused."""
    with pytest.raises(FormatError, match=r"^window must be 1 to 100000, not 0$"):
        CharactersTask(folder, window=0)
    size = len(characters.read_texts(folder)[0])
    with pytest.raises(FormatError, match=rf"^batch must be 1 to {size // 151}, not {size}$"):
        CharactersTask(folder).batches_per_epoch(size)
    with pytest.raises(FormatError, match=r"^batch must be 1 to 1, not 2$"):
        CharactersTask(folder, window=size).batches_per_epoch(2)


def test_real_text(capsys):
    """The published text has the known size."""
    found = data_dir("tinyshakespeare")
    if found is None:
        with capsys.disabled():
            print("\nno tinyshakespeare (set QORNN_DATA); not checked")
        return
    task = CharactersTask(found)
    assert (task.inputs, task.outputs) == (65, 65)
    assert task.test().inputs.shape == (100, 1115)
    assert task.blind() == pytest.approx(4.8295, abs=1e-4)
