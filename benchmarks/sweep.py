"""Simulate every configuration of sim.sweep and print what was compared.

    python benchmarks/sweep.py [--simulator icarus|verilator] [--skip N] [--first N] [--json FILE]

Exit code 1 if any configuration has a mismatch.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from qornn_hw.errors import MismatchError
from qornn_hw.sim.sweep import configurations, simulate_configuration


def main() -> int:
    """Run the sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--simulator", choices=["icarus", "verilator"])
    parser.add_argument("--skip", type=int, default=0, help="leave out the first N configurations")
    parser.add_argument("--first", type=int, help="stop after configuration N")
    parser.add_argument("--json", type=Path, help="write the results there")
    arguments = parser.parse_args()
    chosen = configurations()[arguments.skip : arguments.first]
    compared = cycles = mismatches = 0
    rows = []
    start = time.perf_counter()
    for number, configuration in enumerate(chosen):
        line = f"{number + 1:3}/{len(chosen)} {configuration}"
        began = time.perf_counter()
        try:
            result = simulate_configuration(configuration, simulator=arguments.simulator)
        except MismatchError as error:
            mismatches += 1
            print(f"{line}\n    MISMATCH {error}", flush=True)
            rows.append({"configuration": asdict(configuration), "mismatch": str(error)})
            continue
        compared += result.integers_compared
        cycles += result.cycles
        seconds = time.perf_counter() - began
        print(f"{line}: {result.integers_compared} integers, {seconds:.1f} s", flush=True)
        rows.append(
            {
                "configuration": asdict(configuration),
                "integers_compared": result.integers_compared,
                "cycles": result.cycles,
                "cycles_per_step": result.cycles_per_step,
            }
        )
    print(
        f"{len(chosen)} configurations, {compared} integers compared, {mismatches} mismatches, "
        f"{cycles} cycles, {time.perf_counter() - start:.0f} s"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
