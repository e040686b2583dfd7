"""The drawn graph of imports is that of the code."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import import_graph


def test_the_page_shows_the_present_graph():
    """`docs/architecture.md` has what `python benchmarks/import_graph.py` writes."""
    assert import_graph.main(["--check"]) == 0, "run python benchmarks/import_graph.py"


def test_a_new_import_is_seen(monkeypatch):
    """A package that imports one more package makes the page stale."""
    imports = import_graph.package_imports()
    monkeypatch.setattr(import_graph, "package_imports", lambda: imports | {"ir": {"storage"}})
    assert import_graph.main(["--check"]) == 1


@pytest.mark.parametrize(
    ("imports", "expected"),
    [
        ({"a": set()}, {"a": set()}),
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, {"a": {"b"}, "b": {"c"}, "c": set()}),
        (
            {"a": {"d", "b"}, "b": {"c"}, "c": {"d"}, "d": set()},
            {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()},
        ),
    ],
)
def test_the_transitive_reduction(imports, expected):
    """An arrow that follows from a path of others is left out."""
    assert import_graph.reduced(imports) == expected


def test_a_page_without_marks_is_refused(monkeypatch, tmp_path):
    """The graph is written between its marks or not at all."""
    page = tmp_path / "architecture.md"
    page.write_text("# Architecture\n")
    monkeypatch.setattr(import_graph, "PAGE", page)
    with pytest.raises(ValueError, match="must have the lines"):
        import_graph.main([])
    assert page.read_text() == "# Architecture\n"
