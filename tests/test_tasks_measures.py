"""Parts of the metrics equal their formulas, generators are independent, and an epoch shows each example."""

import numpy as np
import pytest

from qornn_hw.errors import FormatError
from qornn_hw.tasks import adding, arrays, characters, copy, mnist, speech
from qornn_hw.tasks.measures import EpochOrder, cross_entropy, generator, hits, rounded, whole


def test_cross_entropy():
    """It is -log of the softmax at the target, also for large logits."""
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(4, 5, 3)), rng.integers(0, 3, (4, 5))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    wanted = -np.log(np.take_along_axis(softmax, targets[..., None], axis=-1)[..., 0])
    np.testing.assert_allclose(cross_entropy(logits, targets), wanted, rtol=1e-12)
    np.testing.assert_allclose(cross_entropy(logits + 1e6, targets), wanted, rtol=1e-6)


def test_hits():
    """The last step counts, and the first of equal logits."""
    logits = np.array([[[9, 0], [0, 1]], [[9, 0], [1, 1]], [[0, 9], [1, 0]]])
    assert hits(logits, np.array([1, 0, 1])) == 2


@pytest.mark.parametrize(
    ("value", "wanted"), [(0.12345678, 0.123457), (123456789.0, 123457000.0), (0.0, 0.0), (-1e-9, -1e-9)]
)
def test_rounded(value, wanted):
    """Six significant digits are left."""
    assert rounded(value) == wanted


def test_whole():
    """Integers of Python and NumPy in the range are accepted, everything else is refused."""
    assert whole("x", np.int16(3), 1, 3) == 3
    for value in (0, 4, 1.0, "2", True, None):
        with pytest.raises(FormatError, match=f"^x must be 1 to 3, not {value!r}$"):
            whole("x", value, 1, 3)


@pytest.mark.parametrize(("size", "count"), [(10, 3), (10, 10), (7, 1)])
def test_an_epoch_shows_each_example_at_most_once(size, count):
    """The batches of an epoch are disjoint; the orders of epochs, seeds and words differ."""
    order = EpochOrder(size, 1)
    per_epoch = order.batches(count)
    assert per_epoch == size // count

    def epoch(number, seed=0, order=order):
        batches = range(number * per_epoch, (number + 1) * per_epoch)
        return np.concatenate([order.chosen(i, count, seed) for i in batches]).tolist()

    first = epoch(0)
    assert len(set(first)) == len(first) == per_epoch * count and set(first) <= set(range(size))
    assert epoch(0) == first == epoch(0, order=EpochOrder(size, 1))
    others = [epoch(1), epoch(0, seed=1), epoch(0, order=EpochOrder(size, 2))]
    assert all(other != first for other in others)


def test_too_large_batches():
    """A batch of more examples than the set has is refused."""
    with pytest.raises(FormatError, match=r"^batch must be 1 to 5, not 6$"):
        EpochOrder(5, 1).batches(6)


def test_generators_differ_by_every_word():
    """Lists of one length give different generators; zeros at the end are ignored."""
    lists = ((1, 0), (0, 1), (1, 1), (2, 0), (1, 2), (1, 1 << 32))
    assert len({generator(*words).integers(1 << 60) for words in lists}) == len(lists)
    assert generator(2, 0).integers(1 << 60) == generator(2).integers(1 << 60)


def test_generators_of_the_tasks_differ_by_their_first_word():
    """No two sets, orders or augmentations of the tasks have the same first word."""
    words = [
        *(copy._TRAINING, copy._VALIDATION_SEED[0], copy._TEST_SEED[0]),
        *(adding._TRAINING, adding._VALIDATION_SEED[0], adding._TEST_SEED[0]),
        *(mnist._ORDER, mnist._SHIFT, speech._ORDER, speech._CHANGE, characters._START, arrays._ORDER),
    ]
    assert len(set(words)) == len(words) and max(words) < 1 << 32
