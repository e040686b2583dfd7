"""Records what a rebuild of the code must not change, and compares two records.

    python benchmarks/freeze.py record --out OLD.json      before a change
    python benchmarks/freeze.py record --out NEW.json      after it
    python benchmarks/freeze.py compare OLD.json NEW.json  a table and each difference; exit code 1 on any

Options of `record`: `--only GROUP` (several times), `--first N` for the first N random designs, and
`--bitstreams` for the group of that name, which takes minutes. Options of `compare`: `--only GROUP`, and
`--ignore FIELD` for a field that changes on purpose, such as `--ignore refused` where messages change.
Records are kept outside the repository.

Groups:
    designs     the bare core of 220 random designs: RTLIL, cycles, latency, widths, memories
    boards      each shipped model on each board: planned chain, resources, RTLIL of the board's top
    commands    `--json` of the commands that need no more than seconds, without seconds, paths, versions
    bitstreams  three builds: bitstream, report and a reload

Random draws are made here from fixed seeds, so that they outlive any change of the library's generators. The
digest of every design is a constant in a record: its definition may change without the hardware.

All that depends on the library's inside is in the first section; what is drawn must stay as it is.
"""

import argparse
import contextlib
import functools
import hashlib
import io
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qornn_hw.errors import QornnError

ROOT = Path(__file__).resolve().parents[1]
Facts = dict[str, Any]

# -- the library's inside ----------------------------------------------------------------------------

DIGEST = "5a" * 32
WIDTHS = (
    "dot_bits", "partial_sum_bits", "waiting_sum_bits", "total_bits", "accumulator_bits", "logit_bits",
    "activated_bits", "constant_bits", "bias_bits", "multiplier_bits", "shared_multiplier", "answer_bits",
    "weight_bits", "operand_bits", "element_operand_bits", "element_columns",
)  # fmt: skip
CHAIN = (
    "columns_per_element", "elements", "passes", "rows", "readout_lanes", "input_lanes", "memory_register",
    "spram_elements", "answer_registers",
)  # fmt: skip
TIMES = ("cycles_per_step", "answer_latency", "answer_end_latency", "input_cycles", "row_cycles")


@contextlib.contextmanager
def constant_digest() -> Iterator[None]:
    """Give every design the same digest."""
    from qornn_hw.compiler.design import Design

    before = Design.__dict__["digest"]
    Design.digest = property(lambda self: DIGEST)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Design.digest = before  # type: ignore[method-assign]


def read_network(path: Path) -> Any:
    """Return the network of a checkpoint."""
    from qornn_hw.files.checkpoint import load_any

    return load_any(path).network


def compiled(network: Any, options: Facts) -> Any:
    """Return the design of a network with the options of :func:`draw_options`."""
    from qornn_hw.compiler.chain_refit import with_room
    from qornn_hw.compiler.design import compile_network, compile_schedule
    from qornn_hw.compiler.weight_store import WeightStore

    given = dict(options)
    room, store = given.pop("room"), given.pop("store", None)
    design = compile_network(network, store=None if store is None else WeightStore(store), **given)
    return compile_schedule(with_room(design.schedule)) if room else design


def core_rtlil(design: Any, *, vendor: bool) -> str:
    """Return the core's RTLIL: with vendor cells, or with their twins for a simulation."""
    from amaranth.back import rtlil

    from qornn_hw.rtl_gen.engines import make_core

    core = make_core(design, preloaded=not vendor)
    text: str = rtlil.convert(core, name="core", platform="ice40" if vendor else None, emit_src=False)
    return text


def has_vendor_cells(design: Any) -> bool:
    """Return whether a core has memories or multipliers that synthesis cannot infer."""
    return bool(design.needs_vendor_cells)


def plan_facts(design: Any) -> Facts:
    """Return what is decided about a design: chain, cycles, widths, shapes and words of its memories."""
    s = design.schedule
    words = hashlib.sha256()
    for image in design.memories:
        words.update(f"{image.name} {image.width} {image.words}\n".encode())
    parts = (s, s.chain, s.placement, s.timing, s.widths)

    def facts(names: Iterable[str]) -> Facts:
        return {name: next(getattr(part, name) for part in parts if hasattr(part, name)) for name in names}

    return {
        "chain": {"engine": s.engine.name, "store": str(s.store), "lanes": design.lanes} | facts(CHAIN),
        "times": facts(TIMES),
        "widths": facts(WIDTHS) | {"constant_widths": constant_widths(s)},
        "memories": {image.name: [image.depth, image.width] for image in design.memories},
        "words": words.hexdigest(),
    }


