"""Build the shipped models at several numbers of lanes and print the estimate beside the actual.

    python benchmarks/estimate.py [--board NAME] [--lanes N ...]

Minutes a line: each is a whole build.
"""

import argparse
import tempfile
from pathlib import Path

from boards.build import build
from boards.registry import find_board
from qornn_hw.checkpoint import load_checkpoint
from qornn_hw.estimate import estimate_core
from qornn_hw.planner import plan

MODELS = Path(__file__).parents[1] / "models"


def main() -> None:
    """Print a line for each model and number of lanes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--board", default="icebreaker")
    parser.add_argument("--lanes", type=int, nargs="*", default=[8, 1000], help="at most so many lanes")
    arguments = parser.parse_args()
    board = find_board(arguments.board)
    print("model                lanes   cells estimated / built        block RAMs    multipliers")
    for path in sorted(MODELS.glob("*.npz")):
        network = load_checkpoint(path).network
        for lanes in arguments.lanes:
            design = plan(network, board.for_core, name=board.name, lanes=lanes)
            core = estimate_core(design.schedule)
            # What the board keeps for itself is reserved in full; a link with few words needs less.
            cells = core.lut + board.available.lut - board.for_core.lut
            blocks = core.bram + board.available.bram - board.for_core.bram
            with tempfile.TemporaryDirectory() as folder:
                used = build(design, board, Path(folder) / "out", clock_mhz=24)["resources"]
            off = 100 * (cells / used["lut"] - 1)
            print(
                f"{path.stem:20} {design.lanes:5}   {cells:5} / {used['lut']:5} ({off:+.1f} %)"
                f"{blocks:12} / {used['bram']:3} {core.dsp:8} / {used['dsp']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
