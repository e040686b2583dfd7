"""Verilog of a component, and the table of a core's ports."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Fragment, Value
from amaranth.lib.wiring import In

from qornn_hw.compiler.design import Design
from qornn_hw.compiler.ports import class_meaning
from qornn_hw.compiler.weight_image import WeightFormat
from qornn_hw.rtl_gen.engines import make_core
from qornn_hw.rtl_gen.ram import FORGET_INITIAL
from qornn_hw.rtl_gen.yosys import run_yosys

__all__ = [
    "Port",
    "core_ports",
    "emit_core_verilog",
    "emit_verilog",
    "emit_verilogs",
    "port_table",
]

# A platform for which the primitives elaborate to the vendor's cells.
VENDOR = "vendor"

# To assignments alone. Amaranth's own way leaves `always @*`, of which a simulator of SystemVerilog runs none
# before one of its inputs changes: registers behind it are undefined until then, a reset notwithstanding.
_SCRIPT = """\
read_rtlil <<rtlil
{rtlil}
rtlil
{forget_initial}
proc -norom
pmuxtree
memory_collect
opt_clean -purge
attrmap -remove generator -remove top -remove src -remove amaranth.hierarchy
attrmap -remove amaranth.decoding
attrmap -modattr -remove generator -remove top -remove src -remove amaranth.hierarchy
write_verilog
"""


_MODULE = re.compile(r"^module (\S+) ?\(.*?^endmodule", re.MULTILINE | re.DOTALL)


def emit_verilog(component: Any, name: str, *, platform: str | None = None) -> str:
    """Return ``component`` as Verilog with the top module ``name``; the same text on every machine.

    Args:
        component: what is emitted.
        name: of the top module.
        platform: anything but None makes vendor cells of :mod:`qornn_hw.rtl_gen.primitives`, not their twins.

    Raises:
        ToolError: Yosys is missing or failed.
    """
    return _emit({name: component}, platform)


def _emit(components: Mapping[str, Any], platform: str | None) -> str:
    """Return components as Verilog, by the names of their top modules, in one run of Yosys."""
    modules = [
        rtlil.convert(component, name=name, platform=platform, emit_src=False)
        for name, component in components.items()
    ]
    script = _SCRIPT.format(rtlil="\n".join(modules), forget_initial=FORGET_INITIAL)
    text = run_yosys(script, f"write the Verilog of {', '.join(components)}")
    # The first line names Yosys' version and the machine that built it.
    header, _, body = text.partition("\n")
    return body.lstrip("\n") if header.startswith("/*") else text


def emit_core_verilog(design: Design, *, name: str = "qornn_core", vendor_cells: bool = False) -> str:
    """Return the core of ``design`` as Verilog, ports as in :func:`port_table`.

    With ``vendor_cells`` memories and multipliers that synthesis cannot infer are the vendor's hard cells
    (:mod:`qornn_hw.rtl_gen.primitives`), else logic for a simulation, whose weights are there from the start.
    """
    core = make_core(design, preloaded=not vendor_cells)
    return emit_verilog(core, name, platform=VENDOR if vendor_cells else None)


def emit_verilogs(components: Mapping[str, Any]) -> dict[str, str]:
    """Return components as Verilog, by the names of their top modules, with one start of Yosys for all.

    Raises:
        ToolError: Yosys is missing or failed.
    """
    found: dict[str, str] = dict.fromkeys(components, "")
    for module in _MODULE.finditer(_emit(components, None)):
        # \\NAME.chain.element_0 is below NAME.
        found[module[1].lstrip("\\").partition(".")[0]] += module[0] + "\n"
    return found


@dataclass(frozen=True)
class Port:
    """A port of a core.

    Attributes:
        name: in the Verilog.
        direction: ``in`` or ``out``.
        width: bits.
        signed: whether it is declared so.
        meaning: for people.
    """

    name: str
    direction: str
    width: int
    signed: bool
    meaning: str


def core_ports(design: Design) -> tuple[Port, ...]:
    """Return the ports of the core of ``design``, as its signature has them."""
    core = make_core(design)
    # Amaranth complains of a component that nobody uses.
    Fragment.get(core, None)
    meanings = _port_meanings(design)
    ports = [Port(name, "in", 1, False, meanings.pop(name)) for name in ("clk", "rst")]
    for path, member, value in core.signature.flatten(core):
        name, port = "__".join(str(part) for part in path), Value.cast(value)
        direction = "in" if member.flow == In else "out"
        ports.append(Port(name, direction, len(port), port.shape().signed, meanings.pop(name)))
    assert not meanings, f"described, but no ports: {meanings}"
    return tuple(ports)


def port_table(design: Design) -> str:
    """Return the ports of the core of ``design`` as a Markdown table."""
    lines = ["| Port | Direction | Width | Signed | Meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| `{p.name}` | {p.direction} | {p.width} | {'yes' if p.signed else 'no'} | {p.meaning} |"
        for p in core_ports(design)
    ]
    return "\n".join(lines) + "\n"


def _port_meanings(design: Design) -> dict[str, str]:
    source = design.operations.input
    i_data = source.format
    in_bits, out_bits = i_data.bits, design.answer_bits
    words, answers = design.input_words_per_step, design.answer_words
    entry = "index of the symbol" if source.one_hot else "entry of the input vector"
    sign = "signed" if i_data.signed else "unsigned"
    i_payload = (
        f"`[{in_bits - 1}:0]` data, {sign}: an {entry}; `[{in_bits}]` first word of a sequence (read with a "
        f"step's first word); `[{in_bits + 1}]` last word of a sequence (read with a step's last word)"
    )
    o_payload = (
        f"`[{out_bits - 1}:0]` data, signed: {_answer_meaning(design)}; `[{out_bits}]` last word of the "
        "answer to a sequence's last step"
    )
    meanings = {
        "clk": "clock; everything happens on its rising edge",
        "rst": "synchronous reset; the next step starts from the initial state, words of that cycle are lost",
        "i__payload": i_payload,
        "i__valid": f"there is an input word; {words} make a time step",
        "i__ready": "the core takes the word in this cycle",
        "o__payload": o_payload,
        "o__valid": f"there is an answer word; {answers} make an answer",
        "o__ready": "the reader takes the word in this cycle",
        "state__valid": "a new hidden unit is written in this cycle; may be left open",
        "state__data": "that hidden unit, in the order of the units, state by state",
    }
    if WeightFormat.of(design) is not None:
        meanings |= {
            "write__en": "a bit a memory: write a byte of its weights; hold `rst`",
            "write__high": "the upper byte of the word, else the lower one",
            "write__addr": "the word",
            "write__data": "the byte",
        }
    return meanings


def _answer_meaning(design: Design) -> str:
    kind, p = design.operations.readout.answer.kind, design.operations.output_size
    logits = f"logits 0 to {p - 1}" if p > 1 else "the logit"
    index = class_meaning(design.network)
    if kind.has_logits and kind.has_argmax:
        return f"{logits}, then {index}"
    return logits if kind.has_logits else index
