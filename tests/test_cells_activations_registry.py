"""The registry of activations, and that nobody beside it decides by an activation's name."""

import re
from pathlib import Path

import pytest

import qornn_hw
from qornn_hw.cells.activations.function import ActivationFunction
from qornn_hw.cells.activations.registry import (
    BOUNDED,
    Activation,
    activation_of_torch,
    recognized_activation,
)

ROOT = Path(qornn_hw.__file__).parent
LINKED = [ROOT / name for name in ("rtl_gen", "sim", "boards")]
WORDS = "|".join(Activation)
WORD = rf"[\"']({WORDS})[\"']"
# The functions of the language of cells, which are no activations of an Elman layer.
OTHERS = {"cells/graph.py", "quantization/cell_lowering.py"}
NAMED = re.compile(rf"Activation\.[A-Z]{{2,}}|[=!]= *{WORD}|{WORD} *[=!]=|\bcase {WORD}")


def named_activations(text):
    """Return the lines in which a text decides by the name of an activation."""
    lines = (line.strip() for line in text.splitlines() if NAMED.search(line))
    # The other ones are a matrix, and the default of an argument.
    return [line for line in lines if not re.search(r"first_matrix ==|^activation: Activation = ", line)]


def test_no_module_decides_by_name():
    """Outside the folder of the activations no name of one is compared."""
    # The last three are links, which rglob does not follow.
    paths = [path for folder in (ROOT, *LINKED) for path in folder.rglob("*.py")]
    found = {
        str(path.relative_to(ROOT)): lines
        for path in paths
        if not {"activations", *OTHERS} & {*path.parts, str(path.relative_to(ROOT))}
        and (lines := named_activations(path.read_text()))
    }
    assert len(paths) > 300 and not found


@pytest.mark.parametrize(
    "line",
    [
        "if net.activation is Activation.TANH:",
        "if name == 'relu':",
        'if ACTIVATION != "modrelu":',
        "case Activation.RELU:",
        'return "tanh" == word',
        'case "hardtanh":',
    ],
)
def test_a_comparison_is_seen(line):
    """Each way to compare a name is found."""
    assert named_activations(f"x = 1\n    {line}\n") == [line]


def test_each_word_has_its_module():
    """The word of an activation is the name of its module, whose function it is."""
    for one in Activation:
        assert isinstance(one.function, ActivationFunction)
        assert type(one.function).__module__ == f"qornn_hw.cells.activations.{one}"
        assert one.shape is one.function.shape
    assert len({one.function for one in Activation}) == len(Activation)


def test_words_of_model_files():
    """The words that files of version 1 hold are there."""
    assert {"identity", "relu", "modrelu", "hardtanh", "tanh"} <= set(Activation)
    assert {"hardtanh", "tanh"} <= set(BOUNDED) and not {"identity", "relu", "modrelu"} & set(BOUNDED)


def test_torch_names():
    """A torch RNN computes tanh or relu."""
    assert activation_of_torch("relu") == "relu" and activation_of_torch("tanh") == "tanh"
    with pytest.raises(ValueError, match=r"^nonlinearity must be one of relu, tanh, not 'gelu'$"):
        activation_of_torch("gelu")


def test_nothing_else_is_recognized():
    """Operations of no activation have none."""
    operation = Activation("relu").function.accumulator_operation("f", "z", None)
    assert recognized_activation(operation, None, False) == "relu"
    assert recognized_activation(operation, operation, False) is None
