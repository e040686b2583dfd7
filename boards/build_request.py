"""Whether a build can be tried with what is asked for."""

from qornn_hw.boards.board import Board
from qornn_hw.boards.clock import cell_parameters
from qornn_hw.boards.pll import clock_hz
from qornn_hw.compiler.boot import Boot
from qornn_hw.compiler.design import Design
from qornn_hw.errors import BoardError, FormatError

__all__ = ["check_boot", "check_request"]

# Nobody waits for more.
MOST_SEEDS = 1000


def check_boot(design: Design, board: Board, boot: Boot) -> None:
    """Raise an error unless the weights of ``design`` can come from there on ``board``.

    Raises:
        FormatError: they are in the bitstream.
        BoardError: the board has no flash that a design may read.
    """
    if boot is Boot.LINK:
        return
    if not design.schedule.weight_banks:
        raise FormatError(
            "boot must be link, not flash: the weights of this design are in the bitstream, which the flash "
            "holds anyway; leave it out"
        )
    if board.flash is None:
        raise BoardError(
            f"boot must be link, not flash: {board.name} has no flash that the design may read; leave it out"
        )


def check_request(
    board: Board, *, seed: int = 1, effort: int = 1, clock_mhz: float | None = None
) -> int | None:
    """Return the core clock in Hz, None for the fastest, if a build can be tried with these options.

    Raises:
        FormatError: seed or effort is none.
        BoardError: the clock cannot be made, or is too slow for the link.
    """
    if not 0 <= seed < 1 << 30:
        raise FormatError(f"seed must be 0 to 1073741823, not {seed!r}")
    if not 1 <= effort <= MOST_SEEDS:
        raise FormatError(f"effort must be 1 to {MOST_SEEDS}, not {effort!r}")
    if clock_mhz is None:
        return None
    hz = clock_hz(clock_mhz)
    if hz > board.fastest_mhz * 1e6:
        raise BoardError(
            f"clock must be at most {board.fastest_mhz:g} MHz on {board.name}, not {clock_mhz:g} MHz"
        )
    cell_parameters(board, hz)
    return hz
