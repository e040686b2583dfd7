"""`qornn-hw run --stream`: the lines of standard input on a board, and the counts at the end."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qornn_hw.counts import require_compared
from qornn_hw.errors import FormatError
from qornn_hw.terminal.text import say

if TYPE_CHECKING:
    from qornn_hw.api.board import Board
    from qornn_hw.api.network import Network

__all__ = ["check_stream", "run_stream"]


def check_stream(stream: bool, *, integers: bool, history: int | None, **others: Any) -> None:
    """Refuse options that do not go with a stream, or that go with a stream only.

    Raises:
        FormatError: there is one.
    """
    for name, value in others.items():
        if stream and value is not None:
            raise FormatError(f"`stream` must come without `{name}`; its steps come from standard input")
    for name, value in (("integers", integers or None), ("history", history)):
        if value is not None and not stream:
            raise FormatError(f"`{name}` must come with `stream`")


def run_stream(
    connect: "Callable[[], Board]", net: "Network", *, integers: bool, check: bool, as_json: bool
) -> None:
    """Play the lines of standard input; answers go to standard output, counts to standard error."""
    from qornn_hw.cli.stream import LineStream

    network = net.network
    if not net.operations.every_step:
        _tell(
            "the network answers the last step of a sequence only: an answer comes at an empty line, at "
            "`reset` and at the end"
        )
    with connect() as board:
        lines = LineStream(
            board.host, network, integers=integers, check=check, as_json=as_json,
            write=lambda line: say(line, flush=True),
            warn=lambda text: _tell(f"warning: {text}"),
        )  # fmt: skip
        result = lines.play(sys.stdin.buffer)
    if check:
        require_compared(result.integers_compared)
    s = board.statistics
    value = {
        **asdict(result),
        "mismatches": 0 if check else None,
        "clipped": lines.inputs.clipped.tolist(),
        "resets": s.resets,
        "replayed_steps": s.replayed_steps,
        "faults": s.faults,
    }
    if as_json:
        print(json.dumps(value))
    else:
        _say(value, check, lines.inputs.text)


def _say(value: dict[str, Any], check: bool, clipped: str | None) -> None:
    """Print the counts of a stream on standard error."""
    mean, longest = value["seconds"] / value["steps"], value["longest_seconds"]
    _tell(
        f"{value['sequences']} sequences, {value['steps']} steps, {value['answers']} answers; "
        f"{1e3 * mean:.3f} ms a step, at most {1e3 * longest:.3f} ms"
    )
    if check:
        _tell(f"{value['integers_compared']} integers compared with the integer model, 0 mismatches")
    if clipped is not None:
        _tell(f"warning: {clipped}")
    if value["resets"]:
        _tell(
            f"recovered {value['resets']} times, {value['replayed_steps']} steps sent again; faults that the "
            f"board told of: {value['faults'] or 'none'}"
        )


def _tell(text: str) -> None:
    say(text, file=sys.stderr, flush=True)
