"""Safe text for a terminal: text from a file, a path or a tool's log cannot control it.

An escape sequence in a model's header could clear the screen, overwrite earlier output, or set the title of
the window; ``[/x]`` is markup for rich. All output of the command line goes through :func:`say` or a
:class:`PlainConsole`, which show such characters by their codes.
"""

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

__all__ = ["PlainConsole", "plain", "printable", "require_streams", "say"]

_KEPT = frozenset("\n\t")


def printable(text: str, kept: Iterable[str] = "") -> str:
    r"""Return ``text`` with every unprintable character replaced by its code.

    These are control characters (among them escape, carriage return and newline), marks that reverse the
    direction of text, surrogates, private and unassigned characters, and all spaces but the common one.

    Args:
        text: the text.
        kept: characters that are not replaced.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    if text.isprintable():
        return text
    stay = frozenset(kept)
    return "".join(
        c if c.isprintable() or c in stay else c.encode("unicode_escape").decode("ascii") for c in text
    )


def plain(text: str) -> Text:
    """Return ``text`` for rich: printable, and without markup."""
    return Text(printable(text, _KEPT))


def say(text: object = "", *, file: TextIO | None = None, flush: bool = False) -> None:
    """Print ``text`` as lines; control characters, and those not in the stream's encoding, become codes.

    Args:
        text: the text; its newlines are kept.
        file: the stream; standard output by default.
        flush: flush the stream.
    """
    stream = sys.stdout if file is None else file
    shown = printable(str(text), _KEPT)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(shown.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=flush)


class PlainConsole(Console):
    """A console that prints strings literally: no markup, emoji, highlights or control characters.

    Styles that the program sets are kept. Strings in tables and titles are included.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"markup": False, "emoji": False, "highlight": False} | options))

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string for rich; rich calls this for every string, also in tables."""
        return super().render_str(printable(text, _KEPT), **options)


def require_streams() -> str | None:
    """Check the standard streams of this process; return an error text, or None if they are usable.

    With standard output closed, a process would succeed and print nothing; and the next file that it opens
    would get the descriptor of standard output, so that the output of a tool would be written into it. Closed
    standard input and error are opened to the null device. Characters that cannot be encoded are shown by
    their codes.
    """
    if sys.stdin is None:
        sys.stdin = open("/dev/null")  # noqa: PTH123, SIM115  # for as long as the process runs
    if sys.stderr is None:
        sys.stderr = open("/dev/null", "w")  # noqa: PTH123, SIM115  # as above
    if sys.stdout is None:
        return "standard output must be open, but it is closed; redirect it to /dev/null to see nothing"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    return None
