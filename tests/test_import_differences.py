"""benchmarks/import_differences.py: the table of docs/imports.md has every case, and none is far off."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/imports.md"


@pytest.fixture
def script(monkeypatch):
    """The script."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import import_differences

    return import_differences


def test_torch_modules_are_near(script):
    """Every torch module of the table is imported to 1e-6."""
    found = dict(script.torch_cases())
    assert len(found) > 10
    assert max(found.values()) < 1e-6


def test_the_page_has_the_cases(script):
    """A case of the torch tests is a row of the page, with a figure."""
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d\.\de-\d\d) \|", PAGE.read_text(encoding="utf-8"), re.M))
    assert set(rows) == set(dict(script.torch_cases()))


def test_a_difference_is_relative(script):
    """To the largest answer, not to each."""
    assert script.largest([[0.0, 4.0]], [[0.1, -5.0]]) == pytest.approx(9 / 5)
