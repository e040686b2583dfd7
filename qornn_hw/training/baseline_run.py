"""Training of the baseline networks, LSTM and FastRNN, on the same tasks and with the same loop as ours.

Baselines have no hardware, so the result is a row of figures and not a checkpoint.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.evaluation.evaluate import measure
from qornn_hw.tasks import Examples, Task
from qornn_hw.training.baselines import LSTM, Baseline, FastRNN
from qornn_hw.training.config import RunConfig
from qornn_hw.training.loop import one_thread
from qornn_hw.training.objectives import answers_loss, last_only, real_inputs
from qornn_hw.training.trainer import Stage, Trainer

__all__ = ["BASELINES", "train_baseline"]

BASELINES: dict[str, type[Baseline]] = {"lstm": LSTM, "fastrnn": FastRNN}


@one_thread()
def train_baseline(config: RunConfig, kind: str, hidden: int, quiet: bool = False) -> dict[str, Any]:
    """Train a float baseline on a configuration's task, and return its results.

    The baseline is trained with the batches, seed, learning rate (that of the readout), cosine schedule and
    total number of iterations (real and quantized stages together) of the configuration.

    Args:
        config: the configuration; its options of quantization are not used.
        kind: "lstm" or "fastrnn".
        hidden: number of hidden units of the baseline.
        quiet: print no progress.

    Returns:
        ``{"metrics": {"task", "sequences", "float": {...}}, "kilobytes", "hidden", "seconds", "curve"}``.

    Raises:
        FormatError: the kind is unknown.
        DataError: the task's data do not exist.
        TrainingError: the loss is not finite.
    """
    if kind not in BASELINES:
        raise FormatError(f"a baseline must be one of {', '.join(BASELINES)}, not {kind!r}")
    task = config.task()
    task.load()
    torch.manual_seed(config.seed)
    network = BASELINES[kind](task.inputs, hidden, task.outputs)
    trainable = [p for p in network.parameters() if p.requires_grad]
    rate = config.learning_rate_output
    optimizer = torch.optim.Adam(
        [{"params": trainable, "rate": rate, "hold": 1.0}], lr=rate, betas=(0.9, 0.99)
    )
    real, quantized, _ = config.stages(task)
    trainer = Trainer(network, task, config, quiet, None)
    trainer.run(Stage(f"{config.command}, {kind}", real + quantized, answers_loss(task), [optimizer]))
    test = task.test()
    return {
        "metrics": {
            "task": task.name,
            "sequences": len(test.inputs),
            "float": _measured(network, task, test),
        },
        "kilobytes": network.size_kb(),
        "hidden": hidden,
        "seconds": round(trainer.seconds, 1),
        "curve": trainer.curve,
    }


def _measured(network: Baseline, task: Task, test: Examples) -> dict[str, float]:
    def answer(inputs: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        with torch.no_grad():
            logits, _ = network(real_inputs(task, inputs), last_only=last_only(task))
        found: NDArray[np.float64] = (logits[:, None] if last_only(task) else logits).double().numpy()
        return found

    network.eval()
    return measure(task, test, answer, network.hidden)
