"""Draws which package imports which, as a Mermaid graph between two marks of docs/architecture.md.

    python benchmarks/import_graph.py            write the graph into docs/architecture.md
    python benchmarks/import_graph.py --check    exit code 1 where the graph there is not the present one

An arrow goes from the package that imports to the one that is imported. An import that follows from others (a
path of two arrows or more leads there, too) is left out: the graph is the transitive reduction.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import grimp
from marked_page import between

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/architecture.md"
BEGIN = "<!-- import graph: python benchmarks/import_graph.py -->\n"
END = "<!-- end of the import graph -->\n"
PACKAGE = "qornn_hw"
# Single modules at the top of the package that everything may import.
LEFT_OUT = ("__main__", "arguments", "counts", "errors")


def package_imports() -> dict[str, set[str]]:
    """Return the packages below ``qornn_hw``, each with those that any of its modules imports."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    names = sorted(
        child.rpartition(".")[2]
        for child in graph.find_children(PACKAGE)
        if child.rpartition(".")[2] not in LEFT_OUT and graph.find_children(child)
    )
    return {
        name: {
            other
            for other in names
            if other != name
            and graph.direct_import_exists(
                importer=f"{PACKAGE}.{name}", imported=f"{PACKAGE}.{other}", as_packages=True
            )
        }
        for name in names
    }


def reached(imports: Mapping[str, set[str]], start: str) -> set[str]:
    """Return all packages that a package imports, over others, too.

    >>> sorted(reached({"a": {"b"}, "b": {"c"}, "c": set()}, "a"))
    ['b', 'c']
    """
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in imports[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def reduced(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the transitive reduction of an acyclic graph.

    >>> reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    {'a': {'b'}, 'b': {'c'}, 'c': set()}
    """
    return {
        name: {
            other
            for other in others
            if not any(other in reached(imports, between) for between in others - {other})
        }
        for name, others in imports.items()
    }


def mermaid(imports: Mapping[str, set[str]]) -> str:
    """Return the graph as a Markdown block."""
    edges = [f"    {name} --> {other}" for name, others in imports.items() for other in sorted(others)]
    return "\n".join(["```mermaid", "graph TD", *edges, "```", ""])


def main(arguments: list[str] | None = None) -> int:
    """Write or check the graph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    old = PAGE.read_text()
    new = between(old, BEGIN, END, mermaid(reduced(package_imports())))
    if options.check:
        return int(old != new)
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
