"""Import of a whole torch module: a run finds its recurrent layer and readout, and another run checks them.

A private copy of the module is run once, and the order in which its layers are called is recorded. Layers
called before the recurrent layer are in front of it; layers called after it form the readout. The network of
these layers must then give the module's answers, after every step or after the last one. So anything else in
``forward`` (a scaling, a pooling, an activation) is detected and refused.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.elman_network import OutputMode
from qornn_hw.errors import FormatError
from qornn_hw.files.checkpoint import Checkpoint
from qornn_hw.importers.torch_import import TorchNetwork, export_torch_network, read_layers
from qornn_hw.importers.torch_layers import GATED, check_evaluation, recurrent_class, require_recurrent
from qornn_hw.importers.torch_modules import class_name, leaves, private_copy, require_module
from qornn_hw.importers.torch_run import ModuleRun, answer_mode, sample_batch
from qornn_hw.quantization.float_model import run_real

__all__ = ["export_torch_module", "read_torch_module"]

FloatArray = NDArray[np.floating[Any]]


def export_torch_module(module: Any, calibration_inputs: Any, **options: Any) -> Checkpoint:
    """Export a whole torch module that computes ``readout(rnn(inputs))``, with or without an ``Embedding``.

    Its ``forward`` takes the calibration inputs, batch first or steps first, and answers logits after every
    step or after the last one, alone or as the first of several values. An initial state that the module
    passes to its recurrent layer is exported, too.

    Args:
        module: the module; it is neither run nor changed.
        calibration_inputs: as for :func:`qornn_hw.quantize`.
        options: options of :func:`qornn_hw.quantize`; the default of ``output_mode`` is that of the module.

    Raises:
        FormatError: the module has no such network, or computes something else as well.
    """
    found, mode = read_torch_module(module, calibration_inputs, options.pop("initial_state", None))
    options.setdefault("output_mode", str(mode))
    return export_torch_network(found, calibration_inputs, options)


def read_torch_module(module: Any, inputs: Any, initial_state: Any = None) -> tuple[TorchNetwork, OutputMode]:
    """Return the float network of a whole module, and whether the module answers every step or the last.

    Args:
        module: as for :func:`export_torch_module`.
        inputs: some typical inputs, on which network and module are compared.
        initial_state: state h before the first step; by default the one that the module passes to its layer.

    Raises:
        FormatError: as for :func:`export_torch_module`.
    """
    module = require_module("module", module, "a torch module with a torch.nn.RNN")
    check_evaluation("module", list(leaves(module)))
    _require_one(module)
    whole = private_copy("module", module)
    batch = sample_batch(inputs)
    trace = _Trace(whole)
    answers = trace.run(batch)
    rnn = trace.recurrent()
    require_recurrent(trace.names[id(rnn)], rnn)
    at = trace.order.index(rnn)
    front, behind = (
        [(trace.names[id(one)], one) for one in part] for part in (trace.order[:at], trace.order[at + 1 :])
    )
    state = trace.state() if initial_state is None else initial_state
    parts = [(name, private_copy(name, one)) for name, one in (*front, *behind)]
    found = read_layers(parts[: len(front)], private_copy("rnn", rnn), parts[len(front) :], inputs, state)
    return found, _mode(run_real(found.network, batch)[1], answers, trace)


def _require_one(module: Any) -> None:
    """Check that a module has exactly one recurrent layer."""
    kinds = {name: one for name, one in leaves(module) if recurrent_class(one)}
    gated = [
        f"{name} ({class_name(one)})"
        for name, one in leaves(module)
        if any(k in class_name(one) for k in GATED)
    ]
    if gated:
        raise FormatError(
            f"module must have a torch.nn.RNN or RNNCell, not {', '.join(gated)}: this takes a "
            "plain RNN; qornn_hw.quantize takes gated cells"
        )
    if len(kinds) != 1:
        names = ", ".join(kinds) or "none"
        raise FormatError(
            f"module must have one torch.nn.RNN or RNNCell, not {len(kinds)} ({names}): one recurrent layer "
            "and its readout have hardware here"
        )


class _Trace(ModuleRun):
    """A run of a module with one recurrent layer."""

    def recurrent(self) -> Any:
        """Return the recurrent layer that was called.

        Raises:
            FormatError: none was called.
        """
        for one in self.order:
            if recurrent_class(one):
                return one
        raise FormatError("module must call its torch.nn.RNN or RNNCell in forward, but does not")

    def state(self) -> FloatArray | None:
        """Return the initial state that the module passed to its recurrent layer, (n,); None for zero.

        Raises:
            FormatError: the state depends on the sequence.
        """
        import torch

        given = [one for one in self.given[id(self.recurrent())] if torch.is_tensor(one)]
        if not given:
            return None
        rows = np.asarray(given[0].detach().numpy(), dtype=np.float64).reshape(-1, given[0].shape[-1])
        if not np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)):
            raise FormatError(
                "module must give its recurrent layer the same initial state for each sequence, but gives "
                "different ones"
            )
        return np.asarray(rows[0])


def _mode(logits: FloatArray, answers: list[FloatArray], trace: _Trace) -> OutputMode:
    """Return when a module answers, by comparing its answers with the logits of its network.

    Args:
        logits: logits of the network, (batch, steps, p).
        answers: answers of the module.
        trace: trace of the module.

    Raises:
        FormatError: no answer equals the logits.
    """
    mode, least, _ = answer_mode(logits, answers)
    if mode is not None:
        return mode
    raise FormatError(
        f"module must answer readout(rnn(inputs)), but {_difference(logits, answers, least)}; {_found(trace)}"
    )


def _difference(logits: FloatArray, answers: list[FloatArray], least: float) -> str:
    last = logits[:, -1]
    for answer in answers:
        for one in (logits, last):
            if answer.shape == one.shape:
                shares = np.exp(one - one.max(axis=-1, keepdims=True))
                shares /= shares.sum(axis=-1, keepdims=True)
                if np.allclose(answer, shares, atol=1e-5) or np.allclose(answer, np.log(shares), atol=1e-4):
                    return "answers their softmax: let it answer the logits, whose argmax is the same"
    if np.isfinite(least):
        return f"its answers differ by {least:.3g}"
    shapes = " or ".join(str(answer.shape) for answer in answers)
    return f"answers with shape {shapes} to {logits.shape[0]} sequences of {logits.shape[1]} steps"


def _found(trace: _Trace) -> str:
    layers = ", ".join(f"{trace.names[id(one)]} ({class_name(one)})" for one in trace.order)
    return (
        f"it calls {layers}, and its forward does something else as well: take that out, or pass the "
        "recurrent layer and the readout to qornn_hw.quantize"
    )
