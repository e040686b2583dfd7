"""A core for somebody else's design: Verilog, golden vectors, benches that need nothing of ours."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.cells.any_network import AnyNetwork, interpreter_of
from qornn_hw.cells.elman_network import IntegerNetwork
from qornn_hw.compiler.design import Design, compile_schedule
from qornn_hw.compiler.memory import Memory
from qornn_hw.compiler.network_facts import model_facts, network_words
from qornn_hw.compiler.ports import class_meaning
from qornn_hw.compiler.weight_image import WeightFormat
from qornn_hw.counts import check_seed, check_steps
from qornn_hw.errors import FormatError
from qornn_hw.ir.network import Input, Network
from qornn_hw.rtl_gen.emit import emit_core_verilog, port_table
from qornn_hw.sim.comparison import expected_answers
from qornn_hw.sim.core_simulation import check_sequence, input_words
from qornn_hw.sim.export_texts import (
    BENCH,
    COCOTB_MAKEFILE,
    COCOTB_TEST,
    FUSESOC,
    KEYWORDS,
    LINT_WAIVERS,
    README,
)
from qornn_hw.sim.stimuli import corner_sequences, random_sequences
from qornn_hw.storage.output_folder import replace_results, work_folder

__all__ = ["Vectors", "bench_files", "export_core", "golden_vectors", "memory_images"]

IntArray = NDArray[np.int64]

# Of the corner cases: enough for a state to come back.
CORNER_STEPS = 3


@dataclass(frozen=True)
class Vectors:
    """What goes in and must come out, as words of the ports.

    Attributes:
        inputs, units, answers: words, unsigned, in order.
        sequences: the same as integers: ``inputs``, ``hidden`` and ``answers`` of each step.
    """

    inputs: tuple[int, ...]
    units: tuple[int, ...]
    answers: tuple[int, ...]
    sequences: tuple[dict[str, Any], ...]

    @property
    def steps(self) -> int:
        """Time steps of all sequences."""
        return sum(len(sequence["hidden"]) for sequence in self.sequences)


def golden_vectors(design: Design, sequences: Sequence[IntArray]) -> Vectors:
    """Return what the integer model gives for sequences, each from the initial state on."""
    net, model = design.network, interpreter_of(design.network)
    bits, order = design.input_format.bits, design.schedule.state_order
    inputs, units, answers, facts = [], [], [], []
    for given in sequences:
        sequence = check_sequence(net, given)
        run = model.run(sequence[np.newaxis])
        hidden = np.stack([run.states[name][:, :, unit] for name, unit in order], axis=2)
        inputs += [
            data & ((1 << bits) - 1) | first << bits | last << (bits + 1)
            for data, first, last in input_words(sequence)
        ]
        units += [int(g) & ((1 << design.state_bits) - 1) for g in hidden.reshape(-1)]
        words = []
        for at, logits in enumerate(run.logits[0]):
            words.append(expected_answers(net, logits, not design.every_step or at == len(sequence) - 1))
        answers += [
            data & ((1 << design.answer_bits) - 1) | last << design.answer_bits
            for step in words
            for data, last in step
        ]
        facts.append(
            {
                "inputs": sequence.tolist(),
                "hidden": hidden[0].tolist(),
                "answers": [[data for data, _ in step] for step in words],
            }
        )
    return Vectors(tuple(inputs), tuple(units), tuple(answers), tuple(facts))


_MODULE = re.compile(r"^module (\S+) ?\(.*?^endmodule", re.MULTILINE | re.DOTALL)
_MEMORY = re.compile(
    r"^  reg (?:\[(\d+):0\] )?\w+ \[(\d+):0\];\n  initial begin\n(.*?)^  end$", re.MULTILINE | re.DOTALL
)
_WORD = re.compile(r"\[(\d+)\] = \d+'([hd])([0-9a-f]+);")


def memory_images(verilog: str) -> tuple[Memory, ...]:
    """Return the initial contents of every memory in the Verilog of a core, by instance."""
    images = []
    for module in _MODULE.finditer(verilog):
        for memory in _MEMORY.finditer(module[0]):
            # \top.chain.element_0.weights$17 -> chain.element_0.weights
            _, _, path = re.sub(r"\$\d+", "", module[1]).partition(".")
            words = {
                int(at): int(value, 16 if base == "h" else 10) for at, base, value in _WORD.findall(memory[3])
            }
            depth = int(memory[2]) + 1
            images.append(
                Memory.plain(path, int(memory[1] or 0) + 1, tuple(words[at] for at in range(depth)))
            )
    return tuple(images)


def export_core(
    design: Design,
    out_dir: Path,
    *,
    name: str = "qornn_core",
    sequences: int = 3,
    steps: int = 8,
    seed: int = 0,
) -> dict[str, Any]:
    """Write the core of ``design`` with all that it takes to use and to check it; return what was written.

    Args:
        design: the compiled network. Weights in SPRAM go to memories that synthesis can infer: an export is
            for every FPGA.
        out_dir: the folder; what an earlier export wrote there is replaced.
        name: of the module, so that several cores go into one design.
        sequences: random sequences among the golden vectors, beside those at the ends of the input's format.
        steps: of each of them.
        seed: of them.

    Raises:
        FormatError: the name is no Verilog identifier, or there is nothing to play.
        OutputError: ``out_dir`` cannot be written.
        ToolError: Yosys is missing or failed.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise FormatError(f"name must be letters, digits and '_', not {name!r}")
    if name in KEYWORDS:
        raise FormatError(f"name must be no keyword of Verilog, {name!r} is one")
    check_seed("seed", seed)
    check_steps(("sequences", sequences), ("steps", steps), design.operations.input.size)
    design = _portable(design)
    net = design.network
    played = [
        *random_sequences(net, batch=sequences, steps=steps, seed=seed),
        *corner_sequences(net, steps=CORNER_STEPS).values(),
    ]
    vectors = golden_vectors(design, played)
    verilog = emit_core_verilog(design, name=name)
    images = memory_images(verilog)
    fields = _fields(design, name, vectors, images)
    files = bench_files(design, name, vectors) | {
        f"{name}.v": LINT_WAIVERS + verilog,
        f"{name}.core": FUSESOC.format_map(fields),
        "README.md": README.format_map(fields),
        "vectors/vectors.json": json.dumps({"sequences": vectors.sequences}) + "\n",
        "cocotb/Makefile": COCOTB_MAKEFILE.format_map(fields),
        f"cocotb/test_{name}.py": COCOTB_TEST.format_map(fields),
        **{f"memories/{image.name}.hex": image.to_hex() for image in images},
    }
    _write(out_dir, files)
    return {
        "name": name,
        "folder": str(out_dir),
        "engine": design.engine.name,
        "lanes": design.lanes,
        "cycles_per_step": design.schedule.cycles_per_step,
        "answer_latency": design.schedule.answer_latency,
        "sequences": len(vectors.sequences),
        "steps": vectors.steps,
        "integers": len(vectors.units) + len(vectors.answers),
        "design_digest": design.digest,
        "check": fields["command"],
        "files": sorted(files),
    }


