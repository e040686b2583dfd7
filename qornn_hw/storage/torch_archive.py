"""Reader of PyTorch's ``.pt`` files without torch.

A ``.pt`` file is a zip archive of one pickle and of the raw entries of each tensor storage:

    NAME/data.pkl     the object, a pickle that refers to storages by key, type and number of entries
    NAME/data/KEY     the raw entries of a storage, in the byte order that NAME/byteorder names
    NAME/...          small members that describe the format: version, byteorder and others

A pickle is a program. :class:`_Machine` executes only the instructions that build dictionaries, lists,
tuples, strings and numbers. It knows three globals: the function that builds a tensor, the ordered
dictionary, and the storage types. It keeps all other globals as names, and never imports or calls them. The
sizes and strides of a tensor are checked against its storage before the tensor is created.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.storage.zip_archive import DAMAGED, Archive

__all__ = ["Foreign", "Tensor", "read_torch_archive", "torch_root"]

# More than the largest accepted header needs; one million instructions take one or two seconds.
MOST_INSTRUCTIONS = 2_000_000
MOST_DIMENSIONS = 8
MOST_TENSORS = 64
_SMALL = 4096

# NumPy's type of an entry, by torch's storage class.
STORAGES: dict[str, str] = {
    "BoolStorage": "?",
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
    "HalfStorage": "f2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    # The upper 16 bits of a float32.
    "BFloat16Storage": "u2",
    # Bytes; the tensor names its type.
    "UntypedStorage": "u1",
}
# NumPy's types of the tensors that torch keeps in an untyped storage.
UNTYPED: dict[str, str] = {"uint16": "<u2", "uint32": "<u4", "uint64": "<u8"}
_REBUILD = ("torch._utils", "_rebuild_tensor_v2")
_REBUILD_UNTYPED = ("torch._utils", "_rebuild_tensor_v3")
_STORAGE_MODULES = ("torch", "torch.storage")
_ORDERED = ("collections", "OrderedDict")


@dataclass(frozen=True)
class Foreign:
    """An object in a torch file that is not a plain dense tensor. Only its name is kept."""

    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True, eq=False)
class Tensor:
    """A plain dense tensor, as a view of its storage.

    Attributes:
        array: the entries, in the machine's byte order; a bfloat16 entry is the uint16 with the same bits.
        bfloat16: True if the entries are bfloat16.
    """

    array: NDArray[Any]
    bfloat16: bool = False

    def numpy(self) -> NDArray[Any]:
        """Return the entries as a contiguous array; bfloat16 becomes the float32 of equal value."""
        if not self.bfloat16:
            return np.ascontiguousarray(self.array).reshape(self.array.shape)
        return (self.array.astype(np.uint32) << 16).view(np.float32).reshape(self.array.shape)


@dataclass(frozen=True)
class _Name:
    module: str
    name: str

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, eq=False)
class _Storage:
    entries: NDArray[Any]
    bfloat16: bool


def torch_root(names: Any) -> str | None:
    """Return the common folder of a torch file's members (usually "archive"); None for another zip file."""
    roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
    return min(roots, key=len) if roots else None


def read_torch_archive(archive: Archive, most_pickle_bytes: int, most_bytes: int) -> Any:
    """Return the object in a torch file, with each tensor as a :class:`Tensor`.

    Args:
        archive: the file.
        most_pickle_bytes: the largest accepted size of the pickle.
        most_bytes: the largest accepted size of all members together.

    Raises:
        archive.error: the file is damaged, has an unexpected member, its pickle has an unsupported
            instruction or a global from outside torch, or a tensor does not fit inside its storage.
    """
    root = torch_root(archive.members)
    if root is None:
        raise archive.error(f"{DAMAGED}: a torch file must have the member data.pkl")

    def allowed(name: str) -> int | None:
        folder, _, rest = name.partition("/") if "/" not in root else (root, "", name[len(root) + 1 :])
        if folder != root or not name.startswith(f"{root}/"):
            return None
        if rest == "data.pkl":
            return most_pickle_bytes
        if rest.startswith("data/") and rest[5:].isascii() and rest[5:].isdigit():
            return most_bytes
        # Small members that describe the format.
        return _SMALL if rest in ("version", "byteorder") or rest.startswith(".") else None

    archive.require(allowed, most_bytes)
    contents = {name.removeprefix(f"{root}/"): archive.read(name) for name in archive.members}
    order = contents.get("byteorder", b"little")
    if order not in (b"little", b"big"):
        raise archive.error(f"{DAMAGED}: its byteorder must be little or big, not {order[:20]!r}")
    storages = {name[5:]: data for name, data in contents.items() if name.startswith("data/")}
    machine = _Machine(contents["data.pkl"], storages, order == b"big", archive.error)
    value = machine.run()
    if unused := sorted(storages.keys() - machine.used):
        raise archive.error(f"unexpected member {f'{root}/data/{unused[0]}'!r}, which no tensor refers to")
    return value