def constant_widths(schedule: Any) -> list[int]:
    """Return the bits of the constants of a row: constant, bias of modrelu, M where units differ, U."""
    w, found = schedule.widths, [schedule.widths.constant_bits]
    found += [w.bias_bits] if schedule.network.activation == "modrelu" else []
    found += [] if w.shares_multiplier else [w.multiplier_bits]
    return found + ([schedule.placement.input_weight_bits] if schedule.chain.input_lanes else [])


def board_names() -> list[str]:
    """Return the names of the boards that there were when records began; further ones are no difference."""
    from qornn_hw.boards.registry import BOARDS

    return [board.name for board in BOARDS]


def planned(model: Path, board: str, options: Facts) -> Any:
    """Return what the planner makes of a model on a board; engine, lanes and room as options."""
    from qornn_hw.boards.estimation import plan_for
    from qornn_hw.boards.registry import find_board

    given = {name: value for name, value in options.items() if name in ("engine", "lanes", "room")}
    return plan_for(read_network(model), find_board(board), **given)


def estimated(design: Any, board: str) -> Facts:
    """Return the estimated resources of a design on a board, the board's own logic included."""
    from qornn_hw.boards.estimation import estimate_whole
    from qornn_hw.boards.registry import find_board

    return asdict(estimate_whole(design, find_board(board)))


def top_rtlil(design: Any, board: str, options: Facts) -> str:
    """Return the RTLIL of a board's top at the board's fastest clock; clock and boot as options."""
    from qornn_hw.boards.build import buildable, check_boot
    from qornn_hw.boards.clock import board_for_clock
    from qornn_hw.boards.pll import fastest_settings
    from qornn_hw.boards.registry import find_board
    from qornn_hw.boards.top import BoardTop
    from qornn_hw.compiler.boot import Boot

    found, mhz = board_for_clock(find_board(board), options.get("clock", "auto"))
    settings = fastest_settings(found.clock_source, found.oscillator_hz, (mhz or found.fastest_mhz) * 1e6)
    boot = Boot(options.get("boot", "link"))
    check_boot(design, found, boot)
    part = buildable(design, boot=boot)
    top = BoardTop(
        board=found,
        core=part.core(),
        form=part.form,
        hz=round(settings.output_hz(found.oscillator_hz)),
        boot=boot,
    )
    plan = found.platform().prepare(top, name="top", emit_src=False, debug_verilog=False)
    text = plan.files["top.il"]
    return text if isinstance(text, str) else text.decode()


def run_command(arguments: Iterable[str]) -> tuple[int, str, str]:
    """Return exit code, output and errors of the command line, run in this process."""
    from qornn_hw.cli.main import main

    out, errors = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["qornn-hw", *arguments]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            main()
    except SystemExit as exit_:
        code = exit_.code or 0
    finally:
        sys.argv = before
    return int(code), out.getvalue(), errors.getvalue()


# -- random designs ----------------------------------------------------------------------------------

SEED = 17
DESIGNS = 220
# The table of tanh goes from minus to plus this.
TABLE_REACH = 3.0
ACTIVATIONS = ("identity", "relu", "modrelu", "hardtanh", "tanh")


