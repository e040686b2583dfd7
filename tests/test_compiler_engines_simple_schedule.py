"""Cycle counts of the simple engine are those of its hardware."""

import pytest

from qornn_hw.cells.elman_network import InputKind, OutputKind, OutputMode
from qornn_hw.compiler.design import compile_schedule
from qornn_hw.compiler.engines import engine_named
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.answer_latency import AnswerLatency, measure_answer_latency
from qornn_hw.sim.stimuli import random_network, random_sequences

SETTINGS = [
    (OutputKind.BOTH, OutputMode.EVERY_STEP, InputKind.VECTOR, 4),
    (OutputKind.ARGMAX, OutputMode.LAST_STEP, InputKind.ONE_HOT, 3),
    (OutputKind.LOGITS, OutputMode.EVERY_STEP, InputKind.ONE_HOT, 1),
]


@pytest.mark.parametrize("kind, mode, input_kind, units", SETTINGS)
def test_counted_cycles(kind, mode, input_kind, units):
    """Steps and answers, logits a few cycles apart included."""
    network = random_network(
        seed=2,
        hidden_size=units,
        input_size=3,
        output_size=3,
        output_kind=kind,
        output_mode=mode,
        input_kind=input_kind,
    )
    s = engine_named("simple").usual_schedule(network, None)
    design = compile_schedule(s)
    sequences = random_sequences(network, batch=1, steps=5, seed=0)
    assert simulate_core_in_python(design, sequences).cycles_per_step == s.cycles_per_step
    latency = AnswerLatency(s.answer_latency, s.answer_end_latency)
    assert measure_answer_latency(design) == latency
    assert sum(s.step_parts().values()) == s.cycles_per_step <= s.longest_step
