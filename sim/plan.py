"""How a bench in the simulator is told what to play: importable on both sides, and nothing else."""

__all__ = ["CLOCK_NS", "PLAN_VARIABLE"]

# The environment variable with the path of the plan, a JSON file.
PLAN_VARIABLE = "QORNN_BENCH_PLAN"
# Period of the clock, whatever the board's is.
CLOCK_NS = 10
