"""Text from a file, a path or a log cannot control a terminal: characters, markup, and every print."""

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_network
from rich.table import Table

from qornn_hw.files.checkpoint import Checkpoint, save_checkpoint
from qornn_hw.terminal.text import PlainConsole, plain, printable, say

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "mnist_rows_tanh.npz"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain äöü ✓ 日本", "plain äöü ✓ 日本"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\rb\nc\td\x08\x7f\x9b", r"a\rb\nc\td\x08\x7f\x9b"),
        ("\u202eabc\u2066\u200b\u2028", r"\u202eabc\u2066\u200b\u2028"),
        ("\ud800 \udcff", r"\ud800 \udcff"),
    ],
)
def test_printable(text, shown):
    """Controls, marks of direction, and surrogates are shown by their codes; letters stay."""
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_printable_is_printable(text):
    """The result is printable and can be encoded, for any text."""
    assert printable(text).isprintable()
    printable(text).encode()
    assert printable(text, "\n").replace("\n", "").isprintable()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp437"])
def test_encodings(encoding):
    """A character outside the stream's encoding is shown by its code, in lines and tables."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    say("→ ä \x1b", file=stream)
    stream.flush()
    text = stream.buffer.getvalue().decode(encoding)
    assert "\x1b" not in text and ("→" in text) == (encoding == "utf-8")


def test_console():
    """Strings of a table, of its title and of a line are text: no markup, no emoji, no controls."""
    stream = io.StringIO()
    console = PlainConsole(file=stream, width=60, force_terminal=True, color_system=None)
    table = Table("[/nope]", title="[bold] :smile:")
    table.add_row("[red]\x1b[2J and more")
    console.print(table)
    console.print("[/x] \x1b]0;t\x07")
    console.print(plain("[/y]\x9b"))
    text = stream.getvalue()
    for part in ("[/nope]", "[bold] :smile:", r"[red]\x1b[2J and", r"[/x] \x1b]0;t\x07", r"[/y]\x9b"):
        assert part in text
    assert "\x1b[2J" not in text and "\x1b]" not in text


def command(*words, **options):
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "qornn_hw", *map(str, words)], capture_output=True, timeout=120, **options
    )


@pytest.fixture
def hostile(tmp_path):
    """Return a model whose name, folder and header are markup and escape sequences."""
    path = tmp_path / "m[v2]" / "a[bold]\x1b[2J.npz"
    words = {"[/nope]\x1b]0;t\x07": "[red]\x1b[2J", "list": ["\u202e", "\r"]}
    save_checkpoint(path, Checkpoint(make_network(n=2, m=1, p=1), metrics=words, provenance=words))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_hostile_model(hostile, tmp_path, encoding):
    """`info` of such a model prints a table without a control character, in each encoding; so do errors."""
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = command("info", hostile, env=environment)
    assert done.returncode == 0 and done.stderr == b""
    text = done.stdout.decode(encoding)
    assert r"[red]\x1b[2J" in text and "a[bold]" in text
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    for wrong in (str(hostile) + ".npz", str(hostile.parent), str(tmp_path / "no\udcff\x1b[2J.pt")):
        done = command("info", wrong, env=environment)
        text = done.stderr.decode(encoding)
        assert done.returncode == 2 and text.count("\n") == 1 and text[:-1].isprintable()
    done = command("info", hostile, "--json", env=environment)
    assert json.loads(done.stdout)["metrics"]["list"] == ["\u202e", "\r"] and b"\x1b" not in done.stdout


def test_closed_streams():
    """Standard output that is closed, or full, is an error; standard input and error may be closed."""
    run = f"{sys.executable} -m qornn_hw info {MODEL}"
    closed = subprocess.run(f"{run} >&-", shell=True, capture_output=True, text=True)
    assert closed.returncode == 2
    assert closed.stderr == (
        "qornn-hw: error: standard output must be open, but it is closed; redirect it to /dev/null to see "
        "nothing\n"
    )
    full = subprocess.run(f"{run} > /dev/full", shell=True, capture_output=True, text=True)
    assert full.returncode == 2 and full.stderr.startswith("qornn-hw: error: there must be room on the disk")
    for redirection in ("2>&-", "<&-", "<&- 2>&-"):
        done = subprocess.run(f"{run} {redirection}", shell=True, stdout=subprocess.PIPE, text=True)
        assert done.returncode == 0 and "hidden_size" in done.stdout


def test_every_print_is_printable():
    """All modules print through terminal.text; JSON in ASCII is the exception."""
    wrong = []
    writers = {ROOT / "qornn_hw" / "terminal" / "text.py", ROOT / "qornn_hw" / "__main__.py"}
    for folder in ("qornn_hw", "boards", "sim", "rtl_gen"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or path in writers:
                    continue
                name = ast.unparse(node.func)
                first = ast.unparse(node.args[0]) if node.args else ""
                allowed = first.startswith(("json.dumps(", "context.get_help("))
                if (name == "print" and not allowed) or name in ("Console", "typer.echo", "click.echo"):
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}({first[:40]})")
    assert wrong == []


def test_json_is_ascii():
    """The output of --json has no control characters, whatever is in it, since JSON in ASCII has none."""
    text = json.dumps({"x": "".join(map(chr, np.r_[0:0x200, 0xD800, 0x202E, 0x1F600]))}, indent=2)
    assert all(c == "\n" or c.isprintable() for c in text) and text.isascii()
