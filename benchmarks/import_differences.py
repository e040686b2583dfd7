"""The largest difference between an imported float network and its framework, for every kind of layer.

    python benchmarks/import_differences.py          the table of docs/imports.md

The cases are those of the import tests (tests/test_importers_*.py): torch modules, ONNX files in onnxruntime,
Keras files in Keras, each with random weights, biases and inputs. A framework computes in float32, the
imported network in float64.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]


def torch_cases() -> Iterator[tuple[str, float]]:
    """Yield the name and the difference of each torch module."""
    import test_importers_torch_stack as cases
    import torch

    from qornn_hw.importers.torch_stack import read_torch_stack
    from qornn_hw.ir.kinds import OutputMode

    for name, make in cases.MODULES.items():
        torch.manual_seed(2)
        module = make()
        x = cases.inputs_for(name)
        found = read_torch_stack(module, x)
        given = torch.tensor(x, dtype=torch.int64 if "embedding" in name else torch.float32)
        with torch.no_grad():
            wanted = module(given.transpose(0, 1) if name == "steps first" else given).numpy()
        logits = found.stack.run(given.numpy())
        logits = logits[:, -1] if found.mode is OutputMode.LAST_STEP else logits
        yield name, largest(logits, wanted.swapaxes(0, 1) if name == "steps first" else wanted)


def onnx_cases() -> Iterator[tuple[str, float]]:
    """Yield the name and the difference of each ONNX file."""
    import test_importers_onnx_import as cases

    for name in cases.MODELS:
        with tempfile.TemporaryDirectory() as folder:
            _, logits, wanted = cases.compared(name, Path(folder))
        yield name, largest(logits, wanted)


def keras_cases() -> Iterator[tuple[str, float]]:
    """Yield the name and the difference of each Keras file."""
    import test_importers_keras_import as cases

    from qornn_hw.importers.keras_import import read_keras

    for name, parts in cases.MODELS.items():
        model = cases.built(parts)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            model.save(path)
            found = read_keras(path)
        x = cases.inputs_for(parts)
        logits, wanted = found.stack.run(x), cases.answers(model, x)
        yield name, largest(logits[:, -1] if wanted.ndim == 2 else logits, wanted)


FORMS: dict[str, Callable[[], Iterator[tuple[str, float]]]] = {
    "torch": torch_cases,
    "ONNX": onnx_cases,
    "Keras": keras_cases,
}


def largest(found: Any, wanted: Any) -> float:
    """Return the largest difference, relative to the largest answer.

    >>> largest(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    0.2
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def table(differences: dict[str, dict[str, float]]) -> str:
    """Return a table with a row for each case and a column for each form.

    >>> print(table({"torch": {"gru": 1e-7}, "ONNX": {"lstm": 2.04e-7}}))
    | layers | torch | ONNX |
    |---|---|---|
    | gru | 1.0e-07 |  |
    | lstm |  | 2.0e-07 |
    """
    names = list(dict.fromkeys(name for cases in differences.values() for name in cases))
    lines = [f"| layers | {' | '.join(differences)} |", "|---" * (1 + len(differences)) + "|"]
    for name in names:
        cells = [f"{cases[name]:.1e}" if name in cases else "" for cases in differences.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    sys.path.insert(0, str(ROOT / "tests"))
    print(table({form: dict(cases()) for form, cases in FORMS.items()}))


if __name__ == "__main__":
    main()
