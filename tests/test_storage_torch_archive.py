"""The .pt reader gives what torch.load gives, executes nothing, and bounds the memory."""

import collections
import io
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qornn_hw.errors import CheckpointError
from qornn_hw.storage.torch_archive import (
    MOST_INSTRUCTIONS,
    MOST_TENSORS,
    Foreign,
    Tensor,
    read_torch_archive,
)
from qornn_hw.storage.zip_archive import DAMAGED, Archive

DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.float32, torch.float64,
)  # fmt: skip


def saved(value, **options):
    """Return the bytes of torch.save."""
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def read(data, most=1 << 20):
    """Return what the reader makes of the bytes of a file."""
    return read_torch_archive(Archive(io.BytesIO(data), CheckpointError), 1 << 24, most)


def made(program, order=b"little", **storages):
    """Return a torch file of this pickle and these storages, s0=..., s1=... ."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", order)
        for name, data in storages.items():
            archive.writestr(f"archive/data/{name[1:]}", data)
    return stream.getvalue()


def tensor_program(sizes, strides, offset=0, count=4, kind="FloatStorage", key="0", times=1):
    """Return a pickle of a list of tensors."""

    def whole(value):
        return b"\x8a" + bytes([9]) + value.to_bytes(9, "little", signed=True)

    one = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n%s\n" % kind.encode()
    one += b"X\x01\0\0\0%sX\x03\0\0\0cpu%stQ" % (key.encode(), whole(count))
    one += whole(offset) + b"(" + b"".join(map(whole, sizes)) + b"t(" + b"".join(map(whole, strides)) + b"t"
    one += b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02](" + one * times + b"e."


@pytest.mark.parametrize("protocol", [2, 4])
def test_equal_to_torch(protocol):
    """Tensors of every type, view and byte order, and plain data, equal those from torch.load."""
    base = torch.arange(24).reshape(2, 3, 4)
    value = {
        **{str(dtype): (base % 2 if dtype is torch.bool else base).to(dtype) for dtype in DTYPES},
        "slice": base[:, 1:, ::2],
        "transposed": base.permute(2, 0, 1),
        "overlapping": torch.arange(6.0).as_strided((2, 2), (1, 1)),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "same": base,
    }
    plain = {"a": [1, -1, 255, 256, -(2**31), 2**40, -(10**300), 0.5, None, True, False, "ä\U0001f600", ()]}
    data = saved({"tensors": value, **plain}, pickle_protocol=protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of protocols that torch does not write by itself
        found, expected = read(data), torch.load(io.BytesIO(data), weights_only=protocol == 2)
    assert found["a"] == expected["a"] == plain["a"]
    assert found["tensors"].keys() == expected["tensors"].keys()
    for name, tensor in expected["tensors"].items():
        array, want = found["tensors"][name].numpy(), tensor.numpy()
        assert array.dtype == want.dtype and array.shape == want.shape, name
        np.testing.assert_array_equal(array, want)


def test_bfloat16():
    """A bfloat16 comes back as the float32 of the same value."""
    values = torch.randn(50, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    array = read(saved([values]))[0].numpy()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, values.float().numpy())


def test_big_endian():
    """Entries from a big-endian machine are converted to the native byte order."""
    data = made(tensor_program((2, 2), (2, 1)), order=b"big", s0=np.arange(4, dtype=">f4").tobytes())
    np.testing.assert_array_equal(read(data)[0].numpy(), [[0, 1], [2, 3]])


def test_state_dict():
    """An ordered dictionary is read as a dictionary; its attributes are dropped."""
    found = read(saved(torch.nn.Linear(2, 3).state_dict()))
    assert [tensor.numpy().shape for tensor in found.values()] == [(3, 2), (3,)]


@pytest.mark.parametrize(
    "value, name",
    [
        (torch.eye(2).to_sparse(), "torch._utils._rebuild_sparse_tensor"),
        (torch.nn.Parameter(torch.eye(2)), "torch._utils._rebuild_parameter"),
        (torch.eye(2).to(torch.complex64), "torch._utils._rebuild_tensor_v2"),
    ],
)
def test_other_tensors(value, name):
    """An object that is not a plain tensor is read as its name only."""
    found = read(saved([value]))[0]
    assert isinstance(found, Foreign) and found.name == name


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_runs(tmp_path, protocol):
    """A pickle that calls a function is refused, and the function is not called."""
    program = pickle.dumps([Evil(str(tmp_path / "ran"))], protocol=protocol)
    with pytest.raises(CheckpointError, match=r"^holds pickled Python objects other than tensors; "):
        read(made(program))
    assert list(tmp_path.iterdir()) == []
    pickle.loads(program)
    assert (tmp_path / "ran").is_dir()


FOUR = np.arange(4, dtype="<f4").tobytes()
SHAPE = f"{DAMAGED}: its pickle has a tensor of the invalid shape .*"
LIES = f"{DAMAGED}: a tensor of shape .* must lie inside its storage of 4 entries"
BROKEN = [
    (made(tensor_program((40000, 60000), (0, 0)), s0=FOUR),
     r"a tensor must not repeat entries, but one of shape \(40000, 60000\) has a storage .*"),
    (made(tensor_program((5,), (1,)), s0=FOUR), LIES),
    (made(tensor_program((4,), (1,), offset=1), s0=FOUR), LIES),
    (made(tensor_program((2, 3), (1, 1)), s0=FOUR), "a tensor must not repeat entries, but one of .*"),
    (made(tensor_program((1, 5), (0, 0)), s0=FOUR), "a tensor must not repeat entries, but one of .*"),
    (made(tensor_program((2,), (1 << 39,)), s0=FOUR), LIES),
    (made(tensor_program((2,), (-1,)), s0=FOUR), SHAPE),
    (made(tensor_program((-2,), (1,)), s0=FOUR), SHAPE),
    (made(tensor_program((2,), (1,), offset=-1), s0=FOUR), SHAPE),
    (made(tensor_program((1 << 60,), (1,)), s0=FOUR), SHAPE),
    (made(tensor_program((2, 2), (1,)), s0=FOUR), SHAPE),
    (made(tensor_program((1,) * 9, (1,) * 9), s0=FOUR), SHAPE),
    (made(tensor_program((4,), (1,), count=5), s0=FOUR),
     f"{DAMAGED}: storage '0' must have 5 entries of 4 bytes, but has 16 bytes"),
    (made(tensor_program((4,), (1,), count=-4), s0=FOUR), f"{DAMAGED}: storage '0' must have -4 entries .*"),
    (made(tensor_program((4,), (1,), key="7"), s0=FOUR), f"{DAMAGED}: storage '7' .* has no bytes"),
    (made(tensor_program((4,), (1,), kind="BoolStorage"), s0=b"\0\1\2\0"),
     f"{DAMAGED}: storage '0' holds booleans and must have bytes 0 and 1 only"),
    (made(tensor_program((4,), (1,)), s0=FOUR, s1=FOUR),
     "unexpected member 'archive/data/1', which no tensor refers to"),
    (made(tensor_program((4,), (1,), times=MOST_TENSORS + 1), s0=FOUR),
     "must have at most 64 tensors, but has more"),
    (made(tensor_program((4,), (1,)), s0=FOUR, order=b"middle"), f"{DAMAGED}: its byteorder must be .*"),
    (made(tensor_program((4,), (1,)), s0=FOUR, sx=b""), "unexpected member 'archive/data/x'"),
    (made(b"\x80\x02N.N"), f"{DAMAGED}: its pickle has data after its STOP instruction"),
    (made(b"\x80\x02N"), f"{DAMAGED}: its pickle is not a valid program"),
    (made(b"\x80\x02."), f"{DAMAGED}: its pickle pops a value from an empty stack"),
    (made(b"\x80\x02X\xff\xff\xff\xffab."), f"{DAMAGED}: its pickle ends within an instruction"),
    (made(b"\x80\x02X\x01\0\0\0\xff."), f"{DAMAGED}: its pickle is not a valid program"),
    (made(b"\x80\x02j\0\0\0\x7f."), f"{DAMAGED}: its pickle is not a valid program"),
    (made(b"\x80\x02}(]NuN."), f"{DAMAGED}: its pickle is not a valid program"),
    (made(b"\x80\x02}(K\1NK\1Nu."), "must name each entry once, but names 1 twice"),
    (made(b"\x80\x02ctorch\nload\nNb."), f"{DAMAGED}: its pickle sets attributes of plain data"),
    (made(b"\x80\x02NNR."), f"{DAMAGED}: its pickle calls an object that is not a function"),
    (made(b"\x80\x02I1\n."), f"{DAMAGED}, or holds objects .*: its pickle has the instruction 0x49"),
    (made(b"\x80\x02" + b"N" * MOST_INSTRUCTIONS + b"."), "must have a pickle of at most 2,000,000 .*"),
]  # fmt: skip


@pytest.mark.parametrize("data, message", BROKEN, ids=[str(i) for i in range(len(BROKEN))])
def test_broken_files(data, message):
    """Tensors outside their storage, repeated entries and invalid programs are refused in one line."""
    with pytest.raises(CheckpointError, match=f"^{message}$"):
        read(data, 1 << 22)


def test_memo_is_small():
    """A memo index of billions costs no memory (in Python's own unpickler it does)."""
    assert read(made(b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b"j" + b"\xff" * 4 + b"a.")) is not None


def test_views_are_not_copied():
    """A tensor is a view of its storage until ``numpy()`` copies it."""
    tensor = read(made(tensor_program((2, 2), (1, 2)), s0=FOUR))[0]
    assert isinstance(tensor, Tensor) and tensor.array.base is not None
    assert tensor.numpy().tolist() == [[0, 2], [1, 3]]


@given(st.lists(st.sampled_from(b".(}])NKMJGXQRbtusaehjqrc\x80\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95\n\0\1\2"),
                max_size=40))  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_random_programs(codes):
    """Random instructions give plain data or an error."""
    data = made(b"\x80\x02" + bytes(codes) + b".")
    try:
        value = read(data)
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:
        kinds = (dict, list, tuple, str, int, float, type(None), Foreign)
        assert isinstance(value, kinds) or type(value).__name__ == "_Name"


def test_ordered_dictionary_is_plain():
    """An ordered dictionary with entries is a dictionary with the same entries."""
    assert read(saved(collections.OrderedDict(a=1, b=[2]))) == {"a": 1, "b": [2]}
