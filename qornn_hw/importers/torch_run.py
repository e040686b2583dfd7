"""A run of a torch module: the order of its layers, its answers, and after which steps it answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.data.sequences import sequences_of
from qornn_hw.errors import FormatError
from qornn_hw.importers.imported import TOLERANCE
from qornn_hw.importers.torch_modules import leaves
from qornn_hw.ir.kinds import OutputMode

__all__ = ["ModuleRun", "answer_mode", "sample_batch"]

FloatArray = NDArray[np.floating[Any]]

_STEPS = 16
_BATCH = 3


def sample_batch(inputs: Any) -> NDArray[Any]:
    """Return a batch from the first steps of a few sequences: the shortest length, at most 16 steps."""
    sequences = sequences_of("calibration_inputs", inputs)[:_BATCH]
    steps = min(_STEPS, *(len(one) for one in sequences), _STEPS)
    # Batch size and steps must differ, so that their order can be recognized.
    rows = [one[:steps] for one in sequences]
    rows += [rows[0]] * (2 if len(rows) + 1 == steps else 1)
    return np.stack(rows)


@dataclass
class ModuleRun:
    """A run of a module: the order in which it calls its layers, and what it passes to each.

    Args:
        module: a private copy.

    Attributes:
        order: the layers in the order of their first call.
        names: their names by id.
        given: by a layer's id, the arguments of its first call behind the first argument.
    """

    module: Any
    order: list[Any] = field(init=False, default_factory=list)
    names: dict[int, str] = field(init=False)
    given: dict[int, tuple[Any, ...]] = field(init=False, default_factory=dict)

    def run(self, batch: NDArray[Any]) -> list[FloatArray]:
        """Return the module's answers to a batch, batch first and steps first, if it accepts that."""
        import torch

        self.names = {id(one): name for name, one in leaves(self.module)}
        handles = [
            one.register_forward_pre_hook(self._called, with_kwargs=True) for _, one in leaves(self.module)
        ]
        x = torch.from_numpy(np.array(batch))
        if x.is_floating_point() or batch.ndim == 3:
            floating = [p.dtype for p in self.module.parameters() if p.is_floating_point()]
            x = x.to(floating[0] if floating else torch.float32)
        else:
            x = x.long()
        answers, failures = [], []
        with torch.no_grad():
            for one in (x, x.transpose(0, 1)):
                try:
                    answers.append(self._array(self.module(one)))
                # The module can raise exceptions of any class.
                except Exception as error:
                    failures.append(f"{type(error).__name__}: {' '.join(str(error).split())}")
        for handle in handles:
            handle.remove()
        if not answers:
            shape = f"inputs of shape {tuple(x.shape)}"
            raise FormatError(f"module must run on {shape} and answer a tensor, but raises {failures[0]}")
        return answers

    @staticmethod
    def _array(answer: Any) -> FloatArray:
        while isinstance(answer, (tuple, list)) and answer:
            answer = answer[0]
        if isinstance(answer, dict):
            answer = answer.get("logits")
        return np.asarray(answer.detach().numpy(), dtype=np.float64)

    def _called(self, module: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        if id(module) not in self.given:
            self.order.append(module)
            self.given[id(module)] = (*arguments[1:], *options.values())


def answer_mode(logits: FloatArray, answers: Sequence[FloatArray]) -> tuple[OutputMode | None, float, float]:
    """Return when a module answers, by comparing its answers with the logits of its network.

    Args:
        logits: logits of the network, (batch, steps, p).
        answers: answers of the module.

    Returns:
        The mode, None where no answer equals the logits; the least difference, infinite where no answer has
        the logits' shape; and that difference relative to the largest logit.
    """
    last = logits[:, -1:]
    wanted: dict[OutputMode, list[FloatArray]] = {
        OutputMode.EVERY_STEP: [logits, logits.transpose(1, 0, 2)],
        OutputMode.LAST_STEP: [last[:, 0], last, last.transpose(1, 0, 2)],
    }
    least = relative = float("inf")
    for mode, forms in wanted.items():
        # A single output may have no dimension.
        for form in [*forms, *(form[..., 0] for form in forms if form.shape[-1] == 1)]:
            largest = max(1e-3, float(np.abs(form).max()))
            for answer in answers:
                if answer.shape != form.shape:
                    continue
                found = float(np.abs(answer - form).max())
                if found <= TOLERANCE * largest:
                    return mode, found, found / largest
                least, relative = min((least, relative), (found, found / largest))
    return None, least, relative
