"""Damaged and hostile model files: each must be refused, or give the network that it was made from.

    python benchmarks/model_file_faults.py [--mutants N] [--seed N] [--processes N] [--json]

A mutant is one of a few valid files, .npz and .pt, with one change: bits flipped; bytes replaced, cut or
repeated; a field of the zip directory changed; or, with correct CRCs, another content of a member, other
instructions in the pickle (some of which would run code), another entry of the header, or members added,
renamed or repeated. A process with limits on time and memory loads it. A mutant passes if

- the result is a CheckpointError, or the same network (by its digest),
- it comes within 5 seconds, in less than 1 GB of memory,
- nothing was imported, executed, started or written meanwhile (by Python's audit events).
"""

import argparse
import codecs
import importlib
import io
import itertools
import json
import multiprocessing
import os
import pickletools
import random
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qornn_hw.errors import CheckpointError
from qornn_hw.files.checkpoint import NetworkCheckpoint, load_network, save_checkpoint, save_network
from qornn_hw.ir.formats import IntFormat, Rounding
from qornn_hw.ir.kinds import InputKind, OutputKind, OutputMode
from qornn_hw.ir.network import Group, Input, Layer, Network, Readout, State
from qornn_hw.ir.ops import (
    Add,
    Answer,
    Assign,
    Diagonal,
    Factor,
    MatVec,
    ModRelu,
    Multiply,
    PiecewiseLinear,
    Requantize,
    Summand,
    Table,
    Term,
)
from qornn_hw.ir.serial import network_digest
from qornn_hw.quantization.quantize import export

__all__ = ["KINDS", "Verdict", "base_files", "judge", "mutant"]

SECONDS = 5.0
MEGABYTES = 1000
# Address space of a process; a process that reaches this has failed anyway.
ADDRESS_SPACE = 6 << 30
MODELS = Path(__file__).parents[1] / "models"

Members = list[tuple[str, bytes]]
Verdict = str
GOOD = ("refused", "same network")

# Audit events that loading a file must not cause.
AUDITED = {
    "exec", "import", "pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn",
    "os.fork", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.chmod", "socket.connect",
    "ctypes.dlopen",
}  # fmt: skip


# -- the good files ----------------------------------------------------------------------------------


def base_files(folder: Path) -> list[Path]:
    """Write the valid files into a folder: four networks in both formats, one of them in version 2."""
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        # The quality of these networks does not matter here.
        warnings.simplefilter("ignore")
        small = {
            "rows": export(
                rng.normal(size=(6, 6)) * np.linspace(0.1, 1, 6)[:, None], rng.normal(size=(6, 3)),
                rng.normal(size=(2, 6)), activation="relu", calibration_inputs=rng.normal(size=(3, 9, 3)),
                weight_bits=6, per_row=True, bias=rng.normal(size=6), metrics={"list": [1, None, True, "x"]},
            ),
            "symbols": export(
                rng.normal(size=(5, 5)), rng.normal(size=(5, 10)), rng.normal(size=(9, 5)), activation="tanh",
                calibration_inputs=rng.integers(0, 10, (3, 9)), state_bits=6,
                task={"name": "copy", "blank": 7},
            ),
        }  # fmt: skip
    paths = []
    for suffix in (".npz", ".pt"):
        for name, checkpoint in small.items():
            paths.append(folder / f"{name}{suffix}")
            save_checkpoint(paths[-1], checkpoint)
        paths.append(folder / f"operations{suffix}")
        save_network(paths[-1], NetworkCheckpoint(two_layers(), provenance={"by": ["hand", None]}))
        paths.append(folder / f"shipped{suffix}")
        paths[-1].write_bytes((MODELS / f"mnist_rows_tanh{suffix}").read_bytes())
    return paths


