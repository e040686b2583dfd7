"""The latency of an answer: counted in simulation, and as the schedule computes it."""

import pytest
from test_rtl_gen_random_designs import draw

import qornn_hw.sim.answer_latency as module
from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.compiler.design import compile_network
from qornn_hw.errors import MismatchError
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.sim.answer_latency import AnswerLatency, measure_answer_latency
from qornn_hw.sim.stimuli import random_network

# Further ones by hand: pytest -m slow tests/test_sim_answer_latency.py
FEW, MANY = 8, 400


@pytest.mark.parametrize(
    "seed", [s if s < FEW else pytest.param(s, marks=pytest.mark.slow) for s in range(MANY)]
)
def test_the_schedule_knows_the_latency(seed):
    """First and last word of an answer come exactly when the schedule of a random design says."""
    design = draw(seed)
    s = design.schedule
    found = measure_answer_latency(design, steps=2 + seed % 2, seed=seed)
    assert found == AnswerLatency(s.timing.answer_latency, s.timing.answer_end_latency)


def test_a_wrong_answer_is_found(monkeypatch):
    """A core of another network, and one that never answers, are no measurement."""
    network = random_network(seed=1, hidden_size=4, input_size=2, output_size=2)
    other = random_network(seed=2, hidden_size=4, input_size=2, output_size=2)
    design = compile_network(network, elements=1)
    monkeypatch.setattr(
        module,
        "make_core",
        lambda _, preloaded: make_core(compile_network(other, elements=1), preloaded=True),
    )
    with pytest.raises(MismatchError, match=r"^the core must give the integer model's answers when each is"):
        measure_answer_latency(design)
    silent = random_network(
        seed=1, hidden_size=4, input_size=2, output_size=2, output_mode=OutputMode.LAST_STEP
    )
    monkeypatch.setattr(
        module,
        "make_core",
        lambda _, preloaded: make_core(compile_network(silent, elements=1), preloaded=True),
    )
    with pytest.raises(
        MismatchError, match=r"^the core must answer within \d+ cycles, and gave 0 of 3 words$"
    ):
        measure_answer_latency(design)
