"""Runs of torch modules: the order of layers, their arguments, and when a module answers."""

import numpy as np
import pytest
import torch

from qornn_hw.errors import FormatError
from qornn_hw.importers.torch_run import ModuleRun, answer_mode, sample_batch
from qornn_hw.ir.kinds import OutputMode

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 5, 3))
ONE = LOGITS[..., :1]


class Net(torch.nn.Module):
    """A readout that is made before the layer in front of it, and called twice."""

    def __init__(self):
        super().__init__()
        self.out, self.rnn = torch.nn.Linear(4, 2), torch.nn.GRU(3, 4, batch_first=True)

    def forward(self, x):
        """Answer in a dictionary."""
        y = self.rnn(x, torch.ones(1, len(x), 4))[0]
        return {"logits": self.out(y) + 0 * self.out(y)}


def test_layers_in_the_order_of_their_first_call():
    """Each layer once, with what it was given besides its input; answers may be in a dictionary."""
    run = ModuleRun(Net().eval())
    answers = run.run(RNG.normal(size=(2, 5, 3)))
    assert [run.names[id(one)] for one in run.order] == ["rnn", "out"]
    assert run.given[id(run.order[0])][0].shape == (1, 2, 4)
    assert run.given[id(run.order[1])] == ()
    # The transposed batch has as many channels, so the module takes it, too.
    assert [answer.shape for answer in answers] == [(2, 5, 2), (5, 2, 2)]


def test_a_module_that_does_not_run():
    """The first exception is named."""
    with pytest.raises(
        FormatError, match=r"^module must run on inputs of shape \(2, 5, 7\) and answer a tensor"
    ):
        ModuleRun(Net().eval()).run(RNG.normal(size=(2, 5, 7)))


@pytest.mark.parametrize(
    ("logits", "answers", "mode"),
    [
        (LOGITS, [LOGITS], OutputMode.EVERY_STEP),
        (LOGITS, [LOGITS.transpose(1, 0, 2)], OutputMode.EVERY_STEP),
        (LOGITS, [np.zeros(3), LOGITS[:, -1]], OutputMode.LAST_STEP),
        (LOGITS, [LOGITS[:, -1:]], OutputMode.LAST_STEP),
        (ONE, [ONE[..., 0]], OutputMode.EVERY_STEP),
        (ONE, [ONE[:, -1, 0]], OutputMode.LAST_STEP),
        (LOGITS, [LOGITS[:, 0]], None),
        (LOGITS, [LOGITS * 1.001], None),
        (LOGITS, [LOGITS * 1.00001], OutputMode.EVERY_STEP),
    ],
)
def test_when_a_module_answers(logits, answers, mode):
    """Every step or the last one, batch or steps first; a difference of 1e-3 is one."""
    assert answer_mode(logits, answers)[0] is mode


def test_the_least_difference():
    """Without an equal answer the nearest one counts; without one of the shape it is infinite."""
    _, least, relative = answer_mode(LOGITS, [LOGITS + 0.5, LOGITS + 0.25])
    assert least == pytest.approx(0.25)
    assert relative == pytest.approx(0.25 / np.abs(LOGITS).max())
    assert answer_mode(LOGITS, [np.zeros(7)])[1:] == (np.inf, np.inf)


@pytest.mark.parametrize("steps", range(1, 20))
def test_a_batch_whose_axes_differ(steps):
    """A sample never has as many sequences as steps."""
    batch = sample_batch([RNG.normal(size=(steps, 2)) for _ in range(3)])
    assert batch.shape[0] != batch.shape[1]
    assert batch.shape[1] == min(steps, 16)
