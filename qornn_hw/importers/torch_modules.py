"""Torch modules without their wrappers, and private copies on the CPU that can be run and changed.

torch is imported inside the functions, because only callers with a module have it.
"""

import copy
from collections.abc import Iterator
from typing import Any

from qornn_hw.errors import FormatError

__all__ = ["class_name", "is_module", "leaves", "private_copy", "require_module", "unwrapped"]

# Wrappers that do not change the computation, and their attribute with the module.
_WRAPPERS = {
    "OptimizedModule": "_orig_mod",
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AveragedModel": "module",
}


def class_name(module: Any) -> str:
    """Return the name of a module's class; for a parametrized module, that of its original class."""
    return type(module).__name__.removeprefix("Parametrized")


def is_module(value: Any) -> bool:
    """Return whether a value is a ``torch.nn.Module``."""
    import torch

    return isinstance(value, torch.nn.Module)


def unwrapped(module: Any) -> Any:
    """Return the module inside ``DataParallel``, ``DistributedDataParallel``, ``torch.compile``, averages."""
    while (attribute := _WRAPPERS.get(type(module).__name__)) and is_module(getattr(module, attribute, None)):
        module = getattr(module, attribute)
    return module


def leaves(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and modules of the leaves of a module: the modules without child modules.

    Wrappers are removed; the parametrizations of a leaf belong to it.
    """

    def walk(name: str, one: Any) -> Iterator[tuple[str, Any]]:
        one = unwrapped(one)
        inside = [(key, child) for key, child in one.named_children() if key != "parametrizations"]
        if not inside:
            yield name, one
        for key, child in inside:
            yield from walk(f"{name}.{key}" if name else key, child)

    yield from walk("", module)


def require_module(name: str, value: Any, wanted: str) -> Any:
    """Return a module without its wrappers.

    Args:
        name: name of the module in messages.
        value: the object to check.
        wanted: the expected kind of module, for the message.

    Raises:
        FormatError: the object is not a readable module; the message has the reason and the next step.
    """
    import torch

    if isinstance(value, torch.jit.ScriptModule):
        raise FormatError(
            f"{name} must be {wanted}, not a ScriptModule, which is a program without its Python module: "
            "copy its state_dict into the module that it was made from, and pass that"
        )
    if not is_module(value):
        raise FormatError(f"{name} must be {wanted}, not {_foreign(value)}")
    if type(value).__name__ == "FullyShardedDataParallel":
        raise FormatError(
            f"{name} must be whole, not sharded by FullyShardedDataParallel: load its full state dict into a "
            "module of its own, and pass that"
        )
    return unwrapped(value)


def _foreign(value: Any) -> str:
    """Return the kind of an object that is not a torch module, and the next step."""
    import torch

    kind, package = type(value).__name__, type(value).__module__.split(".")[0]
    if isinstance(value, dict):
        keys = ", ".join(str(key)[:40] for key in list(value)[:3])
        what = "a state dict" if any(torch.is_tensor(one) for one in value.values()) else "a dictionary"
        return f"{what} ({keys}): load it into its module with load_state_dict, and pass the module"
    if package in ("keras", "tf_keras", "tensorflow"):
        return (
            f"{kind} of {package}: pass its arrays to qornn_hw.quantize, W = recurrent_kernel.T, "
            "U = kernel.T, V = kernel.T of the Dense layer, and the biases"
        )
    if package in ("jax", "flax", "sklearn", "mlx", "haiku", "equinox"):
        return f"{kind} of {package}: pass W, U, V and the biases as arrays to qornn_hw.quantize"
    if isinstance(value, type):
        return (
            f"the class {kind if kind != 'type' else value.__name__}: pass a module of it, with its weights"
        )
    if isinstance(value, (str, bytes)) or hasattr(value, "__fspath__"):
        return "a path: load the module with torch, and pass it"
    if torch.is_tensor(value):
        return "a tensor: pass W, U and V to qornn_hw.quantize"
    return f"{kind}: pass a module with its weights"


def private_copy(name: str, module: Any) -> Any:
    """Return a copy of a module for running: on the CPU, in evaluation mode, in float32 or float64.

    The module itself is neither run nor changed. 16-bit floats become float32, which represents them exactly.

    Args:
        name: name of the module in messages.
        module: the module, without wrappers.

    Raises:
        FormatError: its weights have no values yet, or it cannot be copied.
    """
    import torch

    for key, tensor in _tensors(module):
        if torch.nn.parameter.is_lazy(tensor):
            raise FormatError(
                f"{name} must have its weights, but {key} has no shape yet: run it once on its inputs"
            )
        if tensor.is_meta:
            raise FormatError(
                f"{name} must have weights with values, but {key} is on the meta device: make the module on "
                "the processor and load its state"
            )
    # Weights that a hook has computed are not leaves of the graph, and deepcopy refuses them.
    memo: dict[int, Any] = {
        id(tensor): tensor.detach().clone()
        for _, tensor in _tensors(module)
        if not tensor.is_leaf and not isinstance(tensor, torch.nn.Parameter)
    }
    training = [(one, one.training) for one in module.modules()]
    try:
        # Copying reads the weights, which some parametrizations count as a step in training mode.
        for one, _ in training:
            one.training = False
        copied = copy.deepcopy(module, memo)
    # ``deepcopy`` of arbitrary attributes can raise exceptions of any class.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise FormatError(
            f"{name} must be a module that can be copied, but copy.deepcopy fails: {reason}; pass a new "
            "module of its class with its state loaded"
        ) from None
    finally:
        for one, mode in training:
            one.training = mode
    kinds = {tensor.dtype for _, tensor in _tensors(copied)}
    dtype = torch.float64 if torch.float64 in kinds else torch.float32
    for one in copied.modules():
        # The copy runs the Python code of its forward, not the compiled one.
        if one._compiled_call_impl is not None:
            one._compiled_call_impl = None
    copied.to(device="cpu", dtype=dtype)
    for one in copied.modules():
        for key, value in list(vars(one).items()):
            if torch.is_tensor(value) and value.is_floating_point():
                setattr(one, key, value.detach().to(device="cpu", dtype=dtype))
    return copied.eval()


def _tensors(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield names and tensors: parameters, buffers, and plain attributes (also in lists)."""
    import torch

    yield from module.named_parameters()
    yield from module.named_buffers()
    for prefix, one in module.named_modules():
        for key, value in vars(one).items():
            for item in value if isinstance(value, (list, tuple)) else (value,):
                if torch.is_tensor(item):
                    yield f"{prefix}.{key}" if prefix else key, item
