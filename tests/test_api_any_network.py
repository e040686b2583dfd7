"""Hardware of gated cells and stacks through the Python API: planned, simulated, exported, kept, reported."""

import json
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hand_cells import gru, lstm
from hand_networks import make_stack

from qornn_hw.api.design import compile
from qornn_hw.api.network import Network, load, save
from qornn_hw.boards.buildable import buildable
from qornn_hw.boards.host import network_format
from qornn_hw.boards.kept import Kept
from qornn_hw.boards.report_schema import REPORT
from qornn_hw.cells.any_network import answer_integers, macs_per_step
from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.compiler.network_facts import model_facts
from qornn_hw.data.inference import Answers, answer_words
from qornn_hw.errors import CapacityError, MismatchError
from qornn_hw.evaluation.evaluate import evaluate, info
from qornn_hw.evaluation.labelled_sequences import LabelledSequences
from qornn_hw.evaluation.own_data import evaluate_integers
from qornn_hw.evaluation.task_sequences import task_sequences
from qornn_hw.files.network_checkpoint import NetworkCheckpoint
from qornn_hw.ir.interpreter import Interpreter
from qornn_hw.ir.kinds import OutputKind
from qornn_hw.link.protocol import LinkFormat
from qornn_hw.rtl_gen.emit import port_table
from qornn_hw.sim.amaranth_bench import simulate_core_in_python
from qornn_hw.sim.faults import inject_faults
from qornn_hw.sim.stimuli import random_sequences

STACK = make_stack(4, [gru, lstm], largest=5).network
NET = Network(NetworkCheckpoint(STACK))


@pytest.fixture(scope="module")
def design():
    """The stack on the default board."""
    return compile(NET)


def test_the_engine_is_one_that_can(design):
    """Unasked, a gated network gets the engine for gated cells; the board's figures are there."""
    assert design.core.engine.name == "tile" and design.core.network is STACK
    assert compile(NET, None).core.engine.name == "tile"
    assert compile(NET, None, engine="simple").core.digest == compile(NET, engine="simple").core.digest
    estimate = design.estimate()
    assert estimate["model"] == model_facts(STACK)
    assert estimate["model"]["states"] == {
        name: {"units": state.size, "bits": state.format.bits} for name, state in STACK.states.items()
    }
    assert estimate["macs_per_step"] == macs_per_step(STACK)
    assert REPORT.keys["model"].fault(json.loads(json.dumps(estimate["model"]))) is None
    assert {row["engine"] for row in design.explain().rows} == {"tile"}


@pytest.mark.parametrize("engine", ["lut", "dsp"])
@pytest.mark.parametrize(("board", "error"), [("icebreaker", CapacityError), (None, CapacityError)])
def test_a_chain_refuses_gates(engine, board, error):
    """An engine that computes Elman networks only says so, with a board and without."""
    with pytest.raises(error, match=r"^network must be one Elman layer"):
        compile(NET, board, engine=engine)


@pytest.mark.parametrize("engine", ["tile", "simple"])
def test_the_core_is_simulated(engine):
    """Every entry of every state and every answer, with pauses and a reset."""
    design = compile(NET, engine=engine)
    states = sum(state.size for state in STACK.states.values())
    # Three steps, of the first one as many words as fit in front of the reset.
    found = design.simulate(sequences=1, steps=3, idle="random", back_pressure="random", reset_after=1)
    assert found.integers_compared >= 3 * (states + STACK.output_size + 1) + states


def test_wrong_bits_are_seen():
    """Most inverted bits of weights, biases and initial states change an integer of these few steps."""
    net = make_stack(4, [gru], largest=3).network
    sequences = random_sequences(net, batch=1, steps=4, seed=0)
    core = compile(Network(NetworkCheckpoint(net)), None, engine="simple").core
    assert simulate_core_in_python(core, sequences).mismatches == 0
    faults = inject_faults(core, sequences)
    assert {fault.name for fault in faults} >= {"logits.bias", "layer0.h.initial", "layer0.rh.layer0.h"}
    faults, seen = faults[::2], 0
    for fault in faults:
        with suppress(MismatchError):
            simulate_core_in_python(fault.design, sequences)
            seen -= 1
        seen += 1
    assert seen >= 0.6 * len(faults) >= 3


@pytest.mark.parametrize(
    ("engine", "meaning"), [("tile", "factors and biases of each unit"), ("simple", "the instructions")]
)
def test_the_exported_bench_passes(engine, meaning, tmp_path):
    """The exported core and its own bench need Icarus alone; a word of a memory changed makes it fail."""
    facts = compile(NET, engine=engine).export(tmp_path / "core", sequences=1, steps=2)
    assert facts["engine"] == engine and facts["integers"] > 0

    def bench():
        command = facts["check"].split(" && ")
        for part in command:
            done = subprocess.run(part.split(), cwd=tmp_path / "core", capture_output=True, text=True)
        return done.returncode, done.stdout

    code, output = bench()
    assert code == 0 and f"PASS: {2 * facts['integers']} integers compared, 0 mismatches" in output
    verilog = tmp_path / "core" / "qornn_core.v"
    text = verilog.read_text()
    verilog.write_text(re.sub(r"\[4\] = (?=\d+')", "[4] = ~", text))
    assert verilog.read_text() != text and bench()[0] != 0
    readme = (tmp_path / "core" / "README.md").read_text()
    assert "2 layers (layer0.h of" in readme and meaning in readme


