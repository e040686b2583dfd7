"""The .pt writer: torch.load gives equal values, and equal contents give equal bytes."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qornn_hw.errors import CheckpointError
from qornn_hw.storage.torch_archive import read_torch_archive
from qornn_hw.storage.torch_writing import write_torch_archive
from qornn_hw.storage.zip_archive import Archive

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def written(value):
    """Return the bytes of a file."""
    stream = io.BytesIO()
    write_torch_archive(stream, value)
    return stream.getvalue()


@pytest.mark.parametrize("options", [{}, {"mmap": True}])
def test_torch_reads_the_same(tmp_path, options):
    """torch.load returns arrays of every type, order and shape, also memory-mapped."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 2, (3, 4, 2)).astype(name) for name in DTYPES}
    arrays |= {"fortran": np.asfortranarray(rng.normal(size=(3, 2))), "slice": np.arange(10)[::3]}
    arrays |= {"empty": np.zeros((0, 3)), "scalar": np.array(2.5)}
    path = tmp_path / "a.pt"
    path.write_bytes(written({"tensors": arrays}))
    found = torch.load(path, weights_only=True, **options)["tensors"]
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].numpy().dtype == array.dtype and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name].numpy(), array)


TEXT = st.text(st.characters(blacklist_categories=["Cs"]))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
@settings(max_examples=60, deadline=None)
def test_plain_data(value):
    """Plain data of every kind survive a round trip through torch.load and through the reader."""
    data = written({"value": value})
    assert torch.load(io.BytesIO(data), weights_only=True) == {"value": value}
    archive = Archive(io.BytesIO(data), CheckpointError)
    assert read_torch_archive(archive, 1 << 20, 1 << 20) == {"value": value}


def test_same_bytes():
    """Equal contents give equal bytes at any time."""
    assert written({"a": np.arange(3)}) == written({"a": np.arange(3)})


@pytest.mark.parametrize("value", [{1, 2}, b"x", 1 << 3000, np.zeros(2, complex), np.array("x"), np.int64(3)])
def test_other_data(value):
    """A value that a torch file cannot hold as plain data is a TypeError."""
    with pytest.raises(TypeError, match=r"^a torch file must hold "):
        written({"value": value})
