"""Networks in ONNX files: RNN, GRU and LSTM nodes in a row, with linear layers around them.

The path of the data is followed from the input to the answer. Nodes that only move values (Transpose,
Squeeze, Reshape, ...) are skipped, linear ones are folded into the weights, and all others are refused by
name. Axes are not tracked. Instead the network must give the answers of the model on random inputs, which the
reference evaluator of the ``onnx`` package computes.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError
from qornn_hw.importers.imported import TOLERANCE, Imported
from qornn_hw.importers.onnx_layers import RECURRENT, attributes, recurrent_cell, require_plain
from qornn_hw.importers.onnx_run import OnnxRun, load_model, sample_inputs
from qornn_hw.importers.stack_builder import StackBuilder
from qornn_hw.ir.kinds import OutputMode
from qornn_hw.quantization.stack import RealStack

__all__ = ["read_onnx"]

# Nodes that move values or copy them.
MOVING = (
    "Cast", "Dropout", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
# Nodes after the logits that do not change their order.
DROPPED = ("ArgMax", "LogSoftmax", "Softmax")
# Nodes that read only the sizes of a value.
SIZES = ("Shape", "Size")
REASONS = {
    "BatchNormalization": "fold it into the layer before it",
    "LayerNormalization": "its scale depends on the state",
    "Sigmoid": "leave it out: a sigmoid above 1/2 is a logit above 0",
    "Conv": "convolutions are not supported",
    "Concat": "several values are joined, as a bidirectional layer or attention does",
    "ReduceMean": "the states of all steps are averaged: answer from the last step",
    "ReduceMax": "the states of all steps are pooled: answer from the last step",
}


def read_onnx(path: str | Path) -> Imported:
    """Return the float network of an ONNX file.

    Args:
        path: the file.

    Raises:
        FormatError: the file is not a model of recurrent layers in a row; the message has the reason.
        ToolError: the package ``onnx`` is not installed.
        OSError: the file cannot be read.
    """
    model = load_model(Path(path))
    require_plain(model)
    inputs = sample_inputs(model, np.random.default_rng(0))
    run = OnnxRun(model, inputs)
    walk = _Walk(run, {next(iter(inputs))})
    for node in model.graph.node:
        walk.node(node)
    stack = walk.stack(one_hot=next(iter(inputs.values())).ndim == 2)
    mode, difference = _compared(stack, next(iter(inputs.values())), walk.answers())
    notes = [*walk.notes, *_suspicious(model)]
    return Imported(stack, mode, difference, tuple(notes))


def _suspicious(model: Any) -> list[str]:
    """Return a note if an exporter of PyTorch seems to have dropped ``linear_before_reset``."""
    if model.producer_name != "pytorch":
        return []
    if any(n.op_type == "GRU" and not attributes(n).get("linear_before_reset") for n in model.graph.node):
        note = (
            "a GRU of PyTorch has its reset gate behind the product, and the file says that it stands in "
            "front of it (linear_before_reset = 0), as some exporters of 2025 and 2026 wrote by mistake: "
            "compare the file's answers with those of the module"
        )
        return [note]
    return []


@dataclass
class _Walk:
    """The layers found so far, on the way from the input.

    Attributes:
        run: all values of a run of the model.
        path: names of the values that carry the data.
    """

    run: OnnxRun
    path: set[str]
    layers: StackBuilder = field(default_factory=StackBuilder)
    notes: list[str] = field(default_factory=list)
    logits: str = ""
    finished: bool = False

    def node(self, node: Any) -> None:
        """Process the next node on the path of the data."""
        read = [name for name in node.input if name in self.path]
        kind = node.op_type
        if not read or kind in SIZES:
            return
        where = f"{kind} {node.name or node.output[0]}"
        if self.finished and kind not in MOVING:
            raise FormatError(f"{where} must not follow the end of the network")
        if kind in RECURRENT:
            self._recurrent(node, where)
        elif kind == "Gather" and node.input[1] in self.path:
            self._embedding(node, where)
        elif kind in MOVING or kind == "Gather":
            if not self.finished:
                self.logits = node.output[0]
            self.path |= set(node.output[:1])
        elif kind in DROPPED:
            self._drop(node, kind)
        elif kind == "Relu":
            self.layers.add_relu(where)
            self.logits = node.output[0]
            self.path.add(node.output[0])
        else:
            self._linear(node, where)

    def _drop(self, node: Any, kind: str) -> None:
        self.logits = next(name for name in node.input if name in self.path)
        self.finished = True
        self.path |= set(node.output)
        self.notes.append(f"{kind} was left out: the network answers logits, which have the same argmax")

    def _recurrent(self, node: Any, where: str) -> None:
        if node.input[0] not in self.path or len({n for n in node.input if n in self.path}) > 1:
            raise FormatError(f"{where} must read the data as its X, and as nothing else")
        cell = recurrent_cell(node, where, self.run.values)
        given = len(self.layers.map_of(cell.inputs).weight)
        if given != cell.inputs:
            raise FormatError(f"a layer must read {cell.inputs} entries, not {given}")
        self.layers.add(cell)
        self.logits = node.output[0] or node.output[1]
        self.path |= {name for name in node.output[:2] if name}

    def _embedding(self, node: Any, where: str) -> None:
        table = self.run.values[node.input[0]]
        if not self.layers.is_empty or table.ndim != 2 or attributes(node).get("axis", 0):
            raise FormatError(f"{where} must look the input's indices up in a table (symbols, features)")
        self.layers.table = table.astype(np.float64)
        self.path.add(node.output[0])

    def _linear(self, node: Any, where: str) -> None:
        """Fold a product or a constant into the map in front of the next layer."""
        constants = [self.run.values[n].astype(np.float64) for n in node.input if n and n not in self.path]
        first = bool(node.input[0] in self.path)
        size = self.run.values[next(n for n in node.input if n in self.path)].shape[-1]
        found = self.layers.map_of(size)
        given = attributes(node)
        match node.op_type:
            case "MatMul" if first and len(constants) == 1 and constants[0].ndim == 2:
                found = found.then(constants[0].T)
            case "Gemm" if first and constants and not given.get("transA"):
                weight = constants[0] if given.get("transB") else constants[0].T
                found = found.then(float(given.get("alpha", 1.0)) * weight)
                for bias in constants[1:]:
                    found = found.shifted(float(given.get("beta", 1.0)) * bias)
            case "Add" if len(constants) == 1:
                found = found.shifted(constants[0])
            case "Sub" if len(constants) == 1:
                found = (
                    found.shifted(-constants[0]) if first else found.scaled(-np.ones(1)).shifted(constants[0])
                )
            case "Mul" if len(constants) == 1:
                found = found.scaled(constants[0])
            case "Div" if first and len(constants) == 1:
                found = found.scaled(1 / constants[0])
            case _:
                reason = REASONS.get(node.op_type, "only linear layers can stand beside recurrent ones")
                raise FormatError(f"{where} is not supported: {reason}")
        self.layers.affine, self.logits = found, node.output[0]
        self.path.add(node.output[0])

    def stack(self, *, one_hot: bool) -> RealStack:
        """Return the network of the layers found."""
        if not self.layers.cells:
            raise FormatError("the model must have an RNN, GRU or LSTM node on the way of its input")
        if one_hot and self.layers.table is None:
            raise FormatError("indices must be looked up in a table, an embedding, but are not")
        return self.layers.stack()

    def answers(self) -> NDArray[Any]:
        """Return the logits that the model computed."""
        return self.run.values[self.logits]


def _compared(stack: RealStack, inputs: NDArray[Any], answers: NDArray[Any]) -> tuple[OutputMode, float]:
    """Return when the model answers, and the relative difference; batch or steps may be the first axis.

    Raises:
        FormatError: the network's answers differ from the model's.
    """
    best: tuple[float, OutputMode] = (np.inf, OutputMode.EVERY_STEP)
    for swapped in (False, True):
        x = inputs.swapaxes(0, 1) if swapped else inputs
        logits = stack.run(x)
        shown = logits.swapaxes(0, 1) if swapped else logits
        for mode, wanted in (
            (OutputMode.EVERY_STEP, shown),
            (OutputMode.EVERY_STEP, shown.swapaxes(0, 1)),
            (OutputMode.LAST_STEP, logits[:, -1]),
        ):
            if answers.size == wanted.size:
                found = np.abs(answers.reshape(wanted.shape) - wanted).max() / max(np.abs(wanted).max(), 1e-3)
                best = min(best, (float(found), mode))
    if best[0] <= TOLERANCE:
        return best[1], best[0]
    raise FormatError(
        f"the layers that were found must answer as the model does, but differ by {best[0]:.3g} of the "
        f"largest answer (answers of shape {answers.shape}): something else in the model changes them"
    )