def two_layers() -> Network:
    """Return a network that version 1 cannot hold: every operation, two layers, three states."""
    rng = np.random.default_rng(1)
    n, wide, narrow = 4, IntFormat(12, signed=True), IntFormat(6, signed=True)
    ones = np.ones(n, dtype=np.int64)

    def row(name: str, *values: str) -> MatVec:
        terms = tuple(Term(v, rng.integers(-8, 8, (n, 3 if v == "x" else n)), 4, shift=1) for v in values)
        return MatVec(name, terms, rng.integers(-99, 99, n))

    first = Layer(
        (State("h", narrow, rng.integers(-9, 9, n)), State("c", wide, rng.integers(-9, 9, n))),
        (
            Group(
                (row("a", "x", "h"), row("b", "h")),
                (
                    Diagonal("d", "a", "h", rng.integers(-99, 99, n), bits=8),
                    Requantize("i", (Factor("d", ones * 9), Factor("b", -ones)), 6, narrow, bias=ones),
                    Table("z", "i", rng.integers(-31, 32, 64), offset=1),
                    ModRelu("m", "b", -ones),
                    PiecewiseLinear.clip("p", "m", -99, 99),
                    Multiply("q", "z", "p", 5, wide),
                    Add("s", (Summand("q"), Summand("c", 1, negative=True)), wide, bias=3, shift=1),
                    Requantize("h_new", (Factor("s", ones),), 7, narrow),
                    Assign("c", "s"),
                    Assign("h", "h_new"),
                ),
            ),
        ),
    )
    last = Requantize("g_new", (Factor("e", ones),), 4, narrow, Rounding.HALF_EVEN)
    second = Layer(
        (State("g", narrow, np.zeros(n, dtype=np.int64)),),
        (Group((row("e", "h", "g"),), (last, Assign("g", "g_new"))),),
    )
    logits = MatVec("y", (Term("g", rng.integers(-8, 8, (1, n)), 4),), np.array([5]))
    readout = Readout(logits, Answer("k", "y", OutputKind.BOTH, threshold=2), OutputMode.LAST_STEP)
    source = Input("x", InputKind.VECTOR, 3, IntFormat(4, signed=False), (1.0, 0.5, 2.0), 0.25)
    return Network(source, (first, second), readout, {"y": 0.5, "h": 0.03125})


# -- what is done to them ----------------------------------------------------------------------------


