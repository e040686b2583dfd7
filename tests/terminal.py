"""The view of a user: a command at a pseudo-terminal, and its screen as plain text, again and again.

As a script it prints the screens of a command, one for every five seconds::

    python tests/terminal.py qornn-hw build --board icebreaker models/mnist_rows.npz -o build/recorded
"""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from dataclasses import dataclass
from itertools import pairwise

ROWS, COLUMNS = 24, 110
_SEQUENCE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Screen:
    """A terminal of the kind that rich writes to: text, line ends, and the sequences of a live display."""

    def __init__(self, rows=ROWS, columns=COLUMNS):
        self.rows, self.columns = rows, columns
        self.lines = [""]
        self.row = self.column = 0
        self.rest = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data):
        """Take bytes of the program."""
        text, self.rest = self.rest + self.decoder.decode(data), ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = _SEQUENCE.match(text, at)
                if found is None:
                    if len(text) - at < 16:
                        self.rest = text[at:]
                        return
                    raise ValueError(f"not a sequence that is known here: {text[at : at + 16]!r}")
                self._control(found[1], found[2])
                at = found.end()
            else:
                self._character(text[at])
                at += 1

    def _control(self, numbers, letter):
        count = int(numbers) if numbers.isdigit() else 1
        if letter == "A":
            self.row = max(0, self.row - count)
        elif letter == "B":
            self._to(self.row + count)
        elif letter == "G":
            self.column = count - 1
        elif letter == "K":
            line = self.lines[self.row]
            self.lines[self.row] = "" if numbers == "2" else line[: self.column]
        elif letter not in "mhl":
            raise ValueError(f"not a sequence that is known here: {numbers}{letter}")

    def _character(self, character):
        if character == "\n":
            self._to(self.row + 1)
        elif character == "\r":
            self.column = 0
        else:
            if self.column == self.columns:
                self._to(self.row + 1)
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    def _to(self, row):
        self.lines += [""] * (row + 1 - len(self.lines))
        self.row = row

    @property
    def text(self):
        """The rows that are in sight."""
        return "\n".join(line.rstrip() for line in self.lines[-self.rows :]).rstrip()


@dataclass(frozen=True)
class Recording:
    """The screens of a command.

    Attributes:
        screens: (seconds, text) of each look.
        changes: seconds at which the screen was another one than before.
        seconds: of the whole.
        code: exit code of the command.
    """

    screens: list
    changes: list
    seconds: float
    code: int

    @property
    def longest_stillness(self):
        """The most seconds without a visible change."""
        times = [0.0, *self.changes, self.seconds]
        return max(b - a for a, b in pairwise(times))


def record(command, *, every=5.0, look=0.25, environment=None, cwd=None):
    """Run a command at a terminal; look at its screen four times a second, keep one every five seconds."""
    child, master = pty.fork()
    if child == 0:
        try:
            if cwd is not None:
                os.chdir(cwd)
            os.execvpe(command[0], command, (environment or os.environ) | {"TERM": "xterm"})
        finally:
            os._exit(127)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
    screen, screens, changes, before = Screen(), [], [], ""
    start, kept, looked = time.monotonic(), -every, -look
    while True:
        ready, _, _ = select.select([master], [], [], look / 2)
        if ready:
            try:
                data = os.read(master, 1 << 16)
            except OSError:
                # The program has closed its terminal.
                data = b""
            if not data:
                break
            screen.feed(data)
        now = time.monotonic() - start
        if now - looked >= look:
            looked = now
            if screen.text != before:
                before = screen.text
                changes.append(now)
        if now - kept >= every:
            kept = now
            screens.append((now, screen.text))
    os.close(master)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - start
    screens.append((seconds, screen.text))
    return Recording(screens, changes, seconds, os.waitstatus_to_exitcode(status))


def main():
    """Print the screens of the command that is named."""
    recording = record(sys.argv[1:])
    for seconds, text in recording.screens:
        print(f"--- {seconds:.0f} s " + "-" * 80)
        print(text)
    print("-" * 90)
    print(
        f"exit code {recording.code} after {recording.seconds:.0f} s; the longest time without a change: "
        f"{recording.longest_stillness:.1f} s"
    )


if __name__ == "__main__":
    main()
