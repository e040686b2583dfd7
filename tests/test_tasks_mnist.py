"""MNIST in its three orders."""

import gzip
import re

import numpy as np
import pytest
from data_sets import data_dir, write_mnist

from qornn_hw.errors import DataError, FormatError
from qornn_hw.tasks import MnistTask, make_task, mnist


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with 300 training and 100 test images of noise."""
    monkeypatch.setattr(mnist, "COUNTS", {"train": 300, "test": 100})
    write_mnist(tmp_path)
    return tmp_path


def test_orders_show_the_same_pixels(folder):
    """Rows and pixels are the same numbers in another shape, and permuted ones in the fixed order."""
    rows, pixels, permuted = (MnistTask(folder, order).test(20).inputs for order in mnist.ORDERS)
    assert rows.shape == (20, 28, 28) and pixels.shape == permuted.shape == (20, 784, 1)
    np.testing.assert_array_equal(rows.reshape(20, 784), pixels[..., 0])
    order = mnist.permutation()
    for t in (0, 1, 783):
        np.testing.assert_array_equal(permuted[:, t, 0], pixels[:, order[t], 0])
    assert [MnistTask(folder, order).inputs for order in mnist.ORDERS] == [28, 1, 1]


def test_permutation_is_the_literatures():
    """The permutation begins as numpy.random.RandomState(92916).permutation(784) does in every release."""
    order = mnist.permutation()
    assert sorted(order.tolist()) == list(range(784))
    assert order[:8].tolist() == [319, 576, 323, 107, 355, 716, 197, 20]


def test_every_trained_image_once_an_epoch(folder):
    """An epoch shows each of the first eleven twelfths once, in another order each time; never validation."""
    task = MnistTask(folder, input_bits=8)
    assert task.batches_per_epoch(25) == 11
    images = [task.training_batch(i, 25, 3).inputs.reshape(25, -1) for i in range(22)]
    first, second = np.concatenate(images[:11]), np.concatenate(images[11:])
    assert len(np.unique(first, axis=0)) == 275
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    kept = task.validation().inputs.reshape(25, -1)
    assert len(np.unique(np.concatenate([first, kept]), axis=0)) == 300


@pytest.mark.parametrize("augment", [0, 3])
def test_batches_are_functions_of_their_arguments(folder, augment):
    """A batch depends on its arguments only, not on other batches or tasks."""
    task = MnistTask(folder, augment=augment)
    wanted = task.training_batch(17, 10, 5)
    for i in (0, 40, 18):
        task.training_batch(i, 10, 6)
    for again in (
        task.training_batch(17, 10, 5),
        MnistTask(folder, augment=augment).training_batch(17, 10, 5),
    ):
        np.testing.assert_array_equal(again.inputs, wanted.inputs)
        np.testing.assert_array_equal(again.targets, wanted.targets)
    assert not np.array_equal(task.training_batch(17, 10, 6).inputs, wanted.inputs)


def test_shifted():
    """An image moves by whole pixels, and black comes in."""
    image = np.zeros((3, 28, 28), dtype=np.uint8)
    image[:, 10, 20] = 7
    moved = mnist.shifted(image, np.array([2, 0, -10]), np.array([-3, 0, 8]))
    assert [tuple(np.argwhere(one)[0]) if one.any() else None for one in moved] == [
        (12, 17),
        (10, 20),
        None,
    ]


def test_augmentation_moves_before_the_permutation(folder):
    """Moved images are the trained ones moved by up to so many pixels, in the task's order."""
    plain = MnistTask(folder, "permuted").training_batch(0, 30, 0).inputs[..., 0]
    moved = MnistTask(folder, "permuted", augment=1).training_batch(0, 30, 0).inputs[..., 0]
    back = np.argsort(mnist.permutation())
    for before, after in zip(plain[:, back], moved[:, back], strict=True):
        before, after = before.reshape(28, 28).astype(np.uint8), after.reshape(28, 28)
        candidates = [
            mnist.shifted(before[None], np.array([down]), np.array([right]))[0]
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
        assert any(np.array_equal(one, after) for one in candidates)
    assert not np.array_equal(plain, moved)


def test_description(folder):
    """The description is the one of the shipped models; augment is in it only where it is used."""
    assert MnistTask(folder).description() == {"name": "mnist", "order": "rows"}
    task = MnistTask(folder, "permuted", augment=2)
    assert task.description() == {"name": "mnist", "order": "permuted", "augment": 2}
    made = make_task(task.description(), folder, input_bits=8)
    assert (made.augment, made.input_bits, made.input_scale) == (2, 8, 1 / 256)


def test_metric_and_blind(folder):
    """Accuracy counts the last step's largest logit; the blind one is the most frequent digit's share."""
    task = MnistTask(folder)
    targets = task.test().targets
    assert task.blind() == np.bincount(targets).max() / 100
    logits = np.eye(10)[targets][:, None]
    logits[:30] = 0
    assert task.totals(logits, targets) == {"accuracy": 70 + (targets[:30] == 0).sum()}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"order": "columns"}, "order must be one of rows, pixels, permuted, not 'columns'"),
        ({"input_bits": 9}, "input_bits must be 1 to 8, not 9"),
        ({"augment": 15}, "augment must be 0 to 14, not 15"),
    ],
)
def test_bad_arguments(arguments, message):
    """An invalid argument is named."""
    with pytest.raises(FormatError, match=f"^{re.escape(message)}$"):
        MnistTask(None, **arguments)


def test_bad_batches(folder):
    """A batch of more images than there are is refused, and a task without data says so when it loads."""
    with pytest.raises(FormatError, match=r"^batch must be 1 to 275, not 276$"):
        MnistTask(folder).batches_per_epoch(276)
    with pytest.raises(DataError, match=r"^the mnist task needs its data: pass as data"):
        make_task({"name": "mnist", "order": "rows"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-labels-idx1", bytes((0, 0, 8, 1, 0)), "must begin with the IDX header of bytes of rank 1"),
        ("t10k-images-idx3", bytes((0, 0, 8, 3, 0)), "must begin with the IDX header of bytes of rank 3"),
        ("t10k-labels-idx1", None, "labels must be 0 to 9, not 77; fetch it again"),
    ],
)
def test_damaged_files(folder, name, content, message):
    """A truncated header and an invalid label are reported with their file."""
    path = folder / f"{name}-ubyte.gz"
    if content is None:
        whole = bytearray(gzip.decompress(path.read_bytes()))
        whole[-1] = 77
        content = bytes(whole)
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}: {message}')}"):
        MnistTask(folder).load()


def test_real_images(capsys):
    """The published files have the known sizes and the known share of ones."""
    found = data_dir()
    if found is None:
        with capsys.disabled():
            print("\nno MNIST data (set QORNN_DATA); not checked")
        return
    task = MnistTask(found, "permuted")
    task.load()
    assert task.batches_per_epoch(100) == 550
    assert len(task.validation().targets) == 5000 and len(task.test().targets) == 10000
    assert task.blind() == 0.1135
