"""The sampled cases of a test: as many as asked for, every value among them, the same each time."""

from itertools import product
from types import SimpleNamespace

from sampling import mark_unsampled


class Case:
    """A collected test, as far as the sampling looks at it."""

    def __init__(self, indices, count=4):
        self.path, self.originalname, self.count = "file", "test", count
        self.name = f"test[{'-'.join(map(str, indices.values()))}]"
        self.callspec = SimpleNamespace(indices=indices)
        self.marks = []

    def get_closest_marker(self, name):
        """Return the mark."""
        return SimpleNamespace(args=(self.count,)) if name == "sampled" and self.count else None

    def add_marker(self, mark):
        """Keep a mark."""
        self.marks.append(mark.name)


def cases(count):
    """Return the cases of two parameters of 4 and 3 values."""
    return [Case({"a": a, "b": b}, count) for a, b in product(range(4), range(3))]


def test_as_many_as_asked_for_with_every_value():
    """Four cases of twelve have all seven values; the others are slow."""
    items = cases(4)
    mark_unsampled(items)
    kept = [item.callspec.indices for item in items if not item.marks]
    assert len(kept) == 4 and all(item.marks in ([], ["slow"]) for item in items)
    assert {k["a"] for k in kept} == {*range(4)} and {k["b"] for k in kept} == {*range(3)}


def test_the_same_cases_each_time():
    """Whatever their order."""
    one, other = cases(5), cases(5)[::-1]
    mark_unsampled(one)
    mark_unsampled(other)
    assert {i.name for i in one if i.marks} == {i.name for i in other if i.marks}


def test_others_are_left_alone():
    """A test without the mark, and one with more cases asked for than it has."""
    for count in (0, 12, 99):
        items = cases(count)
        mark_unsampled(items)
        assert not any(item.marks for item in items)
