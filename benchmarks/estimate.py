"""Build the shipped models at several numbers of lanes and print the estimate beside the actual.

    python benchmarks/estimate.py [--board NAME] [--lanes N ...]

Minutes a line: each is a whole build.
"""

import argparse
import tempfile
from pathlib import Path

from qornn_hw.boards.build import build
from qornn_hw.boards.estimation import plan_for
from qornn_hw.boards.registry import find_board
from qornn_hw.errors import CapacityError
from qornn_hw.files.checkpoint import load_any

MODELS = Path(__file__).parents[1] / "models"


def main() -> None:
    """Print a line for each model and number of lanes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--board", default="icebreaker")
    parser.add_argument("--lanes", type=int, nargs="*", default=[8, 0], help="at most so many; 0: what fits")
    arguments = parser.parse_args()
    board = find_board(arguments.board)
    print("model                lanes   cells estimated / built        block RAMs    multipliers")
    for path in sorted(MODELS.glob("*.npz")):
        network = load_any(path).network
        for lanes in arguments.lanes:
            try:
                design = plan_for(network, board, lanes or None)
            except CapacityError:
                print(f"{path.stem:20}   too large", flush=True)
                break
            with tempfile.TemporaryDirectory() as folder:
                report = build(design, board, Path(folder) / "out", clock_mhz=24)
            # What the board keeps for itself is reserved in full; a link with few words needs less.
            made, expected = report["resources"], report["estimated"]
            off = 100 * (expected["lut"] / made["lut"] - 1)
            print(
                f"{path.stem:20} {design.lanes:5}   {expected['lut']:5} / {made['lut']:5} ({off:+.1f} %)"
                f"{expected['bram']:12} / {made['bram']:3} {expected['dsp']:8} / {made['dsp']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