def _members(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _archive(members: Members, rng: random.Random) -> bytes:
    """Return a zip file of these members with correct CRCs, stored or deflated."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _some_bytes(rng: random.Random, most: int = 40) -> bytes:
    count = rng.randint(1, most)
    return rng.choice((rng.randbytes(count), bytes(count), b"\xff" * count, b"PK\x01\x02" * (count // 4 + 1)))


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """Flip one to eight bits."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def splice_bytes(data: bytes, rng: random.Random) -> bytes:
    """Replace, insert, remove, repeat or cut off some bytes."""
    at, end = sorted((rng.randrange(len(data)), rng.randrange(len(data) + 1)))
    short = min(end, at + rng.randint(1, 64))
    return rng.choice(
        (
            data[:at] + _some_bytes(rng) + data[short:],
            data[:at] + _some_bytes(rng) + data[at:],
            data[:at] + data[short:],
            data[:short] + data[at:],
            data[:at],
            data[at:],
            _some_bytes(rng) + data,
            data + _some_bytes(rng),
            data[:at] + data[end:] + data[at:end],
        )
    )


# Offset and width of the numbers in a local header, in an entry of the directory, and in the end record.
_FIELDS = {
    b"PK\x03\x04": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x01\x02": ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (42, 4)),
    b"PK\x05\x06": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}


def change_directory(data: bytes, rng: random.Random) -> bytes:
    """Change a number in the zip directory or in a member's header."""
    signature = rng.choice(list(_FIELDS))
    places = [at for at in range(len(data)) if data.startswith(signature, at)]
    at = rng.choice(places)
    changed = bytearray(data)
    offset, width = rng.choice(_FIELDS[signature])
    form = "<H" if width == 2 else "<I"
    old = struct.unpack_from(form, changed, at + offset)[0]
    top = (1 << 8 * width) - 1
    new = rng.choice(
        (0, 1, 8, 99, old + 1, old - 1, old * 2, old ^ 0x800, top, top // 2, rng.randint(0, top))
    )
    struct.pack_into(form, changed, at + offset, new & top)
    return bytes(changed)


def change_member(data: bytes, rng: random.Random) -> bytes:
    """Change bytes of a member's content, and correct its CRC."""
    members = _members(data)
    i = rng.randrange(len(members))
    name, content = members[i]
    members[i] = name, rng.choice((flip_bits, splice_bytes))(content or b"\0", rng)
    return _archive(members, rng)


def change_names(data: bytes, rng: random.Random) -> bytes:
    """Rename, remove, repeat or add members."""
    members = _members(data)
    i, (name, content) = rng.choice(list(enumerate(members)))
    other = rng.choice(members)[0]
    new = rng.choice(
        (name + "x", name.upper(), other, "../" + name, name.removesuffix(".npy"), "\x1b[2J", "")
    )
    match rng.randrange(5):
        case 0:
            members[i] = new, content
        case 1:
            del members[i]
        case 2:
            members.append((new, content))
        case 3:
            members.append((new, bytes(rng.choice((0, 100, 1 << 20, 40 << 20)))))
        case 4:
            rng.shuffle(members)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of repeated names
        return _archive(members, rng)


# Programs that run code in Python's unpickler.
_EVIL = (
    b"cos\nmkdir\n(X\x07\0\0\0evil_07tR",
    b"cbuiltins\nexec\n(X\x0f\0\0\0import evil_code tR",
    b"c__main__\nevil\n)R",
    b"ctorch.serialization\nload\n(X\x01\0\0\0xtR",
    b"\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R",
    b"ccopyreg\n_reconstructor\n(cos\nPathLike\nNNtR",
)


def _instructions(program: bytes) -> list[bytes]:
    places = [at for _, _, at in pickletools.genops(program)] + [len(program)]
    return [program[a:b] for a, b in itertools.pairwise(places)]


def change_pickle(data: bytes, rng: random.Random) -> bytes:
    """Remove, repeat, swap, replace or insert instructions of a pickle; in a .npz file a member's bytes."""
    members = _members(data)
    where = [i for i, (name, _) in enumerate(members) if name.endswith("data.pkl")]
    if not where:
        return change_member(data, rng)
    codes = _instructions(members[where[0]][1])
    for _ in range(rng.choice((1, 1, 2, 5))):
        i, j = rng.randrange(len(codes)), rng.randrange(len(codes))
        match rng.randrange(7):
            case 0:
                del codes[i]
            case 1:
                codes.insert(i, codes[j])
            case 2:
                codes[i], codes[j] = codes[j], codes[i]
            case 3:
                codes[i] = codes[j]
            case 4:
                codes.insert(i, rng.choice(_EVIL))
            case 5:
                codes.insert(i, bytes([rng.randrange(256)]) + rng.randbytes(rng.randrange(9)))
            case 6:
                numbers = [k for k, code in enumerate(codes) if code[:1] in b"KMJ" and len(code) > 1]
                if numbers:
                    k = rng.choice(numbers)
                    codes[k] = b"\x8a\x09" + rng.choice((0, 1, -1, 2**31, 2**40, 2**62)).to_bytes(
                        9, "little", signed=True
                    )
        codes = codes or [b"."]
    members[where[0]] = members[where[0]][0], b"".join(codes)
    return _archive(members, rng)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to all entries of nested dictionaries and lists."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += _places(item, (*path, key))
    return found


def _changed(old: Any, rng: random.Random) -> Any:
    nested: Any = []
    for _ in range(rng.choice((1, 50, 900))):
        nested = [nested]
    choices: list[Any] = [
        None,
        True,
        0,
        -1,
        10**400,
        1e308,
        float("nan"),
        "",
        "x" * 70,
        "\ud800",
        "\x1b[2J",
        [],
        {},
    ]
    choices += [nested, [1.0] * 5000, {"more": 1}, rng.random(), rng.randint(-9, 70_000)]
    if type(old) in (int, float):
        choices += [old + 1, old - 1, old * 2, old * 1.0000001, -old] * 3
    if isinstance(old, str):
        choices += [old + "x", old[::-1], "half_even", "tanh", "relu", "logits", "one_hot", "add", "h"] * 2
    return rng.choice(choices)


def change_header(data: bytes, rng: random.Random) -> bytes:
    """Change, remove, add or repeat an entry of the header, with correct CRCs."""
    from qornn_hw.storage.torch_writing import write_torch_archive

    members = _members(data)
    found = dict(members)
    if "header.npy" in found:
        header = json.loads(str(np.load(io.BytesIO(found["header.npy"]))))
    else:
        content = read_pt(data)
        header = {key: value for key, value in content.items() if key != "tensors"}
    network = [path for path in _places(header["network"], ("network",)) if len(path) > 1]
    path = rng.choice(network) if rng.random() < 0.7 else rng.choice(_places(header))
    target = header
    for key in path[:-1]:
        target = target[key]
    match rng.randrange(6):
        case 0:
            del target[path[-1]]
        case 1 if isinstance(target, dict):
            target[str(path[-1]) + "x"] = target[path[-1]]
        case _:
            target[path[-1]] = _changed(target[path[-1]], rng)
    if "header.npy" not in found:
        stream = io.BytesIO()
        try:
            write_torch_archive(stream, {**header, "tensors": content["tensors"]})
        # Surrogates and large integers do not fit into a pickle of this form.
        except (TypeError, UnicodeError):
            return flip_bits(data, rng)
        return stream.getvalue()
    text = json.dumps(header)
    if rng.random() < 0.1:
        text = text[:-1] + f', "{rng.choice(list(header))}": {rng.choice(("1", "{}", "null"))}}}'
    stream = io.BytesIO()
    np.save(stream, np.array(text))
    return _archive([(n, stream.getvalue() if n == "header.npy" else c) for n, c in members], rng)


def read_pt(data: bytes) -> dict[str, Any]:
    """Return the dictionary of a valid .pt file, with arrays."""
    from qornn_hw.storage.torch_archive import read_torch_archive
    from qornn_hw.storage.zip_archive import Archive

    content: dict[str, Any] = read_torch_archive(Archive(io.BytesIO(data), ValueError), 1 << 24, 1 << 28)
    content["tensors"] = {name: tensor.numpy() for name, tensor in content["tensors"].items()}
    return content


KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bits": flip_bits,
    "bytes": splice_bytes,
    "directory": change_directory,
    "member": change_member,
    "names": change_names,
    "pickle": change_pickle,
    "header": change_header,
}


def mutant(data: bytes, seed: int) -> tuple[str, bytes]:
    """Return the kind and the bytes of a mutant; the same seed gives the same mutant."""
    rng = random.Random(seed)
    kind = rng.choice(list(KINDS))
    return kind, KINDS[kind](data, rng)


# -- the judge ---------------------------------------------------------------------------------------


class Judge:
    """Loads mutants in this process and returns a verdict on each."""

    def __init__(self, folder: Path, load: Callable[[Path], Any] = load_network) -> None:
        self._load, self._folder = load, folder
        self._seen: set[str] = set()
        self._active = False
        # Parsers of array headers and pickles import these modules of Python on first use.
        importlib.import_module("unicodedata")
        for codec in ("raw_unicode_escape", "unicode_escape", "utf-32-le", "latin-1", "ascii"):
            codecs.lookup(codec)
        # An audit hook cannot be removed, so it is inactive between loads.
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._active:
            return
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if writes or event in AUDITED:
            self._seen.add(event)

    def judge(self, data: bytes, suffix: str, digest: str) -> tuple[Verdict, float]:
        """Return the verdict on a mutant, and the seconds that loading took."""
        path = self._folder / f"mutant{suffix}"
        path.write_bytes(data)
        self._seen.clear()
        start = time.perf_counter()
        self._active = True
        try:
            found = self._load(path)
            verdict = "same network"
        except CheckpointError as error:
            found, verdict = None, "refused" if "\n" not in str(error) else "message of several lines"
        except (Exception, RecursionError) as error:
            found, verdict = None, f"crash: {type(error).__name__}"
        finally:
            self._active = False
        seconds = time.perf_counter() - start
        if found is not None and network_digest(found.network) != digest:
            verdict = "another network"
        if self._seen:
            verdict = f"ran code: {', '.join(sorted(self._seen))}"
        elif seconds > SECONDS:
            verdict = "hang"
        elif peak_megabytes() > MEGABYTES:
            verdict = "memory"
        return verdict, seconds


def judge(folder: Path, data: bytes, suffix: str, digest: str, load: Callable[[Path], Any]) -> Verdict:
    """Return the verdict on one file that is loaded with ``load``."""
    return Judge(folder, load).judge(data, suffix, digest)[0]


def peak_megabytes() -> int:
    """Return the peak memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 << 20)


def _work(job: tuple[list[tuple[str, bytes, str]], int, int]) -> dict[str, Any]:
    """Judge the mutants of some seeds, in a process of its own."""
    files, first, count = job
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    counts: Counter[tuple[str, str, str]] = Counter()
    bad: list[dict[str, Any]] = []
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".npz", ".pt"):
            # Modules that a first load imports are imported before judging.
            for name, data, _ in files:
                if name.endswith(suffix):
                    (Path(folder) / name).write_bytes(data)
                    load_network(Path(folder) / name)
        one = Judge(Path(folder))
        for seed in range(first, first + count):
            name, data, digest = files[seed % len(files)]
            kind, changed = mutant(data, seed)
            suffix = Path(name).suffix
            verdict, seconds = one.judge(changed, suffix, digest)
            slowest = max(slowest, seconds)
            counts[suffix, kind, verdict] += 1
            if verdict not in GOOD:
                bad.append({"seed": seed, "file": name, "kind": kind, "verdict": verdict})
    return {"counts": counts, "bad": bad, "slowest": slowest, "megabytes": peak_megabytes()}


def campaign(mutants: int, seed: int, processes: int) -> dict[str, Any]:
    """Judge mutants; return counts by format, kind and verdict, and each mutant that did not pass."""
    with tempfile.TemporaryDirectory() as folder:
        files = [
            (path.name, path.read_bytes(), network_digest(load_network(path).network))
            for path in base_files(Path(folder))
        ]
    share = 500
    jobs = [(files, seed + start, min(share, mutants - start)) for start in range(0, mutants, share)]
    counts: Counter[tuple[str, str, str]] = Counter()
    bad: list[dict[str, Any]] = []
    slowest, megabytes = 0.0, 0
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        for done in pool.imap_unordered(_work, jobs):
            counts.update(done["counts"])
            bad += done["bad"]
            slowest, megabytes = max(slowest, done["slowest"]), max(megabytes, done["megabytes"])
    return {
        "mutants": mutants,
        "seed": seed,
        "counts": [[*key, number] for key, number in sorted(counts.items())],
        "bad": bad,
        "slowest_seconds": round(slowest, 3),
        "most_megabytes": megabytes,
    }


def main() -> None:
    """Run a campaign and print its results; exit code 1 if a mutant did not pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.mutants < 1:
        parser.error("--mutants must be at least 1: nothing judged is no success")
    result = campaign(arguments.mutants, arguments.seed, arguments.processes)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        for suffix, kind, verdict, number in result["counts"]:
            print(f"{suffix:5} {kind:10} {verdict:20} {number}")
        print(
            f"{result['mutants']} mutants, {len(result['bad'])} did not end well; the slowest took "
            f"{result['slowest_seconds']} s, the most memory was {result['most_megabytes']} MB"
        )
        for one in result["bad"][:20]:
            print(one)
    sys.exit(1 if result["bad"] else 0)


if __name__ == "__main__":
    main()
