"""Train what docs/results.md is made of, and write it.

    python benchmarks/accuracy.py
    python benchmarks/accuracy.py --run --data DIR [--only GROUP] [--workers N]

The first writes the page from the rows of benchmarks/accuracy.jsonl, the second runs what is missing before.
Each run is a row, in the format of `qornn-hw sweep`; a run whose row is there is not run again, so that an
interrupted call goes on where it was. A row of other settings than those below stays in the file but is not
shown. DIR holds the folders mnist, fsdd and tinyshakespeare.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from accuracy_page import write_page
from accuracy_rows import Entry

from qornn_hw.cli.sweep import progress
from qornn_hw.errors import QornnError, TrainingError
from qornn_hw.training.config import CommonConfig, RunConfig
from qornn_hw.training.result_rows import Job, Results, latest, read_rows
from qornn_hw.training.stack_configs import (
    MnistStackConfig,
    PermutedMnistStackConfig,
    SequentialMnistStackConfig,
    SpeechStackConfig,
)
from qornn_hw.training.sweep import Finished, pending, sweep
from qornn_hw.training.task_configs import (
    AddingConfig,
    CharactersConfig,
    CopyConfig,
    MnistConfig,
    PermutedMnistConfig,
    SequentialMnistConfig,
    SpeechConfig,
)

REPOSITORY = Path(__file__).parents[1]
ROWS = REPOSITORY / "benchmarks" / "accuracy.jsonl"

# All that is tuned: what differs from the defaults of `qornn-hw train`. A change makes other runs.
COPY_ROUNDED = {"orthogonal_rounding": True, "quantized_recurrent_rate": 0.1}
COPY: dict[tuple[int, int], dict[str, Any]] = {  # by hidden units and bits
    (256, 5): {"iterations": 900, "finetune_iterations": 250},
    (256, 4): {"iterations": 1200, "finetune_iterations": 800, "per_row": True},
    (256, 3): {"iterations": 1200, "finetune_iterations": 800, "per_row": True} | COPY_ROUNDED,
    (256, 2): {"iterations": 1200, "finetune_iterations": 800, "per_row": True} | COPY_ROUNDED,
    (128, 8): {"iterations": 1500, "finetune_iterations": 700},
    (128, 6): {"iterations": 1500, "finetune_iterations": 700},
    (128, 5): {"iterations": 2000, "finetune_iterations": 1000, "per_row": True},
    (128, 4): {"iterations": 3000, "finetune_iterations": 1500, "per_row": True} | COPY_ROUNDED,
}
COPY_LONG = {"blank": 5000, "iterations": 1000, "finetune_iterations": 500}
COPY_SHORT = {"blank": 200, "hidden": 128, "state_bits": 12, "iterations": 1000, "finetune_iterations": 400}
COPY_MODRELU = {
    "blank": 200,
    "activation": "modrelu",
    "iterations": 700,
    "finetune_iterations": 100,
    "finetune_rate": 0.3,
    "bfloat16": True,
}
COPY_RELU = COPY_MODRELU | {
    "activation": "relu",
    "linear_start": 2.0,
    "iterations": 1500,
    "finetune_iterations": 200,
}
ADDING_STEPS = (200, 750)
PIXELS: dict[str, Any] = {}
# Eight minutes on a GPU that three runs shared, or four.
PIXELS_GPU: dict[str, Any] = {
    "batch": 256,
    "float_epochs": 80,
    "finetune_epochs": 8,
    "learning_rate_recurrent": 1.5e-4,
    "learning_rate_input": 1.5e-3,
    "learning_rate_output": 1.5e-3,
}
# Eight bits hold what a W of small rotations learns in real numbers.
PIXELS_GPU_8: dict[str, Any] = {
    "batch": 256,
    "bits": 8,
    "first_matrix": "rotations",
    "float_epochs": 60,
    "epochs": 46,
    "finetune_epochs": 44,
    "learning_rate_recurrent": 5e-4,
    "learning_rate_input": 3e-3,
    "learning_rate_output": 3e-3,
    "quantized_rate": 0.5,
    "finetune_rate": 0.3,
}
# A W of signs and Hadamard blocks is exactly orthogonal, where the multiplier gives 1 / sqrt(128) its bits.
COPY_SIGNS: dict[str, Any] = {
    "method": "hadamard",
    "state_bits": 12,
    "multiplier_bits": 16,
    "iterations": 1000,
    "finetune_iterations": 300,
}
COPY_SIGNS_LONG = COPY_SIGNS | {
    "blank": 10_000,
    "bits": 6,
    "hidden": 256,
    "train_recurrent": False,
    "learning_rate_input": 1e-3,
    "iterations": 400,
}
# A training without a loop over the steps: weights are rounded from the first step on, states at the end.
WITHOUT_LOOP: dict[str, Any] = {
    "batch": 256,
    "output_bits": 4,
    "quantized_rate": 1.0,
    "float_epochs": 0,
    "weights_epochs": 60,
    "epochs": 8,
}
LINEAR = WITHOUT_LOOP | {"cell": "linear", "hidden": 160, "dense": 64}
SIGNS = WITHOUT_LOOP | {"cell": "hadamard", "hidden": 512, "weights_epochs": 30, "epochs": 0}
ROWS_SHIPPED: dict[str, Any] = {}
ROWS_BY_METHOD: dict[str, Any] = {"float_epochs": 5, "epochs": 10, "finetune_epochs": 3, "augment": 0}
SPEECH: dict[str, Any] = {"train_all": True}
CHARACTERS: dict[str, Any] = {}
# What a method needs of its own, on the copy task and on MNIST.
METHODS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bjorck": ({}, {}),
    "projunn": ({}, {}),
    "penalty": ({}, {}),
    "free": ({}, {}),
    "ptq": ({}, {}),
}
# Units of the float networks with as many kB as the quantized ones beside them, and the learning rate.
LSTM_COPY, FASTRNN_COPY = 22, 47
LSTM_ROWS, FASTRNN_ROWS = 5, 15
LSTM_CHARACTERS = 32
BASELINE = {"learning_rate_output": 3e-3}
KINDS = {"lstm": "LSTM", "fastrnn": "FastRNN"}

SEEDS = (0, 1, 2)
ONE_SEED = (0,)
# Bits of the states with which the networks of the side-by-side tables are measured, too.
WIDTHS = (8, 12)
BITS = (2, 3, 4, 5, 6, 8)
# Units with which W has as many bits at each k: those of 4 bits times the root of 4 / k.
WIDENED: dict[str, dict[int, int]] = {
    "copy": {2: 181, 3: 148, 4: 128, 6: 105, 8: 91},
    "rows": {2: 91, 3: 74, 4: 64, 6: 52, 8: 45},
}
# What titles end with where W has not the paper's q_k, one step for all of it.
BY_ROW = ", one step per row"


def _entry(
    group: str,
    title: str,
    config: CommonConfig,
    seeds: tuple[int, ...] = SEEDS,
    baseline: str | None = None,
    device: str = "cpu",
    **about: Any,
) -> Entry:
    if isinstance(config, RunConfig) and config.per_row and baseline is None:
        title += BY_ROW
    widths = WIDTHS if group in ("methods", "bits") and baseline is None else ()
    jobs = tuple(Job(replace(config, seed=seed), baseline, widths, device) for seed in seeds)
    return Entry(group, title, jobs, **about)


def _copy() -> list[Entry]:
    found = []
    for hidden, bits, state_bits, goal in (
        (256, 5, 12, 1e-5), (256, 5, 8, 1e-4), (256, 4, 12, 2e-5), (256, 3, 12, None), (256, 2, 12, None),
        (128, 8, 12, 5e-5), (128, 6, 12, 5e-5), (128, 5, 12, 5e-5), (128, 4, 12, None),
    ):  # fmt: skip
        config = CopyConfig(**COPY[hidden, bits], hidden=hidden, bits=bits, state_bits=state_bits)
        title = f"T0 = 1000, {hidden} units, k = {bits}, {state_bits}-bit states"
        # Half an hour of one that does not learn the task is enough.
        seeds = ONE_SEED if (hidden, bits) == (256, 3) else SEEDS
        found.append(_entry("copy", title, config, seeds, goal=goal))
    config = CopyConfig(**COPY_LONG, hidden=256, bits=6, state_bits=12)
    found.append(_entry("copy", "T0 = 5000, 256 units, k = 6, 12-bit states", config, ONE_SEED))
    for hidden, bits, goal in ((128, 4, 1e-5), (256, 3, 1e-4), (256, 2, None)):
        config = CopyConfig(**COPY_SIGNS, hidden=hidden, bits=bits, output_bits=max(bits, 2))
        title = f"T0 = 1000, {hidden} units, W of 1 bit (Hadamard), U and V of {bits}, 12-bit states"
        found.append(_entry("copy", title, config, goal=goal))
    config = CopyConfig(**COPY_SIGNS_LONG)
    title = "T0 = 10,000, 256 units, W of 1 bit (Hadamard), U of 6, 12-bit states"
    found.append(_entry("copy", title, config, ONE_SEED, goal=1e-3))
    for name, settings, goal in (("modReLU", COPY_MODRELU, 1e-3), ("ReLU, linear start", COPY_RELU, 1e-3)):
        config = CopyConfig(**settings, hidden=128, bits=5, state_bits=12)
        title = f"T0 = 200, {name}, 128 units, k = 5, 12-bit states"
        found.append(_entry("copy", title, config, goal=goal))
    return found


def _others(data: str) -> list[Entry]:
    found = [
        _entry(
            "adding", f"{steps} steps, 64 units, k = 8, 16-bit states", AddingConfig(steps=steps), goal=1e-3
        )
        for steps in ADDING_STEPS
    ]
    shipped = PermutedMnistConfig(data=data, **PIXELS)
    found.append(_entry("pixels", "permuted, 170 units, k = 4, 12-bit states", shipped, ONE_SEED, goal=0.90))
    nearest = {"quantized_recurrent_rate": 1.0, "orthogonal_rounding": False}
    for name, kind, options, goal in (
        ("permuted", PermutedMnistConfig, PIXELS_GPU | {"epochs": 68}, 0.945),
        ("permuted", PermutedMnistConfig, PIXELS_GPU_8 | nearest, 0.95),
        ("in order", SequentialMnistConfig, PIXELS_GPU | {"epochs": 69}, 0.975),
        ("in order", SequentialMnistConfig, PIXELS_GPU_8 | {"quantized_recurrent_rate": 0.3}, None),
    ):
        config = kind(data=data, **options)
        title = f"{name}, 170 units, k = {config.bits}, 12-bit states, on a GPU"
        found.append(_entry("pixels", title, config, ONE_SEED, goal=goal, device="cuda"))
    rows = MnistConfig(data=data, **ROWS_SHIPPED)
    found.append(_entry("rows", "64 units, k = 4, 8-bit states", rows))
    for kind, hidden in (("lstm", LSTM_ROWS), ("fastrnn", FASTRNN_ROWS)):
        small = replace(rows, **BASELINE, hidden=hidden)
        title = f"{KINDS[kind]}, {hidden} units, float"
        found.append(_entry("rows", title, small, ONE_SEED, baseline=kind, rung="float"))
    found.append(
        _entry(
            "speech", "64 units, k = 4, 8-bit states", SpeechConfig(data=data, **SPEECH, hidden=64, bits=4)
        )
    )
    text = CharactersConfig(data=data, **CHARACTERS, hidden=256)
    for bits in (4, 8):
        config = replace(text, bits=bits)
        found.append(_entry("characters", f"256 units, k = {bits}, 12-bit states", config))
    config = replace(text, method="ptq", bits=8)
    found.append(_entry("characters", "256 units, float", config, rung="float"))
    config = replace(text, **BASELINE, hidden=LSTM_CHARACTERS)
    title = f"LSTM, {LSTM_CHARACTERS} units, float"
    found.append(_entry("characters", title, config, baseline="lstm", rung="float"))
    return found


def _cells(data: str) -> list[Entry]:
    """Return the runs of layers of cells."""
    permuted, in_order = PermutedMnistStackConfig, SequentialMnistStackConfig
    two_bits, whole = {"bits": 2, "output_bits": 2}, {"halved_epochs": 0}
    small = {"hidden": 128, "dense": 64, "weights_epochs": 40}
    # Shifted images, and states whose rounding costs nothing.
    large = {"dense": 64, "state_bits": 15, "augment": 1}
    found = []
    for kind, title, options, seeds, goal in (
        (permuted, "160 linear, 64 dense units, k = 4", LINEAR, ONE_SEED, 0.95),
        (permuted, "160 linear, 64 dense units, k = 3", LINEAR | {"bits": 3}, SEEDS, 0.93),
        (permuted, "512 Hadamard units, W of 1 bit, U and V of 4", SIGNS, SEEDS, 0.945),
        (permuted, "512 Hadamard units, W of 1 bit, U and V of 2", SIGNS | two_bits, SEEDS, 0.90),
        (permuted, "128 Hadamard, 64 dense units, W of 1 bit, others of 4", SIGNS | small, SEEDS, 0.95),
        (in_order, "512 Hadamard units, W of 1 bit, U and V of 4", SIGNS | whole, SEEDS, 0.96),
        (in_order, "512 Hadamard, 32 dense units, W of 1 bit, others of 4", SIGNS | whole | {"dense": 32},
         ONE_SEED, None),
        (in_order, "512 Hadamard, 64 dense units, W of 1 bit, others of 4, 15-bit states, shifted images",
         SIGNS | whole | large, SEEDS, 0.975),
        (in_order, "128 rotating, 64 dense units, k = 4", SIGNS | whole | small | {"cell": "rotating"},
         ONE_SEED, None),
        (in_order, "GRU of 64 units, k = 4, 12-bit states and gates", {}, ONE_SEED, 0.97),
    ):  # fmt: skip
        name = "permuted" if kind is permuted else "in order"
        found.append(_entry("cells", f"{name}, {title}", kind(data=data, **options), seeds, goal=goal))
    rows = MnistStackConfig(data=data)
    found.append(_entry("rows", "GRU of 64 units, k = 4, 8-bit states", rows, ONE_SEED))
    fast = replace(rows, cell="fastgrnn")
    found.append(_entry("rows", "FastGRNN of 64 units, k = 4, 8-bit states", fast, ONE_SEED))
    speech = SpeechStackConfig(data=data, train_all=True)
    found.append(_entry("speech", "GRU of 64 units, k = 4, 8-bit states", speech, goal=0.97))
    fast = replace(speech, cell="fastgrnn")
    found.append(_entry("speech", "FastGRNN of 64 units, k = 4, 8-bit states", fast))
    two = replace(speech, hidden=32, layers=2)
    found.append(_entry("speech", "two GRU layers of 32 units, k = 4, 8-bit states", two, ONE_SEED))
    return found


def _side_by_side(data: str) -> list[Entry]:
    """Return the groups "methods" and "bits", whose titles are a column and a row of their tables."""
    found = []
    copy, rows = CopyConfig(**COPY_SHORT), MnistConfig(data=data, **ROWS_BY_METHOD)
    for method, (for_copy, for_rows) in METHODS.items():
        by_task = {
            "copy": replace(copy, bits=5, **{"method": method} | for_copy),
            "rows": replace(rows, bits=4, **{"method": method} | for_rows),
        }
        found += [_entry("methods", f"{task}/{method}", c) for task, c in by_task.items()]
        if method == "ptq":
            found += [_entry("methods", f"{task}/orthogonal", c, rung="float") for task, c in by_task.items()]
    for kind, units in (("lstm", (LSTM_COPY, LSTM_ROWS)), ("fastrnn", (FASTRNN_COPY, FASTRNN_ROWS))):
        for task, config, hidden in (("copy", copy, units[0]), ("rows", rows, units[1])):
            small = replace(config, **BASELINE, hidden=hidden)
            found.append(_entry("methods", f"{task}/{kind}", small, baseline=kind, rung="float"))
    for task, config, settings in (
        ("copy", copy, METHODS["bjorck"][0]),
        ("rows", rows, METHODS["bjorck"][1]),
    ):
        for bits in BITS:
            chosen = replace(config, bits=bits, **{"method": "bjorck"} | settings)
            found.append(_entry("bits", f"{task}/{bits}", chosen))
        float_bits = 5 if task == "copy" else 4
        settings = METHODS["ptq"][0 if task == "copy" else 1]
        chosen = replace(config, bits=float_bits, **{"method": "ptq"} | settings)
        found.append(_entry("bits", f"{task}/float", chosen, rung="float"))
    return found


def _widened(data: str) -> list[Entry]:
    """Return the group "widening": fewer bits and more units, the bits of W in all alike."""
    found = []
    for task, units in WIDENED.items():
        for bits, hidden in units.items():
            options = {"per_row": True, "bits": bits, "hidden": hidden}
            if task == "copy":
                config: RunConfig = CopyConfig(**COPY_SHORT | options)
            else:
                config = MnistConfig(data=data, **ROWS_BY_METHOD | options)
            jobs = tuple(Job(replace(config, seed=seed)) for seed in SEEDS)
            found.append(Entry("widening", f"{task}/{bits}", jobs))
    return found


def plan(data: str = "DIR") -> list[Entry]:
    """Return all runs of the page.

    Args:
        data: the folder of the data; where it lies makes no difference to a run.
    """
    return _copy() + _others(data) + _cells(data) + _side_by_side(data) + _widened(data)


def jobs_of(entries: list[Entry]) -> list[Job]:
    """Return the jobs of some entries, each once: the first seed of all of them, then the second ..."""
    ordered = sorted(
        ((i, job) for entry in entries for i, job in enumerate(entry.jobs)), key=lambda pair: pair[0]
    )
    found: dict[str, Job] = {}
    for _, job in ordered:
        found.setdefault(job.digest, job)
    return list(found.values())


def main() -> int:
    """Run what is asked for and write the page."""
    entries = plan()
    groups = list(dict.fromkeys(entry.group for entry in entries))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--run", action="store_true", help="run what is missing")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with the data, for --run")
    parser.add_argument("--only", choices=groups, action="append", metavar="GROUP", help=", ".join(groups))
    parser.add_argument("--workers", type=int, metavar="N", help="runs at a time; else one for each core")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a dask scheduler in place of this machine")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="keep checkpoints and interrupted runs there"
    )
    parser.add_argument("--retry", action="store_true", help="run again what has failed")
    parser.add_argument(
        "--docs", type=Path, default=REPOSITORY / "docs", metavar="DIR", help="where to write"
    )
    arguments = parser.parse_args()
    if arguments.run and arguments.data is None:
        parser.error("--data must name the folder with the data")
    try:
        try:
            if arguments.run:
                _run(arguments)
        finally:
            rows = read_rows(ROWS)
            write_page(entries, rows, arguments.docs)
    except QornnError as error:
        print(f"accuracy.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"wrote {arguments.docs / 'results.md'} from {len(rows)} rows")
    return 0


def _run(arguments: argparse.Namespace) -> None:
    entries = [
        e for e in plan(str(arguments.data.resolve())) if arguments.only is None or e.group in arguments.only
    ]
    jobs = jobs_of(entries)
    with Results.open(ROWS) as results:
        if results.torn:
            print(f"{ROWS}: the last line was incomplete and is dropped", file=sys.stderr)
        left = pending(jobs, results.rows, arguments.retry)
        print(f"{len(left)} of {len(jobs)} runs to do", flush=True)
        with progress(len(left)) as show:

            def report(finished: Finished) -> None:
                show(finished)
                # So that page and rows agree at any time.
                write_page(plan(), results.rows, arguments.docs)

            sweep(
                jobs,
                results,
                workers=arguments.workers,
                scheduler=arguments.scheduler,
                models=arguments.models,
                retry=arguments.retry,
                report=report,
            )
        last = [latest(results.rows, job) for job in jobs]
    failed = [row for row in last if row is not None and "error" in row]
    if failed:
        raise TrainingError(f"{len(failed)} of {len(jobs)} runs failed, the first with: {failed[0]['error']}")


if __name__ == "__main__":
    sys.exit(main())