def test_the_link_is_that_of_the_network(design):
    """A host expects the format of the design's link, its digest apart, from the network alone."""
    form = LinkFormat.of(design.core)
    assert replace(form, digest=bytes(len(form.digest))) == network_format(STACK)
    assert buildable(design.core).facts.states == model_facts(STACK)["states"]


def test_what_a_build_keeps(design, tmp_path):
    """The plan and the network of a gated design are read as they were written."""
    kept = Kept(design.core.schedule.plan, STACK, design.core.digest, 12_000_000, "il", "{}", "placed", {})
    kept.write(tmp_path / "placed.zip", tmp_path)
    found = Kept.read(tmp_path / "placed.zip", tmp_path)
    assert found.plan == kept.plan
    x = np.stack(random_sequences(STACK, batch=2, steps=4, seed=1))
    np.testing.assert_array_equal(
        Interpreter(found.network).answers(x), Interpreter(STACK).answers(x), strict=True
    )


def test_facts_without_data(tmp_path):
    """`info` of a file of operations: states, operations, bits of the weights, and no Elman's words."""
    save(tmp_path / "stack.npz", NET)
    facts = info(load(tmp_path / "stack.npz").checkpoint)
    rows = [op for op in STACK.operations if op.op == "mat_vec"]
    assert facts["memory_bits"]["weights"] == sum(t.weights.size * t.bits for row in rows for t in row.terms)
    assert facts["operations"]["mat_vec"] == len(rows) and facts["layers"] == 2


def with_threshold(mode, kind):
    """Return a network of one output whose class is a threshold of it, which is not 0, and inputs."""
    for seed in range(99):
        net = make_stack(seed, mode=mode, largest=4).network
        x = random_sequences(net, batch=8, steps=5, seed=2)
        logits = np.unique([Interpreter(net).answers(one[None]) for one in x])
        if net.output_size == 1 and len(logits) > 3 and (threshold := int(logits[len(logits) // 2])) != 0:
            answer = replace(net.readout.answer, threshold=threshold, kind=kind)
            return replace(net, readout=replace(net.readout, answer=answer)), x
    raise AssertionError("no network of one output that varies")


@pytest.mark.parametrize("kind", [OutputKind.ARGMAX, OutputKind.BOTH])
@pytest.mark.parametrize("mode", list(OutputMode))
def test_a_threshold_is_the_class_everywhere(mode, kind):
    """With a threshold of one logit the class of a word, an answer, a score and the hardware is the same."""
    net, x = with_threshold(mode, kind)
    threshold = net.readout.answer.threshold
    words = answer_words(net, x)
    classes = [one[:, -1] for one in words]
    assert {0, 1} == set(np.concatenate(classes))
    assert answer_integers(net, np.array([[threshold], [threshold + 1]]))[:, -1].tolist() == [0, 1]
    assert all(Answers.of(net, w).classes.tolist() == c.tolist() for w, c in zip(words, classes, strict=True))
    targets = np.stack(classes) if mode is OutputMode.EVERY_STEP else np.array([c[0] for c in classes])
    real = [one * np.asarray(net.input.scale) + np.asarray(net.input.offset) for one in x]
    found = evaluate_integers(NetworkCheckpoint(net), LabelledSequences.of(np.stack(real), targets))
    assert found["integer"] == {"accuracy": 1.0}
    design = compile(Network(NetworkCheckpoint(net)), None)
    assert design.simulate(x[:1], integers=True).mismatches == 0
    assert f"1 where the logit is above {threshold}, else 0" in port_table(design.core)
    assert info(NetworkCheckpoint(net))["threshold"] == threshold


@pytest.mark.parametrize("kind", [OutputKind.ARGMAX, OutputKind.BOTH])
def test_the_score_of_a_task_counts_the_threshold(kind, tmp_path):
    """The test set of a task: `eval` and the score of a board's answers give the share that is right."""
    net, x = with_threshold(OutputMode.LAST_STEP, kind)
    classes = np.array([words[0, -1] for words in answer_words(net, x)])
    targets = classes.copy()
    targets[:2] ^= 1
    real = np.stack(x) * np.asarray(net.input.scale) + np.asarray(net.input.offset)
    arrays = {
        f"{name}_{part}": a
        for part in ("train", "test")
        for name, a in (("inputs", real), ("targets", targets))
    }
    np.savez(tmp_path / "data.npz", **arrays)
    source = net.input
    task = {"name": "arrays", "input": "vector", "answers": "class", "inputs": source.size, "outputs": 1}
    task |= {"input_signed": source.format.signed, "input_scale": source.scale, "input_offset": source.offset}
    checkpoint = NetworkCheckpoint(net, task=task)
    sequences, score = task_sequences(checkpoint, tmp_path / "data.npz")
    assert score(answer_words(net, sequences))["accuracy"] == 0.75
    assert evaluate(checkpoint, tmp_path / "data.npz")["integer"]["accuracy"] == 0.75


def test_icarus_is_there():
    """The exported bench is run by it."""
    assert shutil.which("iverilog")
