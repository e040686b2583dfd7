"""Verilog of a component, and the table of a core's ports."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amaranth._toolchain.yosys import YosysError
from amaranth.back import verilog

from qornn_hw.design import Design
from qornn_hw.dsp_schedule import SPRAM_ADDR_BITS
from qornn_hw.errors import ToolError
from qornn_hw.weight_image import WeightFormat
from rtl_gen.engines import make_core
from rtl_gen.yosys import find_yosys, tool_cache

__all__ = ["emit_core_verilog", "emit_verilog", "port_table"]


def emit_verilog(component: Any, name: str, *, platform: str | None = None) -> str:
    """Return ``component`` as Verilog with the top module ``name``; the same text on every machine.

    Args:
        component: what is emitted.
        name: of the top module.
        platform: anything but None makes vendor cells of :mod:`rtl_gen.primitives`, not their twins.

    Raises:
        ToolError: Yosys is missing or failed.
    """
    with _yosys_for_amaranth():
        try:
            text = verilog.convert(
                component, name=name, platform=platform, emit_src=False, strip_internal_attrs=True
            )
        except (YosysError, UnicodeDecodeError, OSError) as error:
            # A tool that dies with a traceback says why in its last line.
            said = str(error).strip().splitlines()
            reason = said[-1] if said else "it died without a word"
            used = os.environ.get("YOSYS", "Amaranth's own")
            raise ToolError(f"Yosys ({used}) could not write the Verilog of {name}: {reason}") from error
    # The first line names Yosys' version and the machine that built it.
    header, _, body = text.partition("\n")
    return body.lstrip("\n") if header.startswith("/*") else text


def emit_core_verilog(design: Design, *, name: str = "qornn_core", vendor_cells: bool = False) -> str:
    """Return the core of ``design`` as Verilog, ports as in :func:`port_table`.

    With ``vendor_cells`` memories and multipliers that synthesis cannot infer are cells of the iCE40, else
    logic for a simulation, whose weights are there from the start.
    """
    core = make_core(design, preloaded=not vendor_cells)
    return emit_verilog(core, name, platform="ice40" if vendor_cells else None)


def port_table(design: Design) -> str:
    """Return the ports of the core of ``design`` as a Markdown table."""
    net = design.network
    i_data = net.input_format
    in_bits, out_bits = i_data.bits, design.answer_bits
    words, answers = design.input_words_per_step, design.answer_words
    entry = "entry of the input vector" if net.vector_input else "index of the symbol"
    sign = "signed" if i_data.signed else "unsigned"
    i_payload = (
        f"`[{in_bits - 1}:0]` data, {sign}: an {entry}; `[{in_bits}]` first word of a sequence (read with a "
        f"step's first word); `[{in_bits + 1}]` last word of a sequence (read with a step's last word)"
    )
    o_payload = (
        f"`[{out_bits - 1}:0]` data, signed: {_answer_meaning(design)}; `[{out_bits}]` last word of the "
        "answer to a sequence's last step"
    )
    rows = [
        ("clk", "in", 1, False, "clock; everything happens on its rising edge"),
        (
            "rst",
            "in",
            1,
            False,
            "synchronous reset; the next step starts from the initial state, words of that cycle are lost",
        ),
        ("i__valid", "in", 1, False, f"there is an input word; {words} make a time step"),
        ("i__ready", "out", 1, False, "the core takes the word in this cycle"),
        ("i__payload", "in", in_bits + 2, False, i_payload),
        ("o__valid", "out", 1, False, f"there is an answer word; {answers} make an answer"),
        ("o__ready", "in", 1, False, "the reader takes the word in this cycle"),
        ("o__payload", "out", out_bits + 1, False, o_payload),
        ("state__valid", "out", 1, False, "a new hidden unit is written in this cycle; may be left open"),
        ("state__data", "out", net.state_bits, True, "that hidden unit, in the order of the units"),
    ]
    if (form := WeightFormat.of(design)) is not None:
        rows += [
            ("write__en", "in", form.banks, False, "a bit a memory: write a byte of its weights; hold `rst`"),
            ("write__high", "in", 1, False, "the upper byte of the word, else the lower one"),
            ("write__addr", "in", SPRAM_ADDR_BITS, False, "the word"),
            ("write__data", "in", 8, False, "the byte"),
        ]
    lines = ["| Port | Direction | Width | Signed | Meaning |", "|---|---|---|---|---|"]
    lines += [f"| `{n}` | {d} | {w} | {'yes' if s else 'no'} | {m} |" for n, d, w, s, m in rows]
    return "\n".join(lines) + "\n"


def _answer_meaning(design: Design) -> str:
    kind, p = design.network.output_kind, design.network.output_size
    logits = f"logits 0 to {p - 1}" if p > 1 else "the logit"
    index = "the index of the largest logit"
    if kind.has_logits and kind.has_argmax:
        return f"{logits}, then {index}"
    return logits if kind.has_logits else index


@contextmanager
def _yosys_for_amaranth() -> Iterator[None]:
    """Make Amaranth find the Yosys of :func:`find_yosys`, unless its own variables say which."""
    added = tool_cache()
    if "YOSYS" not in os.environ and "AMARANTH_USE_YOSYS" not in os.environ:
        added["YOSYS"] = find_yosys()
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
