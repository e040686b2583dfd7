"""What commands print: JSON, tables and warnings."""

import json
from pathlib import Path

from qornn_hw.cli.output import print_json, print_table, stage, warn


def test_json(capsys):
    """An object in lines; what JSON does not know is text."""
    print_json({"a": [1, None], "path": Path("x")})
    assert json.loads(capsys.readouterr().out) == {"a": [1, None], "path": "x"}


def test_table(capsys):
    """Nested names have dots, and numbers six digits."""
    print_table("title", {"a": {"b": 1.23456789}, "c": "text"})
    text = capsys.readouterr().out
    assert text.startswith("title\n") and "a.b" in text and "1.23457" in text and "text" in text


def test_warning_and_stage(capsys):
    """A warning goes to standard error; nothing where there is none, and nothing of a quiet stage."""
    warn(None)
    with stage("working", quiet=True):
        pass
    assert capsys.readouterr() == ("", "")
    warn("careful")
    assert capsys.readouterr() == ("", "warning: careful\n")