def bench_files(design: Design, name: str, vectors: Vectors, *, cut: int | None = None) -> dict[str, str]:
    """Return the self-checking bench of a core and the vectors that it reads, by path.

    Args:
        design: the core's; where its weights are in SPRAM, they must be there from the start.
        name: of the core's module.
        vectors: what is played.
        cut: units of the play that a reset cuts off; about half of all where None.
    """
    if cut is None:
        cut = (vectors.steps // 2) * design.state_words + (design.state_words + 1) // 2
    fields = _bench_fields(design, name, vectors) | {"cut": min(cut, len(vectors.units))}
    return {
        f"{name}_tb.v": BENCH.format_map(fields),
        "vectors/inputs.hex": _hex(vectors.inputs, design.input_format.bits + 2),
        "vectors/units.hex": _hex(vectors.units, design.state_bits),
        "vectors/answers.hex": _hex(vectors.answers, design.answer_bits + 1),
    }


def _portable(design: Design) -> Design:
    """Return the design with all weights in block RAM, which any FPGA has."""
    return compile_schedule(design.schedule.portable()) if design.weight_banks else design


def _counted(count: int, what: str) -> str:
    """Return a count with its noun: 1 word, 2 words."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _hex(words: Sequence[int], bits: int) -> str:
    digits = -(-bits // 4)
    return "".join(f"{word:0{digits}x}\n" for word in words)


def _widths_in_words(network: AnyNetwork) -> str:
    """Return the bits of weights and states."""
    if isinstance(network, IntegerNetwork):
        bits = network.weight_bits
        weights = f"{bits.recurrent} (W), {bits.input} (U) and {bits.output} (V) bits"
        return f"Weights of {weights}, states of {network.state_bits} bits"
    facts = model_facts(network)
    states = " and ".join(f"{state['bits']} ({name})" for name, state in facts["states"].items())
    return f"Weights of at most {facts['weight_bits']} bits, states of {states} bits"


def _worth_of_values(operations: Network) -> str:
    """Return what a unit of a state and of a logit is worth, as far as the network has their scales."""
    scales = operations.scales
    names = [name for name in operations.states if name in scales]
    states = [
        f"a unit of {'a state' if len(operations.states) == 1 else name} is worth {scales[name]:.6g}"
        for name in names
    ]
    logit = f"{scales[operations.readout.logits.name]:.6g}"
    return ", ".join([*states, f"of a logit {logit}" if states else f"a unit of a logit is worth {logit}"])


def _worth_of_inputs(source: Input) -> str:
    """Return what a unit of an input is worth, for all channels or for each."""
    numbers = (source.scale, source.offset)
    steps, offsets = (value if isinstance(value, tuple) else (value,) for value in numbers)
    each = " (one for each entry)" if len(steps) > 1 else ""
    text = f"A unit of an input{each} is worth {', '.join(f'{step:.6g}' for step in steps)}"
    return text + (f", and 0 stands for {', '.join(f'{o:.6g}' for o in offsets)}" if any(offsets) else "")


def _bench_fields(design: Design, name: str, vectors: Vectors) -> dict[str, Any]:
    s = design.schedule
    a_step = s.longest_step + design.input_words_per_step + design.answer_words
    writes = (
        ""
        if WeightFormat.of(design) is None
        else ",\n    .write__en(0), .write__high(0), .write__addr(0), .write__data(0)"
    )
    return {
        "name": name,
        "command": f"iverilog -g2012 -o bench.vvp {name}_tb.v {name}.v && vvp -n bench.vvp",
        "words": len(vectors.inputs),
        "units": len(vectors.units),
        "answers": len(vectors.answers),
        "hidden": design.state_words,
        "answer_words": design.answer_words,
        "quiet": 8 * a_step + 500,
        "flush": 4 * a_step,
        "i_high": design.input_format.bits + 1,
        "o_high": design.answer_bits,
        "u_high": design.state_bits - 1,
        "writes": writes,
    }


def _fields(design: Design, name: str, vectors: Vectors, images: Sequence[Memory]) -> dict[str, Any]:
    operations, s = design.operations, design.schedule
    source, readout = operations.input, operations.readout
    description = (
        f"Recurrent network, {network_words(design.network)}, {_counted(source.size, 'input')}, "
        f"{_counted(operations.output_size, 'output')}"
    )
    form = source.format
    count = design.input_words_per_step
    entries = "signed" if form.signed else "unsigned"
    vector = "the entries of the vector in order" if count > 1 else "the input"
    words_in = f"{_counted(count, 'word')} make{'s' if count == 1 else ''} a time step: " + (
        f"the index of the symbol, 0 to {source.size - 1}; a larger one adds nothing."
        if source.one_hot
        else f"{vector}, {_counted(form.bits, 'bit')}, {entries}."
    )
    when = "after each step" if design.every_step else "after a sequence's last step"
    logits = "the logit" if operations.output_size == 1 else f"the logits, {operations.output_size} of them"
    parts = [logits] if readout.answer.kind.has_logits else []
    parts += [class_meaning(design.network)] if readout.answer.kind.has_argmax else []
    count = design.answer_words
    words_out = f"An answer of {_counted(count, 'word')} {when}: {', then '.join(parts)}."
    numbers = (
        f"{_widths_in_words(design.network)}, an accumulator of {s.accumulator_bits} bits that cannot "
        f"overflow.\n{_worth_of_inputs(source)}; {_worth_of_values(operations)}."
    )
    return _bench_fields(design, name, vectors) | {
        "vlnv": f"qornn:export:{name}:{version('qornn-hw')}",
        "version": version("qornn-hw"),
        "description": description,
        "engine": design.engine.name,
        "products": _counted(design.lanes, "multiply-accumulate"),
        "played": f"{_counted(len(vectors.sequences), 'sequence')}, {_counted(vectors.steps, 'step')} in all",
        "ports": port_table(design),
        "words_in": words_in,
        "words_out": words_out,
        "latency": _counted(s.answer_latency, "cycle"),
        "pace": "cycle" if s.cycles_per_step == 1 else f"{s.cycles_per_step} cycles",
        "bound": "" if s.cycles_are_exact else ", or a few more: the input sets the pace",
        "numbers": numbers,
        "memories": "\n".join(
            f"| `{i.name}` | {i.depth} | {i.width} | {_meaning(design, i.name)} |" for i in images
        ),
        "notes": _notes(design),
    }


def _meaning(design: Design, path: str) -> str:
    """Return what a memory holds, by the end of its path in the Verilog."""
    meanings = design.engine.memory_meanings.items()
    found = [text for end, text in meanings if fnmatchcase(f".{path}", f"*.{end}")]
    assert found, f"the {design.engine.name} engine must say what {path} holds"
    return found[0]


def _notes(design: Design) -> str:
    if not design.engine.hard_multipliers:
        return ""
    return (
        "\nProducts are written as `*` with registers around them, for any FPGA's multipliers. What "
        "`qornn-hw build` leaves\nas `core.v` has the board's hard multipliers in their place.\n"
    )


def _write(out_dir: Path, files: dict[str, str]) -> None:
    """Write all files, or none: aside first, then renamed into place; the README means that all are there."""
    with work_folder(out_dir, "export", exclusive=True) as work:
        new = work / "new"
        for path, text in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_text(text)
        names = sorted((entry.name for entry in new.iterdir()), key=lambda name: (name == "README.md", name))
        replace_results(work, out_dir, [(f"new/{name}", name) for name in names])
