"""Size limits of model files: a network at a limit passes, one entry more is refused."""

import pytest

from qornn_hw.errors import CheckpointError
from qornn_hw.files.model_limits import (
    MOST_ARRAYS,
    MOST_HIDDEN,
    MOST_INPUTS,
    MOST_OUTPUTS,
    MOST_WEIGHTS,
    check_entries,
    check_sizes,
)


def shapes(n=4, m=3, p=2):
    """Return the shapes of the arrays of an Elman network."""
    return {"recurrent_weight": (n, n), "input_weight": (n, m), "output_weight": (p, n), "bias": (n,)}


@pytest.mark.parametrize(
    "sizes",
    [{}, {"n": MOST_HIDDEN, "m": 1}, {"n": 1, "m": MOST_INPUTS}, {"n": 1, "p": MOST_OUTPUTS}],
)
def test_networks_within_the_limits(sizes):
    """A network passes at each limit; arrays without a limit of their own are ignored."""
    check_sizes({**shapes(**sizes), "float.bias": (), "table": (256,)})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n": MOST_HIDDEN + 1}, "a network must have at most 4,096 hidden units, not 4,097"),
        ({"m": MOST_INPUTS + 1}, "a network must have at most 65,536 inputs, not 65,537"),
        ({"p": MOST_OUTPUTS + 1}, "a network must have at most 65,536 outputs, not 65,537"),
        ({"n": 4096, "m": 1000}, "at most 20,000,000 weights in all matrices together, not 20,881,408"),
    ],
)
def test_networks_beyond_the_limits(sizes, message):
    """The first limit that is exceeded is named with both numbers."""
    with pytest.raises(CheckpointError, match=message):
        check_sizes(shapes(**sizes))


def test_number_of_arrays():
    """The number of arrays has a limit of its own."""
    check_sizes({f"b{i}": (1,) for i in range(MOST_ARRAYS)})
    with pytest.raises(CheckpointError, match="a network must have at most 480 arrays, not 481"):
        check_sizes({f"b{i}": (1,) for i in range(MOST_ARRAYS + 1)})


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("recurrent_weight", MOST_WEIGHTS),
        ("float.recurrent_weight", MOST_WEIGHTS),
        ("acc.weights.0", MOST_WEIGHTS),
        ("bias", MOST_OUTPUTS),
        ("acc.weights.x", MOST_OUTPUTS),
    ],
)
def test_entries_of_an_array(name, most):
    """A matrix may have as many entries as all weights, any other array as many as outputs."""
    check_entries(name, (most, 1, 1))
    with pytest.raises(
        CheckpointError, match=f"^{name} must have at most {most:,} entries, not {most + 1:,}$"
    ):
        check_entries(name, (most + 1,))


def test_signs_count_as_the_matrix_that_they_stand_for():
    """Two matrices of 4096 signs are too many weights: a small file cannot fill the memory."""
    check_sizes({"layer0.a.signs.0": (4096,)})
    with pytest.raises(CheckpointError, match="at most 20,000,000 weights in all matrices together"):
        check_sizes({"layer0.a.signs.0": (4096,), "layer0.a.signs.1": (4096,)})