class _Machine:
    """The interpreter of a torch file's pickle; the module's docstring lists what it supports."""

    def __init__(
        self, code: bytes, storages: dict[str, bytes], big_endian: bool, error: type[Exception]
    ) -> None:
        self._code, self._at = code, 0
        self._storages, self._big_endian = storages, big_endian
        self._error = error
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._made: dict[str, _Storage] = {}
        self._tensors = 0
        self.used: set[str] = set()

    def run(self) -> Any:
        """Run the program and return its result."""
        try:
            for _ in range(MOST_INSTRUCTIONS):
                code = self._code[self._at]
                self._at += 1
                if code == 0x2E:  # STOP
                    if self._at != len(self._code):
                        raise self._damaged("has data after its STOP instruction")
                    return self._pop()
                instruction = _INSTRUCTIONS.get(code)
                if instruction is None:
                    raise self._error(
                        f"{DAMAGED}, or holds objects other than tensors and plain data: its pickle has the "
                        f"instruction {code:#04x}"
                    )
                instruction(self)
        # A missing operand or mark, an unhashable key, or text that is not UTF-8.
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            if isinstance(error, self._error):
                raise
            raise self._damaged("is not a valid program") from None
        raise self._error(f"must have a pickle of at most {MOST_INSTRUCTIONS:,} instructions, but has more")

    def _damaged(self, reason: str) -> Exception:
        return self._error(f"{DAMAGED}: its pickle {reason}")

    # Operands and stack.

    def _bytes(self, count: int) -> bytes:
        data = self._code[self._at : self._at + count]
        if len(data) != count:
            raise self._damaged("ends within an instruction")
        self._at += count
        return data

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._bytes(struct.calcsize(form)))[0]

    def _text(self, form: str) -> str:
        return self._bytes(self._number(form)).decode()

    def _line(self) -> str:
        end = self._code.index(b"\n", self._at)
        line = self._bytes(end - self._at).decode("ascii")
        self._at += 1
        return line

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise self._damaged("pops a value from an empty stack")
        return self._stack.pop()

    def _above_mark(self) -> list[Any]:
        mark = self._marks.pop()
        values = self._stack[mark:]
        del self._stack[mark:]
        return values

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    # Instructions.

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _long(self) -> None:
        self._push(int.from_bytes(self._bytes(self._number("B")), "little", signed=True))

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise self._damaged("sets an entry of an object that is not a dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if key in target:
                raise self._error(f"must name each entry once, but names {_shown(key)} twice")
            target[key] = value

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise self._damaged("appends to an object that is not a list")
        target.extend(values)

    def _global(self, module: str, name: str) -> None:
        top = module.partition(".")[0]
        if top not in ("torch", "collections"):
            raise self._error(
                "holds pickled Python objects other than tensors; unpickling them could run code, so it is "
                "not done"
            )
        self._push(_Name(module, name))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise self._damaged("has a global whose name is not a string")
        self._global(module, name)

    def _persistent(self) -> None:
        kind, storage_type, key, _, count = self._pop()
        if kind != "storage" or type(storage_type) is not _Name or type(key) is not str:
            raise self._damaged("has a persistent id that is not a storage")
        if type(count) is not int:
            raise self._damaged("has a storage without a size")
        form = STORAGES.get(storage_type.name) if storage_type.module in _STORAGE_MODULES else None
        if form is None:
            self.used.add(key)
            self._push(Foreign(storage_type.dotted))
            return
        dtype = np.dtype(form).newbyteorder(">" if self._big_endian else "<")
        data = self._storages.get(key)
        if data is None or count < 0 or len(data) != count * dtype.itemsize:
            raise self._error(
                f"{DAMAGED}: storage {_shown(key)} must have {_shown(count)} entries of {dtype.itemsize} "
                f"bytes, but has {'no' if data is None else len(data)} bytes"
            )
        if form == "?" and data.strip(b"\0\1"):
            raise self._error(
                f"{DAMAGED}: storage {_shown(key)} holds booleans and must have bytes 0 and 1 only"
            )
        if key not in self._made:
            entries = np.frombuffer(data, dtype) if count else np.zeros(0, dtype)
            native = entries.astype(dtype.newbyteorder("="), copy=False)
            self._made[key] = _Storage(native, storage_type.name == "BFloat16Storage")
        elif self._made[key].entries.dtype != dtype.newbyteorder("="):
            raise self._error(f"{DAMAGED}: storage {_shown(key)} must have one type, but has two")
        self.used.add(key)
        self._push(self._made[key])

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if type(function) is not _Name or type(arguments) is not tuple:
            raise self._damaged("calls an object that is not a function")
        name = (function.module, function.name)
        if name == _ORDERED and arguments == ():
            self._push({})
        elif name == _REBUILD and len(arguments) in (6, 7) and type(arguments[0]) is _Storage:
            self._push(self._tensor(*arguments[:4]))
        elif name == _REBUILD_UNTYPED and len(arguments) in (7, 8) and type(arguments[0]) is _Storage:
            self._push(self._untyped(function, arguments[:4], arguments[6]))
        else:
            self._push(Foreign(function.dotted))

    def _untyped(self, function: _Name, arguments: tuple[Any, ...], dtype: Any) -> Tensor | Foreign:
        """Return a tensor of an untyped storage; its type is an argument of the tensor."""
        storage, offset, sizes, strides = arguments
        form = UNTYPED.get(dtype.name) if type(dtype) is _Name and dtype.module == "torch" else None
        if form is None or storage.entries.dtype != np.uint8:
            return Foreign(f"{function.dotted} {dtype.dotted}" if type(dtype) is _Name else function.dotted)
        if self._big_endian:
            form = form.replace("<", ">")
        width = np.dtype(form).itemsize
        whole = len(storage.entries) // width * width
        entries = storage.entries[:whole].view(form)
        native = entries.astype(entries.dtype.newbyteorder("="), copy=False)
        return self._tensor(_Storage(native, False), offset, sizes, strides)

    def _build(self) -> None:
        """Drop the attributes of an ordered dictionary or of an opaque object."""
        self._pop()
        if type(self._stack[-1]) not in (dict, Foreign):
            raise self._damaged("sets attributes of plain data")

    def _tensor(self, storage: _Storage, offset: Any, sizes: Any, strides: Any) -> Tensor:
        self._tensors += 1
        if self._tensors > MOST_TENSORS:
            raise self._error(f"must have at most {MOST_TENSORS} tensors, but has more")
        if type(sizes) is not tuple or type(strides) is not tuple:
            raise self._damaged("has a tensor without a shape")
        numbers = (offset, *sizes, *strides)
        whole = all(type(number) is int and 0 <= number < 1 << 40 for number in numbers)
        if not whole or len(sizes) != len(strides) or len(sizes) > MOST_DIMENSIONS:
            raise self._damaged(
                f"has a tensor of the invalid shape {_shown(sizes)} with strides {_shown(strides)}"
            )
        count, last = math.prod(sizes), offset
        for size, stride in zip(sizes, strides, strict=True):
            last += (size - 1) * stride
        entries = storage.entries
        if count and last >= len(entries):
            raise self._error(
                f"{DAMAGED}: a tensor of shape {_shown(sizes)}, strides {_shown(strides)} and offset "
                f"{_shown(offset)} must lie inside its storage of {len(entries)} entries"
            )
        # An expanded tensor has strides of 0, so a small storage can declare any size.
        if count > len(entries):
            raise self._error(
                f"a tensor must not repeat entries, but one of shape {_shown(sizes)} has a storage of "
                f"{len(entries)} entries; save its .contiguous()"
            )
        if not count:
            return Tensor(np.zeros(sizes, entries.dtype), storage.bfloat16)
        step = entries.itemsize
        view: NDArray[Any] = np.lib.stride_tricks.as_strided(
            entries[offset:], sizes, [stride * step for stride in strides], writeable=False
        )
        return Tensor(view, storage.bfloat16)


def _shown(value: object) -> str:
    try:
        return " ".join(repr(value).split())[:60]
    # The value is nested too deeply, or is an integer of too many digits.
    except (RecursionError, ValueError):
        return f"a value too large to show ({type(value).__name__})"


# The supported instructions by opcode. Instructions that import or call arbitrary objects are left out.
_INSTRUCTIONS: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m._number("B"),  # PROTO
    0x95: lambda m: m._number("<Q"),  # FRAME
    ord("("): lambda m: m._marks.append(len(m._stack)),
    ord("}"): lambda m: m._push({}),
    ord("]"): lambda m: m._push([]),
    ord(")"): lambda m: m._push(()),
    ord("N"): lambda m: m._push(None),
    0x88: lambda m: m._push(True),
    0x89: lambda m: m._push(False),
    ord("K"): lambda m: m._push(m._number("B")),
    ord("M"): lambda m: m._push(m._number("<H")),
    ord("J"): lambda m: m._push(m._number("<i")),
    0x8A: lambda m: m._long(),
    ord("G"): lambda m: m._push(m._number(">d")),
    ord("X"): lambda m: m._push(m._text("<I")),
    0x8C: lambda m: m._push(m._text("B")),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("t"): lambda m: m._push(tuple(m._above_mark())),
    ord("s"): lambda m: m._set_items([*reversed((m._pop(), m._pop()))]),
    ord("u"): lambda m: m._set_items(m._above_mark()),
    ord("a"): lambda m: m._append([m._pop()]),
    ord("e"): lambda m: m._append(m._above_mark()),
    ord("q"): lambda m: m._memo.__setitem__(m._number("B"), m._stack[-1]),
    ord("r"): lambda m: m._memo.__setitem__(m._number("<I"), m._stack[-1]),
    0x94: lambda m: m._memo.__setitem__(len(m._memo), m._stack[-1]),
    ord("h"): lambda m: m._push(m._memo[m._number("B")]),
    ord("j"): lambda m: m._push(m._memo[m._number("<I")]),
    ord("c"): lambda m: m._global(m._line(), m._line()),
    0x93: lambda m: m._stack_global(),
    ord("Q"): lambda m: m._persistent(),
    ord("R"): lambda m: m._reduce(),
    ord("b"): lambda m: m._build(),
}
