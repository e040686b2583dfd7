"""Configurations that cover every pair of settings of networks, chains and patterns, and their simulation."""

import random
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import combinations, product
from pathlib import Path
from typing import Any

from qornn_hw.cells.elman_network import Activation, InputKind, OutputKind, OutputMode, WeightBits
from qornn_hw.compiler.design import Design, compile_network
from qornn_hw.errors import MismatchError
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.sim.core_simulation import SimulationResult, simulate_core
from qornn_hw.sim.pauses import PATTERNS
from qornn_hw.sim.stimuli import corner_sequences, random_network, random_sequences

__all__ = ["SETTINGS", "Configuration", "configurations", "pairs_of", "simulate_configuration"]

SEED = 2026
CANDIDATES = 12

# Inputs by name: kind, entries or symbols, format.
INPUTS = {
    "1 x u4": (InputKind.VECTOR, 1, IntFormat(4, signed=False)),
    "8 x s8": (InputKind.VECTOR, 8, IntFormat(8, signed=True)),
    "8 x u1": (InputKind.VECTOR, 8, IntFormat(1, signed=False)),
    "1 x s12": (InputKind.VECTOR, 1, IntFormat(12, signed=True)),
    "one-hot 10": (InputKind.ONE_HOT, 10, None),
}


@dataclass(frozen=True)
class Configuration:
    """One network on one chain, and how the streams wait.

    ``passes`` is what is asked for: the chain has as many elements as give that many column passes, if the
    network has the columns for it.
    """

    hidden_size: int
    recurrent_bits: int
    input_bits: int
    output_bits: int
    state_bits: int
    input: str
    activation: Activation
    rounding: Rounding
    output_mode: OutputMode
    output_kind: OutputKind
    output_size: int
    shared_multiplier: bool
    columns: int
    passes: int
    idle: str
    back_pressure: str

    def __str__(self) -> str:
        """Return all settings, in the order of the fields, in one line."""
        return " ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))

    def compile(self, seed: int = SEED) -> Design:
        """Return the design of a random network with these settings."""
        kind, input_size, form = INPUTS[self.input]
        network = random_network(
            seed=seed,
            hidden_size=self.hidden_size,
            input_size=input_size,
            output_size=self.output_size,
            activation=self.activation,
            weight_bits=WeightBits(self.recurrent_bits, self.input_bits, self.output_bits),
            state_bits=self.state_bits,
            input_kind=kind,
            input_format=form,
            rounding=self.rounding,
            output_mode=self.output_mode,
            output_kind=self.output_kind,
            shared_multiplier=self.shared_multiplier,
        )
        input_words = -(-input_size // self.columns) if kind is InputKind.VECTOR else 0
        words = input_words + -(-self.hidden_size // self.columns)
        return compile_network(
            network, columns_per_element=self.columns, elements=-(-words // min(self.passes, words))
        )


SETTINGS: dict[str, tuple[object, ...]] = {
    "hidden_size": (1, 2, 3, 15, 16, 17, 63, 64, 65, 170),
    "recurrent_bits": tuple(range(1, 9)),
    "input_bits": tuple(range(1, 9)),
    "output_bits": tuple(range(1, 9)),
    "state_bits": (4, 8, 12, 16),
    "input": tuple(INPUTS),
    "activation": tuple(Activation),
    "rounding": tuple(Rounding),
    "output_mode": tuple(OutputMode),
    "output_kind": tuple(OutputKind),
    "output_size": (1, 2, 10),
    "shared_multiplier": (False, True),
    "columns": (1, 2, 3, 4, 8),
    "passes": (1, 2, 3, 5),
    "idle": PATTERNS,
    "back_pressure": PATTERNS,
}

# Two settings and the number of the value of each.
Pair = tuple[int, int, int, int]


def pairs_of(choice: list[int]) -> set[Pair]:
    """Return every pair of settings in a configuration, given as the number of each setting's value."""
    return {(a, choice[a], b, choice[b]) for a, b in combinations(range(len(choice)), 2)}


@lru_cache(maxsize=1)
def configurations() -> tuple[Configuration, ...]:
    """Return configurations in which every pair of values of any two settings occurs; always the same ones.

    Greedy: each is the best of some candidates, which begin with a pair not seen yet and take for every
    other setting, in random order, the value that brings the most new pairs.
    """
    rng = random.Random(SEED)
    sizes = [len(values) for values in SETTINGS.values()]
    missing: dict[Pair, None] = {
        (a, va, b, vb): None
        for a, b in combinations(range(len(sizes)), 2)
        for va, vb in product(range(sizes[a]), range(sizes[b]))
    }
    chosen: list[list[int]] = []
    while missing:
        pool = list(missing)
        best = max(
            (_candidate(rng, sizes, rng.choice(pool), missing) for _ in range(CANDIDATES)),
            key=lambda choice: sum(pair in missing for pair in pairs_of(choice)),
        )
        chosen.append(best)
        for pair in pairs_of(best):
            missing.pop(pair, None)
    return tuple(_configuration(choice) for choice in chosen)


def _configuration(choice: list[int]) -> Configuration:
    settings: dict[str, Any] = {
        name: values[v] for (name, values), v in zip(SETTINGS.items(), choice, strict=True)
    }
    return Configuration(**settings)


def _candidate(rng: random.Random, sizes: list[int], first: Pair, missing: dict[Pair, None]) -> list[int]:
    fixed = {first[0]: first[1], first[2]: first[3]}
    rest = [k for k in range(len(sizes)) if k not in fixed]
    rng.shuffle(rest)
    for k in rest:
        order = list(range(sizes[k]))
        rng.shuffle(order)
        fixed[k] = max(
            order,
            key=lambda v, k=k: sum(  # type: ignore[misc]  # mypy cannot infer a lambda's default
                ((k, v, o, w) if k < o else (o, w, k, v)) in missing for o, w in fixed.items()
            ),
        )
    return [fixed[k] for k in range(len(sizes))]


def simulate_configuration(
    configuration: Configuration,
    *,
    simulator: str | None = None,
    steps: int = 6,
    work_dir: Path | None = None,
) -> SimulationResult:
    """Simulate a configuration on random and corner-case sequences, with a reset in the second step.

    Raises:
        MismatchError: the first integer that differs, or a step that takes longer than scheduled.
    """
    design = configuration.compile()
    network = design.network
    sequences = [
        *random_sequences(network, batch=2, steps=steps, seed=SEED),
        *corner_sequences(network, steps=2).values(),
    ]
    result = simulate_core(
        design,
        sequences,
        simulator=simulator,
        idle=configuration.idle,
        back_pressure=configuration.back_pressure,
        reset_after=1,
        work_dir=work_dir,
    )
    s = design.schedule
    if s.cycles_are_exact and result.cycles_per_step not in (
        None,
        s.cycles_per_step,
    ):
        raise MismatchError(
            f"a step must take the {design.schedule.cycles_per_step} cycles of the schedule, "
            f"not {result.cycles_per_step}"
        )
    return result
