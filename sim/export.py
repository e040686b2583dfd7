"""A core for somebody else's design: Verilog, golden vectors, benches that need nothing of ours."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qornn_hw.compare import expected_answers
from qornn_hw.design import Design, compile_schedule
from qornn_hw.dsp_schedule import DspSchedule
from qornn_hw.engine import Engine, WeightStore
from qornn_hw.errors import FormatError
from qornn_hw.integer_model import IntegerModel
from qornn_hw.network import OutputMode
from qornn_hw.output_folder import work_folder
from qornn_hw.rom import RomImage
from rtl_gen.emit import emit_core_verilog, port_table
from sim.core_simulation import check_sequence, input_words
from sim.export_texts import BENCH, COCOTB_MAKEFILE, COCOTB_TEST, FUSESOC, KEYWORDS, LINT_WAIVERS, README
from sim.stimuli import corner_sequences, random_sequences

__all__ = ["Vectors", "export_core", "golden_vectors", "memory_images"]

IntArray = NDArray[np.int64]

# Of the corner cases: enough for a state to come back.
CORNER_STEPS = 3
# What a memory holds, by the end of its path.
MEANINGS = {
    "readout.weights": "V, a word a unit and sweep: the weights of the logits of that sweep",
    "weights": "a word a row and pass: a weight for each column, the first in the lowest bits",
    "constants": "of each row: what is added behind the chain; b of modrelu; M where units differ in it; "
    "U of an input behind the chain",
    "operands.memory": "lower half: running state and inputs; upper half: the initial state",
    "symbols": "U: of each unit and symbol what is added",
    "table": "tanh: the state by index, in the order of its bits",
    "waiting_sums": "sums that wait for the next pass",
    "sums": "lower half: sums that wait; upper half: what the sum of each row starts from",
    "biases": "b of modrelu",
    "requantizer.factors": "M of each unit, a bit a word",
    "readout.units": "units of the step that is read out",
    "requantizer.values": "units that wait for the requantizer",
    "answer.queue": "answer words on their way out",
}


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
    net, model = design.network, IntegerModel(design.network)
    bits = net.input_format.bits
    inputs, units, answers, facts = [], [], [], []
    for given in sequences:
        sequence = check_sequence(net, given)
        trace = model.run(sequence[np.newaxis])
        inputs += [
            data & ((1 << bits) - 1) | first << bits | last << (bits + 1)
            for data, first, last in input_words(net, sequence)
        ]
        units += [int(g) & ((1 << net.state_bits) - 1) for g in trace.states.reshape(-1)]
        every = net.output_mode is OutputMode.EVERY_STEP
        words = []
        for at, logits in enumerate(trace.logits[0]):
            words.append(expected_answers(net, logits, not every or at == len(sequence) - 1))
        answers += [
            data & ((1 << design.answer_bits) - 1) | last << design.answer_bits
            for step in words
            for data, last in step
        ]
        facts.append(
            {
                "inputs": sequence.tolist(),
                "hidden": trace.states[0].tolist(),
                "answers": [[data for data, _ in step] for step in words],
            }
        )
    return Vectors(tuple(inputs), tuple(units), tuple(answers), tuple(facts))


_MODULE = re.compile(r"^module (\S+) ?\(.*?^endmodule", re.MULTILINE | re.DOTALL)
_MEMORY = re.compile(
    r"^  reg (?:\[(\d+):0\] )?\w+ \[(\d+):0\];\n  initial begin\n(.*?)^  end$", re.MULTILINE | re.DOTALL
)
_WORD = re.compile(r"\[(\d+)\] = \d+'([hd])([0-9a-f]+);")


def memory_images(verilog: str) -> tuple[RomImage, ...]:
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
            images.append(RomImage(path, int(memory[1] or 0) + 1, tuple(words[at] for at in range(depth))))
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
        raise FormatError(f"--name must be letters, digits and '_', not {name!r}")
    if name in KEYWORDS:
        raise FormatError(f"--name must be no keyword of Verilog, {name!r} is one")
    for what, count in (("--sequences", sequences), ("--steps", steps)):
        if count < 1:
            raise FormatError(f"{what} must be at least 1, not {count!r}")
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
    files = {
        f"{name}.v": LINT_WAIVERS + verilog,
        f"{name}_tb.v": BENCH.format_map(fields),
        f"{name}.core": FUSESOC.format_map(fields),
        "README.md": README.format_map(fields),
        "vectors/inputs.hex": _hex(vectors.inputs, net.input_format.bits + 2),
        "vectors/units.hex": _hex(vectors.units, net.state_bits),
        "vectors/answers.hex": _hex(vectors.answers, design.answer_bits + 1),
        "vectors/vectors.json": json.dumps({"sequences": vectors.sequences}) + "\n",
        "cocotb/Makefile": COCOTB_MAKEFILE.format_map(fields),
        f"cocotb/test_{name}.py": COCOTB_TEST.format_map(fields),
        **{f"memories/{image.name}.hex": image.to_hex() for image in images},
    }
    _write(out_dir, files)
    return {
        "name": name,
        "folder": str(out_dir),
        "engine": str(design.engine),
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


def _portable(design: Design) -> Design:
    s = design.schedule
    if s.store is not WeightStore.SPRAM:
        return design
    if isinstance(s, DspSchedule):
        return compile_schedule(replace(s, weight_store=WeightStore.BLOCK_RAM))
    return compile_schedule(replace(s, spram_elements=0))


def _hex(words: Sequence[int], bits: int) -> str:
    digits = -(-bits // 4)
    return "".join(f"{word:0{digits}x}\n" for word in words)


def _fields(design: Design, name: str, vectors: Vectors, images: Sequence[RomImage]) -> dict[str, Any]:
    net, s = design.network, design.schedule
    a_step = s.passes * s.joint_period + s.step_gap + design.input_words_per_step + design.answer_words
    description = (
        f"Recurrent network, {net.hidden_size} hidden units, {net.activation}, {net.input_size} inputs, "
        f"{net.output_size} outputs"
    )
    form = net.input_format
    count = design.input_words_per_step
    entries = "signed" if form.signed else "unsigned"
    words_in = f"{count} word{'s make' if count > 1 else ' makes'} a time step: " + (
        f"the entries of the vector in order, {form.bits} bits, {entries}."
        if net.vector_input
        else f"the index of the symbol, 0 to {net.input_size - 1}; a larger one adds nothing."
    )
    when = "after each step" if net.output_mode is OutputMode.EVERY_STEP else "after a sequence's last step"
    parts = [f"the logits, {net.output_size} of them"] if net.output_kind.has_logits else []
    parts += ["the index of the largest logit"] if net.output_kind.has_argmax else []
    count = design.answer_words
    words_out = f"An answer of {count} word{'s' if count > 1 else ''} {when}: {', then '.join(parts)}."
    bits, scales = net.weight_bits, net.scales
    numbers = (
        f"Weights of {bits.recurrent} (W), {bits.input} (U) and {bits.output} (V) bits, states of "
        f"{net.state_bits} bits, an accumulator of {s.accumulator_bits} bits that cannot overflow.\n"
        f"A unit of an input is worth {scales.input:.6g}, of a state {scales.state:.6g}, of a logit "
        f"{scales.output:.6g}."
    )
    return {
        "name": name,
        "vlnv": f"qornn:export:{name}:{version('qornn-hw')}",
        "version": version("qornn-hw"),
        "command": f"iverilog -g2012 -o bench.vvp {name}_tb.v {name}.v && vvp -n bench.vvp",
        "description": description,
        "engine": str(design.engine),
        "lanes": design.lanes,
        "sequences": len(vectors.sequences),
        "steps": vectors.steps,
        "words": len(vectors.inputs),
        "units": len(vectors.units),
        "answers": len(vectors.answers),
        "hidden": net.hidden_size,
        "answer_words": design.answer_words,
        "quiet": 8 * a_step + 500,
        "flush": 4 * a_step,
        "i_high": form.bits + 1,
        "o_high": design.answer_bits,
        "u_high": net.state_bits - 1,
        "ports": port_table(design),
        "words_in": words_in,
        "words_out": words_out,
        "latency": s.answer_latency,
        "cycles": s.cycles_per_step,
        "bound": "" if s.row_cycles >= s.input_cycles else ", or a few more: the input sets the pace",
        "numbers": numbers,
        "memories": "\n".join(f"| `{i.name}` | {i.depth} | {i.width} | {_meaning(i.name)} |" for i in images),
        "notes": _notes(design),
    }


def _meaning(path: str) -> str:
    return next(text for key, text in MEANINGS.items() if f".{path}".endswith(f".{key}"))


def _notes(design: Design) -> str:
    if design.engine is not Engine.DSP:
        return ""
    return (
        "\nProducts are written as `*` with registers around them, for any FPGA's multipliers. What "
        "`qornn-hw build` leaves\nas `core.v` has the iCE40's own cells in their place.\n"
    )


def _write(out_dir: Path, files: dict[str, str]) -> None:
    """Write all files, or none: aside first, then renamed into place."""
    with work_folder(out_dir, "export") as work:
        new, old = work / "new", work / "old"
        old.mkdir()
        for path, text in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_text(text)
        for entry in sorted(new.iterdir()):
            target = out_dir / entry.name
            if target.exists():
                target.rename(old / entry.name)
            entry.rename(target)