def draw_network(rng: np.random.Generator, number: int) -> tuple[Facts, dict[str, Any]]:
    """Return header and tensors of a random checkpoint of version 1 (docs/checkpoint.md).

    Activations and kinds of input take turns.
    """
    activation = ACTIVATIONS[number % len(ACTIVATIONS)]
    one_hot = number // len(ACTIVATIONS) % 3 == 0
    n = int(rng.integers(1, 25)) if number % 8 else int(rng.integers(25, 65))
    m = int(rng.choice([1, 1, 2, 3, 5, 7]))
    p = int(rng.integers(1, 9))
    bits = [int(b) for b in rng.integers(1, 9, 3)]
    state_bits = int(rng.integers(4, 17))
    shift = int(rng.integers(0, 20))
    shared = bool(rng.integers(2))
    top = (1 << (state_bits - 1)) - 1
    tensors = {
        "recurrent_weight": _weights(rng, (n, n), bits[0]),
        "input_weight": _weights(rng, (n, m), bits[1]),
        "output_weight": _weights(rng, (p, n), bits[2]),
        "bias": rng.integers(-1000, 1001, n),
        "output_bias": rng.integers(-1000, 1001, p),
        "multiplier": np.full(n, rng.integers(1, 256)) if shared else rng.integers(1, 256, n),
        "initial_state": rng.integers(0 if activation == "relu" else -top - 1, top + 1, n),
    }
    state_scale = 2.0 ** (1 - state_bits) if activation in ("hardtanh", "tanh") else 1.0
    unit = state_scale
    if activation == "tanh":
        half = 1 << int(rng.integers(1, 9))
        unit = TABLE_REACH / half
        tensors["table"] = np.round(np.tanh(np.arange(-half, half) * unit) * top).astype(np.int64)
    network = {
        "activation": activation,
        "weight_bits": dict(zip(("recurrent", "input", "output"), bits, strict=True)),
        "state_bits": state_bits,
        "input_kind": "one_hot" if one_hot else "vector",
        "input_format": {
            "bits": max(1, (m - 1).bit_length()) if one_hot else int(rng.integers(1, 9)),
            "signed": False if one_hot else bool(rng.integers(2)),
        },
        "input_shift": int(rng.integers(0, 7)),
        "shift": shift,
        "rounding": "half_even" if rng.integers(2) else "half_up",
        "output_mode": "last_step" if rng.integers(2) else "every_step",
        "output_kind": str(rng.choice(["logits", "argmax", "both"])),
        "scales": {
            "input": 1.0,
            "state": state_scale,
            "accumulator": float(tensors["multiplier"].max() / 2.0**shift * unit),
            "output": state_scale,
        },
    }
    empty: dict[str, Facts] = {"task": {}, "metrics": {}, "provenance": {}}
    return {"format": "qornn-hw", "version": 1, "network": network} | empty, tensors


def _weights(rng: np.random.Generator, shape: tuple[int, int], bits: int) -> Any:
    if bits == 1:
        return 2 * rng.integers(0, 2, shape) - 1
    return rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape)


