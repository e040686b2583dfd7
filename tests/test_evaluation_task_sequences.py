"""The test set of a task as integers: the answers of the integer model score what evaluate measures."""

from dataclasses import replace
from pathlib import Path

import pytest
from networks import make_network

from qornn_hw.cells.elman_network import OutputKind
from qornn_hw.data.inference import answer_words
from qornn_hw.errors import FormatError
from qornn_hw.evaluation.evaluate import evaluate
from qornn_hw.evaluation.task_sequences import task_sequences
from qornn_hw.files.checkpoint import Checkpoint, load_checkpoint

COPY = load_checkpoint(Path(__file__).parents[1] / "models" / "copy.npz")


@pytest.mark.parametrize("kind", list(OutputKind))
def test_score(kind):
    """Logits give all metrics of the integers; the argmax alone gives the accuracy, if there is one."""
    checkpoint = replace(COPY, network=replace(COPY.network, output_kind=kind))
    sequences, score = task_sequences(checkpoint, limit=4)
    assert len(sequences) == 4
    found = score(answer_words(checkpoint.network, sequences))
    wanted = evaluate(COPY, limit=4, rungs=("integer",))["integer"]
    assert found == (wanted if kind.has_logits else {k: v for k, v in wanted.items() if k == "accuracy"})


def test_networks_without_a_score():
    """A network without a task, and the argmax of a single output, are refused."""
    with pytest.raises(FormatError, match=r"^the network must name a task to have a test set of its own"):
        task_sequences(Checkpoint(make_network()))
    with pytest.raises(FormatError, match=r"^output_kind of a network with one output must be logits"):
        task_sequences(Checkpoint(make_network(p=1, output_kind=OutputKind.ARGMAX)))
