"""Runs of an ONNX model with the reference evaluator of the ``onnx`` package.

All values of a run are kept. So initial states that the graph computes are known, and constants are folded by
running them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.errors import FormatError, ToolError

__all__ = ["OnnxRun", "load_model", "sample_inputs"]

MODEL_BYTES_MAX = 1 << 30
# Sizes of a sample run for sizes that the file leaves open: all different, to recognize the axes.
BATCH, STEPS = 2, 7


def load_model(path: Path) -> Any:
    """Return the model of an ONNX file, checked.

    Raises:
        FormatError: the file is too large, or is not an ONNX model, or a file of its weights is missing.
        ToolError: the package ``onnx`` is not installed.
    """
    onnx = _onnx()
    if path.stat().st_size > MODEL_BYTES_MAX:
        raise FormatError(f"{path} must have at most {MODEL_BYTES_MAX >> 20} MiB")
    try:
        model = onnx.load(path, load_external_data=False)
    # protobuf's error class is not part of onnx.
    except Exception as error:
        raise FormatError(f"{path} must be an ONNX model, but cannot be read: {_line(error)}") from None
    _load_weights(model, path)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise FormatError(f"{path} must be a valid ONNX model: {_line(error)}") from None
    if not model.graph.node or len(model.graph.output) < 1:
        raise FormatError(f"{path} must have nodes and an output")
    return model


def _load_weights(model: Any, path: Path) -> None:
    """Read the weights from the files next to the model.

    Raises:
        FormatError: a file of weights does not exist, or is in another folder.
    """
    onnx = _onnx()
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        name = {entry.key: entry.value for entry in tensor.external_data}.get("location", "")
        if Path(name).name != name or not (path.parent / name).is_file():
            raise FormatError(
                f"{path} must have the weight {tensor.name} in itself or in a file beside it, but it is in "
                f"{name!r:.80}"
            )
    onnx.load_external_data_for_model(model, str(path.parent))


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise ToolError(
            "reading ONNX files must have onnx, which is not installed; pip install 'qornn-hw[onnx]'"
        ) from None
    return onnx


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def sample_inputs(model: Any, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Return random inputs of a model's only input: vectors of rank 3 or indices of rank 2.

    Raises:
        FormatError: there are several inputs, or the input has another rank or type.
    """
    onnx = _onnx()
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise FormatError(
            f"the model must have one input, not {len(inputs)} ({names}); export it with its states inside"
        )
    kind = inputs[0].type.tensor_type
    sizes = [int(d.dim_value) for d in kind.shape.dim]
    integers = kind.elem_type in (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
    if len(sizes) != (2 if integers else 3):
        wanted = "2 axes of indices, or 3 axes of vectors"
        raise FormatError(f"{inputs[0].name} must have {wanted}, not {len(sizes)} axes")
    shape = [size or free for size, free in zip(sizes, (BATCH, STEPS, 0), strict=False)]
    if 0 in shape:
        raise FormatError(f"{inputs[0].name} must have a fixed number of entries in its last axis")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    values = rng.integers(0, 2, shape) if integers else rng.normal(size=shape)
    return {inputs[0].name: values.astype(dtype)}


def _rectified_rnn() -> Any:
    """Return the evaluator's RNN operator, extended by relu."""
    from onnx.reference.ops.op_rnn import RNN_14

    base: Any = RNN_14

    class RNN(base):  # type: ignore[misc]
        op_domain = ""

        def choose_act(self, name: str, alpha: Any, beta: Any) -> Any:
            if name in ("Relu", "relu"):
                return lambda x: np.maximum(x, 0)
            return super().choose_act(name, alpha, beta)

    return RNN


class OnnxRun:
    """A run of a model that keeps every value.

    Attributes:
        values: arrays by name: constants, inputs, and results of the nodes.

    Raises:
        FormatError: a node cannot be run.
    """

    def __init__(self, model: Any, inputs: Mapping[str, NDArray[Any]]) -> None:
        onnx = _onnx()
        from onnx.reference import ReferenceEvaluator

        whole = onnx.ModelProto()
        whole.CopyFrom(model)
        names = [name for node in model.graph.node for name in node.output if name]
        del whole.graph.output[:]
        whole.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
        try:
            found: Any = ReferenceEvaluator(whole, new_ops=[_rectified_rnn()]).run(None, dict(inputs))
        # Operators raise exceptions of many classes.
        except Exception as error:
            raise FormatError(f"the model must run on its inputs, but does not: {_line(error)}") from None
        constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.values: dict[str, NDArray[Any]] = {**constants, **inputs, **dict(zip(names, found, strict=True))}