def draw_options(rng: np.random.Generator, number: int, network: Facts, shape: tuple[int, int, int]) -> Facts:
    """Return the options of a random chain; every fourth has the dsp engine.

    Args:
        rng: what draws.
        number: of the design.
        network: entry ``network`` of the checkpoint's header.
        shape: hidden units, inputs, outputs.
    """
    n, m, p = shape
    inputs = m if network["input_kind"] == "vector" else 0
    if number % 4 == 3:
        return {
            "engine": "dsp",
            "elements": int(rng.integers(1, min(8, n + inputs) + 1)),
            "store": str(rng.choice(["block_ram", "spram"])),
            "room": bool(rng.random() < 0.2),
        }
    columns = int(rng.choice([1, 2, 2, 3, 4, 4, 8]))
    lanes = int(rng.integers(1, p + 1)) if rng.random() < 0.4 else 0
    input_lanes = int(inputs == 1 and rng.random() < 0.7)
    words = -(-n // columns) + (0 if input_lanes else -(-inputs // columns))
    elements = -(-words // int(rng.integers(1, min(6, words) + 1)))
    last = network["output_mode"] == "last_step"
    return {
        "engine": "lut",
        "columns_per_element": columns,
        "elements": elements,
        "readout_lanes": lanes,
        "input_lanes": input_lanes,
        "memory_register": bool(rng.random() < 0.3),
        "spram_elements": int(rng.integers(0, elements + 1)) if rng.random() < 0.3 else 0,
        "answer_registers": bool(last and not lanes and rng.random() < 0.4),
        "room": bool(not lanes and not input_lanes and rng.random() < 0.3),
    }


def record_designs(first: int = DESIGNS) -> dict[str, Facts]:
    """Return the facts of the first random designs, or of each that is refused, that it is."""
    with tempfile.TemporaryDirectory() as folder:
        return {f"design {number:03}": _design_facts(number, Path(folder)) for number in range(first)}


def _design_facts(number: int, folder: Path) -> Facts:
    rng = np.random.default_rng([SEED, number])
    header, tensors = draw_network(rng, number)
    drawn = header["network"]
    n, m, p = len(tensors["bias"]), tensors["input_weight"].shape[1], len(tensors["output_bias"])
    options = draw_options(rng, number, drawn, (n, m, p))
    said = " ".join(f"{name}={value}" for name, value in options.items())
    what = f"{drawn['activation']} {drawn['input_kind']} n={n} m={m} p={p} {said}"
    path = folder / f"{number}.npz"
    np.savez(path, header=json.dumps(header), **tensors)
    network = read_network(path)
    try:
        design = compiled(network, options)
    except QornnError as error:
        return {"what": what, "refused": first_line(error)}
    facts = {"what": what} | plan_facts(design) | {"rtlil": sha256(core_rtlil(design, vendor=False))}
    if has_vendor_cells(design):
        facts["rtlil of vendor cells"] = sha256(core_rtlil(design, vendor=True))
    return facts


# -- shipped models on every board -------------------------------------------------------------------

# Further ways to the first board, by name.
VARIANTS: dict[str, Facts] = {
    "dsp": {"engine": "dsp"},
    "lut": {"engine": "lut"},
    "reloadable": {"room": True},
    "oscillator": {"clock": "oscillator"},
    "flash": {"engine": "dsp", "boot": "flash"},
    "few lanes": {"lanes": 8},
}


def record_boards() -> dict[str, Facts]:
    """Return the facts of every shipped model on every board, and in some more ways on the first board."""
    found: dict[str, Facts] = {}
    for model in sorted((ROOT / "models").glob("*.npz")):
        for board in board_names():
            found[f"{model.stem} on {board}"] = _board_facts(model, board, {})
        for name, options in VARIANTS.items():
            found[f"{model.stem} on icebreaker, {name}"] = _board_facts(model, "icebreaker", options)
    return found


def _board_facts(model: Path, board: str, options: Facts) -> Facts:
    try:
        design = planned(model, board, options)
    except QornnError as error:
        return {"refused": first_line(error)}
    facts = plan_facts(design) | {"resources": estimated(design, board)}
    try:
        return facts | {"rtlil top": sha256(top_rtlil(design, board, options))}
    except QornnError as error:
        return facts | {"refused": first_line(error)}


# -- commands ----------------------------------------------------------------------------------------

INFO_OF = ("copy", "copy_256", "mnist_rows_tanh", "pmnist", "speech")
COMMANDS: dict[str, str] = {
    **{
        f"info {m}": f"info models/{m}.npz"
        for m in ("copy", "copy_256", "mnist_rows_tanh", "pmnist", "speech")
    },
    "info of a .pt": "info models/mnist_rows.pt",
    "boards": "boards",
    "boards of a model": "boards models/copy_256.npz",
    "one board": "boards models/speech.npz --board tang-nano-9k",
    "estimate": "estimate models/mnist_rows.npz",
    "estimate explained": "estimate models/pmnist.npz --explain",
    "estimate of a rate": "estimate models/copy.npz --target-rate 20000",
    "estimate of a clock": "estimate models/copy.npz --clock 24",
    "estimate on the oscillator": "estimate models/copy.npz --clock oscillator --board tinyfpga-bx",
    "estimate with dsp": "estimate models/pmnist_8.npz --engine dsp --explain",
    "estimate of an ECP5": "estimate models/pmnist.npz --board ulx3s-12f --explain",
    "estimate of what does not fit": "estimate models/copy_256.npz --board tang-nano-9k",
    "eval": "eval models/copy.npz --limit 4",
    "requantize": "requantize models/copy.npz TMP/six.npz --state-bits 6",
    "info requantized": "info TMP/six.npz",
    "sim": "sim models/copy.npz --sequences 2 --steps 6 --reset-after 1 --idle random --simulator icarus",
    "sim through pins": "sim models/mnist_rows.npz --sequences 1 --steps 2 --through pins --simulator icarus",
    "sim with dsp": "sim models/mnist_rows_tanh.npz --engine dsp --sequences 1 --steps 3 --simulator icarus",
    "export": "export models/mnist_rows.npz --out TMP/core --sequences 1 --steps 3",
    "export with dsp": "export models/mnist_rows.npz --out TMP/dsp --engine dsp --sequences 1 --steps 3",
    "finetune": "finetune models/copy.npz --data TMP/own.npz --out TMP/t.npz --epochs 1 --finetune-epochs 1",
    "compare": "compare TMP/fitted.npz --data TMP/own.npz --limit 4 --bits 4,8 --state-bits 8",
}
# A command's files, of which the record has the checksums.
FILES = {"export": "core", "export with dsp": "dsp"}
MASKED = re.compile(r"(^|_)(seconds|tools|versions?|machine|date|device)$")


def record_commands() -> dict[str, Facts]:
    """Return what commands print with ``--json``, in order, in a temporary folder."""
    found: dict[str, Facts] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(ROOT):
        _own_data(Path(folder) / "own.npz")
        _fitted_model(Path(folder) / "fitted.npz")
        for name, line in COMMANDS.items():
            found[name] = _command_facts(line, Path(folder), FILES.get(name))
    return found


def _own_data(path: Path) -> None:
    """Write a small data set of the copy task's shape: the last symbol but one is the class."""
    rng = np.random.default_rng(SEED)
    inputs = rng.integers(0, 10, (40, 12))
    targets = np.roll(inputs, 1, axis=1) % 9
    np.savez(
        path,
        inputs_train=inputs[:32],
        targets_train=targets[:32],
        inputs_test=inputs[32:],
        targets_test=targets[32:],
    )


def _fitted_model(path: Path) -> None:
    """Write a shipped model as one whose float weights were trained as such, which `compare` asks for."""
    with np.load(ROOT / "models/copy.npz") as model:
        content = dict(model.items())
    header = json.loads(str(content["header"]))
    header["provenance"]["float_weights"] = "fitted"
    np.savez(path, **(content | {"header": np.array(json.dumps(header))}))


def _command_facts(line: str, folder: Path, files: str | None = None) -> Facts:
    code, out, errors = run_command([word.replace("TMP", str(folder)) for word in (line + " --json").split()])
    facts: Facts = {"code": code}
    if out.strip():
        facts["json"] = masked(json.loads(out), folder)
    if code:
        facts["refused"] = first_line(errors).replace(str(folder), "TMP")
    if files is not None:
        facts["files"] = {
            str(path.relative_to(folder / files)): sha256(path.read_text())
            for path in sorted((folder / files).rglob("*"))
            if path.is_file()
        }
    return facts


def masked(value: Any, folder: Path) -> Any:
    """Return a JSON value without times, versions and paths."""
    if isinstance(value, Mapping):
        return {k: "masked" if MASKED.search(k) else masked(v, folder) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(v, folder) for v in value]
    return value.replace(str(folder), "TMP").replace(str(ROOT), "ROOT") if isinstance(value, str) else value


# -- bitstreams --------------------------------------------------------------------------------------

BUILDS = {
    "icebreaker": "build models/mnist_rows.npz --board icebreaker --reloadable",
    "ulx3s-12f": "build models/mnist_rows_tanh.npz --board ulx3s-12f",
    "tang-nano-9k": "build models/mnist_rows_tanh.npz --board tang-nano-9k",
}
BITSTREAMS = (".bin", ".bit", ".fs")


def record_bitstreams() -> dict[str, Facts]:
    """Return reports and bitstreams of builds of three families, and of a reload."""
    found: dict[str, Facts] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(ROOT):
        folder = Path(name)
        lines = {board: f"{line} --seed 1 --out TMP/{board}" for board, line in BUILDS.items()}
        lines["reload"] = "reload TMP/icebreaker models/mnist_rows.npz --out TMP/reload"
        for build, line in lines.items():
            found[build] = _command_facts(line, folder) | {
                "files": {
                    path.name: sha256(plain_bitstream(path))
                    for path in sorted((folder / build).glob("*"))
                    if path.suffix in (*BITSTREAMS, ".v", ".md")
                }
            }
    return found


def plain_bitstream(path: Path) -> bytes:
    """Return a result file without comments, where it is text."""
    data = path.read_bytes()
    if path.suffix != ".fs":
        return data
    return b"\n".join(line for line in data.splitlines() if not line.startswith(b"//"))


# -- records -----------------------------------------------------------------------------------------

GROUPS: dict[str, Callable[[], dict[str, Facts]]] = {
    "designs": record_designs,
    "boards": record_boards,
    "commands": record_commands,
    "bitstreams": record_bitstreams,
}
SLOW = "bitstreams"


def sha256(content: str | bytes) -> str:
    """Return the checksum of a text or of bytes."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def first_line(error: object) -> str:
    """Return the first line of a message."""
    return (str(error).strip().splitlines() or [""])[0]


def record(groups: Iterable[str], first: int = DESIGNS) -> dict[str, dict[str, Facts]]:
    """Return a record of some groups, and print how many entries each has and what it took."""
    found: dict[str, dict[str, Facts]] = {}
    with constant_digest():
        for group in groups:
            began = time.perf_counter()
            make = functools.partial(record_designs, first) if group == "designs" else GROUPS[group]
            # As a reader of the file sees it: tuples are lists.
            found[group] = json.loads(json.dumps(make(), default=str))
            refused = sum("refused" in facts for facts in found[group].values())
            seconds = time.perf_counter() - began
            print(f"{group}: {len(found[group])} entries, {refused} refused, {seconds:.0f} s", flush=True)
    return found


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, the old and the new value of everything that differs in two JSON values.

    >>> list(differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}))
    [('a.b', 1, 3)]
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*old, *(k for k in new if k not in old)):
            where = f"{path}.{key}" if path else str(key)
            yield from differences(old.get(key, "absent"), new.get(key, "absent"), where)
    elif old != new:
        yield path, old, new


def compare(
    old: Mapping[str, Mapping[str, Facts]],
    new: Mapping[str, Mapping[str, Facts]],
    ignored: Iterable[str] = (),
) -> tuple[dict[str, Counter[str]], list[str]]:
    """Return the counts of each group, and a line for each entry that is missing or differs.

    What only the new record has is counted and is no difference: new boards, new commands.

    Args:
        old: a record.
        new: another.
        ignored: fields of entries that are not compared: a name, or the beginning of one up to a dot.
    """
    counts: dict[str, Counter[str]] = {}
    lines: list[str] = []
    skipped = tuple(ignored)
    for group, entries in old.items():
        count = counts[group] = Counter()
        there = new.get(group, {})
        count["new"] = len(there.keys() - entries.keys())
        for name, facts in entries.items():
            if name not in there:
                count["missing"] += 1
                lines.append(f"{group}: {name}: missing")
                continue
            found = [
                d
                for d in differences(facts, there[name])
                if not any(d[0] == field or d[0].startswith(f"{field}.") for field in skipped)
            ]
            count["different" if found else "equal"] += 1
            if found:
                lines.append(f"{group}: {name}: {_described(found)}")
    return counts, lines


def _described(found: list[tuple[str, Any, Any]]) -> str:
    """Return what differs in an entry in one line; of checksums only that they do."""
    parts = [
        path if _is_checksum(old) or _is_checksum(new) else f"{path} {_short(old)} -> {_short(new)}"
        for path, old, new in found
    ]
    more = f", and {len(parts) - 8} more" if len(parts) > 8 else ""
    only = "hash only: " if all(_is_checksum(old) and _is_checksum(new) for _, old, new in found) else ""
    return only + ", ".join(parts[:8]) + more


def _is_checksum(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def show(counts: Mapping[str, Counter[str]], lines: Iterable[str]) -> None:
    """Print the table of groups and a line for each difference."""
    print(f"{'group':12}{'equal':>10}{'different':>10}{'missing':>10}{'new':>10}")
    for group, count in counts.items():
        print(f"{group:12}" + "".join(f"{count[k]:10}" for k in ("equal", "different", "missing", "new")))
    for line in lines:
        print(line)


def main(arguments: list[str] | None = None) -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording = verbs.add_parser("record", help="write a record of the code as it is")
    recording.add_argument("--out", type=Path, required=True, help="the record, a JSON file")
    recording.add_argument("--only", action="append", choices=GROUPS, help="these groups alone")
    recording.add_argument("--first", type=int, default=DESIGNS, help="random designs, from the first on")
    recording.add_argument("--bitstreams", action="store_true", help="the group bitstreams, too: minutes")
    comparing = verbs.add_parser("compare", help="compare two records; exit code 1 if they differ")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    comparing.add_argument("--only", action="append", choices=GROUPS, help="these groups alone")
    comparing.add_argument("--ignore", action="append", default=[], help="a field that is not compared")
    given = parser.parse_args(arguments)
    if given.verb == "record":
        groups = given.only or [group for group in GROUPS if group != SLOW or given.bitstreams]
        given.out.write_text(json.dumps(record(groups, given.first), indent=1) + "\n")
        return 0
    old, new = (json.loads(path.read_text()) for path in (given.old, given.new))
    if given.only:
        old = {group: entries for group, entries in old.items() if group in given.only}
    counts, lines = compare(old, new, given.ignore)
    show(counts, lines)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
