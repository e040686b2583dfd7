"""Fixtures of several test files."""

import sys

import pytest
from fake_tools import fake  # noqa: F401
from sampling import mark_unsampled

from qornn_hw.cli import main as cli


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the cases of sampled tests that are slow, before slow tests are left out."""
    mark_unsampled(items)


@pytest.fixture
def run(monkeypatch, capsys):
    """Return a function that runs the command line in this process: code, output, errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["qornn-hw", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        captured = capsys.readouterr()
        return exit_.value.code, captured.out, captured.err

    return run
