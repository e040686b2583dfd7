"""``@pytest.mark.sampled(count)``: of a test's cases some run every day, and the others are slow tests."""

import hashlib

import pytest

__all__ = ["mark_unsampled"]


def mark_unsampled(items):
    """Mark as slow all but ``count`` cases of each sampled test.

    The cases are drawn by their names, the same ones each time. Cases with a value of a parameter that none
    of those before had come first, so that every value is in some case where ``count`` allows.
    """
    families = {}
    for item in items:
        if item.get_closest_marker("sampled") is not None:
            families.setdefault((item.path, item.originalname), []).append(item)
    for cases in families.values():
        (count,) = cases[0].get_closest_marker("sampled").args
        for item in _ordered(cases)[count:]:
            item.add_marker(pytest.mark.slow)


def _ordered(cases):
    """Return cases in their order of preference."""
    left = sorted(cases, key=lambda item: hashlib.sha256(item.name.encode()).digest())
    found, seen = [], set()
    while left:
        best = max(left, key=lambda item: len(_values(item) - seen))
        left.remove(best)
        found.append(best)
        seen |= _values(best)
    return found


def _values(item):
    return set(item.callspec.indices.items())
