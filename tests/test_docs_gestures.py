"""docs/examples/gestures.py and the commands of docs/gestures.md run from nothing to a virtual board."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from qornn_hw.files.checkpoint import load_checkpoint

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/gestures.md").read_text(encoding="utf-8")
# The beginning of each command of the page, and options that make it short; None: not run here.
SHORT = {
    "python docs/examples/gestures.py FOLDER": "--epochs 1 --recordings 100 --test 30 --tune 1 --check 1",
    "cd FOLDER": "",
    "qornn-hw example gestures": "--train 120 --test 30",
    "qornn-hw compare": "--limit 10 --bits 4,8 --state-bits 8",
    "qornn-hw finetune": "--epochs 1 --finetune-epochs 1",
    "qornn-hw build": None,
    "qornn-hw simulate-board": "",
    "qornn-hw run four.pt --port PORT --data": "--limit 3",
    "python -c": "",
    "qornn-hw run four.pt --port PORT --stream": "",
}
# Pieces of what a command prints, by its beginning.
SAYS = {
    "python docs": ["board: 6 integers of 1 recordings compared, 0 mismatches", "whole recording: True"],
    "qornn-hw example": ["120 recordings to train with, 30 to test with, 100 steps of 3 channels"],
    "qornn-hw compare": ["understood: 10 sequences of 100 steps of 3 inputs", "4-bit weights, 8-bit states"],
    "qornn-hw finetune": ["integers, as the hardware computes", "wrote four.pt"],
    "qornn-hw run four.pt --port PORT --data": ["21 integers compared", " 0 mismatches"],
    "qornn-hw run four.pt --port PORT --stream": [
        "100 steps, 1 answers",
        "7 integers compared",
        " 0 mismatches",
    ],
}


def environment():
    """Return an environment where `python` and `qornn-hw` are those of the tests."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"OMP_NUM_THREADS": "1", "PATH": path}


def shell(line, folder):
    """Return what a command line prints on both streams; it must succeed."""
    done = subprocess.run(
        line, shell=True, capture_output=True, text=True, check=False, cwd=folder, env=environment()
    )
    assert done.returncode == 0, f"{line}: {done.stderr}"
    return done.stdout + done.stderr


def page_commands():
    """Return the command lines of the page's section of commands."""
    section = PAGE.partition("## The same as commands")[2]
    return [line.strip() for line in section.splitlines() if line.startswith("    ")]


def entry(table, line):
    """Return the value of the one key that a line begins with, or None."""
    found = [value for beginning, value in table.items() if line.startswith(beginning)]
    assert len(found) <= 1, line
    return found[0] if found else None


def shortened(line, words):
    """Return a command line with its short options, and with real values for the page's words in capitals."""
    command, redirection, file = line.partition(" <")
    line = " ".join(filter(None, [command, entry(SHORT, line)])) + redirection + file
    for word, value in words.items():
        line = re.sub(rf"\b{word}\b", shlex.quote(str(value)), line)
    return line


@contextmanager
def simulated_board(line, folder):
    """Start the virtual board with the page's command; the port is in what it prints."""
    process = subprocess.Popen(
        shlex.split(line), stdout=subprocess.PIPE, text=True, cwd=folder, env=environment()
    )
    try:
        yield next(found[0] for text in process.stdout if (found := re.search(r"/dev/[\w/]*\d", text)))
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_page_has_every_stage():
    """The commands of the page are those that this file knows, in this order."""
    lines = page_commands()
    assert len(lines) == len(SHORT)
    assert all(line.startswith(beginning) for line, beginning in zip(lines, SHORT, strict=True))


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path):
    """The page's commands run in order, each on what is there; the board answers as the model does."""
    folder = tmp_path / "gestures"
    words, here = {"FOLDER": folder}, ROOT
    lines, outputs = page_commands(), {}
    start = next(i for i, line in enumerate(lines) if line.startswith("qornn-hw simulate-board"))

    def run(line):
        outputs[line] = shell(shortened(line, words), here)
        for piece in entry(SAYS, line) or []:
            assert piece in outputs[line], line

    for line in lines[:start]:
        if line == "cd FOLDER":
            here = folder
            for path in folder.iterdir():  # the commands make all but the trained network
                path.name == "eight.pt" or path.unlink()
        elif entry(SHORT, line) is not None:
            run(line)
    with simulated_board(lines[start], here) as words["PORT"]:
        for line in lines[start + 1 :]:
            run(line)

    recording = np.load(folder / "gestures.npz")["inputs_test"][:1]
    logits = load_checkpoint(folder / "four.pt")(recording).ravel()
    answer = next(text for text in outputs[lines[-1]].splitlines() if len(text.split()) == 7)
    *found, chosen = map(float, answer.split())
    assert np.allclose(found, logits, rtol=1e-5) and chosen == logits.argmax()


@pytest.mark.slow
def test_the_network_learns(tmp_path):
    """The whole training reaches what the page says, up to the processor's rounding."""
    output = shell(f"python docs/examples/gestures.py {shlex.quote(str(tmp_path))}", ROOT)
    rounded, tuned = map(float, re.search(r"4 bits: ([\d.]+)% rounded only, ([\d.]+)%", output).groups())
    assert float(re.search(r"float: ([\d.]+)%", output).group(1)) > 83
    assert tuned > 84 and tuned > rounded
