"""What a board holds: a build in a folder, or a design that is planned as for a build."""

from pathlib import Path

from qornn_hw.api.build import Build
from qornn_hw.api.design import DEFAULT_BOARD, Design, compile
from qornn_hw.api.network import Network
from qornn_hw.errors import FormatError

__all__ = ["held"]


def held(
    net: Network,
    board: str = DEFAULT_BOARD,
    build: Path | None = None,
    lanes: int | None = None,
    engine: str | None = None,
) -> Build | Design:
    """Return the build that a board holds, or, where none is named, the design of these arguments.

    Args:
        net: the network.
        board: name of a board, or the path of a file; with a build only one of your own needs to be named.
        build: folder of the build.
        lanes: as for :func:`qornn_hw.compile`, without a build.
        engine: likewise.

    Raises:
        FormatError: lanes or engine come with a build, or the build is of another network or board.
        BoardError, CapacityError, DataError: as :meth:`Build.read` and :func:`qornn_hw.compile`.
    """
    if build is None:
        return compile(net, board, lanes=lanes, engine=engine)
    if lanes is not None or engine is not None:
        raise FormatError("`build` must come without `lanes` and `engine`, which are those of the build")
    return Build.read(build, net, None if board == DEFAULT_BOARD else board)
