"""Place and route of a netlist with several seeds, side by side."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from qornn_hw.boards.board import Board
from qornn_hw.boards.netlist import NETLIST_TOP
from qornn_hw.boards.report import Placement, read_placement, read_utilisation_log
from qornn_hw.boards.toolchain import Tool
from qornn_hw.boards.workshop import LOG_FOLDER, Workshop
from qornn_hw.errors import CapacityError, ToolError

__all__ = ["CrowdedError", "Placer", "placed_files", "renamed"]

# nextpnr gives a cell up after cells squared / 200 attempts, not / 8: where a device is nearly full it tried
# for more than ten minutes, and placed badly. Then there are fewer sets of control signals, and it gets four
# times the attempts.
PLACER_OPTIONS = ("--placer-heap-cell-placement-timeout", "200")
CROWDED_PLACER_OPTIONS = ("--placer-heap-cell-placement-timeout", "50")


class CrowdedError(CapacityError):
    """There are cells enough, and no place for each."""


def renamed(arguments: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Return the arguments of a tool with other names of files, alone or behind a ``key=``.

    >>> renamed(["--json", "top.json", "out=top.txt"], {"top.txt": "1-top.txt"})
    ['--json', 'top.json', 'out=1-top.txt']
    """
    split = (argument.rpartition("=") for argument in arguments)
    return [f"{key}{equals}{names.get(name, name)}" for key, equals, name in split]


def placed_files(board: Board) -> tuple[str, ...]:
    """Return the names of all that nextpnr writes; the first is the placed design, which is packed."""
    return (f"{NETLIST_TOP}{board.family.flow.placed}", "timing.json", "placed.json", "top.tim")


@dataclass
class Placer:
    """Places the netlist of a work folder.

    Attributes:
        board: for which.
        nextpnr: the tool.
        shop: runs it.
        options: of nextpnr, besides its arguments and the seed.
    """

    board: Board
    nextpnr: Tool
    shop: Workshop
    options: tuple[str, ...] = PLACER_OPTIONS

    def relax(self) -> None:
        """Let nextpnr try longer to find a place for each cell, after a :class:`CrowdedError`."""
        self.options = CROWDED_PLACER_OPTIONS
        self.shop.reopen()

    def place(self, stage: str, arguments: Sequence[str], seeds: Sequence[int]) -> tuple[int, Placement]:
        """Place with each seed, side by side; keep the fastest placement, the first of those that are equal.

        Args:
            stage: of the build, for the name of the log.
            arguments: of nextpnr.
            seeds: that are tried.

        Returns:
            The seed whose placement is kept, and what came of it.

        Raises:
            CapacityError: the device is too small; a :class:`CrowdedError` where it is only crowded.
            ToolError: nextpnr failed.
        """
        results = {name: f"{{}}-{name}" for name in placed_files(self.board)}
        work = self.shop.work

        def place(seed: int) -> Placement:
            names = {name: new.format(seed) for name, new in results.items()}
            return self._place_one(stage if len(seeds) == 1 else f"{stage}-{seed}", arguments, seed, names)

        placements = dict(zip(seeds, self._side_by_side(place, seeds), strict=True))
        best = max(placements, key=lambda seed: placements[seed].fmax_mhz)
        for name, new in results.items():
            if (work / new.format(best)).exists():
                (work / new.format(best)).replace(work / name)
        if len(seeds) > 1:
            logs = work / LOG_FOLDER
            (logs / f"{stage}-{best}.log").replace(logs / f"{stage}.log")
            for seed in seeds:
                (logs / f"{stage}-{seed}.log").unlink(missing_ok=True)
        return best, placements[best]

    def _place_one(self, log: str, arguments: Sequence[str], seed: int, names: dict[str, str]) -> Placement:
        """Place with one seed; ``names`` are the names of what nextpnr writes, by the usual names."""
        work, family = self.shop.work, self.board.family
        outputs = (names[placed_files(self.board)[0]], names["timing.json"])
        try:
            options = [*self.options, "--seed", str(seed), *renamed(arguments, names)]
            self.shop.run(log, self.nextpnr, options, outputs)
        except ToolError as error:
            self._refuse_what_does_not_fit(log, error)
            raise
        placement = read_placement(work / names["timing.json"])
        if family.flow.counts_packed:
            text = (work / LOG_FOLDER / f"{log}.log").read_text(errors="replace")
            placement = placement.counted(read_utilisation_log(text))
        if family.timing_limit is None:
            return placement
        limit = family.timing_limit(work / f"{NETLIST_TOP}.json", work / names["timing.json"])
        return placement if limit is None else placement.limited(limit)

    def _side_by_side(self, work: Callable[[int], Placement], seeds: Sequence[int]) -> list[Placement]:
        """Do ``work`` for all seeds, as many at a time as there are cores; the first failure ends all."""
        if len(seeds) == 1:
            return [work(seeds[0])]
        with ThreadPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
            tasks = [pool.submit(work, seed) for seed in seeds]
            try:
                for task in as_completed(tasks):
                    task.result()
                return [task.result() for task in tasks]
            except BaseException:
                for task in tasks:
                    task.cancel()
                self.shop.kill()
                raise

    def _refuse_what_does_not_fit(self, stage: str, error: ToolError) -> None:
        """Raise a CapacityError if that is why the placement failed."""
        log = (self.shop.work / LOG_FOLDER / f"{stage}.log").read_text(errors="replace")
        used = read_utilisation_log(log)
        names = {cell: name for name, of in self.board.family.flow.cells.items() for cell in of}
        over = [f"{u} {names.get(k, k)} where there are {a}" for k, (u, a) in used.items() if u > a]
        if not over and not re.search(r"^ERROR:.*(legal|no more|[Nn]o Bels|unable to place)", log, re.M):
            return
        what = ", ".join(over) or "all but a few of its logic cells, which leaves no legal placement"
        kind = CapacityError if over else CrowdedError
        raise kind(
            f"the design must fit {self.board.name}, it needs {what}; take a smaller network, fewer bits "
            f"or fewer lanes; full log: {self.shop.out_dir / LOG_FOLDER / stage}.log"
        ) from error
